"""What a change of a text does: the figures of its cases, and which verdicts are others than before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.cases import Finding, Harm, Status, Task
from engine.evaluation.intervals import Interval
from engine.evaluation.metrics import Confusion, tally
from engine.evaluation.statistics import compare, f1_bootstrap
from engine.policies.load import PolicyCase
from engine.workshop.trials import Outcome, passes


class Turn(StrEnum):
    """What a flip did: the case passes now, fails now, or fails otherwise than before."""

    MENDED = "mended"
    BROKE = "broke"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Flip:
    """A case whose verdict differs between two texts."""

    case: PolicyCase
    before: Finding
    after: Finding

    @property
    def turn(self) -> Turn:
        was, now = passes(self.case, self.before), passes(self.case, self.after)
        return Turn.MENDED if now and not was else Turn.BROKE if was and not now else Turn.CHANGED


@dataclass(frozen=True, slots=True)
class Tally:
    """How cases fared. ``undecided`` failed without a clean yes or no. ``f1`` counts these as wrong."""

    passed: int
    failed: int
    undecided: int
    confusion: Confusion
    interval: Interval | None

    @property
    def n(self) -> int:
        return self.passed + self.failed

    @property
    def f1(self) -> float | None:
        """F1 of violations, in [0, 1]; None where no case is one, or was called one."""
        return self.confusion.f1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts on the cases that both have judged.

    ``difference`` is the F1 after less that before, with its paired bootstrap ``interval``; ``p_value`` is
    McNemar's exact one, of the cases that pass under one text only.
    """

    n: int
    flips: tuple[Flip, ...]
    difference: float | None
    interval: Interval | None
    p_value: float

    def count(self, turn: Turn) -> int:
        return sum(flip.turn is turn for flip in self.flips)


def tally_of(outcomes: Iterable[Outcome]) -> Tally:
    """Count how cases fared; the 95 % interval of F1 is bootstrapped."""
    rows = list(outcomes)
    passed = sum(outcome.passed for outcome in rows)
    undecided = sum(label_of(outcome.finding) is None for outcome in rows)
    confusion = tally(
        Task.REQUEST, ((gold_of(outcome.case), label_of(outcome.finding)) for outcome in rows)
    ).confusion()
    interval = None if confusion.f1 is None else f1_bootstrap(confusion)
    return Tally(passed, len(rows) - passed, undecided, confusion, interval)


def flips_between(
    cases: Sequence[PolicyCase], before: Mapping[str, Finding], after: Mapping[str, Finding]
) -> tuple[Flip, ...]:
    """Return the cases that both have judged and whose verdict differs, in the cases' order."""
    shared = [case for case in cases if case.case.key in before and case.case.key in after]
    flips = (Flip(case, before[case.case.key], after[case.case.key]) for case in shared)
    return tuple(flip for flip in flips if label_of(flip.before) != label_of(flip.after))


def compare_texts(
    cases: Sequence[PolicyCase], before: Mapping[str, Finding], after: Mapping[str, Finding]
) -> Comparison:
    """Compare two texts by what their cases were found to be, by the cases' keys."""
    rows = [
        (case.case.key, gold_of(case), label_of(before[case.case.key]), label_of(after[case.case.key]))
        for case in cases
        if case.case.key in before and case.case.key in after
    ]
    found = compare(Task.REQUEST, rows)
    flips = flips_between(cases, before, after)
    return Comparison(len(rows), flips, found.difference, found.interval, found.p_value)


def gold_of(case: PolicyCase) -> str:
    """Return what a case is, in the words of the tasks."""
    return (Harm.HARMFUL if case.violation else Harm.UNHARMFUL).value


def label_of(finding: Finding) -> str | None:
    """Return what a finding says, in the words of the tasks; None for no clean yes or no."""
    if finding.status is not Status.OK or finding.violation is None:
        return None
    return (Harm.HARMFUL if finding.violation else Harm.UNHARMFUL).value
