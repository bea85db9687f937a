"""What a guard's verdict says of the task that a benchmark asks about."""

from __future__ import annotations

import msgspec

from engine.cases import Decision, Harm, Status, Task, Verdict


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of one judgement. It is a struct so that a long run's many are read back quickly.

    ``labels`` has the tasks that the guard gave a label, ``scores`` those that it gave the positive class's
    probability, in [0, 1]; ``violated`` the policies that it found violated, where it judges by policies.
    ``latency_ms`` is wall time, ``tokens`` those read and written.
    """

    decision: Decision
    status: Status
    labels: dict[Task, str] = {}
    scores: dict[Task, float] = {}
    violated: tuple[str, ...] = ()
    latency_ms: float = 0.0
    tokens: int = 0


def outcome_of(verdict: Verdict, *, has_response: bool) -> Outcome:
    """Return what counts of a verdict.

    A guard that does the three tasks says their labels itself. One that judges by policies says something
    of the response where there is one, else of the request: what it blocks it calls harmful, and what it
    does not block, whether allowed or escalated, unharmful. A judgement that failed gives no label, unless
    a policy was violated all the same.
    """
    labels: dict[Task, str] = {}
    scores: dict[Task, float] = {}
    if verdict.tasks:
        labels = {finding.task: finding.label for finding in verdict.tasks if finding.label is not None}
        scores = {finding.task: finding.score for finding in verdict.tasks if finding.score is not None}
    else:
        task = Task.RESPONSE if has_response else Task.REQUEST
        if verdict.decision is Decision.BLOCK:
            labels[task] = Harm.HARMFUL
        elif verdict.status is Status.OK:
            labels[task] = Harm.UNHARMFUL
        if verdict.score is not None and task in labels:
            scores[task] = verdict.score
    return Outcome(
        decision=verdict.decision,
        status=verdict.status,
        labels=labels,
        scores=scores,
        violated=tuple(finding.policy for finding in verdict.policies if finding.violation),
        latency_ms=verdict.latency_ms,
        tokens=verdict.usage.prompt_tokens + verdict.usage.completion_tokens,
    )
