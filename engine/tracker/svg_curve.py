"""Curves drawn over one another, as one SVG picture without script. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from engine.tracker.axes import Scale, reach, rounded, tick_words
from engine.tracker.plain_text import plain_line
from engine.tracker.run_records import Bucket

WIDTH, HEIGHT = 1116, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 14, 44
_BANDS_AT_MOST = 6


@dataclass(frozen=True, slots=True)
class DrawnCurve:
    """A curve and what it is called; ``style`` is the class that gives it its colour and its dashes."""

    name: str
    style: str
    buckets: Sequence[Bucket]


def curve_svg(metric: str, curves: Sequence[DrawnCurve], number: int) -> str | None:
    """Return a picture of a metric's curves; None if no point of them is a number.

    The line is the mean of what was reduced to one point, the band around it reaches from the lowest to
    the highest. ``number`` tells the picture from others on the page.
    """
    steps = reach(float(bucket.step) for curve in curves for bucket in curve.buckets)
    values = reach(
        bound
        for curve in curves
        for bucket in curve.buckets
        for bound in (bucket.low, bucket.high)
        if bound is not None
    )
    if steps is None or values is None:
        return None
    across = Scale(steps[0], steps[1], _LEFT, WIDTH - _RIGHT)
    marks = rounded(*values)
    up = Scale(marks[0], marks[-1], HEIGHT - _BOTTOM, _TOP)
    bands = "".join(_band(curve, across, up) for curve in curves) if len(curves) <= _BANDS_AT_MOST else ""
    lines = "".join(_line(curve, across, up) for curve in curves)
    name = escape(plain_line(metric))
    described = "; ".join(
        f"{plain_line(curve.name)}: {curve_words(curve.buckets)}" for curve in curves if curve.buckets
    )
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="curve-{number} curve-{number}-says">'
        f'<title id="curve-{number}">{name} by step</title>'
        f'<desc id="curve-{number}-says">{escape(described)}</desc>'
        f"{_axes(name, across, up, marks)}{bands}{lines}</svg>"
    )


def curve_words(buckets: Sequence[Bucket]) -> str:
    """Return a curve in a few words: where it begins and ends, its lowest and its highest."""
    lows = [bucket.low for bucket in buckets if bucket.low is not None]
    highs = [bucket.high for bucket in buckets if bucket.high is not None]
    points = sum(bucket.count for bucket in buckets)
    if not lows:
        return f"{points} points, none of them a number"
    first, last = ("–" if end.mean is None else f"{end.mean:.4g}" for end in (buckets[0], buckets[-1]))
    return f"{first} → {last}, lowest {min(lows):.4g}, highest {max(highs):.4g}, {points} points"


def _axes(name: str, across: Scale, up: Scale, marks: list[float]) -> str:
    bottom = HEIGHT - _BOTTOM
    steps = [mark for mark in rounded(across.low, across.high, 6) if across.low <= mark <= across.high]
    parts = [
        f'<path class="grid" d="M{_LEFT} {up.at(mark):.1f}H{WIDTH - _RIGHT}"/>'
        f'<text class="y" x="{_LEFT - 8}" y="{up.at(mark) + 4:.1f}">{said}</text>'
        for mark, said in zip(marks, tick_words(marks), strict=True)
    ]
    parts += [
        f'<path class="tick" d="M{across.at(mark):.1f} {bottom}v5"/>'
        f'<text class="x" x="{across.at(mark):.1f}" y="{bottom + 19}">{said}</text>'
        for mark, said in zip(steps, tick_words(steps), strict=True)
    ]
    middle = (_TOP + bottom) / 2
    return (
        "".join(parts)
        + f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{WIDTH - _RIGHT}"/>'
        + f'<text class="x label" x="{(_LEFT + WIDTH - _RIGHT) / 2:.0f}" y="{HEIGHT - 6}">step</text>'
        + f'<text class="x label" transform="translate(12 {middle:.0f}) rotate(-90)">{_short(name)}</text>'
    )


def _short(escaped_name: str) -> str:
    return escaped_name if len(escaped_name) <= 40 else "value"


def _line(curve: DrawnCurve, across: Scale, up: Scale) -> str:
    path = "".join(_stroke(stretch, across, up) for stretch in _stretches(curve.buckets))
    return f'<path class="line {curve.style}" d="{path}"/>' if path else ""


def _stroke(stretch: Sequence[Bucket], across: Scale, up: Scale) -> str:
    points = [f"{across.at(bucket.step):.1f} {up.at(_number(bucket.mean)):.1f}" for bucket in stretch]
    # A path of one point is drawn as a dot, by its round ends.
    return f"M{' '.join(points)}" if len(points) > 1 else f"M{points[0]}h0.01"


def _band(curve: DrawnCurve, across: Scale, up: Scale) -> str:
    paths = []
    for stretch in _stretches(curve.buckets):
        above = [f"{across.at(bucket.step):.1f} {up.at(_number(bucket.high)):.1f}" for bucket in stretch]
        below = [f"{across.at(bucket.step):.1f} {up.at(_number(bucket.low)):.1f}" for bucket in stretch]
        if above != below and len(stretch) > 1:
            paths.append(f"M{' '.join(above)} {' '.join(reversed(below))}Z")
    return f'<path class="band {curve.style}" d="{"".join(paths)}"/>' if paths else ""


def _stretches(buckets: Sequence[Bucket]) -> Iterator[list[Bucket]]:
    """Return the stretches of a curve between those of its points that are no numbers."""
    for drawable, stretch in groupby(buckets, key=_drawable):
        if drawable:
            yield list(stretch)


def _drawable(bucket: Bucket) -> bool:
    return bucket.mean is not None and math.isfinite(bucket.mean)


def _number(value: float | None) -> float:
    assert value is not None  # a mean that is a number has a lowest and a highest
    return value
