"""Thresholds for a family-wise budget of false positives, fitted on one half and verified on the other.

A case counts as a false positive when any of its policies blocks it, so that what is fitted is one threshold
for the highest of a case's scores: the budget is for all policies together.

The rule is the order statistic of Neyman-Pearson classification (X. Tong, Y. Feng and J. J. Li,
"Neyman-Pearson classification algorithms and NP receiver operating characteristics", Science Advances 4 (2),
2018, proposition 1): of n unharmful cases whose scores are sorted, cases above the k-th are blocked, with the
least k for which P(Binomial(n, 1 - budget) >= k) <= delta. Whatever the scores look like, the rate of false
positives on new cases from the same source is then above the budget with a probability of delta at most.
To put the threshold where the fitted rate just equals the budget would break it half of the time.

A case may occur in several benchmarks, and yet is one case here: it lies in one half only.
scipy is imported when something is fitted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.cases import Decision
from engine.guards.decision import Thresholds

DELTA = 0.05
"""How likely it may be that the budget is exceeded after all."""

ALWAYS = math.inf
"""The score of a case that a policy blocks without giving a score: no threshold prevents it."""

_SCALE = 1_000_000
"""Thresholds are whole millionths, which can be written down exactly."""


class ThresholdError(ValueError):
    """No threshold can be promised; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """A case: its key, its gold, and the highest of its policies' scores, in [0, 1] or `ALWAYS`.

    ``complete``: all policies have judged it. Only then may it be allowed.
    """

    key: str
    harmful: bool
    score: float
    complete: bool = True

    def decision(self, thresholds: Thresholds) -> Decision:
        """Return what is done with the case at these thresholds."""
        if self.score >= thresholds.high:
            return Decision.BLOCK
        allowed = self.complete and self.score < thresholds.low
        return Decision.ALLOW if allowed else Decision.ESCALATE


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What thresholds do to cases: how many there are of each gold, and how many are blocked and escalated.

    ``missed`` are harmful cases that are allowed.
    """

    thresholds: Thresholds
    unharmful: int
    blocked_unharmful: int
    escalated_unharmful: int
    harmful: int
    blocked_harmful: int
    escalated_harmful: int

    @property
    def missed(self) -> int:
        return self.harmful - self.blocked_harmful - self.escalated_harmful

    @property
    def escalated(self) -> int:
        return self.escalated_unharmful + self.escalated_harmful

    @property
    def fpr(self) -> float:
        """The share of the unharmful cases that is blocked."""
        return self.blocked_unharmful / self.unharmful if self.unharmful else 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted thresholds, and what they and the former ones do on the half that they were not fitted on.

    ``rank``: the k of the order statistic among the ``unharmful`` cases of the half they were fitted on.
    """

    thresholds: Thresholds
    max_fpr: float
    delta: float
    unharmful: int
    harmful: int
    rank: int
    before: Outcomes
    after: Outcomes

    @property
    def met(self) -> bool:
        """Whether the rate measured on the other half is within the budget."""
        return self.after.fpr <= self.max_fpr


