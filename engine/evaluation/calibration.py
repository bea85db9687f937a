"""Whether a guard's probabilities are as often right as they say. numpy is imported late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.evaluation.intervals import Interval, wilson

BINS = 10


class Binning(StrEnum):
    """``WIDTH``: bins of equal width. ``MASS``: bins of as nearly equal numbers as ties allow."""

    WIDTH = "width"
    MASS = "mass"


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items whose probability lies in (low, high], the first bin with its lower end.

    ``mean`` is their mean probability, ``positive`` the share that is positive, ``interval`` that share's
    95 % interval. A calibrated guard has ``mean`` within it, in about 19 bins of 20.
    """

    low: float
    high: float
    n: int
    mean: float
    positive: float
    interval: Interval


def brier(positive: Sequence[bool], probabilities: Sequence[float]) -> float | None:
    """Return the mean squared distance of probability and outcome, 0 to 1; None without items.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1),
    1950; here for the positive class alone, which is half of his sum over both.

    Raises:
        ValueError: if there is not one probability in [0, 1] for each item.
    """
    _check(positive, probabilities)
    if not positive:
        return None
    squares = ((p - bool(true)) ** 2 for true, p in zip(positive, probabilities, strict=True))
    return sum(squares) / len(positive)


def reliability(
    positive: Sequence[bool],
    probabilities: Sequence[float],
    *,
    bins: int = BINS,
    binning: Binning = Binning.WIDTH,
) -> list[ReliabilityBin]:
    """Return the reliability curve: what each bin that is not empty says, and how it is.

    Equal probabilities share a bin, so that the order of the items does not matter.

    Raises:
        ValueError: if there is not one probability in [0, 1] for each item, or ``bins`` is below 1.
    """
    import numpy as np

    _check(positive, probabilities)
    if bins < 1:
        raise ValueError(f"there must be a bin: {bins}")
    if not positive:
        return []
    said, true = np.asarray(probabilities, dtype=float), np.asarray(positive, dtype=bool)
    ends = np.linspace(0, 1, bins + 1)
    if binning is Binning.MASS:
        ends = np.quantile(said, ends)
    place = np.searchsorted(ends[1:-1], said)
    found = []
    for bin_ in np.unique(place):
        inside = place == bin_
        n, hits = int(inside.sum()), int(true[inside].sum())
        low, high = float(ends[bin_]), float(ends[bin_ + 1])
        found.append(ReliabilityBin(low, high, n, float(said[inside].mean()), hits / n, wilson(hits, n)))
    return found


def expected_calibration_error(
    positive: Sequence[bool],
    probabilities: Sequence[float],
    *,
    bins: int = BINS,
    binning: Binning = Binning.WIDTH,
) -> float | None:
    """Return the mean distance, weighted by items, of what bins say and how they are; None without items.

    M. P. Naeini, G. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015. Equal widths are usual; equal masses do not let one full bin hide the others. It is 0
    only by luck: even a calibrated guard has some on a finite set.

    Raises:
        ValueError: as `reliability` does.
    """
    curve = reliability(positive, probabilities, bins=bins, binning=binning)
    if not curve:
        return None
    return sum(part.n * abs(part.mean - part.positive) for part in curve) / len(positive)


def _check(positive: Sequence[bool], probabilities: Sequence[float]) -> None:
    if len(positive) != len(probabilities):
        raise ValueError(f"{len(probabilities)} probabilities for {len(positive)} items")
    if not all(0 <= probability <= 1 for probability in probabilities):
        raise ValueError("a probability lies between 0 and 1")
