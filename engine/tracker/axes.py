"""Scales for drawings: round numbers to mark them with, and where a value falls. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_FARTHEST = 1e300  # beyond it, differences of numbers are no numbers


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from ``low`` to ``high`` onto drawing units from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value is drawn; those outside the scale are drawn at its end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def reach(values: Iterable[float]) -> tuple[float, float] | None:
    """Return the least and the greatest of the finite values, apart at least a little; None without any."""
    finite = [min(max(value, -_FARTHEST), _FARTHEST) for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    # What differs by less than this cannot be told apart in a drawing, nor divided by.
    least = max(abs(low), abs(high), 1e-300) * 1e-9
    return (low, high) if high - low > least else (low - _half(low), high + _half(high))


def rounded(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers at equal distances, about ``count`` steps of them, that enclose low and high."""
    step = _round_step(high / count - low / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_words(marks: Sequence[float]) -> list[str]:
    """Return the numbers of a scale, with just as many decimals as tell them apart."""
    largest = max(map(abs, marks), default=0.0)
    if largest >= 1e12 or 0 < largest < 1e-4:
        return [f"{mark:.4g}" for mark in marks]
    unit, letter = next(((u, letter) for u, letter in _UNITS if largest >= 10 * u), (1.0, ""))
    scaled = [mark / unit + 0.0 for mark in marks]  # adding zero makes a negative zero positive
    least = largest / unit * 1e-6
    decimals = next(
        (d for d in range(9) if all(abs(round(number, d) - number) <= least for number in scaled)), 9
    )
    return [f"{number:.{decimals}f}{letter}" for number in scaled]


def _half(value: float) -> float:
    return abs(value) / 2 or 0.5


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(factor * magnitude for factor in (1, 2, 2.5, 5, 10, 20) if rough <= factor * magnitude)
