"""Reading curves, reduced by the database, and the names of the metrics a run has. Imports SQLModel."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, text
from sqlmodel import col

from engine.tracker.encoding import load_text
from engine.tracker.run_records import Bucket
from engine.tracker.run_tables import MetricNameRow

ENDS_SQL = """
    SELECT (SELECT min(step) FROM metric WHERE run_id = ?1 AND name_id = ?2),
           (SELECT max(step) FROM metric WHERE run_id = ?1 AND name_id = ?2)
"""
"""The first and last step of a curve: one seek each, where both in one SELECT would read all of it."""

BUCKET_SQL = """
    SELECT max(step), min(value), max(value), avg(value), count(*) FROM metric
    WHERE run_id = ? AND name_id = ? AND step BETWEEN ? AND ?
"""
"""A stretch of a curve as one point. The stretches of a curve read it once, in order, without a sort."""

METRICS_SEEN = """
    WITH RECURSIVE seen(run_id, name_id) AS (
        SELECT run.id, (SELECT min(name_id) FROM metric WHERE metric.run_id = run.id)
        FROM run WHERE run.id IN :runs
        UNION ALL
        SELECT seen.run_id, (
            SELECT min(name_id) FROM metric
            WHERE metric.run_id = seen.run_id AND metric.name_id > seen.name_id
        )
        FROM seen WHERE seen.name_id IS NOT NULL
    )
"""
"""The metrics that runs have: a loose index scan, one seek for each, however many points it has."""

_METRIC_NAMES = text(
    METRICS_SEEN  # noqa: S608
    + """
    SELECT seen.run_id, metric_name.name FROM seen JOIN metric_name ON metric_name.id = seen.name_id
    ORDER BY metric_name.name
    """
).bindparams(bindparam("runs", expanding=True))


def metric_names(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the names of the metrics that each run has points of, sorted."""
    names: dict[int, list[str]] = {run_id: [] for run_id in run_ids}
    for run_id, name in connection.execute(_METRIC_NAMES, {"runs": list(run_ids)}):
        names[run_id].append(load_text(name))
    return names


def read_curves(
    connection: Connection, run_ids: Sequence[int], metric: str, buckets: int
) -> dict[int, list[Bucket]]:
    """Return a metric's curve of each run, in at most ``buckets`` stretches of equal width in steps."""
    named = select(col(MetricNameRow.id)).where(col(MetricNameRow.name) == metric)
    name_id = connection.execute(named).scalar_one_or_none()
    if name_id is None:
        return {run_id: [] for run_id in run_ids}
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return {run_id: _curve(raw, run_id, name_id, buckets) for run_id in run_ids}


def _curve(raw: sqlite3.Connection, run_id: int, name_id: int, buckets: int) -> list[Bucket]:
    first, last = raw.execute(ENDS_SQL, (run_id, name_id)).fetchone()
    if first is None:
        return []
    width = (last - first) // buckets + 1
    stretches = (
        raw.execute(BUCKET_SQL, (run_id, name_id, start, min(start + width - 1, last))).fetchone()
        for start in range(first, last + 1, width)
    )
    return [Bucket(*row) for row in stretches if row[-1]]
