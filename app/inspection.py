"""What a look at a text shows while it is typed: how long it is, and which lines are not those of the file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from engine.models.counting import TokenCount

_MOST_LINES = 4_000


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


def length_words(count: TokenCount, band: tuple[int, int]) -> str:
    """Return how long a text is, against the band it should lie in."""
    low, high = band
    sign = "✓" if low <= count.tokens <= high else "✗"
    where = "in" if low <= count.tokens <= high else "below" if count.tokens < low else "above"
    return f"{sign} {tokens_words([count])}, {where} {low}–{high}"


def tokens_words(counts: Sequence[TokenCount]) -> str:
    """Return how long texts are together, and whether that is an estimate."""
    estimated = " est." if any(count.estimated for count in counts) else ""
    return f"{sum(count.tokens for count in counts):,} tokens{estimated}"
