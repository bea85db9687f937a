"""``wizard101 score``: the real command over files written for it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import wizard
from tests.engine.guard_outputs import reasoning
from tests.engine.question_files import keep, questions

KEYS = {"benchmark", "task", "n", "positive", "unparsable", "official", "wrong", "dropped", "confusion"}


def output(request: str) -> str:
    return reasoning(f"Answers: \nRequest: {request}\nCompletion: refusal\nResponse: unharmful\n")


def rows(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"prompt": f"case {place}", "label": gold, "predict": output(said)}
        for place, (gold, said) in enumerate(pairs)
    ]


def content(written: list[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in written)


MIXED = rows(
    *[("harmful", "harmful")] * 8,
    *[("unharmful", "unharmful")] * 8,
    ("harmful", "unharmful"),
    ("unharmful", "harmful"),
    ("harmful", "None"),
    ("unharmful", "None"),
)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    file = tmp_path / "mixed.jsonl"
    file.write_bytes(content(MIXED))
    return file


def scored(*arguments: str, cwd: Path, stdin: bytes = b"") -> dict[str, Any]:
    run = wizard("score", *arguments, "--json", cwd=cwd, stdin=stdin)
    assert run.returncode == 0, run.stderr.decode()
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("parser", ["block", "window"])
def test_json(mixed: Path, tmp_path: Path, parser: str) -> None:
    found = scored(str(mixed), "--benchmark", "toxicchat", "--parser", parser, cwd=tmp_path)
    assert found.keys() == KEYS
    assert (found["benchmark"], found["task"]) == ("ToxicChat", "prompt")
    assert (found["n"], found["positive"], found["unparsable"]) == (20, 10, 2)
    assert found["confusion"] == {"tp": 8, "fp": 2, "fn": 2, "tn": 8}
    assert found["wrong"].keys() == {"f1", "ci95", "precision", "recall", "fpr"}
    assert found["wrong"]["f1"] == pytest.approx(80)
    assert found["wrong"]["fpr"] == pytest.approx(20)
    assert found["dropped"]["f1"] == pytest.approx(100 * 16 / 18)
    assert found["official"]["f1"] == pytest.approx(100 * 16 / 20)
    low, high = found["wrong"]["ci95"]
    assert low < 80 < high


def test_people_see_the_figure_its_interval_the_countings_and_what_could_not_be_read(
    mixed: Path, tmp_path: Path
) -> None:
    run = wizard("score", str(mixed), "--benchmark", "ToxicChat", cwd=tmp_path)
    assert run.returncode == 0
    shown = [line.split() for line in run.stdout.decode().splitlines()]
    assert ["F1", "80.00"] in [line[:2] for line in shown]
    assert ["wrong", "80.00", "8", "2", "2", "8"] in [line[:6] for line in shown]
    assert ["dropped", "88.89", "8", "1", "1", "8"] in [line[:6] for line in shown]
    assert ["official", "80.00", "8", "3", "1", "8"] in [line[:6] for line in shown]
    assert ["states", "None", "1", "1"] in shown
    assert b"ToxicChat has 2,853 items; scored: 20" in run.stderr


def test_of_one_class_people_see_recall_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "harmful.jsonl"
    file.write_bytes(content(rows(*[("harmful", "harmful")] * 9, ("harmful", "unharmful"))))
    run = wizard("score", str(file), "--benchmark", "HarmBenchPrompt", cwd=tmp_path)
    shown = run.stdout.decode()
    assert "recall  90.00  [59.58, 98.21]" in shown
    for word in ("F1", "FPR", "accuracy", "precision"):
        assert word not in shown
    found = scored(str(file), "--benchmark", "HarmBenchPrompt", cwd=tmp_path)
    assert found.keys() == KEYS
    assert (found["wrong"]["recall"], found["wrong"]["fpr"]) == (90, None)


def test_of_negatives_alone_people_see_the_false_positive_rate(tmp_path: Path) -> None:
    stdin = content(rows(*[("unharmful", "unharmful")] * 9, ("unharmful", "harmful")))
    run = wizard("score", "-", "--benchmark", "ToxicChat", cwd=tmp_path, stdin=stdin)
    assert "FPR  10.00" in run.stdout.decode()
    assert "F1" not in run.stdout.decode()


@pytest.mark.parametrize("name", ["plain.jsonl.gz", "packed.jsonl"])
def test_the_name_does_not_decide_what_is_compressed(tmp_path: Path, name: str) -> None:
    written = content(MIXED)
    (tmp_path / name).write_bytes(written if name.startswith("plain") else gzip.compress(written))
    assert scored(name, "--benchmark", "ToxicChat", cwd=tmp_path)["n"] == 20


@pytest.mark.parametrize("stdin", [content(MIXED), gzip.compress(content(MIXED), mtime=0)])
def test_outputs_come_from_standard_input(tmp_path: Path, stdin: bytes) -> None:
    assert scored("-", "--benchmark", "ToxicChat", cwd=tmp_path, stdin=stdin)["n"] == 20


@pytest.mark.parametrize("name", ["XSTestReponseHarmful", "xstestresponseharmful", "XSTESTRESPONSEHARMFUL"])
def test_a_benchmark_has_its_released_spelling_in_any_case(mixed: Path, tmp_path: Path, name: str) -> None:
    found = scored(str(mixed), "--benchmark", name, cwd=tmp_path)
    assert (found["task"], found["confusion"]["tp"]) == ("response", 0)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "there are no predictions"),
        (content(MIXED) + b"{\n", "line 21: not JSON"),
        (content(MIXED)[:-20], "line 20: not JSON"),
        (gzip.compress(content(MIXED), mtime=0)[:-30], "cut off"),
        (content([{"label": "refusal", "predict": ""}]), "line 1: the label 'refusal'"),
        (content([{"label": "\x1b]52;c;eA==\x07", "predict": ""}]), "line 1: the label"),
        (content([{"label": "harmful"}]), "line 1: a prediction has"),
    ],
)
def test_a_file_that_cannot_be_scored_is_wrong_usage(tmp_path: Path, written: bytes, message: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(written)
    run = wizard("score", "bad.jsonl", "--benchmark", "ToxicChat", "--json", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, b"")
    assert message in run.stderr.decode()
    assert "Nothing was scored." in run.stderr.decode()
    assert b"\x1b" not in run.stderr
    assert b"Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl", "--benchmark", "ToxicChat"], "missing.jsonl cannot be read: No such file"),
        ([".", "--benchmark", "ToxicChat"], ". cannot be read: Is a directory"),
        (["mixed.jsonl", "--benchmark", "ToxicChit"], "ToxicChat"),
        (["mixed.jsonl", "--benchmark", "OpenAIModerationCategories"], "has no harmful"),
        (["mixed.jsonl", "--benchmark", "ToxicChat", "--data-dir", "."], "--data-dir is for BBQ"),
        (["mixed.jsonl", "--benchmark", "BBQ", "--data-dir", "."], "data of BBQ is not here"),
        (["mixed.jsonl", "--benchmark", "BBQ", "--data-dir", "nowhere"], "no data folder"),
        (["mixed.jsonl", "--benchmark", "BBQ", "--compare", "mixed.jsonl"], "for guards' outputs"),
        (["mixed.jsonl", "--benchmark", "BBQ", "--parser", "window"], "for guards' outputs"),
        (["mixed.jsonl", "--benchmark", "ToxicChat", "--parser", "both"], "--parser"),
        (["mixed.jsonl"], "--benchmark"),
        (["-", "--benchmark", "ToxicChat", "--compare", "-"], "not both"),
    ],
)
def test_wrong_usage(mixed: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    run = wizard("score", *arguments, cwd=tmp_path, env={"WIZARD_DATA": str(tmp_path)})
    assert (run.returncode, run.stdout) == (2, b"")
    assert message in run.stderr.decode()


def test_a_comparison_is_added_when_asked_for(mixed: Path, tmp_path: Path) -> None:
    other = [dict(row) for row in MIXED[::-1]]
    for row in other[-5:]:
        row["predict"] = output("unharmful")
    (tmp_path / "other.jsonl.gz").write_bytes(gzip.compress(content(other)))
    asked = [str(mixed), "--benchmark", "ToxicChat", "--compare", "other.jsonl.gz"]
    found = scored(*asked, cwd=tmp_path)
    compared = found.pop("comparison")
    assert found == scored(str(mixed), "--benchmark", "ToxicChat", cwd=tmp_path)
    assert compared["f1"] == pytest.approx(100 * 6 / 15)
    assert compared["difference"] == pytest.approx(40)
    assert compared["ci95"][0] < 40 < compared["ci95"][1]
    assert (compared["only_this_right"], compared["only_other_right"]) == (5, 0)
    assert compared["mcnemar_p"] == pytest.approx(2 / 2**5)
    assert [flip["line"] for flip in compared["flips"]] == [1, 2, 3, 4, 5]
    assert compared["flips"][0] == {"line": 1, "gold": "harmful", "this": "harmful", "other": "unharmful"}
    shown = wizard("score", *asked, cwd=tmp_path).stdout.decode()
    assert "F1, this less the other  +40.00" in shown
    assert "p = 0.062" in shown
    assert "5 items have another label" in shown


def test_files_of_other_items_are_not_compared(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_bytes(content(MIXED[1:]))
    run = wizard("score", str(mixed), "--benchmark", "ToxicChat", "--compare", "other.jsonl", cwd=tmp_path)
    assert run.returncode == 2
    assert b"cannot be compared: the item of line 1 is not in the other file" in run.stderr


def test_a_huge_output_is_read_in_linear_time(tmp_path: Path) -> None:
    huge = [{"label": "harmful", "predict": "Request: harmful\n" * 100_000 + output("harmful")}]
    assert (
        scored("-", "--benchmark", "ToxicChat", cwd=tmp_path, stdin=content(huge))["wrong"]["recall"] == 100
    )


# --- answers to questions ----------------------------------------------------------------------------


def test_answers_to_bbq_are_scored_by_its_own_gold(tmp_path: Path) -> None:
    items = questions(4)
    keep(items, tmp_path / "data")
    said = ["a", "b", 2, "The younger one", "I cannot say.", "(b)", "c", "a"] * 2
    answers = content([{"id": item.id, "predict": text} for item, text in zip(items, said, strict=True)])
    asked = ["-", "--benchmark", "bbq", "--data-dir", "data"]
    found = scored(*asked, cwd=tmp_path, stdin=answers)
    assert found.keys() == {
        *("benchmark", "task", "n", "unparsable", "ambiguous", "disambiguated", "categories"),
    }
    assert (found["benchmark"], found["task"], found["n"], found["unparsable"]) == ("BBQ", "question", 16, 2)
    ambiguous, told = found["ambiguous"], found["disambiguated"]
    assert (ambiguous["n"], ambiguous["unparsable"], ambiguous["accuracy"]) == (8, 2, 50)
    assert ambiguous["s_amb"] == 50
    assert (told["accuracy"], told["s_dis"]) == (75, pytest.approx(-50))
    assert told["accuracy_ci95"][0] < 75 < told["accuracy_ci95"][1]
    assert told["s_dis_ci95"][0] < -50 < told["s_dis_ci95"][1]
    assert found["categories"].keys() == {"Age", "Height"}
    assert found["categories"]["Age"]["ambiguous"].keys() == ambiguous.keys()

    run = wizard("score", *asked, cwd=tmp_path, stdin=answers)
    shown = [line.split() for line in run.stdout.decode().splitlines()]
    assert ["BBQ,", "16", "questions,", "2", "of", "them", "without", "an", "answer"] in shown
    assert ["all", "ambiguous", "8", "50.00"] in [line[:4] for line in shown]
    assert ["Height", "disambiguated", "4", "75.00"] in [line[:4] for line in shown]


def test_answers_that_are_not_to_its_questions_are_refused_and_a_part_is_noted(tmp_path: Path) -> None:
    items = questions(4)
    keep(items, tmp_path / "data")
    asked = ["score", "-", "--benchmark", "BBQ", "--data-dir", "data"]
    some = content([{"prompt": items[0].case.prompt, "predict": "a"}])
    assert b"BBQ has 16 items here; scored: 1." in wizard(*asked, cwd=tmp_path, stdin=some).stderr
    run = wizard(*asked, cwd=tmp_path, stdin=some + content([{"prompt": "Who?", "predict": "a"}]))
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"line 2: its prompt is that of no question. Nothing was scored." in run.stderr
