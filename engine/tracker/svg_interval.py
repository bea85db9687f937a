"""Results drawn as a dot on a line, with whiskers for the interval. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from engine.tracker.axes import Scale, reach, rounded, tick_words
from engine.tracker.figures import figure_words
from engine.tracker.run_records import Result

WIDTH = 220
_EDGE = 14
_HEIGHT = 22
_MIDDLE = 11


def whole_scale(results: Sequence[Result]) -> list[float] | None:
    """Return the marks from nothing to all, in shares or in percent; None if no interval can be drawn."""
    bounds = [bound for result in results if _certain(result) for bound in _bounds(result)]
    within = [bound for bound in bounds if 0 <= bound <= 100]
    if not within:
        return None
    return [0.0, 50.0, 100.0] if max(within) > 1 else [0.0, 0.5, 1.0]


def fits(result: Result, marks: list[float]) -> bool:
    """Whether a result has an interval, and all of it is on the scale."""
    return _certain(result) and all(marks[0] <= bound <= marks[-1] for bound in _bounds(result))


def fitting_scale(results: Iterable[Result | None]) -> list[float] | None:
    """Return the marks of a scale that shows how these results differ; None if there is nothing to see."""
    bounds = {bound for result in results if result is not None for bound in _bounds(result)}
    ends = reach(bounds)
    return None if ends is None or len(bounds) == 1 else rounded(*ends, count=3)


def scale_svg(marks: list[float]) -> str:
    """Return the scale itself, for the head of a column."""
    scale = _scale(marks)
    words = tick_words(marks)
    shown = [(marks[0], words[0]), (marks[-1], words[-1])]
    numbers = "".join(f'<text x="{scale.at(mark):.1f}" y="13">{said}</text>' for mark, said in shown)
    return f'<svg class="scale" viewBox="0 0 {WIDTH} 18" aria-hidden="true">{numbers}</svg>'


def interval_svg(result: Result, marks: list[float], style: str) -> str:
    """Return a result on the scale; ``style`` is the class that gives it its colour."""
    scale = _scale(marks)
    grid = "".join(f'<path class="grid" d="M{scale.at(mark):.1f} 1v{_HEIGHT - 2}"/>' for mark in marks)
    drawn = f'<circle cx="{scale.at(result.value):.1f}" cy="{_MIDDLE}" r="4"/>'
    if result.low is not None and result.high is not None:
        low, high = scale.at(result.low), scale.at(result.high)
        drawn = (
            f'<path class="whisker" d="M{low:.1f} {_MIDDLE - 5}v10M{low:.1f} {_MIDDLE}H{high:.1f}'
            f'M{high:.1f} {_MIDDLE - 5}v10"/>{drawn}'
        )
    said = escape(figure_words(result))
    return (
        f'<svg class="interval {style}" viewBox="0 0 {WIDTH} {_HEIGHT}" role="img">'
        f"<title>{said}</title>{grid}{drawn}</svg>"
    )


def _bounds(result: Result) -> list[float]:
    return [bound for bound in (result.value, result.low, result.high) if bound is not None]


def _certain(result: Result) -> bool:
    return result.low is not None and result.high is not None


def _scale(marks: list[float]) -> Scale:
    return Scale(marks[0], marks[-1], _EDGE, WIDTH - _EDGE)
