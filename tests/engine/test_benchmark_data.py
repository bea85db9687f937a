"""Reading, checking and keeping the data of benchmarks, on small files in the published layouts."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.cases import Case, Completion, Harm, Task
from engine.evaluation import layouts
from engine.evaluation.benchmark_checks import check_items
from engine.evaluation.benchmark_data import (
    Loaded,
    Provenance,
    find_place,
    load_benchmark,
    store,
)
from engine.evaluation.benchmark_errors import BenchmarkChanged, BenchmarkMissing, BenchmarkUnreadable
from engine.evaluation.benchmark_files import read_rows, read_xsafety
from engine.evaluation.benchmark_hub import import_benchmark
from engine.evaluation.benchmarks import Benchmark, Content
from engine.evaluation.items import Choice, Form, Item, content_hash, decode_items, encode_items
from tests.engine.benchmark_files import released, trial, write_csv, write_json, write_jsonl

CONTENT = Content(3, {"harmful": 1, "unharmful": 2})
ROWS = [
    {"text": "a rude line", "label": "harmful"},
    {"text": "a kind line\u2028with a separator", "label": "safe"},
    {"text": "another kind line", "label": "safe"},
]


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    return {"WIZARD_DATA": str(tmp_path / "kept")}


def pinned(sha256: str | None, content: Content = CONTENT) -> Benchmark:
    return trial(replace(content, sha256=sha256), layouts.prompt_and_label)


def items_of_rows(rows: list[dict[str, str]]) -> list[Item]:
    return layouts.items_of(rows, layouts.prompt_and_label, "rows")


def test_published_files_are_read_and_hashed(tmp_path: Path, nowhere: dict[str, str]) -> None:
    write_jsonl(tmp_path / "trial" / "items.jsonl", ROWS)
    expected = content_hash(items_of_rows(ROWS))

    loaded = load_benchmark(pinned(expected), tmp_path, env=nowhere)

    assert [item.gold for item in loaded.items] == [Harm.HARMFUL, Harm.UNHARMFUL, Harm.UNHARMFUL]
    assert loaded.items[1].case.prompt == ROWS[1]["text"]
    assert (loaded.sha256, loaded.pinned, loaded.notes) == (expected, True, ())


def test_content_with_another_hash_is_refused_and_both_hashes_are_told(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    write_jsonl(tmp_path / "trial" / "items.jsonl", ROWS)
    found = content_hash(items_of_rows(ROWS))

    with pytest.raises(BenchmarkChanged, match="hash") as told:
        load_benchmark(pinned("0" * 64), tmp_path, env=nowhere)
    assert found in str(told.value)
    assert "0" * 64 in str(told.value)

    accepted = load_benchmark(pinned("0" * 64), tmp_path, accept_changed=True, env=nowhere)
    assert not accepted.pinned
    assert found in accepted.notes[0]


def test_inverted_labels_are_refused_as_such(tmp_path: Path, nowhere: dict[str, str]) -> None:
    other = {"harmful": "safe", "safe": "harmful"}
    write_jsonl(tmp_path / "trial" / "items.jsonl", [{**row, "label": other[row["label"]]} for row in ROWS])

    with pytest.raises(
        BenchmarkChanged, match=r"labels are inverted: 2 harmful, 1 unharmful, where 1 harmful"
    ):
        load_benchmark(pinned(None), tmp_path, env=nowhere)


def test_another_size_is_refused(tmp_path: Path, nowhere: dict[str, str]) -> None:
    write_jsonl(tmp_path / "trial" / "items.jsonl", ROWS[:2])

    with pytest.raises(BenchmarkChanged, match="there are 2 items, not 3"):
        load_benchmark(pinned(None), tmp_path, env=nowhere)


@pytest.mark.parametrize("task", [Task.RESPONSE, Task.COMPLETION])
def test_labels_that_contradict_refusals_are_told_where_counts_cannot_tell(task: Task) -> None:
    right: Any = Harm.UNHARMFUL if task is Task.RESPONSE else Completion.REFUSAL
    wrong: Any = Harm.HARMFUL if task is Task.RESPONSE else Completion.COMPLIANCE
    benchmark = trial(Content(20, {right.value: 10, wrong.value: 10}), layouts.prompt_and_label, task=task)

    def items(of_refusals: Any, of_others: Any) -> list[Item]:
        return [
            *(Item(Case("p", "I'm sorry, but no."), of_refusals, None, f"a{n}") for n in range(10)),
            *(Item(Case("p", "Here you are."), of_others, None, f"b{n}") for n in range(10)),
        ]

    assert check_items(benchmark, items(right, wrong)).faults == ()
    (fault,) = check_items(benchmark, items(wrong, right)).faults
    assert "labels look inverted: of 10 replies that begin like a refusal, 0" in fault


def test_labels_that_contradict_a_category_are_told() -> None:
    benchmark = trial(Content(10, {}, loose=True), layouts.wildguard(Task.REQUEST))

    def items(gold: Harm) -> list[Item]:
        return [Item(Case("p"), gold, "benign", str(n)) for n in range(10)]

    assert check_items(benchmark, items(Harm.UNHARMFUL)).faults == ()
    assert "of 10 prompts that are called benign, 0" in check_items(benchmark, items(Harm.HARMFUL)).faults[0]


def test_a_right_answer_that_the_context_does_not_tell_is_a_fault() -> None:
    content = Content(1, {"ambiguous": 1})
    benchmark = trial(content, layouts.bbq, task=None, form=Form.CHOICE)
    good = Item(Case("q"), Choice(1, 1, 0, ambiguous=True, negative=True), None, "0")
    bad = structs.replace(good, gold=Choice(0, 1, 0, ambiguous=True, negative=True))

    assert check_items(benchmark, [good]).faults == ()
    assert "contradict" in check_items(benchmark, [bad]).faults[0]


def test_identifiers_that_occur_twice_are_a_fault() -> None:
    items = items_of_rows(ROWS)

    assert check_items(pinned(None), [items[0], *items[1:2], items[1]]).faults == ("identifiers occur twice",)


def test_a_part_of_a_benchmark_is_told_as_one(tmp_path: Path, nowhere: dict[str, str]) -> None:
    write_jsonl(tmp_path / "trial" / "items.jsonl", ROWS)
    whole = Content(9, {"harmful": 4, "unharmful": 5})
    benchmark = trial(
        whole, layouts.prompt_and_label, contents=(whole, replace(CONTENT, part="a third of it"))
    )

    assert load_benchmark(benchmark, tmp_path, env=nowhere).notes == ("a third of it",)


def test_data_that_is_not_here_tells_how_to_get_it(tmp_path: Path, nowhere: dict[str, str]) -> None:
    with pytest.raises(BenchmarkMissing, match="wizard101 data fetch ToxicChat") as told:
        load_benchmark("ToxicChat", tmp_path, env=nowhere)
    assert str(tmp_path) in told.value.message
    assert nowhere["WIZARD_DATA"] in told.value.message
    with pytest.raises(BenchmarkMissing, match="gated"):
        load_benchmark("StrongREJECT", env=nowhere)
    with pytest.raises(BenchmarkMissing, match=r"--from DIR.*0_9_safe_rlhf\.json"):
        load_benchmark("SafeRLHF", env=nowhere)


def test_released_files_are_found_by_their_names(tmp_path: Path, nowhere: dict[str, str]) -> None:
    rows = released([(Case("May I?", "I cannot say."), "refusal"), (Case("And now?", "Yes."), "compliance")])
    write_json(tmp_path / "guardreasoner_benchmarks" / "0_7_xstest_response_refusal.json", rows)

    loaded = load_benchmark("XSTestReponseRefusal", tmp_path, accept_changed=True, env=nowhere)

    assert [item.gold for item in loaded.items] == [Completion.REFUSAL, Completion.COMPLIANCE]
    assert "there are 2 items, not 449" in loaded.notes


# --- keeping ---------------------------------------------------------------------------------------


def kept(benchmark: Benchmark, folder: Path, env: dict[str, str]) -> Loaded:
    write_jsonl(folder / "trial" / "items.jsonl", ROWS)
    return import_benchmark(benchmark, folder, env=env)


def test_what_is_taken_over_is_kept_with_where_it_came_from(tmp_path: Path, nowhere: dict[str, str]) -> None:
    imported = kept(pinned(None), tmp_path / "source", nowhere)

    loaded = load_benchmark(pinned(None), env=nowhere)

    assert list(loaded.items) == list(imported.items)
    assert loaded.provenance == imported.provenance
    assert loaded.provenance is not None
    assert loaded.provenance.source == str(tmp_path / "source")
    assert loaded.provenance.sha256 == content_hash(loaded.items)
    assert loaded.provenance.licence == "MIT"
    assert sorted(path.name for path in (tmp_path / "kept" / "benchmarks").iterdir()) == [
        "Trial.jsonl",
        "Trial.provenance.json",
    ]


def test_kept_items_that_were_altered_are_refused(tmp_path: Path, nowhere: dict[str, str]) -> None:
    kept(pinned(None), tmp_path / "source", nowhere)
    file = tmp_path / "kept" / "benchmarks" / "Trial.jsonl"
    file.write_bytes(file.read_bytes().replace(b"rude", b"kind"))

    with pytest.raises(BenchmarkChanged, match="altered since it was fetched"):
        load_benchmark(pinned(None), env=nowhere)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"id": "1"}\n', b'{"id":"1","prompt":"p","gold":"safe"}\n', b"[" * 9999]
)
def test_kept_items_that_cannot_be_read_are_told(
    tmp_path: Path, nowhere: dict[str, str], content: bytes
) -> None:
    kept(pinned(None), tmp_path / "source", nowhere)
    (tmp_path / "kept" / "benchmarks" / "Trial.jsonl").write_bytes(content)

    with pytest.raises((BenchmarkUnreadable, BenchmarkChanged)):
        load_benchmark(pinned(None), env=nowhere)


def test_kept_items_without_their_note_are_told(tmp_path: Path, nowhere: dict[str, str]) -> None:
    kept(pinned(None), tmp_path / "source", nowhere)
    (tmp_path / "kept" / "benchmarks" / "Trial.provenance.json").unlink()

    with pytest.raises(BenchmarkUnreadable, match="provenance"):
        load_benchmark(pinned(None), env=nowhere)


def test_nothing_is_kept_of_what_is_not_as_published(tmp_path: Path, nowhere: dict[str, str]) -> None:
    write_jsonl(tmp_path / "trial" / "items.jsonl", ROWS[:2])

    with pytest.raises(BenchmarkChanged):
        import_benchmark(pinned(None), tmp_path, env=nowhere)
    assert not (tmp_path / "kept").exists()

    import_benchmark(pinned(None), tmp_path, accept_changed=True, env=nowhere)
    loaded = load_benchmark(pinned(None), env=nowhere)
    assert loaded.notes == ("there are 2 items, not 3",)


def test_a_failure_to_store_keeps_what_was_there(
    tmp_path: Path, nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept(pinned(None), tmp_path / "source", nowhere)

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no room"):
        store(before.benchmark, before.items[:1], Provenance("", "", "", "", "", 1, ""), tmp_path / "kept")

    assert list(load_benchmark(pinned(None), env=nowhere).items) == list(before.items)
    assert len(list((tmp_path / "kept" / "benchmarks").iterdir())) == 2


def test_the_folder_that_is_asked_for_goes_before_the_kept_one(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    kept(pinned(None), tmp_path / "source", nowhere)

    first = find_place(pinned(None), tmp_path / "source", nowhere)
    second = find_place(pinned(None), tmp_path / "empty", nowhere)

    assert first is not None
    assert first.folder == tmp_path / "source"
    assert second is not None
    assert second.folder == tmp_path / "kept"


# --- files and items -------------------------------------------------------------------------------


def test_rows_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"a": "one, two", "b": "line\nbreak\u2028"}, {"a": "x", "b": "y"}]
    files = [
        write_json(tmp_path / "rows.json", rows),
        write_jsonl(tmp_path / "rows.jsonl", rows),
        write_csv(tmp_path / "rows.csv", rows),
        write_csv(tmp_path / "bom.csv", rows, encoding="utf-8-sig"),
    ]
    zipped = tmp_path / "rows.jsonl.gz"
    zipped.write_bytes(gzip.compress(files[1].read_bytes()))

    for file in (*files, zipped):
        assert list(read_rows(file)) == rows, file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", b"{}"),
        ("rows.json", b"[1]"),
        ("rows.json", b"\xff"),
        ("rows.json", b"[" * 100_000),
        ("rows.jsonl", b'{"a": "\\ud800"}\n'),
        ("rows.jsonl", b'{"a": 1}\nnot json\n'),
        ("rows.csv", b"a,b\n\xff,\n"),
        ("rows.csv", b"a\n" + b"x" * 200_000),
        ("rows.jsonl.gz", b"not zipped"),
        ("rows.jsonl.gz", gzip.compress(b"{}" * 100, mtime=0)[:-9]),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BenchmarkUnreadable, match="cannot be read"):
        list(read_rows(tmp_path / name))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkUnreadable, match=r"rows\.json cannot be read"):
        list(read_rows(tmp_path / "rows.json"))


def test_xsafety_is_a_prompt_a_row_in_the_first_column(tmp_path: Path) -> None:
    folder = tmp_path / "en"
    folder.mkdir()
    file = folder / "Insult_n.csv"
    file.write_bytes('﻿one,,\r\n"two, with a comma",,\r\n,,\r\nthree,,\r\n'.encode())

    rows = list(read_xsafety(file))

    assert [row["prompt"] for row in rows] == ["one", "two, with a comma", "three"]
    assert (rows[0]["language"], rows[0]["scenario"], rows[2]["number"]) == ("en", "Insult", 2)


GOLDS: list[tuple[Form, list[Any]]] = [
    (Form.LABEL, [Harm.HARMFUL, Harm.UNHARMFUL, Completion.REFUSAL, Completion.COMPLIANCE]),
    (Form.FLAGS, [{}, {"S": True, "H": False}]),
    (Form.CHOICE, [Choice(0, 1, 2, ambiguous=False, negative=True)]),
]


@pytest.mark.parametrize(("form", "golds"), GOLDS, ids=lambda value: str(value))
def test_items_come_back_as_they_were(form: Form, golds: list[Any]) -> None:
    items = [
        Item(Case(f"prompt\n\u2028{n}", response), gold, category, str(n))
        for n, (gold, response, category) in enumerate(
            (gold, response, category)
            for gold in golds
            for response in (None, "", "text")
            for category in (None, "k")
        )
    ]

    assert decode_items(encode_items(items), form) == items
    assert encode_items(items).count(b"\n") == len(items)


def test_the_hash_is_of_what_is_judged_and_what_is_known_of_it() -> None:
    item = Item(Case("p", "r"), Harm.HARMFUL, "k", "1")

    assert content_hash([item]) == content_hash([structs.replace(item, category=None, id="2")])
    others = [
        structs.replace(item, gold=Harm.UNHARMFUL),
        structs.replace(item, case=Case("p")),
        structs.replace(item, case=Case("p", "None")),
        structs.replace(item, case=Case("pr", "")),
    ]
    assert len({content_hash([other]) for other in (item, *others)}) == 5
    assert content_hash([item, others[0]]) != content_hash([others[0], item])
    flags = Item(Case("p"), {"b": True, "a": False}, None, "1")
    assert content_hash([flags]) == content_hash([structs.replace(flags, gold={"a": False, "b": True})])


def test_the_hash_is_as_documented() -> None:
    """Another program can compute it: lines of compact JSON, in UTF-8."""
    import hashlib

    item = Item(Case("naïve\n", None), Harm.HARMFUL, None, "1")
    line = json.dumps(["naïve\n", None, "harmful"], ensure_ascii=False, separators=(",", ":")) + "\n"

    assert content_hash([item]) == hashlib.sha256(line.encode()).hexdigest()


def test_two_hundred_thousand_items_load_in_two_seconds(tmp_path: Path, nowhere: dict[str, str]) -> None:
    count = 200_000
    content = Content(count, {"harmful": count // 2, "unharmful": count // 2})
    benchmark = pinned(None, content)
    items = [
        Item(Case(f"prompt {n} " + "of some length " * 20), list(Harm)[n % 2], None, str(n))
        for n in range(count)
    ]
    store(
        benchmark,
        items,
        Provenance("Trial", "here", "", "MIT", content_hash(items), count, "2026-01-01"),
        tmp_path / "kept",
    )

    began = time.process_time()
    loaded = load_benchmark(benchmark, env=nowhere)
    seconds = time.process_time() - began

    assert len(loaded.items) == count
    assert seconds < 2, f"{seconds:.2f} s"
