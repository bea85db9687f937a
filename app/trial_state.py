"""What a trial has shown so far, without widgets: outcomes of both texts, what flips, and the figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.trying import Side, Trying
from engine.cases import Finding
from engine.policies.load import PolicyCase
from engine.workshop.flips import Comparison, Flip, Tally, compare_texts, label_of, tally_of
from engine.workshop.judges import Judge
from engine.workshop.trials import Outcome


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a trial that is over; ``comparison`` is with the other text, where there is one."""

    tally: Tally
    comparison: Comparison | None


@dataclass(slots=True)
class TrialState:
    """The latest trial of a policy. ``base`` names the text that it is compared with.

    ``keys`` are the cases', in their order.
    ``stopped``: it was ended before all cases were judged. ``figures`` are there once it is over.
    """

    cases: Sequence[PolicyCase] = ()
    judge: Judge = field(default_factory=Judge)
    base: str = "saved"
    keys: tuple[str, ...] = ()
    after: dict[str, Outcome] = field(default_factory=dict)
    before: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[Side, str] = field(default_factory=dict)
    trouble: str = ""
    running: bool = False
    stopped: bool = False
    figures: Figures | None = None

    def take(self, trying: Trying) -> int:
        """Take in what has come of a trial; return how much that was."""
        taken = 0
        while trying.outcomes:
            side, outcome = trying.outcomes.popleft()
            (self.after if side is Side.AFTER else self.before)[outcome.case.case.key] = outcome
            taken += 1
        return taken

    def end(self, trying: Trying) -> None:
        """Take in that a trial is over."""
        self.take(trying)
        self.running = False
        self.errors = {side: str(error) for side, error in trying.errors.items()}
        self.trouble = trying.trouble
        self.stopped = Side.AFTER not in self.errors and len(self.after) < len(set(self.keys))

    @property
    def passed(self) -> int:
        return sum(outcome.passed for outcome in self._judged)

    @property
    def failed(self) -> int:
        return sum(not outcome.passed for outcome in self._judged)

    @property
    def _judged(self) -> list[Outcome]:
        return [self.after[key] for key in self.keys if key in self.after]

    def flips(self) -> dict[str, Flip]:
        """Return what flips so far, by the keys of the cases."""
        return flips_of(zip(self.keys, self.cases, strict=True), self.before, self.after)

    def reckon(self) -> Figures:
        """Compute the figures. The first time it takes a second: not where keys wait."""
        comparison = None
        if self.before and self.after:
            comparison = compare_texts(self.cases, self._findings(self.before), self._findings(self.after))
        return Figures(tally_of(self._judged), comparison)

    @staticmethod
    def _findings(outcomes: Mapping[str, Outcome]) -> dict[str, Finding]:
        return {key: outcome.finding for key, outcome in outcomes.items()}


def flips_of(
    cases: Iterable[tuple[str, PolicyCase]], before: Mapping[str, Outcome], after: Mapping[str, Outcome]
) -> dict[str, Flip]:
    """Return the cases whose verdict differs between two texts, by their keys."""
    flips = {}
    for key, case in cases:
        was, now = before.get(key), after.get(key)
        if was is not None and now is not None and label_of(was.finding) != label_of(now.finding):
            flips[key] = Flip(case, was.finding, now.finding)
    return flips
