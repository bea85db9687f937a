"""Saving and reading runs. Imports SQLModel: reach it through `engine.tracker.open_tracker`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, literal, select, tuple_, update
from sqlmodel import col

from engine.tracker.curves import metric_names, read_curves
from engine.tracker.database import Database
from engine.tracker.reading_sql import SQL_SECONDS, read_sql
from engine.tracker.run_listing import count_runs, filtered, list_runs, result_of
from engine.tracker.run_records import (
    HEADLINES,
    Artifact,
    Bucket,
    Cursor,
    Lineage,
    NewRun,
    Origin,
    Provenance,
    Result,
    Run,
    RunQuery,
    RunSummary,
)
from engine.tracker.run_tables import ArtifactRow, ExperimentRow, LineageRow, ResultRow, RunRow, TagRow
from engine.tracker.run_writing import insert_run, insert_tags, require_run, require_shallow
from engine.tracker.standings import Claim, Latest, claimed_runs, latest_runs

BUCKETS = 400
"""Points that a curve is reduced to unless more are asked for."""

ALL_RUNS = RunQuery()


class Runs:
    """The runs of a database. Any thread may call any method; each call is one transaction.

    Every method raises `TrackerError` where the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def path(self) -> Path:
        """Where the database is."""
        return self._database.path

    # --- writing -------------------------------------------------------------------------------------

    def add(self, run: NewRun) -> int:
        """Record a run and return its id.

        Raises:
            TrackerError: if its parameters or its summary are nested more than 100 deep.
        """
        require_shallow(run)
        with self._database.writing() as connection:
            return insert_run(connection, run)

    def tag(self, run_id: int, *names: str) -> None:
        """File a run under these tags; those it has already are kept."""
        with self._database.writing() as connection:
            require_run(connection, run_id)
            insert_tags(connection, run_id, names)

    def untag(self, run_id: int, *names: str) -> None:
        """Take these tags off a run."""
        with self._database.writing() as connection:
            require_run(connection, run_id)
            connection.execute(
                delete(TagRow).where(col(TagRow.run_id) == run_id, col(TagRow.name).in_(names))
            )

    def note(self, run_id: int, note: str) -> None:
        """Replace a run's note."""
        with self._database.writing() as connection:
            require_run(connection, run_id)
            connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(note=note))

    # --- lists ---------------------------------------------------------------------------------------

    def page(
        self,
        query: RunQuery = ALL_RUNS,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        last: bool = False,
        skip: int = 0,
        limit: int = 50,
    ) -> list[tuple[Cursor, RunSummary]]:
        """Return up to ``limit`` runs in the query's order, each with its place in it.

        ``after`` a place, or the nearest ``before`` it, or, with ``last``, the final ones. ``skip`` leaves
        out that many next to the place, or to the end.
        """
        listing = list_runs(query)
        backwards = last or before is not None
        place = tuple_(listing.key, col(RunRow.id))
        selected = listing.select
        bound = after if after is not None else before
        if bound is not None:
            ahead = query.descending == (after is not None)
            value = tuple_(literal(bound[0], listing.key.type), literal(bound[1]))
            selected = selected.where(place < value if ahead else place > value)
        down = query.descending != backwards
        order = (listing.key.desc(), col(RunRow.id).desc()) if down else (listing.key, col(RunRow.id))
        with self._database.reading() as connection:
            rows = connection.execute(selected.order_by(*order).limit(limit).offset(skip)).all()
            if backwards:
                rows = rows[::-1]
            summaries = _summaries(connection, rows, result_of(query.sort))
        return [((row.sort_key, row.id), summary) for row, summary in zip(rows, summaries, strict=True)]

    def count(self, query: RunQuery = ALL_RUNS) -> int:
        """Return how many runs there are: sorted by a result, those that have it."""
        counted = count_runs(query)
        with self._database.reading() as connection:
            number: int = connection.execute(counted).scalar_one()
            return number

    def place(self, run_id: int, query: RunQuery = ALL_RUNS) -> int | None:
        """Return how many runs come before this one in the query's order; None if it is not among them."""
        listing = list_runs(query)
        with self._database.reading() as connection:
            found = connection.execute(listing.select.where(col(RunRow.id) == run_id)).first()
            if found is None:
                return None
            place = tuple_(listing.key, col(RunRow.id))
            value = tuple_(literal(found.sort_key, listing.key.type), literal(run_id))
            ahead = listing.select.where(place > value if query.descending else place < value)
            number: int = connection.execute(select(func.count()).select_from(ahead.subquery())).scalar_one()
            return number

    # --- one run -------------------------------------------------------------------------------------

    def run(self, run_id: int) -> Run | None:
        """Return a run in full, or None if there is none by that id."""
        return self.full([run_id]).get(run_id)

    def full(self, run_ids: Sequence[int]) -> dict[int, Run]:
        """Return runs in full, in the order asked for; those that there are none of are left out."""
        wanted = list(dict.fromkeys(run_ids))
        details = (col(getattr(RunRow, name)) for name in _DETAILS)
        listed = list_runs(ALL_RUNS).select.where(col(RunRow.id).in_(wanted))
        selected = listed.add_columns(*details, col(ExperimentRow.note).label("experiment_note"))
        with self._database.reading() as connection:
            rows = {row.id: row for row in connection.execute(selected)}
            ids = [run_id for run_id in wanted if run_id in rows]
            summaries = _summaries(connection, [rows[run_id] for run_id in ids])
            results: dict[int, list[Result]] = {run_id: [] for run_id in ids}
            for run_id, result in _results_by_run(connection, ids):
                results[run_id].append(result)
            artifacts = _artifacts(connection, ids)
            lineage = _lineage(connection, ids)
            children = _children(connection, ids)
            metrics = metric_names(connection, ids)
        return {
            summary.id: Run(
                summary,
                json.loads(rows[summary.id].params),
                tuple(results[summary.id]),
                tuple(artifacts[summary.id]),
                tuple(lineage[summary.id]),
                tuple(children[summary.id]),
                tuple(metrics[summary.id]),
                _provenance(rows[summary.id]),
                json.loads(rows[summary.id].summary),
                rows[summary.id].source,
                rows[summary.id].note,
                rows[summary.id].experiment_note or "",
            )
            for summary in summaries
        }

    def curve(self, run_id: int, metric: str, buckets: int = BUCKETS) -> list[Bucket]:
        """Return a metric's curve: its first and last point, and between them at most ``buckets``.

        The database reduces the points between to stretches of equal width in steps.
        """
        return self.curves([run_id], metric, buckets)[run_id]

    def curves(self, run_ids: Sequence[int], metric: str, buckets: int = BUCKETS) -> dict[int, list[Bucket]]:
        """Return the same metric's curve of several runs, by run."""
        with self._database.reading() as connection:
            return read_curves(connection, run_ids, metric, buckets)

    def results(self, run_ids: Sequence[int]) -> dict[int, dict[str, Result]]:
        """Return the results of several runs by run and name."""
        with self._database.reading() as connection:
            found: dict[int, dict[str, Result]] = {run_id: {} for run_id in run_ids}
            for run_id, result in _results_by_run(connection, run_ids):
                found[run_id][result.name] = result
            return found

    def result_names(self, query: RunQuery = ALL_RUNS) -> list[str]:
        """Return the names of all results that the runs have, sorted."""
        asked = filtered(select(col(RunRow.id)), query)
        named = select(col(ResultRow.name)).where(col(ResultRow.run_id).in_(asked)).distinct()
        with self._database.reading() as connection:
            return list(connection.execute(named.order_by(col(ResultRow.name))).scalars())

    def latest(self, kind: str, names: Sequence[str]) -> list[Latest]:
        """Return the latest succeeded run of a kind for each set of parameters, with the results named."""
        with self._database.reading() as connection:
            return latest_runs(connection, kind, names)

    def claims(self, experiment: str) -> list[Claim]:
        """Return the runs of a published experiment, with their results."""
        with self._database.reading() as connection:
            return claimed_runs(connection, experiment)

    def sql(
        self, statement: str, limit: int = 1000, seconds: float = SQL_SECONDS
    ) -> tuple[list[str], list[tuple[Any, ...]], bool]:
        """Run a reading statement; return column names, at most ``limit`` rows, and whether there are more.

        Raises:
            StatementRefused: if it is not one statement, or would do more than read.
            TrackerError: if it takes longer than ``seconds``, or more memory than it may.
        """
        with self._database.watched():
            return read_sql(self._database.path, statement, limit=limit, seconds=seconds)


