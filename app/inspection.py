"""What a look at a text shows while it is typed: how long it is, what is wrong with it, which lines changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

_MOST_LINES = 4_000


@dataclass(frozen=True, slots=True)
class Length:
    """How long a text is in tokens. ``counted`` by a model's own tokenizer, else estimated."""

    tokens: int
    counted: bool
    why: str = ""


def changed_lines(saved: str, text: str) -> frozenset[int]:
    """Return the lines of ``text``, from 1, that are not in ``saved``, or not there.

    Of texts with thousands of lines, all lines after the first that differs and before the last one do.
    """
    before, after = saved.split("\n"), text.split("\n")
    first = 0
    most = min(len(before), len(after))
    while first < most and before[first] == after[first]:
        first += 1
    kept = 0
    while kept < most - first and before[-1 - kept] == after[-1 - kept]:
        kept += 1
    old, new = before[first : len(before) - kept], after[first : len(after) - kept]
    if len(old) + len(new) > _MOST_LINES:
        return frozenset(range(first + 1, len(after) - kept + 1))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    changed = (
        range(first + start + 1, first + end + 1)
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag != "equal"
    )
    return frozenset(line for lines in changed for line in lines)


def length_words(length: Length, band: tuple[int, int]) -> str:
    """Return how long a text is, against the band it should lie in."""
    low, high = band
    sign = "✓" if low <= length.tokens <= high else "✗"
    where = "in" if low <= length.tokens <= high else "below" if length.tokens < low else "above"
    how = "" if length.counted else " est."
    return f"{sign} {length.tokens:,} tokens{how}, {where} {low}–{high}"


def total(lengths: Mapping[str, Length]) -> Length:
    """Return how long several texts are together."""
    return Length(
        sum(length.tokens for length in lengths.values()),
        all(length.counted for length in lengths.values()),
    )
