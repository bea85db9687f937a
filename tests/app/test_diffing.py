"""Differences are what makes the one text from the other, in every form, and take no more than their time."""

from __future__ import annotations

import random
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.comparing import Comparison
from app.diffing import Diff, Fold, Row, Side, diff, folded, unified
from tests.app.hostile import HOSTILE

ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()))
LINES = st.lists(
    st.sampled_from(["", "a", "b", "c", "a b c", "a b d", "\r", "-- x", "++ y", "\u2028", "\\ No"])
)
TEXTS = st.one_of(
    ANY_TEXT, st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))
)


def _rebuilt(difference: Diff) -> tuple[str, str]:
    """Return both texts as the blocks give them: what is the same is taken from the other one."""
    old, new = [], []
    for same, top, bottom, other_top, other_bottom in difference.blocks:
        old += difference.new[other_top:other_bottom] if same else difference.old[top:bottom]
        new += difference.old[top:bottom] if same else difference.new[other_top:other_bottom]
    return "".join(old), "".join(new)


@given(TEXTS, TEXTS)
def test_a_difference_makes_either_text_from_the_other(old: str, new: str) -> None:
    difference = diff(old, new)
    assert _rebuilt(difference) == (old, new)
    assert all(one.same != other.same for one, other in pairwise(difference.blocks))
    assert bool(difference.changes) == (old != new)
    for side, text in (("old", old), ("new", new)):
        lines = [line for row in difference.rows if (line := getattr(row, side)) is not None]
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        assert "".join(line.text + ("\n" if line.ended else "") for line in lines) == text
        assert all(0 <= first < last <= len(line.text) for line in lines for first, last in line.changed)


@given(TEXTS, TEXTS)
def test_what_is_not_marked_in_a_line_is_the_same_in_both(old: str, new: str) -> None:
    for row in diff(old, new).rows:
        if row.old is not None and row.new is not None and (row.old.changed or row.new.changed or row.same):
            assert _unmarked(row.old) == _unmarked(row.new)


def _unmarked(side: Side) -> str:
    text = side.text
    for first, last in reversed(side.changed):
        text = text[:first] + text[last:]
    return text


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_pieces_without_anchors_have_as_much_in_common_as_can_be(old: list[str], new: list[str]) -> None:
    repeated, other_repeated = [*old, *"xyx"] * 2, [*new, *"yxy"] * 2
    blocks = Comparison(repeated, other_repeated, 10**9).blocks
    common = sum(block.bottom - block.top for block in blocks if block.same)
    assert common == _longest_common(repeated, other_repeated)


def _longest_common(old: list[str], new: list[str]) -> int:
    row = [0] * (len(new) + 1)
    for item in old:
        before, row = row, [0]
        for j, other in enumerate(new):
            row.append(before[j] + 1 if item == other else max(before[j + 1], row[j]))
    return row[-1]


@pytest.mark.parametrize("tool", [["patch", "-s", "text"], ["git", "apply", "-p0", "--whitespace=nowarn"]])
def test_a_patch_is_one_for_the_programs_that_apply_it(tool: list[str], tmp_path: Path) -> None:
    texts = [
        "",
        "a\n",
        "a",
        "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n",
        "b\nc\nd\ne\nf\ng\nh\ni\nJ\nk\nl\nm\nn",
    ]
    texts += [
        "x\r\ny\u2028z\n\n\n",
        *(f"one\n{text}\ntwo\n" for text in HOSTILE.values() if text.isprintable()),
    ]
    texts += [
        "-- a\n++ b\n@@ c\n",
        "\n".join("abcdefghijklmnopqrstuvwxyz").replace("h", "h\nh2").replace("t", ""),
    ]
    path = tmp_path / "text"
    for old, new in [*pairwise(texts), *pairwise(reversed(texts))]:
        path.write_bytes(old.encode())
        patch = "".join(unified(diff(old, new), "text", "text"))
        subprocess.run(tool, cwd=tmp_path, input=patch.encode(), check=True, capture_output=True)
        assert (path.read_bytes() if path.exists() else b"") == new.encode()


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 4))
def test_a_patch_holds_what_makes_the_new_text(old: str, new: str, context: int) -> None:
    assert _patched(old, list(unified(diff(old, new), "a\nb", "\x1b[2J", context))) == new


