"""What is checked among proposed cases: each with the verdict that was chosen, and a reason that fits it."""

from __future__ import annotations

from app.case_checks import Checks, Proposed
from engine.cases import Case
from engine.policies.load import PolicyCase


def proposed(prompt: str, violation: bool = True, *, decided: bool = True) -> Proposed:
    return Proposed(PolicyCase(Case(prompt), violation, "Found safe by x.", "en", "probe #1"), decided)


def checks_of(*proposals: Proposed) -> Checks:
    checks = Checks(())
    checks.list_anew(proposals)
    return checks


def test_a_reason_does_not_speak_for_the_verdict_that_was_switched_away() -> None:
    checks = checks_of(proposed("a", False))
    (candidate,) = checks.listed
    candidate.switch()
    candidate.toggle()
    (case,) = checks.checked
    assert (case.violation, case.reason) == (True, "A person said otherwise: Found safe by x.")
    candidate.switch()
    (case,) = checks.checked
    assert (case.violation, case.reason) == (False, "Found safe by x.")


def test_what_nobody_has_said_is_no_contradiction() -> None:
    checks = checks_of(proposed("a", decided=False))
    (candidate,) = checks.listed
    candidate.toggle()
    assert checks.checked == []
    for violation in (True, False):
        candidate.switch()
        candidate.checked = True
        (case,) = checks.checked
        assert (case.violation, case.reason) == (violation, "Found safe by x.")
