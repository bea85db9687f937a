"""Finding the version of a text at which a case flipped, by judging as few versions as possible."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from engine.cases import Finding
from engine.tracker.policy_records import PolicyFileVersion
from engine.workshop.flips import label_of


class BisectionError(ValueError):
    """There is no version to be found; the message says why."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A version, and what it makes of the case."""

    version: PolicyFileVersion
    finding: Finding


@dataclass(frozen=True, slots=True)
class Bisection:
    """The case flipped from ``before`` to ``after``, which follow one another.

    ``judged`` are all that were looked at, in that order. A case that went to and fro flipped more than once:
    this is one of these times.
    """

    before: Judged
    after: Judged
    judged: tuple[Judged, ...]


async def bisect(
    versions: Sequence[PolicyFileVersion], judge: Callable[[PolicyFileVersion], Awaitable[Finding]]
) -> Bisection:
    """Find the version, among ``versions`` in order of age (oldest first), from which on a case is judged
    otherwise.

    Both ends are judged, then the version in the middle of where it must lie, about log2(n) in all. A version
    under which the case has no clean yes or no counts as an outcome of its own.

    Raises:
        BisectionError: if there are not two versions, or the first and the last agree.
    """
    if len(versions) < 2:
        raise BisectionError("It takes two versions to find one at which a case flipped.")
    judged: list[Judged] = []

    async def look_at(place: int) -> Judged:
        judged.append(Judged(versions[place], await judge(versions[place])))
        return judged[-1]

    low, high = 0, len(versions) - 1
    before, after = await look_at(low), await look_at(high)
    if label_of(before.finding) == label_of(after.finding):
        raise BisectionError(
            f"The case does not flip between {before.version.label} and {after.version.label}: "
            "both say the same of it."
        )
    first = label_of(before.finding)
    while high - low > 1:
        middle = (low + high) // 2
        looked = await look_at(middle)
        if label_of(looked.finding) == first:
            low, before = middle, looked
        else:
            high, after = middle, looked
    return Bisection(before, after, tuple(judged))
