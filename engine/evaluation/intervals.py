"""Confidence intervals of shares and of F1. Standard library only."""

from __future__ import annotations

import math
from statistics import NormalDist

Interval = tuple[float, float]


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of the share ``successes / n``, both ends within 0 to 1.

    Unlike the textbook interval it holds for small n and for shares near 0 and 1, where most claims about
    guards are. Nothing is known without items: n = 0 gives (0, 1).

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (158), 1927, pages 209 to 212.

    Raises:
        ValueError: if not 0 <= successes <= n, or confidence is not between 0 and 1.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1: {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == n else (centre + spread) / scale
    return low, high


def f1_interval(tp: int, fp: int, fn: int, confidence: float = 0.95) -> Interval:
    """Return an interval of F1 = 2 tp / (2 tp + fp + fn), both ends within 0 to 1.

    F1 grows with the share J of true positives among the items that are positive or were called so:
    J = tp / (tp + fp + fn) and F1 = 2 J / (1 + J). Wilson's interval of J therefore becomes one of F1. It
    is conditional on how many such items there are, which itself varies from sample to sample; given
    that number, tp is binomial, so that the interval covers as often as Wilson's does.

    Raises:
        ValueError: if a count is negative, or confidence is not between 0 and 1.
    """
    if min(fp, fn) < 0:
        raise ValueError(f"counts cannot be negative: {fp} false positives, {fn} false negatives")
    low, high = wilson(tp, tp + fp + fn, confidence)
    return 2 * low / (1 + low), 2 * high / (1 + high)
