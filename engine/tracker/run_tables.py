"""The tables of experiments, runs and jobs. Imports SQLModel; a change here needs a migration.

A run is one recorded execution. A job is the queue's side of a run that this program executes: it has
the run's id, and a run that was imported or published has none.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel, col

from engine.tracker.schema import UtcTime, faithful_text

# "Reported" runs are claims: what they say was not measured by this program.
_STATUSES = (
    "status IN ('queued', 'starting', 'running', 'paused', 'cancelling', "
    "'succeeded', 'failed', 'killed', 'lost', 'skipped', 'reported', 'in progress', 'planned')"
)


class ExperimentRow(SQLModel, table=True):
    """A named group of runs."""

    __tablename__ = "experiment"

    id: int | None = Field(default=None, primary_key=True)
    name: str = faithful_text(unique=True)
    note: str = faithful_text()
    created_at: datetime = Field(sa_type=UtcTime)


class RunRow(SQLModel, table=True):
    """An execution. ``params``, ``packages``, ``seeds`` and ``summary`` are ASCII JSON objects."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint(_STATUSES, name="status_known"),
        CheckConstraint("origin IN ('measured', 'imported', 'paper')", name="origin_known"),
        CheckConstraint(
            "(origin = 'measured') = (status NOT IN ('reported', 'in progress', 'planned'))",
            name="only_claims_are_reported",
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    experiment_id: int | None = Field(default=None, foreign_key="experiment.id", index=True)
    name: str = faithful_text(index=True)
    kind: str = faithful_text(index=True)
    origin: str = faithful_text()
    status: str = faithful_text(index=True)
    created_at: datetime = Field(sa_type=UtcTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
    host: str | None = faithful_text(default=None)
    git_revision: str | None = faithful_text(default=None)
    git_dirty: bool | None = None
    cost_usd: float | None = None
    params: str = faithful_text()
    packages: str = faithful_text()
    seeds: str = faithful_text()
    summary: str = faithful_text()
    source: str = faithful_text()
    note: str = faithful_text()


class JobRow(SQLModel, table=True):
    """The queue's side of a run: what it needs, what was asked of it, how far it is, how it ended.

    ``exit_code`` belongs to failed jobs and ``signal`` to killed ones, and to no others. ``events_*`` is
    how far the event file has been taken in; see `engine.jobs.ingest`.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("cancel IS NULL OR cancel IN ('keep', 'discard')", name="cancel_known"),
        CheckConstraint("exit_code IS NULL OR signal IS NULL", name="one_end"),
    )

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    priority: int
    group_name: str = faithful_text()
    accelerators: int
    attempt: int
    cancel: str | None = faithful_text(default=None)
    exit_code: int | None = None
    signal: int | None = None
    reason: str = faithful_text()
    retry_of: int | None = Field(default=None, foreign_key="run.id")
    phase: str = faithful_text()
    done: int | None = None
    total: int | None = None
    unit: str = faithful_text()
    rate: float | None = None
    progressed_at_ms: float | None = None
    events_offset: int
    events_seq: int
    events_skipped: int
    events_check: int


class JobNeedRow(SQLModel, table=True):
    """A job that may start only once another has succeeded."""

    __tablename__ = "job_need"

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    needs_id: int = Field(primary_key=True, foreign_key="run.id", index=True)


class JobGroupRow(SQLModel, table=True):
    """How many jobs of a group may run at once."""

    __tablename__ = "job_group"

    name: str = faithful_text(primary_key=True)
    at_once: int


class MetricNameRow(SQLModel, table=True):
    """A metric's name, kept once."""

    __tablename__ = "metric_name"

    id: int | None = Field(default=None, primary_key=True)
    name: str = faithful_text(unique=True)


class MetricRow(SQLModel, table=True):
    """A point of a curve, beside its neighbours. ``value`` is NULL where it was not a number."""

    __tablename__ = "metric"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    name_id: int = Field(primary_key=True)
    step: int = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at_ms: float
    value: float | None


class RunEventRow(SQLModel, table=True):
    """An event of a job that is neither a metric nor superseded by the next: logs, beginnings, ends."""

    __tablename__ = "run_event"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    at_ms: float
    body: str = faithful_text()


class ArtifactRow(SQLModel, table=True):
    """A file or folder that a run made; the path is relative to the run's folder where it lies in it."""

    __tablename__ = "artifact"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    path: str = faithful_text(primary_key=True)
    role: str = faithful_text()
    sha256: str = faithful_text()


class LineageRow(SQLModel, table=True):
    """What a run was made from: data, a model, a policy (by hash), or another run (``parent_id``)."""

    __tablename__ = "lineage"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    role: str = faithful_text(primary_key=True)
    name: str = faithful_text(primary_key=True)
    sha256: str | None = faithful_text(default=None)
    parent_id: int | None = Field(default=None, foreign_key="run.id", index=True)


class ResultRow(SQLModel, table=True):
    """A figure that a run ended with. ``low`` and ``high`` bound its 95 % interval over ``n`` items."""

    __tablename__ = "result"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    name: str = faithful_text(primary_key=True)
    value: float
    n: int | None = None
    low: float | None = None
    high: float | None = None


class TagRow(SQLModel, table=True):
    """A word somebody filed a run under."""

    __tablename__ = "tag"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: int = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    name: str = faithful_text(primary_key=True, index=True)


Index("ix_result_name_value", col(ResultRow.name), col(ResultRow.value))
Index("ix_lineage_sha256", col(LineageRow.sha256))
