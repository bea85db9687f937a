"""What can be asked of a job, when, and why not. Standard library only."""

from __future__ import annotations

from engine.jobs.records import JobSummary
from engine.jobs.states import Cancelling, Paused, Queued, Running, Succeeded

_ORDERED = ("raise_priority", "lower_priority")


def why_not(name: str, job: JobSummary) -> str | None:
    """Return why an action cannot be done with a job, or None if it can."""
    state = job.state
    match name:
        case "toggle_pause" if state.over:
            return f"It is over: {job.outcome}."
        case "toggle_pause" if isinstance(state, Queued):
            return "It has not started. g holds its whole group."
        case "toggle_pause" if not isinstance(state, Running | Paused):
            return f"It is {state.name}."
        case "cancel_job" if state.over:
            return f"It is over already: {job.outcome}."
        case "cancel_job" if isinstance(state, Cancelling) and not state.keep:
            return "It is being cancelled already, and its checkpoint discarded."
        case "retry_job" if isinstance(state, Succeeded):
            return "It has succeeded. a runs it anew, as a job of its own."
        case "retry_job" if not state.over:
            return f"It has not ended: it is {state.name}."
        case _ if name in _ORDERED and not isinstance(state, Queued):
            return "Only jobs that wait have an order."
    return None
