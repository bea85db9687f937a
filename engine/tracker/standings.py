"""The latest run of each set of parameters, and the claims that stand beside them. Imports SQLModel.

The database does the sorting out: however often something was run, it hands over its latest figures only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Text, and_, func, select, type_coerce
from sqlmodel import col

from engine.events import JsonValue
from engine.tracker.encoding import load_text
from engine.tracker.run_records import Origin, Result
from engine.tracker.run_tables import ExperimentRow, LineageRow, ResultRow, RunRow

_MADE_WITH = ("model", "policy")


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest run with just these parameters.

    ``made_with`` tells versions apart: the models and policies it was made with, each with its hash.
    """

    run_id: int
    params: Mapping[str, JsonValue]
    made_with: str
    results: Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class Claim:
    """A run of an experiment that was published, and the figures it is said to have reached."""

    run_id: int
    name: str
    results: Mapping[str, Result]


def latest_runs(connection: Connection, kind: str, names: Sequence[str]) -> list[Latest]:
    """Return the latest succeeded run of a kind for each set of parameters, the newest first.

    Of their results those with these ``names`` are read; runs that have none of them are left out.
    """
    latest = (
        select(
            func.max(col(RunRow.id)).label("run_id"),
            type_coerce(col(RunRow.params), Text).label("params"),
        )
        .where(
            col(RunRow.kind) == kind,
            col(RunRow.status) == "succeeded",
            col(RunRow.origin) == Origin.MEASURED.value,
        )
        .group_by(col(RunRow.params))
        .cte("latest")
    )
    used = func.group_concat(
        type_coerce(col(LineageRow.name), Text) + " " + func.coalesce(col(LineageRow.sha256), ""), "\n"
    )
    made_with = (
        select(used)
        .where(col(LineageRow.run_id) == latest.c.run_id, col(LineageRow.role).in_(_MADE_WITH))
        .scalar_subquery()
    )
    told = connection.execute(select(latest, made_with.label("made_with")).order_by(latest.c.run_id.desc()))
    runs = {row.run_id: (json.loads(row.params), load_text(row.made_with or "")) for row in told}
    figures = select(ResultRow.__table__).join(  # type: ignore[attr-defined]
        latest, and_(col(ResultRow.run_id) == latest.c.run_id, col(ResultRow.name).in_(names))
    )
    found = _by_run(connection.execute(figures))
    return [Latest(run_id, *told, found[run_id]) for run_id, told in runs.items() if run_id in found]


def claimed_runs(connection: Connection, experiment: str) -> list[Claim]:
    """Return the runs of a published experiment, in the order they are printed in."""
    reported = (
        select(col(RunRow.id), col(RunRow.name))
        .join(ExperimentRow, col(ExperimentRow.id) == col(RunRow.experiment_id))
        .where(col(ExperimentRow.name) == experiment, col(RunRow.origin) == Origin.PAPER.value)
        .order_by(col(RunRow.id))
    )
    runs = connection.execute(reported).all()
    figures = select(ResultRow.__table__).where(  # type: ignore[attr-defined]
        col(ResultRow.run_id).in_([row.id for row in runs])
    )
    found = _by_run(connection.execute(figures))
    return [Claim(row.id, row.name, found.get(row.id, {})) for row in runs]


def _by_run(rows: Iterable[Row[Any]]) -> dict[int, dict[str, Result]]:
    found: dict[int, dict[str, Result]] = {}
    for row in rows:
        result = Result(row.name, row.value, row.n, row.low, row.high)
        found.setdefault(row.run_id, {})[row.name] = result
    return found
