"""Reading the queue for the Jobs pane. Everything here runs on the tracker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.job_words import JobLine
from app.records import Store
from app.run_facts import RunView, read_view
from engine.disk import disk_warning
from engine.jobs.accelerators import accelerator_count
from engine.jobs.folder import RunFolder
from engine.jobs.health import STALLED_S, diverged, silent_s
from engine.jobs.queue import Jobs
from engine.jobs.records import Estimate, Group, JobError, JobSpec, JobSummary
from engine.jobs.scheduler import attend
from engine.jobs.told import Told, told
from engine.jobs.waiting import why_waiting
from engine.tracker import TrackerError
from engine.tracker.figures import duration_words
from engine.workspace import Workspace

TOLD = 300
"""The most of what a job has told that is read at a time: the last of it."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Board:
    """The queue at one moment: those under way, those that wait in the order they start in, those that are
    over, newest first. ``more``: there are older ones than these."""

    lines: tuple[JobLine, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    more: bool = False

    def line(self, job_id: int | None) -> JobLine | None:
        """Return the line of a job, or None if it is not among them."""
        return next((line for line in self.lines if line.job.id == job_id), None)

    @property
    def active(self) -> tuple[JobSummary, ...]:
        """The jobs that a supervisor has."""
        return tuple(line.job for line in self.lines if line.job.state.active)


@dataclass(frozen=True, slots=True)
class JobView:
    """One job in full: its run, with a curve, and the last of what it has told.

    ``told_before`` is the ``seq`` of the event before these, -1 where there is none.
    """

    line: JobLine
    run: RunView
    told: tuple[Told, ...]
    told_before: int


class JobBoard:
    """Reads the queue, and asks things of it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def jobs(self, store: Store) -> Jobs:
        return Jobs(store.database, self._workspace.runs, self._workspace.policies)

    def output(self, job_id: int) -> Path:
        """Return the file that a job's output is in, or will be."""
        return RunFolder(self._workspace.runs / str(job_id)).output

    def disk_trouble(self) -> str | None:
        """Return what is to be said about the disks; None where there is room."""
        return disk_warning(self._workspace.db, self._workspace.runs)

    def attend(self, store: Store) -> str | None:
        """Bring the queue up to date; return why that could not be done, or None if it was."""
        try:
            attend(self.jobs(store))
        except TrackerError as error:
            return str(error)
        except OSError as error:
            return f"The queue cannot be worked off: {error.strerror or error}. It is tried again."
        return None

    def silent(self, store: Store, running: Sequence[JobSummary]) -> dict[int, str]:
        """Return a sentence for each job that should be saying something, and does not."""
        now = time.time()
        found = {}
        jobs = self.jobs(store)
        for job in running:
            if job.state.name != "running" or job.started_at is None:
                continue
            seconds = silent_s(jobs.folder(job.id), job.started_at.timestamp(), now)
            if seconds >= STALLED_S:
                minutes = duration_words(60.0 * (seconds // 60)).removesuffix(" 0 s")
                found[job.id] = f"stalled for {minutes}: no event, no output"
        return found

    def read(self, store: Store, words: Sequence[str], most: int, silent: Mapping[int, str]) -> Board:
        """Read the queue; of the jobs that are over, the last ``most``."""
        jobs = self.jobs(store)
        live, groups = jobs.live(), jobs.groups()
        waits = why_waiting(live, groups, accelerator_count())
        active = [job.id for job in live if job.state.active]
        strayed = diverged(store.database, active) if active else {}
        shown = jobs.live(words) if words else live
        ended = jobs.ended(limit=most + 1, words=words)
        lines = [
            JobLine(job, waits.get(job.id, ""), _warnings(job, silent, strayed.get(job.id, ())))
            for job in (*shown, *ended[:most])
        ]
        return Board(tuple(lines), jobs.counts(), tuple(groups), len(ended) > most)

    def view(self, store: Store, line: JobLine, metric: str, buckets: int) -> JobView | None:
        """Read one job in full, with one of its curves; None if it is no longer there."""
        run = read_view(store, line.job.id, metric, buckets)
        if run is None:
            return None
        last = told(store.database, line.job.id, limit=TOLD + 1)
        before = last[0].seq if len(last) > TOLD else -1
        return JobView(line, run, tuple(last[-TOLD:]), before)

    def estimate(self, store: Store, spec: JobSpec) -> Estimate | JobError:
        """Return what a job would take, or why it cannot be."""
        try:
            return self.jobs(store).estimate(spec)
        except JobError as error:
            return error

    def do(self, store: Store, work: Callable[[Jobs], Result]) -> Result | JobError:
        """Ask something of the queue and attend to it; return what came of it, or why it was refused."""
        jobs = self.jobs(store)
        try:
            done = work(jobs)
        except JobError as error:
            return error
        self.attend(store)
        return done


def _warnings(job: JobSummary, silent: Mapping[int, str], strayed: Sequence[str]) -> tuple[str, ...]:
    warnings = [silent[job.id]] if job.id in silent else []
    warnings += [f"{name} is not a number" for name in strayed]
    return tuple(warnings)