_DETAILS = ("params", "host", "git_revision", "git_dirty", "packages", "seeds", "summary", "source", "note")


def _provenance(row: Row[Any]) -> Provenance:
    dirty = None if row.git_dirty is None else bool(row.git_dirty)
    return Provenance(row.host, row.git_revision, dirty, json.loads(row.packages), json.loads(row.seeds))


def _artifacts(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[Artifact]]:
    found: dict[int, list[Artifact]] = {run_id: [] for run_id in run_ids}
    made = select(
        col(ArtifactRow.run_id), col(ArtifactRow.path), col(ArtifactRow.role), col(ArtifactRow.sha256)
    ).where(col(ArtifactRow.run_id).in_(run_ids))
    for row in connection.execute(made.order_by(col(ArtifactRow.path))):
        found[row.run_id].append(Artifact(row.path, row.role, row.sha256))
    return found


def _lineage(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[Lineage]]:
    found: dict[int, list[Lineage]] = {run_id: [] for run_id in run_ids}
    used = select(
        col(LineageRow.run_id),
        col(LineageRow.role),
        col(LineageRow.name),
        col(LineageRow.sha256),
        col(LineageRow.parent_id),
    ).where(col(LineageRow.run_id).in_(run_ids))
    for row in connection.execute(used.order_by(col(LineageRow.role), col(LineageRow.name))):
        found[row.run_id].append(Lineage(row.role, row.name, row.sha256, row.parent_id))
    return found


