"""What a job has told of itself besides progress and curves: logs, beginnings, ends. Imports SQLModel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import col

from engine.events import JsonValue
from engine.tracker.database import Database
from engine.tracker.run_tables import RunEventRow


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is kept: ``body`` has its kind under "event", and the fields of that kind."""

    seq: int
    at_ms: float
    body: Mapping[str, JsonValue]


def told(database: Database, run_id: int, *, after: int = -1, limit: int = 500) -> list[Told]:
    """Return the last ``limit`` events of a run whose ``seq`` is above ``after``, in their order."""
    query = (
        select(col(RunEventRow.seq), col(RunEventRow.at_ms), col(RunEventRow.body))
        .where(col(RunEventRow.run_id) == run_id, col(RunEventRow.seq) > after)
        .order_by(col(RunEventRow.seq).desc())
        .limit(limit)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return [Told(row.seq, row.at_ms, json.loads(row.body)) for row in reversed(rows)]
