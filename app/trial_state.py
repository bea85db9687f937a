"""What a trial has shown so far, without widgets: outcomes of both texts, what flips, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.trying import Side, Trying
from engine.cases import Finding
from engine.policies.load import PolicyCase
from engine.workshop.flips import Comparison, Flip, Tally, compare_texts, flips_between, tally_of
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

    ``stopped``: it was ended before all cases were judged. ``figures`` are there once it is over.
    """

    cases: Sequence[PolicyCase] = ()
    judge: Judge = field(default_factory=Judge)
    base: str = "saved"
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
        self.stopped = Side.AFTER not in self.errors and len(self.after) < len(self._keys)

    @property
    def _keys(self) -> set[str]:
        return {case.case.key for case in self.cases}

    @property
    def passed(self) -> int:
        return sum(self._of(case) is True for case in self.cases)

    @property
    def failed(self) -> int:
        return sum(self._of(case) is False for case in self.cases)

    def _of(self, case: PolicyCase) -> bool | None:
        outcome = self.after.get(case.case.key)
        return None if outcome is None else outcome.passed

    def flips(self) -> dict[str, Flip]:
        """Return what flips so far, by the keys of the cases."""
        found = flips_between(self.cases, self._findings(self.before), self._findings(self.after))
        return {flip.case.case.key: flip for flip in found}

    def reckon(self) -> Figures:
        """Compute the figures. The first time it takes a second: not where keys wait."""
        outcomes = [self.after[case.case.key] for case in self.cases if case.case.key in self.after]
        comparison = None
        if self.before and self.after:
            comparison = compare_texts(self.cases, self._findings(self.before), self._findings(self.after))
        return Figures(tally_of(outcomes), comparison)

    @staticmethod
    def _findings(outcomes: Mapping[str, Outcome]) -> dict[str, Finding]:
        return {key: outcome.finding for key, outcome in outcomes.items()}
