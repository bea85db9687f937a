"""What can be done with one job from the Jobs pane: to be run as its workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from app.job_facts import command_line
from app.screens.confirm import Answer, ConfirmScreen
from engine.jobs.records import Group, JobError, JobSpec, JobSummary
from engine.jobs.states import Cancelling, Paused, Queued

if TYPE_CHECKING:
    from app.screens.jobs import JobsScreen
    from engine.jobs.queue import Jobs

Result = TypeVar("Result")

_KEEP = Answer("k", "Keep its checkpoint", "r lets it go on from there later")
_DISCARD = Answer("d", "Discard its checkpoint", "what it has done so far is lost")
_PLAIN = Answer("y", "Cancel it", "a command cannot go on where it was stopped")
_NO = Answer("n", "No, let it go on")
_STILL_KEEP = Answer("n", "No, keep it")


async def ask_queue(screen: JobsScreen, work: Callable[[Jobs], Result]) -> Result | None:
    """Ask something of the queue. Where it refuses or cannot be reached, say why and return None."""
    done = await screen.ask(lambda store: screen.reader.do(store, work))
    screen.look_anew()
    if isinstance(done, JobError):
        screen.app.notify(str(done), severity="warning")
        return None
    return done


async def toggle_pause(screen: JobsScreen, job: JobSummary) -> None:
    """Pause a job, or let it go on."""
    if isinstance(job.state, Paused):
        await ask_queue(screen, lambda jobs: jobs.resume(job.id))
    else:
        await ask_queue(screen, lambda jobs: jobs.pause(job.id))


async def cancel(screen: JobsScreen, job: JobSummary) -> None:
    """Cancel a job; one that is under way only after asking."""
    if isinstance(job.state, Queued):
        if await ask_queue(screen, lambda jobs: _cancelled(jobs, job.id, keep=True)):
            screen.app.notify(f"Job {job.id} was taken out of the queue. r puts it back.")
        return
    answers = cancel_answers(job)
    if not answers:
        screen.app.notify("It is being cancelled. What does not end by itself is killed soon.")
        return
    answer = await screen.app.push_screen_wait(ConfirmScreen(f"Cancel job {job.id}?", job.name, answers))
    if answer in ("k", "d", "y"):
        await ask_queue(screen, lambda jobs: _cancelled(jobs, job.id, keep=answer != "d"))


def cancel_answers(job: JobSummary) -> Sequence[Answer]:
    """Return the ways in which a job under way can be cancelled; none if nothing is left to be decided."""
    from engine.jobs.kinds import KINDS

    kind = KINDS.get(job.kind)
    checkpoint = kind is None or bool(kind.checkpoint)
    if isinstance(job.state, Cancelling):
        return (_STILL_KEEP, _DISCARD) if checkpoint else ()
    return (_KEEP, _DISCARD, _NO) if checkpoint else (_PLAIN, _NO)


def _cancelled(jobs: Jobs, job_id: int, *, keep: bool) -> bool:
    jobs.cancel(job_id, keep=keep)
    return True


async def retry(screen: JobsScreen, job: JobSummary) -> None:
    """Queue a job again, in its place."""
    await ask_queue(screen, lambda jobs: jobs.retry(job.id))


async def run_anew(screen: JobsScreen, job: JobSummary) -> None:
    """Queue a new job like this one."""
    new = await ask_queue(screen, lambda jobs: jobs.again(job.id))
    if new is not None:
        screen.choose_job(new)
        screen.app.notify(f"Job {new} was queued: {job.id} anew.")


async def prioritise(screen: JobsScreen, job: JobSummary, by: int) -> None:
    """Have a job that waits start earlier, or later."""
    await ask_queue(screen, lambda jobs: jobs.prioritise(job.id, jobs.job(job.id).priority + by))


async def copy_command(screen: JobsScreen, job: JobSummary) -> None:
    """Copy a job's command, or where its kind has none, its parameters."""
    spec = await ask_queue(screen, lambda jobs: jobs.spec(job.id))
    if spec is not None:
        command = command_line(spec.params)
        screen.app.copy_to_clipboard(command or json.dumps(dict(spec.params), indent=2))
        screen.app.notify(f"The {'command' if command else 'parameters'} of job {job.id} was copied.")


async def fill_in(screen: JobsScreen, like: int | None = None) -> None:
    """Have the form for a new job filled in, and queue it; ``like``: a job to begin with."""
    from app.screens.new_job import NewJobScreen

    spec: JobSpec | None = None
    if like is not None:
        spec = await ask_queue(screen, lambda jobs: _known_spec(jobs, like))
        if spec is None:
            return
    job_id = await screen.app.push_screen_wait(NewJobScreen(screen.reader, spec, like))
    if job_id is not None:
        screen.choose_job(job_id)
        screen.app.notify(f"Job {job_id} was queued.")


def _known_spec(jobs: Jobs, job_id: int) -> JobSpec:
    from engine.jobs.kinds import kind_named

    spec = jobs.spec(job_id)
    kind_named(spec.kind)  # one that only a newer version knows has no form here
    return spec


async def limit_groups(screen: JobsScreen, present: str) -> None:
    """Show the groups, and set their limits."""
    from app.screens.groups import GroupsScreen

    async def read() -> Sequence[Group] | None:
        return await screen.ask(lambda store: screen.reader.jobs(store).groups())

    async def limit(name: str, at_once: int) -> None:
        await ask_queue(screen, lambda jobs: jobs.limit_group(name, at_once))

    await screen.app.push_screen_wait(GroupsScreen(read, limit, present))
