"""The queue, opened for one command and brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, exit_code_of, say
from app.safe_text import one_line

if TYPE_CHECKING:
    from engine.jobs.queue import Jobs
    from engine.jobs.records import JobSummary

_LARGEST_ID = 2**63 - 1
_NAME = 60


def check_ids(given: int | list[int] | None) -> int | list[int] | None:
    """Refuse what is no job's number, and no number that the database could be asked for."""
    for number in [given] if isinstance(given, int) else given or ():
        if not 1 <= number <= _LARGEST_ID:
            raise typer.BadParameter(f"{number} is no job's number.")
    return given


JobId = Annotated[int, typer.Argument(metavar="ID", callback=check_ids, help="The job's number.")]
JobIds = Annotated[list[int], typer.Argument(metavar="ID...", callback=check_ids, help="The jobs' numbers.")]


@contextmanager
def open_queue(db: Path | None, policies: Path | None = None) -> Iterator[Jobs]:
    """Open the queue of a workspace; new jobs judge by ``policies``."""
    from engine.jobs.queue import Jobs
    from engine.tracker import open_tracker
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    with open_tracker(workspace.db) as tracker:
        if tracker.notice:
            say(tracker.notice)
        yield Jobs(tracker.database, workspace.runs, workspace.policies)


class Attendance:
    """Keeps the queue up to date for a command that only looks: what hinders that is said, once."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._said = ""

    def attend(self) -> None:
        """Bring the queue up to date. Where that fails, what is stored can still be looked at."""
        from engine.jobs.scheduler import attend
        from engine.tracker import TrackerError

        trouble = self._jobs.database.read_only or ""
        try:
            attend(self._jobs)
        except (OSError, TrackerError) as error:
            trouble = f"The queue could not be brought up to date: {error}"
        if trouble and trouble != self._said:
            say(f"Note: {trouble}")
        self._said = trouble


def why_waiting(jobs: Jobs) -> dict[int, str]:
    """Return why each of the jobs that wait does so, by its id."""
    from engine.jobs import waiting
    from engine.jobs.accelerators import accelerator_count

    return waiting.why_waiting(jobs.live(), jobs.groups(), accelerator_count())


def ask_of_each(jobs: Jobs, run_ids: Sequence[int], ask: Callable[[int], None]) -> int:
    """Ask something of every job, whatever becomes of the others; return the worst exit code.

    What cannot be done is said, and the queue is seen to at the end.
    """
    from engine.jobs.records import JobError
    from engine.jobs.scheduler import attend

    worst = Exit.DONE
    attend(jobs)
    for run_id in dict.fromkeys(run_ids):
        try:
            ask(run_id)
        except JobError as error:
            say(f"wizard101: {error}")
            worst = max(worst, exit_code_of(error) or Exit.FAILED)
    attend(jobs)
    return worst


def named(job: JobSummary) -> str:
    """Return how a job is called in a sentence."""
    return f"Job {job.id} ({one_line(job.name, _NAME)})"
