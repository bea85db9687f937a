"""Where things of a text are in another one: offsets, locations, and lines that have moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Move:
    """Where the lines of a text are in another one, which differs from it in one stretch of lines."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        most = min(len(before), len(after))
        first = 0
        while first < most and before[first] == after[first]:
            first += 1
        kept = 0
        while kept < most - first and before[-1 - kept] == after[-1 - kept]:
            kept += 1
        self._first, self._last = first, len(before) - kept
        self._by = len(after) - len(before)

    def of(self, items: Mapping[int, T]) -> Sequence[tuple[int, T, bool]]:
        """Return the rows of things now, the things, and whether their lines read as before.

        Where the stretch has as many lines as before, those are taken for the same ones, edited.
        """
        moved = []
        for row, item in items.items():
            if row < self._first or row >= self._last:
                moved.append((row if row < self._first else row + self._by, item, True))
            elif self._by == 0:
                moved.append((row, item, False))
        return moved


def shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def location(text: str, offset: int) -> tuple[int, int]:
    """Return the row and the column, from 0, of an offset into a text."""
    return text.count("\n", 0, offset), offset - (text.rfind("\n", 0, offset) + 1)


def nearest(lines: Sequence[str], line: str, row: int) -> int:
    """Return the row nearest to ``row`` that reads ``line``, or ``row`` where none does."""
    same = [index for index, each in enumerate(lines) if each == line]
    return min(same, key=lambda index: abs(index - row), default=row)