def _patched(old: str, patch: list[str]) -> str:
    """Apply a patch by the letter, and check the numbers in it."""
    if not patch:
        return old
    assert patch[:2] == ["--- a↵b\n", "+++ ␛[2J\n"]
    lines = re.findall(r"[^\n]*\n|[^\n]+", old)
    made: list[str] = []
    at = 0
    for line in patch[2:]:
        sign, text = line[:1], line[1:].removesuffix("\n\\ No newline at end of file\n")
        if sign == "@":
            start, count, other, other_count = map(int, re.findall(r"\d+", line))
            top = start - 1 if count else start
            made += lines[at:top]
            at = top
            assert len(made) == (other - 1 if other_count else other)
            continue
        if sign in " -":
            assert lines[at] == text
            at += 1
        if sign in " +":
            made.append(text)
    return "".join(made + lines[at:])


def test_changed_words_are_marked_in_lines_that_are_alike() -> None:
    old = "- V1: calling a group vermin or filth.\nkept\n- V2: urging harm.\n"
    new = "- V1: calling any group vermin.\nkept\n- S9: wholly different words\n- V2: urging its harm.\n"
    rows = [row for row in diff(old, new).rows if not row.same]
    first, added, last = rows
    assert first.old is not None
    assert first.new is not None
    assert [first.old.text[slice(*part)] for part in first.old.changed] == ["a", " or filth"]
    assert [first.new.text[slice(*part)] for part in first.new.changed] == ["any"]
    assert added == Row(False, None, Side(3, "- S9: wholly different words"))
    assert last.new is not None
    assert [last.new.text[slice(*part)] for part in last.new.changed] == ["its "]


def test_long_runs_that_are_the_same_are_folded() -> None:
    old = "".join(f"{n}\n" for n in range(1, 41))
    rows = list(folded(diff(old, old.replace("20\n", "XX\n")).rows))
    assert [str(row) if isinstance(row, Fold) else row.old and row.old.number for row in rows] == [
        *("· 16 lines the same ·", 17, 18, 19, 20, 21, 22, 23, "· 17 lines the same ·")
    ]
    assert list(folded(diff(old, old).rows)) == [Fold(40)]
    assert len(list(folded(diff("1\n2\n3\n4\n5", "1\n2\n3\n4\n6").rows))) == 5


@given(TEXTS, TEXTS, st.integers(0, 3))
def test_folding_leaves_out_nothing_but_what_is_the_same(old: str, new: str, context: int) -> None:
    rows = diff(old, new).rows
    kept = list(folded(rows, context))
    assert [row for row in kept if isinstance(row, Row) and not row.same] == [
        row for row in rows if not row.same
    ]
    assert sum(row.count if isinstance(row, Fold) else 1 for row in kept) == len(rows)


def test_what_differs_is_told_in_words() -> None:
    assert diff("a", "a").summary == "no difference"
    assert diff("a\nb\n", "a\nc\nd\n").summary == "1 change: 2 lines added, 1 removed"
    assert diff("a", "a\n").summary == "1 change: 1 line added, 1 removed"
    assert diff("a\nb\n", "x\na\nb\ny\n").changed_lines == {1, 4}


def _megabyte(kind: str, seed: int) -> str:
    chance = random.Random(seed)
    if kind == "unlike":
        return "".join(f"{chance.random()} {chance.random()}\n" for _ in range(27_000))
    if kind == "few lines over and over":
        return "".join(chance.choice(["", "a", "b", "some words here", "]"]) + "\n" for _ in range(200_000))
    if kind == "shuffled":
        lines = [f"the line of number {n} in this text\n" for n in range(28_000)]
        chance.shuffle(lines)
        return "".join(lines)
    if kind == "edited everywhere":
        return "".join(f"the line of number {n} reads {chance.randrange(3)}\n" for n in range(30_000))
    return " ".join(str(chance.randrange(1_000)) for _ in range(250_000))


@pytest.mark.parametrize(
    "kind", ["unlike", "few lines over and over", "shuffled", "edited everywhere", "one line"]
)
def test_large_texts_take_seconds_at_most(kind: str) -> None:
    old, new = _megabyte(kind, 1), _megabyte(kind, 2)
    began = time.process_time()
    difference = diff(old, new)
    patch = "".join(unified(difference, "old", "new"))
    assert time.process_time() - began < 8
    assert _rebuilt(difference) == (old, new)
    assert patch.count("\n@@ ") >= 1
    assert difference.coarse == (kind == "few lines over and over")
    assert ("throughout" in difference.summary) == difference.coarse


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_stays_as_it_is(text: str) -> None:
    difference = diff(f"a\n{text}\nb", f"a\n{text} more\nb\n")
    assert _rebuilt(difference) == (f"a\n{text}\nb", f"a\n{text} more\nb\n")
