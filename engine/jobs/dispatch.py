"""Deciding which jobs start now, and starting them. Only the scheduler does this. Imports SQLModel."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, text, update
from sqlmodel import col

from engine.jobs.accelerators import accelerator_count
from engine.jobs.job_rows import change, stored_state
from engine.jobs.queue import AT_ONCE, SKIPPED_FOR_ANOTHER, Jobs
from engine.jobs.reconcile import reconcile
from engine.jobs.scheduler import anything_left
from engine.jobs.states import Failed, Queued, Skipped, Starting
from engine.tracker.provenance import provenance
from engine.tracker.run_records import Provenance
from engine.tracker.run_tables import JobRow
from engine.tracker.run_writing import provenance_values
from engine.tracker.watch import Watch

TAKE_IN_S = 0.5
"""How often the events of jobs under way are taken in."""

LOOK_S = 2.0
"""How often the queue is looked at though nobody has changed it: a full disk may have got room."""

_PROVENANCE_S = 2.0
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)

_DOOMED = text("""
    SELECT job_need.run_id, job_need.needs_id, needed.status
    FROM job_need
    JOIN run AS waiting ON waiting.id = job_need.run_id
    JOIN run AS needed ON needed.id = job_need.needs_id
    WHERE waiting.status = 'queued' AND needed.status IN ('failed', 'killed', 'lost', 'skipped')
    ORDER BY job_need.run_id
""")

_READY = text("""
    SELECT run.id, job.attempt, job.group_name, job.accelerators, job.reason
    FROM run JOIN job ON job.run_id = run.id
    WHERE run.status = 'queued' AND NOT EXISTS (
        SELECT 1 FROM job_need JOIN run AS needed ON needed.id = job_need.needs_id
        WHERE job_need.run_id = run.id AND needed.status <> 'succeeded'
    )
    ORDER BY job.priority DESC, run.id
""")

_IN_USE = text("""
    SELECT job.group_name, count(*), sum(job.accelerators)
    FROM run JOIN job ON job.run_id = run.id
    WHERE run.status IN ('starting', 'running', 'paused', 'cancelling')
    GROUP BY job.group_name
""")


@dataclass(slots=True)
class _Room:
    """What is free: places in each group, and accelerators."""

    limits: dict[str, int]
    used: dict[str, int]
    accelerators: int
    free: int

    def take(self, group: str, accelerators: int) -> bool:
        """Take a place and accelerators, if there are as many.

        Where a job has a place and too few accelerators are free, these are kept for it: otherwise small
        jobs could pass a large one for ever.
        """
        used = self.used.get(group, 0)
        if used >= self.limits.get(group, AT_ONCE):
            return False
        if accelerators > self.free:
            self.free = 0
            return False
        self.used[group] = used + 1
        self.free -= accelerators
        return True


class Dispatcher:
    """Starts jobs in the order of their priority, then of their age, as far as groups have room."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._watch = Watch(jobs.database)
        self._active: list[int] = []
        self._left = True
        self._took_in = 0.0
        self._looked = 0.0
        self._rest_until = 0.0
        self._surroundings: dict[Path, tuple[float, Provenance]] = {}

    def close(self) -> None:
        """Give up what it holds of the database."""
        self._watch.close()

    def step(self) -> bool:
        """Bring the queue up to date and start what may start; return whether any job is left.

        Raises:
            TrackerError: if the database cannot be used. Calling again goes on.
        """
        now = time.monotonic()
        take_in = now - self._took_in >= TAKE_IN_S
        active = reconcile(self._jobs, scheduling=True, take_in=take_in)
        if take_in:
            self._took_in = now
        if self._watch.changed() or active != self._active or now - self._looked >= LOOK_S:
            self._looked = now
            self._skip_doomed()
            active = [*active, *self._start_what_fits()]
            self._left = bool(active) or anything_left(self._jobs.database.path)
        self._active = active
        return self._left

    def _skip_doomed(self) -> None:
        """Skip what needs a job that did not succeed, and then what needs what was skipped."""
        while True:
            with self._jobs.database.reading() as connection:
                doomed = connection.execute(_DOOMED).all()
            if not doomed:
                return
            with self._jobs.database.writing() as connection:
                for run_id, needs_id, status in doomed:
                    state, _ = stored_state(connection, run_id)
                    if isinstance(state, Queued):
                        why = f"{SKIPPED_FOR_ANOTHER}{needs_id}, which is {status}."
                        change(connection, run_id, Skipped(why), run={"ended_at": datetime.now(UTC)})

    def _start_what_fits(self) -> list[int]:
        if time.monotonic() < self._rest_until:
            return []
        with self._jobs.database.reading() as connection:
            ready = connection.execute(_READY).all()
            if not ready:
                return []
            in_use = connection.execute(_IN_USE).all()
        limits = {group.name: group.at_once for group in self._jobs.groups()}
        used = {name: count for name, count, _ in in_use}
        accelerators = accelerator_count()
        room = _Room(limits, used, accelerators, max(0, accelerators - sum(taken for *_, taken in in_use)))
        chosen = []
        for row in ready:
            if row.accelerators > room.accelerators:
                said = f"It needs {row.accelerators} accelerators; this machine has {room.accelerators}."
                self._say(row.id, row.reason, said)
            elif room.take(row.group_name, row.accelerators):
                chosen.append((row.id, row.attempt))
        return self._start(chosen)

    def _start(self, chosen: Sequence[tuple[int, int]]) -> list[int]:
        if not chosen:
            return []
        surroundings = {run_id: self._provenance(run_id) for run_id, _ in chosen}
        claimed = []
        with self._jobs.database.writing() as connection:
            for run_id, attempt in chosen:
                if stored_state(connection, run_id) == (Queued(), attempt):
                    told = provenance_values(surroundings[run_id])
                    told.pop("seeds")  # the kind's own to tell
                    change(connection, run_id, Starting(), run=told, job={"reason": ""})
                    claimed.append((run_id, attempt))
        return [run_id for run_id, attempt in claimed if self._launch(run_id, attempt)]

    def _launch(self, run_id: int, attempt: int) -> bool:
        try:
            self._jobs.folder(run_id).launch(attempt)
        except OSError as error:
            passing = error.errno in _PASSING
            if passing and not isinstance(error, BlockingIOError):  # that would be this job's alone
                self._rest_until = time.monotonic() + LOOK_S
            why = f"It cannot be started: {error.strerror or error}."
            with self._jobs.database.writing() as connection:
                state, _ = stored_state(connection, run_id)
                if not isinstance(state, Starting):
                    return True
                job = {"reason": why}
                if passing:
                    change(connection, run_id, Queued(), job=job)
                else:
                    change(connection, run_id, Failed(1), job=job, run={"ended_at": datetime.now(UTC)})
            return False
        return True

    def _provenance(self, run_id: int) -> Provenance:
        """Return where the job runs; asked for again only after a while, as it takes a process."""
        try:
            cwd = Path(str(self._jobs.folder(run_id).spec().get("cwd", "/")))
        except (OSError, ValueError):
            return Provenance()
        now = time.monotonic()
        asked, known = self._surroundings.get(cwd, (float("-inf"), Provenance()))
        if now - asked > _PROVENANCE_S:
            known = provenance(cwd)
            self._surroundings = {cwd: (now, known)}
        return known

    def _say(self, run_id: int, before: str, reason: str) -> None:
        if reason == before:
            return
        with self._jobs.database.writing() as connection:
            _set_reason(connection, run_id, reason)


def _set_reason(connection: Connection, run_id: int, reason: str) -> None:
    connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(reason=reason))
