"""Which of a policy's cases somebody means: by number, by the beginning of a key, by words or language."""

from __future__ import annotations

from collections.abc import Sequence

from engine.policies.load import PolicyCase, PolicyError

_SHORTEST_KEY = 4


class UnknownCase(PolicyError):
    """No case, or more than one, goes by this number or key."""


def case_numbered(cases: Sequence[PolicyCase], number: int) -> PolicyCase:
    """Return the case with a number; they count from 1.

    Raises:
        UnknownCase: if there is none.
    """
    if not 1 <= number <= len(cases):
        raise UnknownCase(f"There is no case {number:,}: there are {len(cases):,}.")
    return cases[number - 1]


def case_of_key(cases: Sequence[PolicyCase], prefix: str) -> PolicyCase:
    """Return the case whose `Case.key` begins so. Cases that are equal are one.

    Raises:
        UnknownCase: if there is none, or several.
    """
    asked = prefix.strip().casefold()
    if len(asked) < _SHORTEST_KEY:
        raise UnknownCase(f"{prefix!r} is too short for a key: give {_SHORTEST_KEY} characters or more.")
    found = {case.case.key: case for case in reversed(cases) if case.case.key.startswith(asked)}
    if len(found) != 1:
        how_many = "No case has" if not found else f"{len(found):,} cases have"
        raise UnknownCase(f"{how_many} a key that begins with {prefix!r}.")
    return next(iter(found.values()))


def matches(case: PolicyCase, words: str = "", language: str | None = None) -> bool:
    """Return whether a case has ``words`` in it, in small letters or capitals, and is in a language."""
    if language is not None and case.language.casefold() != language.casefold():
        return False
    asked = words.casefold()
    texts = (case.case.prompt, case.case.response or "", case.reason, case.source)
    return any(asked in text.casefold() for text in texts)
