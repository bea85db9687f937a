"""Why jobs wait, in words. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.jobs.records import Group, JobSummary


def why_waiting(live: Sequence[JobSummary], groups: Iterable[Group], accelerators: int) -> dict[int, str]:
    """Return a sentence for each job of ``live`` that waits, by its id.

    ``live`` are all jobs that are not over, in the order they would start in; ``accelerators`` is how many
    this machine has.
    """
    by_id = {job.id: job for job in live}
    by_name = {group.name: group for group in groups}
    free = accelerators - sum(job.accelerators for job in live if job.state.active)
    reasons: dict[int, str] = {}
    first: JobSummary | None = None
    for job in live:
        if job.state.name != "queued":
            continue
        why = _other_jobs(job, by_id, by_name.get(job.group)) or job.reason
        if not why and first is not None and job.accelerators:
            why = f"The free accelerators are kept for job {first.id}, which needs {first.accelerators}."
        elif not why and job.accelerators > free:
            why = f"It needs {job.accelerators} accelerators; {max(free, 0)} of {accelerators} are free."
            first = job if job.accelerators <= accelerators else None
        reasons[job.id] = why or "It starts in a moment."
    return reasons


def _other_jobs(job: JobSummary, live: dict[int, JobSummary], group: Group | None) -> str:
    """Return which other jobs a job waits for, if it does."""
    needed = next((live[need] for need in job.needs if need in live), None)
    if needed is not None:
        return f"It needs job {needed.id}, which is {needed.state.name}."
    if group is not None and group.at_once == 0:
        return f"Its group {group.name} is held."
    if group is not None and group.active >= group.at_once:
        return f"Its group {group.name} is full: {group.active} of {group.at_once} under way."
    return ""
