"""Curves of a metric, drawn in Braille: one with its band, or several told apart by letters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from app.safe_text import one_line
from app.widgets.braille import ACROSS, DOWN, Dots
from engine.tracker.axes import Scale, reach, rounded, tick_words
from engine.tracker.figures import number_words
from engine.tracker.run_records import Bucket

COLOURS = ("$primary", "$warning", "$error", "$accent", "$foreground", "$success")

_TITLE = 60
_LEAST = (20, 5)
_CELLS_PER_TICK = 12
_ROWS_PER_TICK = 3
_LEAST_MARKS = 2


@dataclass(frozen=True, slots=True)
class Series:
    """One curve. ``letter`` names it where there are several."""

    buckets: Sequence[Bucket]
    letter: str = ""


class Curve(Widget):
    """Draws what it was last shown. It is drawn anew only when that changes, or the room for it."""

    def __init__(self, *, id: str, empty: str) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._title = ""
        self._series: tuple[Series, ...] = ()
        self._logarithmic = False
        self._rows: list[Strip] | None = None

    def show(self, series: Sequence[Series], *, title: str = "") -> None:
        """Show these curves of the metric called ``title``, which may be any text."""
        if (tuple(series), title) != (self._series, self._title):
            self._series, self._title = tuple(series), title
            self._changed()

    @property
    def logarithmic(self) -> bool:
        """Whether the values are on a logarithmic scale, which leaves out those that are not above zero."""
        return self._logarithmic

    @logarithmic.setter
    def logarithmic(self, logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        self._changed()

    def _changed(self) -> None:
        self._rows = None
        self.refresh()

    def on_resize(self) -> None:
        self._changed()

    def notify_style_update(self) -> None:
        self._rows = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        base, width = self.visual_style, self.size.width
        if self._rows is None:
            lines = self._draw(width, self.size.height)
            self._rows = [
                Strip(line.truncate(width).render_segments(base)).adjust_cell_length(width, base.rich_style)
                for line in lines
            ]
        return self._rows[y] if y < len(self._rows) else Strip.blank(width, base.rich_style)

    def _draw(self, width: int, height: int) -> list[Content]:
        if not any(series.buckets for series in self._series):
            return [Content.styled(self._empty, "$text-muted")]
        title = self._headline(width)
        if width < _LEAST[0] or height < _LEAST[1]:
            return [title]
        plot = plotted(self._series, width, height - 1, logarithmic=self._logarithmic)
        if plot is None:
            told = (
                "None of the points is above zero."
                if self._logarithmic
                else "None of the points is a number."
            )
            return [title, Content.styled(told, "$text-muted")]
        return [title, *plot]

    def _headline(self, width: int) -> Content:
        """Return the metric's name, and the last value of each curve."""
        parts = [Content.styled(one_line(self._title, _TITLE), "bold")]
        for number, series in enumerate(self._series):
            last = series.buckets[-1].mean if series.buckets else None
            said = "–" if last is None else number_words(last)
            parts.append(
                Content.assemble(
                    (f"{series.letter} " if series.letter else "", f"bold {COLOURS[number % len(COLOURS)]}"),
                    said,
                )
            )
        if self._logarithmic:
            parts.append(Content.styled("logarithmic", "$text-muted"))
        return Content("  ").join(parts).truncate(width, ellipsis=True)


