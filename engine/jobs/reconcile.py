"""Bringing the queue in line with what really happens. Imports SQLModel.

Anybody may do this, at any time and several at once: each step looks at a job's folder, takes in its
events, and stores a state only if nobody has stored it before.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from engine.jobs import supervisor
from engine.jobs.folder import Exit, RunFolder
from engine.jobs.ingest import ingest
from engine.jobs.job_rows import change, state_of, stored_state
from engine.jobs.queue import ACTIVE, Jobs
from engine.jobs.records import JobError
from engine.jobs.states import Cancelling, JobState, Lost, Paused, Queued, Running, Skipped, Starting
from engine.tracker.run_tables import JobRow, RunRow

_ACTIVE = (
    select(
        col(RunRow.id),
        col(RunRow.status),
        col(RunRow.started_at),
        col(JobRow.attempt),
        col(JobRow.cancel),
        col(JobRow.exit_code),
        col(JobRow.signal),
        col(JobRow.reason),
    )
    .join_from(JobRow, RunRow, col(RunRow.id) == col(JobRow.run_id))
    .where(col(RunRow.status).in_(ACTIVE))
    .order_by(col(RunRow.id))
)

_GONE = "Its folder was removed, or is that of another attempt: how it ended cannot be told."


def reconcile(jobs: Jobs, *, scheduling: bool = False, take_in: bool = True) -> list[int]:
    """Bring all jobs under way up to date; return the ids of those that still are under way.

    ``scheduling``: the caller is the one scheduler. Only it can tell a job whose supervisor is about to be
    started from one whose supervisor never was. ``take_in``: the events of those under way, too, not only
    of those that have ended.

    Raises:
        TrackerError: if the database cannot be read or written. Calling again goes on.
    """
    with jobs.database.reading() as connection:
        rows: list[Any] = list(connection.execute(_ACTIVE))
    return [row.id for row in rows if _under_way(jobs, row, scheduling, take_in)]


def _under_way(jobs: Jobs, row: Any, scheduling: bool, take_in: bool) -> bool:
    """Bring one job up to date; one of which nothing can be told now does not hold up the others."""
    try:
        return _settle(jobs, row, scheduling, take_in)
    except (OSError, JobError):
        return True


def _settle(jobs: Jobs, row: Any, scheduling: bool, take_in: bool) -> bool:
    """Bring one job up to date; return whether it still is under way."""
    run_id, state, attempt = row.id, state_of(row), row.attempt
    folder = jobs.folder(run_id)
    # In this order: one that was launched before it is seen not to live has ended since.
    launched = folder.launched(attempt)
    if folder.alive:
        if take_in:
            ingest(jobs.database, folder.events, run_id)
        if isinstance(state, Starting):
            _store(jobs, run_id, state, attempt, Running(), started_at=datetime.now(UTC))
        _remind(folder, attempt, state)
        return True
    end = folder.exit(attempt)
    if end is not None:
        ingest(jobs.database, folder.events, run_id, ended=True)
        _store_end(jobs, run_id, state, attempt, end)
        return False
    if not launched and not (scheduling and jobs.runs_folder.is_dir()):
        return True
    if launched or row.started_at is not None:
        folder.end_what_is_left(attempt)
        ingest(jobs.database, folder.events, run_id, ended=True)
        told = {} if launched else {"reason": _GONE}
        _store(jobs, run_id, state, attempt, Lost(), job=told, ended_at=datetime.now(UTC))
    elif isinstance(state, Cancelling):
        _store(jobs, run_id, state, attempt, Skipped("It was cancelled before it was started."))
    else:
        _store(jobs, run_id, state, attempt, Queued())
    if state == Cancelling(keep=False):
        folder.discard()
    return False


def _remind(folder: RunFolder, attempt: int, state: JobState) -> None:
    """Tell the supervisor what is wanted, where whoever stored it did not come to that.

    A job that was told to end is left to it: that may have found no room in the database.
    """
    match state:
        case Cancelling(keep):
            wanted = supervisor.CANCEL_KEEP if keep else supervisor.CANCEL_DISCARD
        case Paused():
            wanted = supervisor.PAUSE
        case _:
            wanted = supervisor.RUN
    asked = folder.asked(attempt)
    if asked != wanted and not (asked in supervisor.CANCEL and wanted not in supervisor.CANCEL):
        with suppress(OSError):
            folder.ask(attempt, wanted)


def _store_end(jobs: Jobs, run_id: int, state: JobState, attempt: int, end: Exit) -> None:
    told: dict[str, Any] = {}
    if end.cancelled is not None:
        told["cancel"] = end.cancelled
    if end.output_lost:
        told["reason"] = f"{end.output_lost:,} bytes of its output found no room on the disk."
    times = {"started_at": _moment(end.began), "ended_at": _moment(end.ended)}
    _store(jobs, run_id, state, attempt, end.state, job=told, **times)


def _store(
    jobs: Jobs,
    run_id: int,
    seen: JobState,
    attempt: int,
    new: JobState,
    *,
    job: dict[str, Any] | None = None,
    **run: Any,
) -> None:
    """Store the new state, unless the job is no longer in the one that was seen."""
    with jobs.database.writing() as connection:
        if _moved_on(connection, run_id, seen, attempt, new):
            return
        change(connection, run_id, new, job=job, run=run)


def _moved_on(connection: Connection, run_id: int, seen: JobState, attempt: int, new: JobState) -> bool:
    state, its_attempt = stored_state(connection, run_id)
    if its_attempt != attempt or not state.active:
        return True
    # What was asked for meanwhile does not change that it has ended.
    return state != seen and not new.over


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
