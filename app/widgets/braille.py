"""Drawing with the dots of Braille letters: two across and four down in every cell."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

ACROSS, DOWN = 2, 4

_BLANK = 0x2800
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

Point = tuple[float, float]


class Dots:
    """Dots on ``columns`` by ``rows`` cells. Points are in dots from the left and from the top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self._cells: dict[tuple[int, int], int] = {}

    def dot(self, x: int, y: int) -> None:
        """Set a dot; outside the cells nothing happens."""
        if 0 <= x < self.columns * ACROSS and 0 <= y < self.rows * DOWN:
            cell = (x // ACROSS, y // DOWN)
            self._cells[cell] = self._cells.get(cell, 0) | _BITS[y % DOWN][x % ACROSS]

    def line(self, points: Iterable[Point]) -> None:
        """Draw a line through points; one alone is a dot."""
        stops = [(round(x), round(y)) for x, y in points]
        if stops:
            self.dot(*stops[0])
        for (x, y), (next_x, next_y) in pairwise(stops):
            steps = max(abs(next_x - x), abs(next_y - y))
            for step in range(1, steps + 1):
                self.dot(x + round((next_x - x) * step / steps), y + round((next_y - y) * step / steps))

    def shade(self, upper: Iterable[Point], lower: Iterable[Point]) -> None:
        """Dot the area between two lines whose points are above one another."""
        for ((x, top), (_, bottom)), ((next_x, next_top), (_, next_bottom)) in pairwise(
            zip(upper, lower, strict=True)
        ):
            columns = range(round(x), round(next_x) + 1)
            for column in columns:
                share = (column - x) / (next_x - x) if next_x > x else 0.0
                first = round(top + (next_top - top) * share)
                last = round(bottom + (next_bottom - bottom) * share)
                for row in range(first, last + 1):
                    if column % 2 == 0 and row % 2 == 0:
                        self.dot(column, row)

    def letter(self, column: int, row: int) -> str:
        """Return the letter of a cell; empty where it has no dots."""
        bits = self._cells.get((column, row), 0)
        return chr(_BLANK + bits) if bits else ""
