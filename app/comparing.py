"""What two sequences have in common, found in a bounded number of steps."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Block(NamedTuple):
    """Items of the one sequence, and those of the other in their place: the same ones, or others.

    ``top`` is the first item, counted from 0, and ``bottom`` the one behind the last.
    """

    same: bool
    top: int
    bottom: int
    other_top: int
    other_bottom: int


class Comparison:
    """The blocks that two sequences are made of, and whether the steps that were given were too few.

    Items that are there once in each, and come in the same order, part both into pieces. The pieces are
    compared by Myers' method (An O(ND) Difference Algorithm and Its Variations, 1986), which finds the
    fewest changes. One that would take more than half of the steps that are left is taken to differ as a
    whole.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str], steps: int) -> None:
        self.exhausted = False
        self._steps = steps
        known: dict[str, int] = {}
        self._old = [known.setdefault(item, len(known)) for item in old]
        self._new = [known.setdefault(item, len(known)) for item in new]
        self._same: list[tuple[int, int]] = []
        self._compare(0, len(old), 0, len(new), anchored=True)
        self.blocks = _blocks(self._same, len(old), len(new))

    def _compare(self, top: int, bottom: int, other_top: int, other_bottom: int, *, anchored: bool) -> None:
        """Add the pairs of items that two pieces have in common, in order."""
        old, new = self._old, self._new
        while top < bottom and other_top < other_bottom and old[top] == new[other_top]:
            self._same.append((top, other_top))
            top, other_top = top + 1, other_top + 1
        kept, most = 0, min(bottom - top, other_bottom - other_top)
        while kept < most and old[bottom - 1 - kept] == new[other_bottom - 1 - kept]:
            kept += 1
        bottom, other_bottom = bottom - kept, other_bottom - kept
        anchors = self._anchors(top, bottom, other_top, other_bottom) if anchored else []
        if anchors:
            for anchor, other_anchor in anchors:
                self._compare(top, anchor, other_top, other_anchor, anchored=False)
                self._same.append((anchor, other_anchor))
                top, other_top = anchor + 1, other_anchor + 1
            self._compare(top, bottom, other_top, other_bottom, anchored=False)
        elif not set(old[top:bottom]).isdisjoint(new[other_top:other_bottom]):
            pairs = self._fewest_changes(old[top:bottom], new[other_top:other_bottom])
            self._same += [(top + at, other_top + other_at) for at, other_at in pairs]
        self._same += [(bottom + at, other_bottom + at) for at in range(kept)]

    def _anchors(self, top: int, bottom: int, other_top: int, other_bottom: int) -> list[tuple[int, int]]:
        """Return the items that are there once in either piece, as many as come in the same order."""
        counts, other_counts = Counter(self._old[top:bottom]), Counter(self._new[other_top:other_bottom])
        places = {item: at for at, item in enumerate(self._new[other_top:other_bottom], other_top)}
        return _rising(
            [
                (at, places[item])
                for at, item in enumerate(self._old[top:bottom], top)
                if counts[item] == 1 == other_counts[item]
            ]
        )

    def _fewest_changes(self, old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
        """Return the pairs that the fewest changes leave, or none if that takes too many steps."""
        n, m = len(old), len(new)
        allowed = self._steps // 2
        trace: list[list[int]] = []
        before: list[int] = []
        for d in range(n + m + 1):
            furthest: list[int] = []
            for i in range(d + 1):
                down = i == 0 or (i != d and before[i - 1] < before[i])
                first = x = 0 if d == 0 else before[i] if down else before[i - 1] + 1
                y = x + d - 2 * i
                while x < n and y < m and old[x] == new[y]:
                    x, y = x + 1, y + 1
                furthest.append(x)
                allowed -= x - first + 1
                if x >= n and y >= m:
                    self._steps = self._steps - self._steps // 2 + allowed
                    return _walk_back(trace, n, m)
            if allowed < 0:
                break
            trace.append(furthest)
            before = furthest
        self._steps -= self._steps // 2
        self.exhausted = True
        return []


def _walk_back(trace: Sequence[list[int]], x: int, y: int) -> list[tuple[int, int]]:
    """Return the pairs on the way that was found, in order. ``trace``: how far each way came by d changes."""
    pairs: list[tuple[int, int]] = []
    for d in range(len(trace), 0, -1):
        before, i = trace[d - 1], (x - y + d) // 2
        down = i == 0 or (i != d and before[i - 1] < before[i])
        start = before[i] if down else before[i - 1]
        while x > (start if down else start + 1):
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = (x, y - 1) if down else (x - 1, y)
    pairs += [(at, at) for at in range(x - 1, -1, -1)]
    return pairs[::-1]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many of the pairs, which rise in the first number, as rise in the second one, too."""
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for index, (_, other) in enumerate(pairs):
        place = bisect_left(ends, other)
        ends[place : place + 1] = [other]
        last[place : place + 1] = [index]
        previous.append(last[place - 1] if place else -1)
    rising = []
    index = last[-1] if last else -1
    while index >= 0:
        rising.append(pairs[index])
        index = previous[index]
    return rising[::-1]


def _blocks(same: Sequence[tuple[int, int]], end: int, other_end: int) -> tuple[Block, ...]:
    """Return the pairs that are the same, and what is between them, as blocks."""
    blocks: list[Block] = []
    at = other_at = 0
    for pair in [*same, (end, other_end)]:
        if pair != (at, other_at):
            blocks.append(Block(False, at, pair[0], other_at, pair[1]))
        if pair == (end, other_end):
            break
        at, other_at = pair[0] + 1, pair[1] + 1
        if blocks and blocks[-1].same:
            blocks[-1] = blocks[-1]._replace(bottom=at, other_bottom=other_at)
        else:
            blocks.append(Block(True, pair[0], at, pair[1], other_at))
    return tuple(blocks)
