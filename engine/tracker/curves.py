"""Reading curves, reduced by the database, and the names of the metrics a run has. Imports SQLModel."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, bindparam, select, text
from sqlmodel import col

from engine.tracker.encoding import load_text
from engine.tracker.run_records import Bucket
from engine.tracker.run_tables import MetricNameRow

_Point = tuple[int, int, float | None]
_Bounds = tuple[int, int, int, int]

FIRST_SQL = """
    SELECT step, seq, value FROM metric WHERE run_id = ? AND name_id = ? ORDER BY step, seq LIMIT 2
"""
LAST_SQL = """
    SELECT step, seq, value FROM metric WHERE run_id = ? AND name_id = ? ORDER BY step DESC, seq DESC LIMIT 2
"""
"""The two points at either end of a curve, the outer one first: a seek each."""

BUCKET_SQL = """
    SELECT max(step), min(value), max(value), avg(value), count(*) FROM metric
    WHERE run_id = ? AND name_id = ? AND (step, seq) >= (?, ?) AND (step, seq) < (?, ?)
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
    """Return a metric's curve of each run: its first point, at most ``buckets`` stretches, its last point.

    The stretches are of equal width in steps. They reach from the second point to the last but one, so that
    one that is far off does not leave all others in a single stretch.
    """
    named = select(col(MetricNameRow.id)).where(col(MetricNameRow.name) == metric)
    name_id = connection.execute(named).scalar_one_or_none()
    if name_id is None:
        return {run_id: [] for run_id in run_ids}
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return {run_id: list(_curve(raw, run_id, name_id, buckets)) for run_id in run_ids}


def _curve(raw: sqlite3.Connection, run_id: int, name_id: int, buckets: int) -> Iterator[Bucket]:
    first = raw.execute(FIRST_SQL, (run_id, name_id)).fetchall()
    last = raw.execute(LAST_SQL, (run_id, name_id)).fetchall()
    if not first:
        return
    yield _point(first[0])
    for bounds in stretches(first, last, buckets):
        bucket = Bucket(*raw.execute(BUCKET_SQL, (run_id, name_id, *bounds)).fetchone())
        if bucket.count:
            yield bucket
    if len(first) > 1:
        yield _point(last[0])


def stretches(first: Sequence[_Point], last: Sequence[_Point], buckets: int) -> Iterator[_Bounds]:
    """Yield between which steps and numbers each stretch is, the end not included."""
    if len(first) < 2 or first[1][:2] == last[0][:2]:
        return
    (start, seq, _), (end, _, _) = first[1], last[1]
    width = (end - start) // buckets + 1
    for step in range(start, end + 1, width):
        yield (step, seq, *min((step + width, 0), last[0][:2]))
        seq = 0


def _point(point: _Point) -> Bucket:
    step, _, value = point
    return Bucket(step, value, value, value, 1)
