"""``wizard101 evaluate`` and ``runs scores``: the figures of a run, and of its categories and policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import wizard
from tests.engine.question_files import keep, questions

EVIL = "\x1b]0;owned\x07"


def shown(output: bytes) -> list[list[str]]:
    return [line.split() for line in output.decode().splitlines()]


def test_a_model_answers_questions_and_its_scores_can_be_seen_again(tmp_path: Path) -> None:
    keep(questions(2), tmp_path / "data")
    (tmp_path / "model.jsonl").write_text('{"steps": [{"answer": "b"}]}\n')
    asked = ["evaluate", "--model", "fake:model.jsonl", "--benchmark", "BBQ", "--data-dir", "data"]
    run = wizard(*asked, cwd=tmp_path)
    assert run.returncode == 0, run.stderr.decode()
    lines = shown(run.stdout)
    assert ["all", "ambiguous", "4", "100.00"] in [line[:4] for line in lines]
    assert ["all", "disambiguated", "4", "0.00"] in [line[:4] for line in lines]
    assert not any(line[:1] == ["Height"] for line in lines)
    number = lines[0][1]
    assert f"runs scores {number} --categories".encode() in run.stdout

    again = wizard("runs", "scores", number, "--categories", cwd=tmp_path)
    assert ["Height", "ambiguous", "2", "100.00"] in [line[:4] for line in shown(again.stdout)]
    told = json.loads(wizard("runs", "scores", number, "--json", cwd=tmp_path).stdout)
    assert told["run"] == int(number)
    assert told["benchmarks"][0]["ambiguous"]["accuracy"] == 100

    about = wizard("runs", "show", number, cwd=tmp_path).stdout.decode()
    assert f"folder      {tmp_path.resolve() / 'runs' / number}" in about
    assert "scores.json" in about


def test_categories_and_policies_of_a_guard_are_shown_when_asked_for(tmp_path: Path) -> None:
    part = {"n": 4, "unparsable": 0, "recall": 50.0, "fpr": None, "f1": None}
    score = {
        "benchmark": "OpenAIModerationCategories",
        "task": "prompt",
        "n": 4,
        "unparsable": 0,
        "wrong": {"recall": {"value": 50.0, "low": 15.0, "high": 85.0}},
        "categories": {"H": {**part, "recall_ci95": [15.0, 85.0], "fpr_ci95": None}, EVIL: part},
        "policies": {"hate_speech": part},
    }
    folder = tmp_path / "runs" / "7"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps([score, {**score, "benchmark": "mine.jsonl"}]))
    plain = wizard("runs", "scores", "7", cwd=tmp_path)
    assert b"hate_speech" not in plain.stdout
    run = wizard("runs", "scores", "7", "--categories", cwd=tmp_path)
    assert run.returncode == 0, run.stderr.decode()
    lines = shown(run.stdout)
    assert ["H", "4", "50.00", "15.00", "to", "85.00", "–", "–", "–", "0"] in lines
    assert ["hate_speech", "4", "50.00", "–", "–", "–", "–", "0"] in lines
    assert ["OpenAIModerationCategories", "by", "policy"] in lines
    assert b"\x1b" not in run.stdout


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [(None, 2, "Run 7 has no scores"), ("{", 1, "does not hold"), ('[{"task": 1}]', 1, "does not hold")],
)
def test_scores_that_are_not_there_or_none_are_told(
    tmp_path: Path, content: str | None, code: int, said: str
) -> None:
    if content is not None:
        (tmp_path / "runs" / "7").mkdir(parents=True)
        (tmp_path / "runs" / "7" / "scores.json").write_text(content)
    run = wizard("runs", "scores", "7", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (code, b"")
    assert said in run.stderr.decode()
    assert b"Traceback" not in run.stderr
