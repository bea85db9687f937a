"""How figures read. A result never stands without its n and its interval where these are known."""

from __future__ import annotations

import math

from engine.tracker.run_records import Result

_DECIMALS, _MOST_DECIMALS = 3, 6
_LARGE = 1e15


def number_words(value: float) -> str:
    """Return a number as short as it can be said: four significant digits, no exponent where avoidable."""
    if not math.isfinite(value):
        return "infinite" if value > 0 else "-infinite" if value < 0 else "not a number"
    if value == int(value) and abs(value) < _LARGE:
        return str(int(value))
    if abs(value) >= 1000:
        return f"{value:.1f}" if abs(value) < _LARGE else f"{value:.3e}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"


def value_and_interval(result: Result) -> tuple[str, str]:
    """Return the value and its interval with as many decimals as the interval's width warrants.

    The interval is "[low, high]", or empty where it is not known.
    """
    low, high = result.low, result.high
    if low is None or high is None:
        return number_words(result.value), ""
    if max(abs(result.value), abs(low), abs(high)) >= _LARGE:
        return number_words(result.value), f"[{number_words(low)}, {number_words(high)}]"
    width = high - low
    least = _DECIMALS if abs(result.value) < 10 else 1
    decimals = least if width <= 0 else min(max(math.ceil(-math.log10(width)) + 1, least), _MOST_DECIMALS)
    return f"{result.value:.{decimals}f}", f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def figure_words(result: Result) -> str:
    """Return a result's value with all that is known of its certainty: ``0.980 [0.950, 0.993] n=200``."""
    value, interval = value_and_interval(result)
    n = "" if result.n is None else f"n={result.n}"
    return " ".join(part for part in (value, interval, n) if part)


def duration_words(seconds: float | None) -> str:
    """Return a duration in its two largest units; empty where it is not known."""
    if seconds is None:
        return ""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
