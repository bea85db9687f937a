"""Writing runs within a transaction. Imports SQLModel."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlmodel import col

from engine.events import JsonValue
from engine.tracker.records import TrackerError, UnknownRun
from engine.tracker.run_records import Lineage, NewRun, Provenance, Result
from engine.tracker.run_tables import ExperimentRow, LineageRow, ResultRow, RunRow, TagRow

_DEEPEST = 100


def insert_run(connection: Connection, run: NewRun, run_id: int | None = None) -> int:
    """Insert a run with all that belongs to it and return its id: the one given, or the next."""
    values: dict[str, Any] = {} if run_id is None else {"id": run_id}
    values |= {
        "experiment_id": None if run.experiment is None else experiment_id(connection, run.experiment),
        "name": run.name,
        "kind": run.kind,
        "origin": run.origin.value,
        "status": run.status,
        "created_at": run.created_at or datetime.now(UTC),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "cost_usd": run.cost_usd,
        "params": json.dumps(run.params),
        "summary": json.dumps(run.summary),
        "source": run.source,
        "note": run.note,
        **provenance_values(run.provenance),
    }
    run_id = connection.execute(insert(RunRow).values(values)).inserted_primary_key[0]  # type: ignore[index]
    assert isinstance(run_id, int)
    insert_results(connection, run_id, run.results)
    insert_lineage(connection, run_id, run.lineage)
    insert_tags(connection, run_id, run.tags)
    return run_id


def require_shallow(run: NewRun) -> None:
    """Raise `TrackerError` if a run holds JSON nested so deep that what reads it would run out of stack."""
    if any(_is_deeper(part, _DEEPEST) for given in (run.params, run.summary) for part in given.values()):
        raise TrackerError(
            f"What a run is given, or says at its end, can be nested {_DEEPEST} deep, and this is deeper.",
            kept="The run was not recorded.",
            hint="Keep such data in a file, and give its path.",
        )


def _is_deeper(value: JsonValue, than: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(parts) and (than == 0 or any(_is_deeper(part, than - 1) for part in parts))


def provenance_values(provenance: Provenance) -> dict[str, Any]:
    """Return the columns of the run table that say where and with what it ran."""
    return {
        "host": provenance.host,
        "git_revision": provenance.git_revision,
        "git_dirty": provenance.git_dirty,
        "packages": json.dumps(dict(provenance.packages)),
        "seeds": json.dumps(dict(provenance.seeds)),
    }


def experiment_id(connection: Connection, name: str) -> int:
    """Return the experiment's id; make it where there is none of that name."""
    new = insert_or(ExperimentRow).values(name=name, note="", created_at=datetime.now(UTC))
    connection.execute(new.on_conflict_do_nothing())
    found = select(col(ExperimentRow.id)).where(col(ExperimentRow.name) == name)
    return connection.execute(found).scalar_one()  # type: ignore[return-value]


def insert_results(connection: Connection, run_id: int, results: Iterable[Result]) -> None:
    """Insert results; one of the same name is replaced. Values that are not numbers are left out."""
    for result in results:
        if math.isnan(result.value):
            continue
        values = {"value": result.value, "n": result.n, "low": result.low, "high": result.high}
        new = insert_or(ResultRow).values(run_id=run_id, name=result.name, **values)
        connection.execute(new.on_conflict_do_update(set_=values))


def insert_lineage(connection: Connection, run_id: int, lineage: Iterable[Lineage]) -> None:
    """Insert what a run was made from; what is there of the same role and name is replaced."""
    for used in lineage:
        values = {"sha256": used.sha256, "parent_id": used.parent_id}
        new = insert_or(LineageRow).values(run_id=run_id, role=used.role, name=used.name, **values)
        connection.execute(new.on_conflict_do_update(set_=values))


def insert_tags(connection: Connection, run_id: int, names: Iterable[str]) -> None:
    """Insert a run's tags; those that are there are kept."""
    for name in names:
        new = insert_or(TagRow).values(run_id=run_id, name=name)
        connection.execute(new.on_conflict_do_nothing())


def require_run(connection: Connection, run_id: int) -> None:
    """Raise `UnknownRun` if there is no such run."""
    if connection.execute(select(col(RunRow.id)).where(col(RunRow.id) == run_id)).first() is None:
        raise UnknownRun(run_id)
