"""The tables. Imports SQLModel: only `engine.tracker.database` and its like import this module.

A change here needs a migration, see docs/tracker.md; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DDL, Dialect, Index, event
from sqlalchemy.types import Text, TypeDecorator
from sqlmodel import Field, SQLModel, col

from engine.tracker.encoding import load_text, store_text

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class FaithfulText(TypeDecorator[str]):
    """Any Python string, lone surrogates and NUL included."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else store_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else load_text(value)


class UtcTime(TypeDecorator[datetime]):
    """A moment, as ISO 8601 text in UTC to the microsecond: sorts as text, and people can read it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)  # by another program


def faithful_text(**options: Any) -> Any:
    """Return a column of `FaithfulText`."""
    return Field(sa_type=FaithfulText, **options)


class ProbeRow(SQLModel, table=True):
    """A judgement. ``settings`` and ``verdict`` are ASCII JSON.

    ``verdict`` leaves out the findings' reasoning, which is in the stream. The texts come last, so that
    filtering a long history need not read them.
    """

    __tablename__ = "probe"
    # An id names its probe for good, even once it is deleted.
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = Field(sa_type=UtcTime)
    source: str = faithful_text()
    guard: str = faithful_text()
    model: str | None = faithful_text()
    decision: str | None = faithful_text()
    status: str = faithful_text()
    score: float | None
    latency_ms: float
    case_key: str = faithful_text()
    settings: str = faithful_text()
    verdict: str | None = faithful_text()
    prompt: str = faithful_text()
    response: str | None = faithful_text()


# SQLite appends the id to every index entry: each of these also gives its matches in order of age.
Index("ix_probe_decision", col(ProbeRow.decision))
Index("ix_probe_guard", col(ProbeRow.guard))
Index("ix_probe_case_key", col(ProbeRow.case_key))


class ProbeStreamRow(SQLModel, table=True):
    """A judgement's events, as `pack_events` leaves them, apart from the rows that lists walk over."""

    __tablename__ = "probe_stream"

    probe_id: int = Field(primary_key=True, foreign_key="probe.id", ondelete="CASCADE")
    events: bytes


class PolicyTextRow(SQLModel, table=True):
    """A policy's text, kept once for all the probes that it was applied in."""

    __tablename__ = "policy_text"

    sha256: str = faithful_text(primary_key=True)
    text: str = faithful_text()


class ProbePolicyRow(SQLModel, table=True):
    """Which text each policy had in a probe."""

    __tablename__ = "probe_policy"

    probe_id: int = Field(primary_key=True, foreign_key="probe.id", ondelete="CASCADE")
    name: str = faithful_text(primary_key=True)
    sha256: str = faithful_text(foreign_key="policy_text.sha256", index=True)


# Finds the probes that hold given trigrams, whatever their case. It keeps neither texts nor positions,
# which makes it a fifth of its size; triggers keep it in step with the table.
SEARCH_DDL = (
    "CREATE VIRTUAL TABLE probe_search USING fts5("
    "prompt, response, content='probe', content_rowid='id', tokenize='trigram', detail=none)",
    "CREATE TRIGGER probe_search_insert AFTER INSERT ON probe BEGIN "
    "INSERT INTO probe_search(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END",
    "CREATE TRIGGER probe_search_delete AFTER DELETE ON probe BEGIN "
    "INSERT INTO probe_search(probe_search, rowid, prompt, response) "
    "VALUES ('delete', old.id, old.prompt, old.response); END",
    "CREATE TRIGGER probe_search_update AFTER UPDATE OF prompt, response ON probe BEGIN "
    "INSERT INTO probe_search(probe_search, rowid, prompt, response) "
    "VALUES ('delete', old.id, old.prompt, old.response); "
    "INSERT INTO probe_search(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END",
)
for _statement in SEARCH_DDL:
    event.listen(ProbeRow.__table__, "after_create", DDL(_statement))  # type: ignore[attr-defined,no-untyped-call]
