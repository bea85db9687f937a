"""Results drawn on one scale: a dot between the ends of its interval, so that overlaps are seen."""

from __future__ import annotations

from collections.abc import Iterable

from engine.tracker.axes import Scale, reach
from engine.tracker.run_records import Result

_LEAST = 8


def scale_of(results: Iterable[Result | None], cells: int) -> Scale | None:
    """Return a scale of ``cells`` that all of these results fit; None if there is no room or no number."""
    bounds = (
        bound
        for result in results
        if result is not None
        for bound in (result.value, result.low, result.high)
        if bound is not None
    )
    ends = reach(bounds)
    return None if ends is None or cells < _LEAST else Scale(*ends, 0, cells - 1)


def interval_line(result: Result, scale: Scale | None) -> str:
    """Return a result on the scale: ``├──●─┤``, or the dot alone where its interval is not known."""
    if scale is None:
        return ""
    line = [" "] * (round(scale.end) + 1)
    if result.low is not None and result.high is not None:
        low, high = round(scale.at(result.low)), round(scale.at(result.high))
        line[low : high + 1] = "─" * (high - low + 1)
        line[low], line[high] = "├", "┤"
    line[round(scale.at(result.value))] = "●"
    return "".join(line).rstrip()
