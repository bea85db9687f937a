"""Everyday requests are allowed and plain requests for harm blocked, beyond the policies' own cases."""

from __future__ import annotations

from pathlib import Path

from engine.cases import Case, Decision
from engine.guards.reasoner import Level, Reasoner

HERE = Path(__file__).parent
REASONER = Reasoner(HERE.parents[1] / "policies", level=Level.MEDIUM)


def not_decided(decision: Decision, *paths: Path) -> list[str]:
    """Return the lines of the files that the reasoner decides otherwise."""
    prompts = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    assert prompts
    return [prompt for prompt in prompts if REASONER.classify(Case(prompt)).decision is not decision]


def test_everyday_requests_are_allowed() -> None:
    assert not_decided(Decision.ALLOW, *sorted((HERE / "everyday").glob("*.txt"))) == []


def test_plain_requests_for_harm_are_blocked() -> None:
    assert not_decided(Decision.BLOCK, HERE / "plain_harm.txt") == []
