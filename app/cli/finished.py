"""Commands that queue one job and wait for what it has to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.cli.exits import say
from app.cli.job_ends import tell_ends, wait_for
from app.cli.job_kinds import Wishes
from app.cli.job_queue import named, open_queue
from app.cli.jobs import add_job, added

if TYPE_CHECKING:
    from engine.jobs.folder import RunFolder
    from engine.jobs.records import JobSpec


def when_finished(spec: JobSpec, wishes: Wishes, then: Callable[[int, RunFolder], int]) -> int:
    """Queue a job, wait for it, and do what there is to do with its number and folder if it succeeded.

    An interrupt leaves the job running. Returns the exit code.
    """
    if wishes.estimate:
        return add_job(spec, wishes)
    with open_queue(wishes.db, wishes.policies) as jobs:
        job = added(jobs, spec)
        say(f"{named(job)} is queued.")
        try:
            (job,) = wait_for(jobs, [job.id])
        except KeyboardInterrupt:
            say(f"\nJob {job.id} goes on. 'wizard101 jobs cancel {job.id}' ends it.")
            raise
        if job.state.name != "succeeded":
            code = tell_ends(jobs, [job])
            say(f"What is judged is kept: 'wizard101 jobs resume {job.id}' goes on from there.")
            return code
        folder = jobs.folder(job.id)
    return then(job.id, folder)
