"""Waiting for jobs, and telling how they ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.cli.exits import Exit, say
from app.cli.job_queue import Attendance, named, why_waiting

if TYPE_CHECKING:
    from engine.jobs.queue import Jobs
    from engine.jobs.records import JobSummary
    from engine.jobs.told import Told

_SOONEST_S, _LATEST_S = 0.1, 1.0
_SLOWER = 1.3
_WIDTH = 80


class OutOfTime(Exception):
    """Not all jobs were over in time; ``waiting`` are those that were not."""

    def __init__(self, waiting: Sequence[JobSummary]) -> None:
        super().__init__("not all jobs were over in time")
        self.waiting = waiting


def wait_for(jobs: Jobs, run_ids: Sequence[int], *, within_s: float | None = None) -> list[JobSummary]:
    """Wait until all of these jobs are over, seeing to it that the queue goes on; return them.

    Looks are the rarer, the longer it takes. On a terminal a line says how the jobs stand.

    Raises:
        JobError: if there is no such job.
        OutOfTime: if they are not over ``within_s`` seconds.
    """
    attendance = Attendance(jobs)
    deadline = None if within_s is None else time.monotonic() + within_s
    pause = _SOONEST_S
    with StatusLine() as line:
        while True:
            attendance.attend()
            found = [jobs.job(run_id) for run_id in run_ids]
            waiting = [job for job in found if not job.state.over]
            if not waiting:
                return found
            left = float("inf") if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise OutOfTime(waiting)
            if line.here:
                line.show(_standing(jobs, found))
            time.sleep(min(pause, left))
            pause = min(pause * _SLOWER, _LATEST_S)


class StatusLine:
    """A line at the bottom of the terminal that says how things stand. ``here``: there is a terminal."""

    def __init__(self) -> None:
        self.here = sys.stderr.isatty()
        self._shown = ""

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """Say how things stand now; nothing, where there is nobody to read it."""
        if self.here and text != self._shown:
            from rich.cells import set_cell_size

            from app.cli.tables import room

            width = (room() or _WIDTH) - 1
            print(f"\r\x1b[K{set_cell_size(text, width).rstrip()}", end="", file=sys.stderr, flush=True)
            self._shown = text


def _standing(jobs: Jobs, found: Sequence[JobSummary]) -> str:
    """Return how many jobs are over, and how the first of the others stands."""
    from app.cli.job_tables import standing

    waiting = [job for job in found if not job.state.over]
    first = waiting[0]
    why = why_waiting(jobs).get(first.id, "") if first.state.name == "queued" else ""
    return f"{len(found) - len(waiting)} of {len(found)} over · {standing(first, why)}"


def tell_ends(jobs: Jobs, ended: Sequence[JobSummary]) -> int:
    """Say of each job that did not succeed how it ended, and why; return the exit code for all of them.

    That is 3 only if back ends could not be reached and nothing else was wrong.
    """
    codes = set()
    for job in ended:
        if job.state.name == "succeeded":
            continue
        failure = failure_of(jobs, job)
        body = {} if failure is None else failure.body
        told = [str(body[part]) for part in ("message", "kept", "hint") if body.get(part)] or [job.reason]
        say(" ".join(filter(None, [f"{named(job)}: {job.outcome}.", *told])))
        if jobs.folder(job.id).output.exists():
            say(f"'wizard101 jobs logs {job.id}' shows what it printed.")
        codes.add(Exit.UNREACHABLE if body.get("unreachable") else Exit.FAILED)
    return Exit.FAILED if Exit.FAILED in codes else max(codes, default=Exit.DONE)


def failure_of(jobs: Jobs, job: JobSummary) -> Told | None:
    """Return the event in which the last attempt of a job says why it failed, if it did."""
    from engine.jobs.told import told

    if job.state.name != "failed":
        return None
    last = told(jobs.database, job.id, limit=1)
    return last[0] if last and last[0].body.get("event") == "failed" else None