def plotted(
    series: Sequence[Series], width: int, height: int, *, logarithmic: bool = False
) -> list[Content] | None:
    """Return curves with their axes in ``width`` by ``height`` cells; None if no point can be drawn."""
    steps = reach(float(bucket.step) for each in series for bucket in each.buckets)
    with_band = len(series) == 1
    values = reach(
        bound
        for each in series
        for bucket in each.buckets
        for bound in ((bucket.low, bucket.high) if with_band else (bucket.mean,))
        if bound is not None and (bound > 0 or not logarithmic)
    )
    if steps is None or values is None:
        return None
    rows = height - 2
    marks, words = _value_marks(*values, count=max(rows // _ROWS_PER_TICK, 2), logarithmic=logarithmic)
    left = max(map(len, words)) + 2
    columns = width - left
    across = Scale(steps[0], steps[1], 0, columns * ACROSS - 1)
    least, greatest = (_height(value, logarithmic) for value in values)
    up = Scale(least, greatest, rows * DOWN - 1, 0)
    cells = _Cells(columns, rows)
    for number, each in enumerate(series):
        _draw_series(cells, each, number, len(series), across, up, logarithmic)
    labels = {
        round(up.at(_height(mark, logarithmic))) // DOWN: word
        for mark, word in zip(marks, words, strict=True)
    }
    lines = [
        Content.assemble(
            (f"{labels.get(row, ''):>{left - 1}}", "$text-muted"),
            ("┤" if row in labels else "│", "$border"),
            cells.row(row),
        )
        for row in range(rows)
    ]
    return [*lines, *_step_axis(across, left, columns)]


class _Cells:
    """What is in each cell of the plot: the letters of curves over the curves over their bands."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.layers: list[tuple[Dots, str]] = []
        self.letters: dict[tuple[int, int], tuple[str, str]] = {}
        self._rows = rows

    def layer(self, style: str) -> Dots:
        dots = Dots(self.columns, self._rows)
        self.layers.append((dots, style))
        return dots

    def name(self, letter: str, style: str, points: Sequence[tuple[float, float]], share: float) -> None:
        """Put a letter on a curve, as near as is free to a share of the width."""
        for x, y in sorted(points, key=lambda point: abs(point[0] - share * (self.columns * ACROSS - 1))):
            cell = (round(x) // ACROSS, round(y) // DOWN)
            if cell not in self.letters:
                self.letters[cell] = (letter, style)
                return

    def row(self, row: int) -> Content:
        cells = (self._cell(column, row) for column in range(self.columns))
        return Content.assemble(
            *(
                ("".join(glyph for glyph, _ in run), style)
                for style, run in groupby(cells, key=lambda cell: cell[1])
            )
        )

    def _cell(self, column: int, row: int) -> tuple[str, str]:
        if (letter := self.letters.get((column, row))) is not None:
            return letter
        for dots, style in reversed(self.layers):
            if glyph := dots.letter(column, row):
                return glyph, style
        return " ", ""


def _draw_series(
    cells: _Cells, series: Series, number: int, of: int, across: Scale, up: Scale, logarithmic: bool
) -> None:
    colour = COLOURS[number % len(COLOURS)]
    stretches = list(_stretches(series.buckets, logarithmic))
    floor = 10.0**up.low if logarithmic else -math.inf

    def point(step: int, value: float) -> tuple[float, float]:
        return across.at(step), up.at(_height(value, logarithmic))

    if of == 1:
        band = cells.layer("$text-muted")
        for stretch in stretches:
            upper = [point(bucket.step, _known(bucket.high)) for bucket in stretch]
            lower = [point(bucket.step, max(_known(bucket.low), floor)) for bucket in stretch]
            band.shade(upper, lower)
    line = cells.layer(f"bold {colour}" if of > 1 else colour)
    points = [[point(bucket.step, _known(bucket.mean)) for bucket in stretch] for stretch in stretches]
    for stretch_points in points:
        line.line(stretch_points)
    if series.letter:
        drawn = [each for stretch_points in points for each in stretch_points]
        for share in ((number + 1) / (of + 1), 1.0):
            cells.name(series.letter, f"bold reverse {colour}", drawn, share)


def _height(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _value_marks(low: float, high: float, *, count: int, logarithmic: bool) -> tuple[list[float], list[str]]:
    """Return round numbers between the least and the greatest value, and how they read."""
    if not logarithmic:
        inside: list[float] = []
        while len(inside) < _LEAST_MARKS:
            inside = [mark for mark in rounded(low, high, count) if low <= mark <= high]
            count *= 2
        return inside, tick_words(inside)
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(-(-(last - first + 1) // count), 1)
    marks = [10.0**power for power in range(first, last + 1, every)] or [low, high]
    return marks, [number_words(mark) for mark in marks]


def _step_axis(across: Scale, left: int, columns: int) -> Iterator[Content]:
    """Yield the axis below the plot and the steps beneath it, as far apart as their words need."""
    marks = rounded(across.low, across.high, max(columns // _CELLS_PER_TICK, 1))
    marks = [mark for mark in marks if across.low <= mark <= across.high and mark == int(mark)]
    axis = ["─"] * columns
    said = [" "] * (left + columns)
    free = 0
    for mark, word in zip(marks, tick_words(marks), strict=True):
        column = min(round(across.at(mark)) // ACROSS, columns - 1)
        axis[column] = "┬"
        start = min(max(left + column - len(word) // 2, 0), left + columns - len(word))
        if start >= free:
            said[start : start + len(word)] = word
            free = start + len(word) + 1
    yield Content.styled(" " * (left - 1) + "└" + "".join(axis), "$border")
    yield Content.styled("".join(said), "$text-muted")


def _stretches(buckets: Sequence[Bucket], logarithmic: bool) -> Iterator[list[Bucket]]:
    """Yield the stretches of a curve between the points that cannot be drawn."""

    def drawable(bucket: Bucket) -> bool:
        mean = bucket.mean
        return mean is not None and math.isfinite(mean) and (mean > 0 or not logarithmic)

    for fine, stretch in groupby(buckets, key=drawable):
        if fine:
            yield list(stretch)


def _known(value: float | None) -> float:
    assert value is not None  # a mean that is a number has a lowest and a highest
    return value
