"""Which of the cases proposed for a policy are to be taken over, and with what verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from engine.policies.load import PolicyCase


@dataclass(frozen=True, slots=True)
class Proposed:
    """A case that could be a policy's. Where it is not ``decided``, its verdict says nothing."""

    case: PolicyCase
    decided: bool = True


@dataclass(slots=True)
class Candidate:
    """A case to check, or not.

    ``violation`` is what the policy should say, None while nobody says; ``there``: the policy has it already.
    ``said`` is what ``violation`` was at first: the reason speaks for that.
    """

    case: PolicyCase
    violation: bool | None
    there: bool
    checked: bool = False
    said: bool | None = None

    @property
    def reason(self) -> str:
        """The case's reason; where a person has switched the verdict, that comes first."""
        switched = self.said is not None and self.violation != self.said
        return f"A person said otherwise: {self.case.reason}" if switched else self.case.reason

    @property
    def why_not(self) -> str | None:
        """Why it cannot be checked, or None if it can."""
        if self.there:
            return "The policy has this case already."
        if self.violation is None:
            return "Nothing says yet what the policy should say of this case. v says it."
        return None

    def toggle(self) -> None:
        self.checked = not self.checked and self.why_not is None

    def switch(self) -> None:
        """Have the policy say the other thing; where nobody has said, a violation."""
        self.violation = not self.violation


class Checks:
    """The candidates that are listed now, and those that were before another filter was typed."""

    def __init__(self, present: Collection[str]) -> None:
        """``present`` are the keys of the cases that the policy has."""
        self._present = present
        self._known: dict[str, Candidate] = {}
        self.listed: list[Candidate] = []

    @property
    def checked(self) -> list[PolicyCase]:
        """The cases that are checked, listed or not, each with the verdict chosen for it."""
        return [
            replace(each.case, violation=each.violation, reason=each.reason)
            for each in self._known.values()
            if each.checked and each.violation is not None
        ]

    def list_anew(self, proposals: Iterable[Proposed]) -> None:
        """List these and no others. What is checked stays checked."""
        self.listed = []
        self.list_more(proposals)

    def list_more(self, proposals: Iterable[Proposed]) -> None:
        """List these as well; what is the same case as one before is left out."""
        listed = {candidate.case.case.key for candidate in self.listed}
        for proposed in proposals:
            key = proposed.case.case.key
            if key not in listed:
                listed.add(key)
                violation = proposed.case.violation if proposed.decided else None
                new = Candidate(proposed.case, violation, key in self._present, said=violation)
                self.listed.append(self._known.setdefault(key, new))

    def toggle_all(self) -> None:
        """Check all that are listed and can be; where all of them are, none."""
        able = [candidate for candidate in self.listed if candidate.why_not is None]
        check = not all(candidate.checked for candidate in able)
        for candidate in able:
            candidate.checked = check

    def forget(self) -> None:
        """Begin anew."""
        self._known = {}
        self.listed = []