def fit_thresholds(
    cases: Iterable[ScoredCase],
    *,
    max_fpr: float,
    former: Thresholds,
    delta: float = DELTA,
    max_miss: float | None = None,
    pivot: float | None = None,
    seed: int = 0,
) -> Fit:
    """Fit thresholds on one half of the cases and measure them on the other.

    ``high`` keeps the false positives within ``max_fpr``. ``low`` is as before, unless ``max_miss`` bounds,
    by the same rule, the share of the harmful cases that is allowed. ``pivot`` is the score at which the
    guard's word turns, which ``high`` is never below and ``low`` never above.

    Raises:
        ThresholdError: if there are too few cases for what is to be promised, or no threshold does it.
        ValueError: if a share does not lie between 0 and 1.
    """
    for share in (max_fpr, delta, *(() if max_miss is None else (max_miss,))):
        if not 0 < share < 1:
            raise ValueError(f"a share lies between 0 and 1: {share}")
    fitted_on, held_out = halves(cases, seed)
    negatives = sorted(case.score for case in fitted_on if not case.harmful)
    positives = sorted(-case.score for case in fitted_on if case.harmful)
    rank = _rank(len(negatives), max_fpr, delta, "unharmful")
    high = _above(negatives[rank - 1])
    if high > 1:
        raise ThresholdError(
            f"{len(negatives) - rank + 1:,} or more of {len(negatives):,} unharmful cases reach the highest "
            "score: no threshold keeps the budget."
        )
    low = former.low
    if max_miss is not None:
        low = max(_not_above(-positives[_rank(len(positives), max_miss, delta, "harmful") - 1]), 0.0)
    if pivot is not None:
        high, low = max(high, pivot), min(low, pivot)
    thresholds = Thresholds(high, min(low, high))
    return Fit(
        thresholds,
        max_fpr,
        delta,
        len(negatives),
        len(positives),
        rank,
        measure(held_out, former),
        measure(held_out, thresholds),
    )


def halves(cases: Iterable[ScoredCase], seed: int) -> tuple[list[ScoredCase], list[ScoredCase]]:
    """Return two halves with as many cases of each gold, give or take one: those to fit on first.

    Which half a case is in depends on its key and the seed, not on the order that cases were judged in.
    """
    distinct = {case.key: case for case in cases}
    fitted_on: list[ScoredCase] = []
    held_out: list[ScoredCase] = []
    for harmful in (False, True):
        drawn = sorted(
            (case for case in distinct.values() if case.harmful is harmful),
            key=lambda case: hashlib.sha256(f"{seed}:{case.key}".encode()).digest(),
        )
        fitted_on += drawn[::2]
        held_out += drawn[1::2]
    return fitted_on, held_out


def measure(cases: Sequence[ScoredCase], thresholds: Thresholds) -> Outcomes:
    """Count what thresholds do to cases."""
    counts = dict.fromkeys(((harmful, decision) for harmful in (False, True) for decision in Decision), 0)
    for case in cases:
        counts[case.harmful, case.decision(thresholds)] += 1

    def of(harmful: bool) -> tuple[int, int, int]:
        total = sum(counts[harmful, decision] for decision in Decision)
        return total, counts[harmful, Decision.BLOCK], counts[harmful, Decision.ESCALATE]

    return Outcomes(thresholds, *of(False), *of(True))


def least_cases(share: float, delta: float) -> int:
    """Return how many cases of a class the rule needs: with fewer, even their highest score is too low."""
    return math.ceil(math.log(delta) / math.log1p(-share))


def _rank(n: int, share: float, delta: float, word: str) -> int:
    """Return the least k of n for which the k-th score bounds the share, but for a probability of delta."""
    needed = least_cases(share, delta)
    if n < needed:
        raise ThresholdError(
            f"A share of {share:g} at a confidence of {1 - delta:g} takes {needed:,} {word} cases to fit on, "
            f"and as many to verify it: the run has {n:,} in the half to fit on."
        )
    from scipy.stats import binom

    # The chance of exceeding falls as k grows; for k = n it is (1 - share)^n, which is small enough.
    first, last = 1, n
    while first < last:
        middle = (first + last) // 2
        if binom.sf(middle - 1, n, 1 - share) <= delta:
            last = middle
        else:
            first = middle + 1
    return first


def _above(score: float) -> float:
    """Return the next score above, with few digits: rounding up only makes false positives fewer."""
    if score >= 1:
        return ALWAYS
    millionths = math.floor(score * _SCALE) + 1
    while millionths / _SCALE <= score:  # the product may have been rounded down
        millionths += 1
    return millionths / _SCALE


def _not_above(score: float) -> float:
    """Return the score or one just below, with few digits."""
    millionths = math.floor(min(score, 1.0) * _SCALE)
    while millionths / _SCALE > score:  # the product may have been rounded up
        millionths -= 1
    return millionths / _SCALE
