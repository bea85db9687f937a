"""Jobs as rows: reading them, and the one way their state changes. Imports SQLModel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlmodel import col

from engine.jobs.records import JobError, JobSummary
from engine.jobs.states import (
    STATES,
    Cancelling,
    Failed,
    IllegalTransition,
    JobState,
    Killed,
    Lost,
    Skipped,
    check,
)
from engine.tracker.run_tables import ExperimentRow, JobNeedRow, JobRow, RunRow

_STATE_COLUMNS = (
    col(RunRow.status),
    col(JobRow.attempt),
    col(JobRow.cancel),
    col(JobRow.exit_code),
    col(JobRow.signal),
    col(JobRow.reason),
)
_SUMMARY: Any = (
    select(
        col(RunRow.id),
        col(RunRow.name),
        col(RunRow.kind),
        col(ExperimentRow.name).label("experiment"),
        col(RunRow.created_at),
        col(RunRow.started_at),
        col(RunRow.ended_at),
        col(RunRow.cost_usd),
        *_STATE_COLUMNS,
        *(
            col(getattr(JobRow, name))
            for name in ("group_name", "priority", "accelerators", "phase", "done", "total", "unit")
        ),
        col(JobRow.rate),
        col(JobRow.events_skipped),
        col(JobRow.retry_of),
    )
    .join_from(JobRow, RunRow, col(RunRow.id) == col(JobRow.run_id))
    .join(ExperimentRow, col(ExperimentRow.id) == col(RunRow.experiment_id), isouter=True)
)


def insert_job(
    connection: Connection,
    run_id: int,
    *,
    group: str,
    priority: int,
    accelerators: int,
    retry_of: int | None,
    attempt: int = 1,
    cancel: str | None = None,
    reason: str = "",
) -> None:
    """Insert the queue's side of a run, of whose events none has been taken in."""
    connection.execute(
        insert(JobRow).values(
            run_id=run_id,
            priority=priority,
            group_name=group,
            accelerators=accelerators,
            attempt=attempt,
            cancel=cancel,
            reason=reason,
            retry_of=retry_of,
            phase="",
            unit="",
            events_offset=0,
            events_seq=-1,
            events_skipped=0,
            events_check=0,
        )
    )


def jobs_selected() -> Any:
    """Return the query that `summaries` reads the rows of; add conditions and an order to it."""
    return _SUMMARY


def summaries(connection: Connection, query: Select[Any]) -> list[JobSummary]:
    """Return the jobs of a query made from `jobs_selected`."""
    rows = connection.execute(query).all()
    needs = _needs(connection, [row.id for row in rows])
    return [
        JobSummary(
            id=row.id,
            name=row.name,
            kind=row.kind,
            state=state_of(row),
            experiment=row.experiment,
            group=row.group_name,
            priority=row.priority,
            accelerators=row.accelerators,
            attempt=row.attempt,
            needs=needs.get(row.id, ()),
            created_at=row.created_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            phase=row.phase,
            done=row.done,
            total=row.total,
            unit=row.unit,
            rate=row.rate,
            cost_usd=row.cost_usd,
            cancel=row.cancel,
            reason=row.reason,
            skipped_lines=row.events_skipped,
            retry_of=row.retry_of,
        )
        for row in rows
    ]


def _needs(connection: Connection, run_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    links = select(col(JobNeedRow.run_id), col(JobNeedRow.needs_id)).where(
        col(JobNeedRow.run_id).in_(run_ids)
    )
    for run_id, needs_id in connection.execute(links.order_by(col(JobNeedRow.needs_id))):
        found[run_id] = (*found.get(run_id, ()), needs_id)
    return found


def state_of(row: Any) -> JobState:
    """Return the state that the columns of a job and its run describe."""
    kind = STATES[row.status]
    if kind is Failed:
        return Failed(row.exit_code)
    if kind is Killed:
        return Killed(row.signal)
    if kind is Cancelling:
        return Cancelling(keep=row.cancel == "keep")
    return Skipped(row.reason) if kind is Skipped else kind()


def stored_state(connection: Connection, run_id: int) -> tuple[JobState, int]:
    """Return a job's state and attempt.

    Raises:
        JobError: if there is no such job.
    """
    found = select(*_STATE_COLUMNS).join_from(JobRow, RunRow, col(RunRow.id) == col(JobRow.run_id))
    row = connection.execute(found.where(col(JobRow.run_id) == run_id)).one_or_none()
    if row is None:
        raise JobError(f"There is no job {run_id}.", "'wizard101 jobs list' shows them.")
    return state_of(row), row.attempt


def change(
    connection: Connection,
    run_id: int,
    new: JobState,
    *,
    run: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
) -> None:
    """Put a job into another state, with further columns of its two rows.

    Raises:
        JobError: if there is no such job, or its state may not be followed by the new one.
    """
    old, _ = stored_state(connection, run_id)
    try:
        check(old, new)
    except IllegalTransition as error:
        raise JobError(f"Job {run_id} is {old.name}: it cannot become {new.name}.") from error
    job_columns: dict[str, Any] = {"exit_code": None, "signal": None, **(job or {})}
    match new:
        case Failed(code):
            job_columns["exit_code"] = code
        case Killed(number):
            job_columns["signal"] = number
        case Cancelling(keep):
            job_columns["cancel"] = "keep" if keep else "discard"
        case Skipped(why):
            job_columns["reason"] = why
        case Lost():
            job_columns.setdefault("reason", "Its supervisor vanished without a word; nothing of it is left.")
    connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(status=new.name, **(run or {})))
    connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(**job_columns))
