"""The policies' own labelled cases, as the rule-based reasoner judges them at its normal level."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine.guards.reasoner import Level, Reasoner
from engine.policies.load import PolicyCase, load_cases

POLICIES = Path(__file__).parents[2] / "policies"
NAMES = sorted(path.parent.name for path in POLICIES.glob("*/signals.toml"))
LIMITS = tomllib.loads((POLICIES / "known_limits.toml").read_text(encoding="utf-8"))["limit"]


@pytest.fixture(scope="module")
def reasoner() -> Reasoner:
    return Reasoner(POLICIES, level=Level.MEDIUM)


def is_listed(name: str, case: PolicyCase) -> bool:
    return any(
        limit["policy"] == name and case.case.prompt.startswith(limit["prompt_begins"]) for limit in LIMITS
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_case_passes_or_is_a_known_limit(reasoner: Reasoner, name: str) -> None:
    surprises = []
    for number, case in enumerate(load_cases(POLICIES, name), 1):
        findings = {finding.policy: finding for finding in reasoner.classify(case.case).policies}
        passes = findings[name].violation is case.violation
        if passes is is_listed(name, case):
            what = "passes: take it off the list" if passes else findings[name].reasoning
            surprises.append(f"case {number}: {what}")
    assert not surprises


def test_known_limits_are_few_and_name_existing_cases() -> None:
    cases = [(name, case) for name in NAMES for case in load_cases(POLICIES, name)]
    listed = [(name, case) for name, case in cases if is_listed(name, case)]
    assert len(listed) == len(LIMITS)
    assert len(listed) <= 0.05 * len(cases)
