"""Why jobs wait, in words. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.jobs.records import Group, JobSummary


def why_waiting(live: Sequence[JobSummary], groups: Iterable[Group], accelerators: int) -> dict[int, str]:
    """Return a sentence for each job of ``live`` that waits, by its id.

    ``live`` are all jobs that are not over, ``accelerators`` is how many this machine has.
    """
    by_id = {job.id: job for job in live}
    by_name = {group.name: group for group in groups}
    free = accelerators - sum(job.accelerators for job in live if job.state.active)
    return {
        job.id: _why(job, by_id, by_name.get(job.group), accelerators, free)
        for job in live
        if job.state.name == "queued"
    }


def _why(
    job: JobSummary, live: dict[int, JobSummary], group: Group | None, accelerators: int, free: int
) -> str:
    needed = next((live[need] for need in job.needs if need in live), None)
    if needed is not None:
        return f"It needs job {needed.id}, which is {needed.state.name}."
    if group is not None and group.at_once == 0:
        return f"Its group {group.name} is held."
    if group is not None and group.active >= group.at_once:
        return f"Its group {group.name} is full: {group.active} of {group.at_once} under way."
    if job.reason:
        return job.reason
    if job.accelerators > free:
        return f"It needs {job.accelerators} accelerators; {max(free, 0)} of {accelerators} are free."
    return "It starts in a moment."
