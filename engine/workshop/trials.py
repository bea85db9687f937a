"""Trials: a policy's cases judged by a text, saved or not. What is known already is not judged again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from engine.cases import Decision, Finding, Status, Verdict
from engine.events import Event, Evidence, Failed, StepFinished, VerdictReached
from engine.guards.base import Guard
from engine.guards.many import judge_many
from engine.policies.load import PolicyCase
from engine.tracker.policy_records import Trials

KEPT = frozenset({Status.OK, Status.UNPARSABLE, Status.TRUNCATED})
"""What comes out the same if it is asked again, and is kept. A failure or a delay may not."""


class TrialStopped(Exception):
    """The back end is out of reach: ``message`` says what happened, ``hint`` what to do. ``str`` gives both.

    What was judged before is kept.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case was found to be. ``known``: the guard was not asked. ``signals`` fired, of the rules."""

    case: PolicyCase
    finding: Finding
    known: bool = False
    signals: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the finding is what is expected: a failure, or no yes or no, never is."""
        return passes(self.case, self.finding)


def passes(case: PolicyCase, finding: Finding) -> bool:
    """Return whether a finding is what its case expects."""
    return finding.status is Status.OK and finding.violation == case.violation


async def try_cases(
    guard: Guard, policy: str, cases: Sequence[PolicyCase], known: Mapping[str, Finding]
) -> AsyncGenerator[Outcome, None]:
    """Judge cases by a guard of one policy; yield what is known first, then each as it comes.

    Equal cases are judged once. Leave it through `contextlib.aclosing`: closing it stops the model.

    Raises:
        TrialStopped: if the back end cannot be reached.
    """
    of_key: dict[str, list[PolicyCase]] = {}
    for case in cases:
        key = case.case.key
        if key in known:
            yield Outcome(case, replace(known[key], policy=policy), known=True)
        else:
            of_key.setdefault(key, []).append(case)
    waiting = list(of_key.values())
    numbered = ((number, same[0].case) for number, same in enumerate(waiting))
    async with aclosing(judge_many(guard, numbered)) as judged:
        async for number, events in judged:
            finding = _finding(policy, events)
            signals = tuple(dict.fromkeys(evidence.signal for evidence in evidence_of(events, policy)))
            for case in waiting[number]:
                yield Outcome(case, finding, signals=signals)


def lasting(outcomes: Sequence[Outcome]) -> Trials:
    """Return what of these is worth keeping, by the keys of the cases."""
    return {
        outcome.case.case.key: outcome.finding
        for outcome in outcomes
        if not outcome.known and outcome.finding.status in KEPT
    }


def evidence_of(events: Sequence[Event], policy: str) -> list[Evidence]:
    """Return what the rules found for a policy, step by step."""
    return [
        found
        for event in events
        if isinstance(event, StepFinished) and event.lane == policy
        for found in event.found
    ]


def _finding(policy: str, events: Sequence[Event]) -> Finding:
    last = events[-1]
    assert isinstance(last, VerdictReached)
    for event in events:
        if isinstance(event, Failed) and event.unreachable:
            raise TrialStopped(event.message, event.hint)
    return finding_of(policy, last.verdict)


def finding_of(policy: str, verdict: Verdict) -> Finding:
    """Return what a verdict says of one policy.

    A guard that judges by no policies says it by its decision, and its reasoning is that of its tasks.
    """
    found = next((finding for finding in verdict.policies if finding.policy == policy), None)
    if found is not None:
        return found
    violation = {Decision.BLOCK: True, Decision.ALLOW: False}.get(verdict.decision)
    reasoning = "\n".join(task.reasoning for task in verdict.tasks if task.reasoning)
    return Finding(policy, violation, verdict.score, verdict.status, reasoning, verdict.latency_ms)
