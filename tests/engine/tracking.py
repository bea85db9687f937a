"""Judgements for the tracker's tests to save, and a tracker without the project's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cases import Case, Decision, Finding, Status, Verdict
from engine.events import Event, ReasoningDelta, Started, VerdictReached

if TYPE_CHECKING:
    from engine.tracker.probes import Tracker


def judged(
    case: Case,
    *,
    decision: Decision = Decision.ESCALATE,
    guard: str = "gauntlet",
    deltas: int = 3,
    stopped: bool = False,
) -> list[Event]:
    """Return a judgement's stream, without its verdict if it was stopped."""
    events: list[Event] = [
        Started(seq=0, guard=guard, model="fake:m", case_key=case.key, settings={"effort": "low"})
    ]
    events += [
        ReasoningDelta(seq=seq, at_ms=seq / 2, lane="violence", text=f" token{seq}")
        for seq in range(1, deltas + 1)
    ]
    if stopped:
        return events
    violation = {Decision.ALLOW: False, Decision.BLOCK: True, Decision.ESCALATE: None}[decision]
    verdict = Verdict(
        decision,
        guard,
        Status.TRUNCATED if violation is None else Status.OK,
        score=0.25,
        policies=(
            Finding(
                "violence", violation, 0.25, Status.UNPARSABLE if violation is None else Status.OK, "why"
            ),
        ),
        model="fake:m",
        latency_ms=12.5,
    )
    return [*events, VerdictReached(seq=deltas + 1, at_ms=13.0, verdict=verdict)]


def forget_history(tracker: Tracker) -> None:
    """Delete the runs that a new database begins with; the next run has the id 1."""
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM run")
        connection.exec_driver_sql("DELETE FROM experiment")
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'run'")