def _children(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {run_id: [] for run_id in run_ids}
    made = select(col(LineageRow.parent_id), col(LineageRow.run_id)).where(
        col(LineageRow.parent_id).in_(run_ids)
    )
    for row in connection.execute(made.distinct().order_by(col(LineageRow.run_id))):
        found[row.parent_id].append(row.run_id)
    return found


def _summaries(
    connection: Connection, rows: Sequence[Row[Any]], telling: str | None = None
) -> list[RunSummary]:
    """Return the runs' lines; with the result named ``telling``, or else their most telling one."""
    ids = [row.id for row in rows]
    tags: dict[int, list[str]] = {run_id: [] for run_id in ids}
    tagged = select(col(TagRow.run_id), col(TagRow.name)).where(col(TagRow.run_id).in_(ids))
    for run_id, name in connection.execute(tagged.order_by(col(TagRow.name))):
        tags[run_id].append(name)
    results: dict[int, list[Result]] = {run_id: [] for run_id in ids}
    for run_id, result in _results_by_run(connection, ids):
        results[run_id].append(result)
    return [
        RunSummary(
            row.id,
            row.name,
            row.kind,
            Origin(row.origin),
            row.status,
            row.experiment,
            row.created_at,
            row.started_at,
            row.ended_at,
            row.cost_usd,
            tuple(tags[row.id]),
            _headline(results[row.id], telling),
        )
        for row in rows
    ]


def _headline(results: Sequence[Result], telling: str | None) -> Result | None:
    by_name = {result.name: result for result in results}
    names = HEADLINES if telling is None else (telling, *HEADLINES)
    return next((by_name[name] for name in names if name in by_name), next(iter(results), None))


def _results_by_run(connection: Connection, run_ids: Sequence[int]) -> list[tuple[int, Result]]:
    found = select(ResultRow.__table__).where(col(ResultRow.run_id).in_(run_ids))  # type: ignore[attr-defined]
    ordered = connection.execute(found.order_by(col(ResultRow.run_id), col(ResultRow.name)))
    return [(row.run_id, Result(row.name, row.value, row.n, row.low, row.high)) for row in ordered]
