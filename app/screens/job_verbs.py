"""What can be asked of the queue, and of one of its jobs, from a screen that shows them."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from app.job_board import JobBoard
from app.job_facts import command_line
from app.job_words import JobLine
from app.screens.confirm import Answer, ConfirmScreen
from app.screens.live import LiveScreen
from engine.jobs.records import DEFAULT_GROUP, Group, JobError, JobSpec, JobSummary
from engine.jobs.states import Cancelling, Paused, Queued

if TYPE_CHECKING:
    from engine.jobs.queue import Jobs

Result = TypeVar("Result")

_KEEP = Answer("k", "Keep its checkpoint", "r lets it go on from there later")
_DISCARD = Answer("d", "Discard its checkpoint", "what it has done so far is lost")
_PLAIN = Answer("y", "Cancel it", "a command cannot go on where it was stopped")
_NO = Answer("n", "No, let it go on")
_STILL_KEEP = Answer("n", "No, keep it")


class JobVerbs(LiveScreen):
    """The verbs, each as the action of its name. Those of one job are for the chosen one."""

    @cached_property
    def reader(self) -> JobBoard:
        """Who reads the queue."""
        return JobBoard(self.wizard.workspace)

    @property
    @abstractmethod
    def line(self) -> JobLine | None:
        """The chosen job."""

    @abstractmethod
    def choose_job(self, job_id: int) -> None:
        """Choose a job, as soon as it is listed."""

    @property
    def _job(self) -> JobSummary:
        assert self.line is not None
        return self.line.job

    async def _ask_queue(self, work: Callable[[Jobs], Result]) -> Result | None:
        """Ask something of the queue. Where it refuses or cannot be reached, say why and return None."""
        done = await self.ask(lambda store: self.reader.do(store, work))
        self.look_anew()
        if isinstance(done, JobError):
            self.app.notify(str(done), severity="warning")
            return None
        return done

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        self.run_worker(work, group="verb")

    # --- at once -------------------------------------------------------------------------------------

    def do_toggle_pause(self) -> None:
        job_id, paused = self._job.id, isinstance(self._job.state, Paused)
        self._begin(self._ask_queue(lambda jobs: jobs.resume(job_id) if paused else jobs.pause(job_id)))

    def do_retry_job(self) -> None:
        job_id = self._job.id
        self._begin(self._ask_queue(lambda jobs: jobs.retry(job_id)))

    def do_raise_priority(self) -> None:
        self._prioritise(1)

    def do_lower_priority(self) -> None:
        self._prioritise(-1)

    def _prioritise(self, by: int) -> None:
        job_id = self._job.id
        self._begin(self._ask_queue(lambda jobs: jobs.prioritise(job_id, jobs.job(job_id).priority + by)))

    def do_run_anew(self) -> None:
        self._begin(self._run_anew(self._job.id))

    async def _run_anew(self, job_id: int) -> None:
        new = await self._ask_queue(lambda jobs: jobs.again(job_id))
        if new is not None:
            self.choose_job(new)
            self.app.notify(f"Job {new} was queued: {job_id} anew.")

    # --- by a dialog ---------------------------------------------------------------------------------

    def do_cancel_job(self) -> None:
        self.begin_dialog(self._cancel(self._job))

    async def _cancel(self, job: JobSummary) -> None:
        """Cancel a job; one that is under way only after asking."""
        if isinstance(job.state, Queued):
            if await self._ask_queue(lambda jobs: _cancelled(jobs, job.id, keep=True)):
                self.app.notify(f"Job {job.id} was taken out of the queue. r puts it back.")
            return
        answers = _cancel_answers(job)
        if not answers:
            self.app.notify("It is being cancelled. What does not end by itself is killed soon.")
            return
        answer = await self.app.push_screen_wait(ConfirmScreen(f"Cancel job {job.id}?", job.name, answers))
        if answer in ("k", "d", "y"):
            await self._ask_queue(lambda jobs: _cancelled(jobs, job.id, keep=answer != "d"))

    def do_new_job(self) -> None:
        self.begin_dialog(self._fill_in())

    def do_change_job(self) -> None:
        self.begin_dialog(self._fill_in(self._job.id))

    async def _fill_in(self, like: int | None = None) -> None:
        """Have the form for a new job filled in, and queue it; ``like``: a job to begin with."""
        from app.screens.new_job import NewJobScreen

        spec: JobSpec | None = None
        if like is not None:
            spec = await self._ask_queue(lambda jobs: _known_spec(jobs, like))
            if spec is None:
                return
        job_id = await self.app.push_screen_wait(NewJobScreen(self.reader, spec, like))
        if job_id is not None:
            self.choose_job(job_id)
            self.app.notify(f"Job {job_id} was queued.")

    def do_limit_groups(self) -> None:
        self.begin_dialog(self._limit_groups(self.line.job.group if self.line else DEFAULT_GROUP))

    async def _limit_groups(self, present: str) -> None:
        """Show the groups, and set their limits."""
        from app.screens.groups import GroupsScreen

        async def read() -> Sequence[Group] | None:
            return await self.ask(lambda store: self.reader.jobs(store).groups())

        async def limit(name: str, at_once: int) -> None:
            await self._ask_queue(lambda jobs: jobs.limit_group(name, at_once))

        await self.app.push_screen_wait(GroupsScreen(read, limit, present))

    # --- elsewhere -----------------------------------------------------------------------------------

    def do_open_run(self) -> None:
        self.wizard.show_run(self._job.id)

    def do_copy_id(self) -> None:
        self.app.copy_to_clipboard(str(self._job.id))
        self.app.notify(f"The number {self._job.id} was copied.")

    def do_copy_command(self) -> None:
        self._begin(self._copy_command(self._job.id))

    async def _copy_command(self, job_id: int) -> None:
        """Copy a job's command, or where its kind has none, its parameters."""
        spec = await self._ask_queue(lambda jobs: jobs.spec(job_id))
        if spec is not None:
            command = command_line(spec.params)
            self.app.copy_to_clipboard(command or json.dumps(dict(spec.params), indent=2))
            self.app.notify(f"The {'command' if command else 'parameters'} of job {job_id} was copied.")


def _cancel_answers(job: JobSummary) -> Sequence[Answer]:
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


def _known_spec(jobs: Jobs, job_id: int) -> JobSpec:
    from engine.jobs.kinds import kind_named

    spec = jobs.spec(job_id)
    kind_named(spec.kind)  # one that only a newer version knows has no form here
    return spec
