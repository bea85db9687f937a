"""Reading probes from their rows, and telling a row that is damaged from all others. Imports SQLModel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from engine.cases import Case, Decision, Status
from engine.tracker.encoding import load_cut_text, unpack_events
from engine.tracker.records import DAMAGED, STOPPED, PolicyVersion, Probe, ProbeSummary
from engine.tracker.schema import PolicyTextRow, ProbePolicyRow, ProbeRow, ProbeStreamRow

EXCERPT = 200
"""Length of a summary's excerpt, in code points."""

SUMMARY = (
    col(ProbeRow.id),
    col(ProbeRow.created_at),
    col(ProbeRow.source),
    col(ProbeRow.guard),
    col(ProbeRow.model),
    col(ProbeRow.settings),
    func.substr(col(ProbeRow.prompt), 1, EXCERPT).label("excerpt"),
    col(ProbeRow.decision),
    col(ProbeRow.status),
    col(ProbeRow.score),
    col(ProbeRow.latency_ms),
    col(ProbeRow.case_key),
)
"""The columns that `read_summaries` needs."""


class DamagedRow(Exception):
    """A stored value is not what it should be, though the file can be read."""


def read_summaries(connection: Connection, query: Select[Any]) -> list[ProbeSummary]:
    """Return what a query of `SUMMARY` finds. Where a row of it is damaged, each is read by itself."""
    try:
        with _telling_damage():
            return [_summary(row) for row in connection.execute(query)]
    except DamagedRow:
        ids: Any = connection.execute(query.with_only_columns(col(ProbeRow.id))).scalars().all()
        return [_summary_by_itself(connection, probe_id) for probe_id in ids]


def read_probe(connection: Connection, probe_id: int) -> Probe | None:
    """Return the judgement in full, or None if there is none by that id.

    Raises:
        DamagedRow: if what is stored is no judgement.
    """
    query = (
        select(*SUMMARY, col(ProbeRow.prompt), col(ProbeRow.response), col(ProbeStreamRow.events))
        .join(ProbeStreamRow, col(ProbeStreamRow.probe_id) == col(ProbeRow.id))
        .where(col(ProbeRow.id) == probe_id)
    )
    texts = (
        select(col(ProbePolicyRow.name), col(PolicyTextRow.sha256), col(PolicyTextRow.text))
        .join(PolicyTextRow, col(PolicyTextRow.sha256) == col(ProbePolicyRow.sha256))
        .where(col(ProbePolicyRow.probe_id) == probe_id)
    )
    with _telling_damage():
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        versions = [PolicyVersion(*version) for version in connection.execute(texts)]
        return Probe(
            _summary(row),
            Case(row.prompt, row.response),
            unpack_events(row.events),
            {version.sha256: version for version in versions},
        )


@contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if hasattr(error.orig, "sqlite_errorcode"):
            raise
        raise DamagedRow(str(error.orig)) from error  # sqlite3's own finding: a text that is not UTF-8
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedRow(str(error)) from error


def _summary(row: Row[Any]) -> ProbeSummary:
    settings = json.loads(row.settings)
    if not isinstance(settings, dict):
        raise TypeError("its settings are no object")
    if not isinstance(row.score, float | None) or not isinstance(row.latency_ms, float):
        raise TypeError("its score or its latency is no number")
    return ProbeSummary(
        id=row.id,
        created_at=row.created_at,
        source=row.source,
        guard=row.guard,
        model=row.model,
        settings=settings,
        excerpt=load_cut_text(row.excerpt),
        decision=_decision(row.decision, row.status),
        status=row.status,
        score=row.score,
        latency_ms=row.latency_ms,
        case_key=row.case_key,
    )


def _decision(decision: str | None, status: str) -> Decision | None:
    """Return the decision, if it is one that goes with the status: a failure is never "safe"."""
    if decision is None:
        if status != STOPPED:
            raise ValueError("it has no decision, and was not stopped")
        return None
    decided, how = Decision(decision), Status(status)
    if decided is Decision.ALLOW and how is not Status.OK:
        raise ValueError(f"it allows, and its status is {how}")
    return decided


def _summary_by_itself(connection: Connection, probe_id: int) -> ProbeSummary:
    try:
        with _telling_damage():
            return _summary(connection.execute(select(*SUMMARY).where(col(ProbeRow.id) == probe_id)).one())
    except DamagedRow:
        return ProbeSummary(
            id=probe_id,
            created_at=datetime.fromtimestamp(0, UTC),
            source="",
            guard="",
            model=None,
            settings={},
            excerpt="",
            decision=None,
            status=DAMAGED,
            score=None,
            latency_ms=0.0,
            case_key="",
        )
