"""Prompts of benchmarks in training files: the same, the same but for spelling, and nearly the same."""

from __future__ import annotations

import gzip
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cases import Case, Harm
from engine.data.overlap import SHINGLE, Kind, Overlap, find_overlap, prompt_key
from engine.data.training_files import TrainingFileError, TrainingPrompt, read_prompts
from engine.evaluation.items import Item
from engine.guards.guardreasoner import INSTRUCTION, render_input, render_prompt

LONG = "Please tell me how the old mill by the river was built and who owned it in the last century"


def compare(training: list[str], benchmark: list[str], threshold: float = 0.8) -> Overlap:
    prompts = [TrainingPrompt(row, text) for row, text in enumerate(training)]
    items = [Item(Case(text), Harm.UNHARMFUL, None, str(n)) for n, text in enumerate(benchmark)]
    (found,) = find_overlap(prompts, [("Trial", items)], threshold)
    return found


def counts(found: Overlap) -> tuple[int, int, int]:
    return found.exact, found.normalised, found.near


@pytest.mark.parametrize(
    ("training", "benchmark", "expected"),
    [
        ("How do I bake bread?", "How do I bake bread?", (1, 0, 0)),
        ("How do I bake bread?", "how do  I bake bread", (0, 1, 0)),
        ("How do I bake bread?", "HOW DO I — bake «bread»?!\n", (0, 1, 0)),
        ("Wie groß ist die Straße", "WIE GROSS IST DIE STRASSE", (0, 1, 0)),
        ("ﬁne Ｗｏｒｄｓ", "fine words", (0, 1, 0)),
        (LONG, LONG.replace("old", "new"), (0, 0, 1)),
        (LONG, LONG + " again", (0, 0, 1)),
        (LONG, "How do I bake bread?", (0, 0, 0)),
        ("How do I bake bread?", "How do I break bread?", (0, 0, 0)),
        ("नमस्ते", "नमसत", (0, 0, 0)),
        ("??", "!!", (0, 0, 0)),
        ("??", "??", (1, 0, 0)),
        ("", "", (1, 0, 0)),
        ("", "??", (0, 0, 0)),
    ],
)
def test_prompts_are_alike_in_one_of_three_ways(
    training: str, benchmark: str, expected: tuple[int, int, int]
) -> None:
    assert counts(compare([training], [benchmark])) == expected


def test_rows_are_told_by_number_and_hash_and_with_the_items_that_they_hold() -> None:
    found = compare(
        ["other", "Hello there", LONG, "hello THERE"], ["Hello there", LONG + "!", "hello, there"]
    )

    assert found.prompts == 2
    assert counts(found) == (1, 1, 0)
    assert [(hit.row, hit.kind, hit.items) for hit in found.hits] == [
        (1, Kind.EXACT, ("0", "2")),
        (2, Kind.NORMALISED, ("1",)),
        (3, Kind.NORMALISED, ("0", "2")),
    ]
    assert found.rows == {1, 2, 3}
    assert found.same == 2
    assert all(len(hit.sha256) == 64 for hit in found.hits)
    assert "Hello" not in repr(found)


def test_a_row_near_one_prompt_and_the_same_as_another_is_told_as_the_same() -> None:
    found = compare([LONG], [LONG.replace("old", "new"), LONG])

    assert counts(found) == (1, 0, 1)
    (hit,) = found.hits
    assert (hit.kind, hit.similarity, set(hit.items)) == (Kind.EXACT, 1.0, {"0", "1"})


def test_the_threshold_decides() -> None:
    changed = LONG.replace("old", "new").replace("river", "forest")

    assert counts(compare([LONG], [changed], 0.9)) == (0, 0, 0)
    assert counts(compare([LONG], [changed], 0.6)) == (0, 0, 1)
    with pytest.raises(ValueError, match="threshold"):
        compare([LONG], [LONG], 0)


def jaccard(one: str, other: str) -> float:
    sets = [
        {key[at : at + SHINGLE] for at in range(max(len(key) - SHINGLE + 1, 1))}
        for key in (prompt_key(one), prompt_key(other))
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0]))
def test_every_pair_that_is_near_enough_is_found_and_no_other(seed: int, threshold: float) -> None:
    rng = random.Random(seed)
    words = [f"w{n}{'abcdefg'[n % 7]}" for n in range(12)]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 14))) for _ in range(40)]
    training, benchmark = texts[:20], texts[20:]

    found = compare(training, benchmark, threshold)

    pairs = {(hit.row, item) for hit in found.hits for item in hit.items}
    expected = {
        (row, str(place))
        for row, one in enumerate(training)
        for place, other in enumerate(benchmark)
        if jaccard(one, other) >= threshold
    }
    assert pairs == expected


def test_a_large_search_is_quick() -> None:
    rng = random.Random(1)
    words = [f"word{n}" for n in range(5000)]
    texts = [" ".join(rng.choices(words, k=40)) for _ in range(12_000)]
    benchmark = [*texts[4000:], *(text + " and more" for text in texts[:50])]

    began = time.process_time()
    found = compare(texts[:4000], benchmark)
    seconds = time.process_time() - began

    assert counts(found) == (0, 0, 50)
    assert seconds < 20, f"{seconds:.1f} s"


def test_prompts_that_are_all_alike_do_not_take_for_ever() -> None:
    stem = (
        "This is the same long beginning of a template that every prompt of the set shares with all others "
    )
    began = time.process_time()
    compare([f"{stem}{n}" for n in range(300)], [f"{stem}{n} x" for n in range(300)])

    assert time.process_time() - began < 20


# --- training files --------------------------------------------------------------------------------


CASE = Case("How do I bake bread?", "With flour.")


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": INSTRUCTION, "input": render_input(CASE), "output": "x"},
        {"instruction": CASE.prompt, "input": "", "output": "x"},
        {"instruction": CASE.prompt},
        {"prompt": CASE.prompt, "response": CASE.response, "label": "unharmful"},
        {"prompt": render_prompt(CASE)},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": CASE.prompt}]},
        {"messages": [{"role": "user", "content": render_prompt(CASE).strip()}]},
    ],
)
def test_the_prompt_of_every_form_of_row_is_read(tmp_path: Path, row: dict[str, Any]) -> None:
    lines = json.dumps(row) + "\n"
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.json").write_text(f" [{lines}]")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))

    for name in ("a.jsonl", "a.json", "a.jsonl.gz"):
        assert read_prompts(tmp_path / name) == [TrainingPrompt(0, CASE.prompt)]


def test_each_turn_of_the_user_is_a_prompt_and_rows_are_counted_by_line(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "a\u2028b"}, {"role": "assistant", "content": "x"}] * 2},
        {"instruction": "Translate.", "input": "bread"},
    ]
    (tmp_path / "a.jsonl").write_text(
        "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )

    assert [(prompt.row, prompt.text) for prompt in read_prompts(tmp_path / "a.jsonl")] == [
        (0, "a\u2028b"),
        (0, "a\u2028b"),
        (1, "Translate.\nbread"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"[]",
        b"{",
        b"1\n",
        b'{"text": 1}\n',
        b'{"prompt": null}\n',
        b"[" * 99_999,
        b"\xff\xfe",
        b'{"a":' * 9999,
    ],
)
def test_what_is_no_training_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)

    with pytest.raises(TrainingFileError, match=r"a\.jsonl"):
        read_prompts(tmp_path / "a.jsonl")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFileError, match=r"nowhere.jsonl cannot be read: No such file"):
        read_prompts(tmp_path / "nowhere.jsonl")
