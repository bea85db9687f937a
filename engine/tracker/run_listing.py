"""Which runs are asked for, and in which order, as SQL. Imports SQLModel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, func, or_, select, type_coerce
from sqlmodel import col

from engine.tracker.encoding import store_text
from engine.tracker.run_records import RunQuery, Sort
from engine.tracker.run_tables import ExperimentRow, ResultRow, RunRow, TagRow

_DIGITS = 19
"""Whole numbers with fewer digits than these are such as SQLite knows."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What selects the lines of the runs asked for, without an order; ``key`` is what orders them."""

    select: Select[Any]
    key: Any


def list_runs(query: RunQuery) -> Listing:
    """Return what lists the runs of a query."""
    key: Any = col(ResultRow.value) if result_of(query.sort) is not None else _KEYS[Sort(query.sort)]
    selected: Any = select(
        col(RunRow.id),
        col(RunRow.name),
        col(RunRow.kind),
        col(RunRow.origin),
        col(RunRow.status),
        col(ExperimentRow.name).label("experiment"),
        col(RunRow.created_at),
        col(RunRow.started_at),
        col(RunRow.ended_at),
        col(RunRow.cost_usd),
        key.label("sort_key"),
    ).join_from(RunRow, ExperimentRow, col(ExperimentRow.id) == col(RunRow.experiment_id), isouter=True)
    return Listing(_with_result(filtered(selected, query), query), key)


def count_runs(query: RunQuery) -> Select[Any]:
    """Return what counts the runs of a query."""
    return _with_result(filtered(select(func.count()).select_from(RunRow), query), query)


def result_of(sort: str) -> str | None:
    """Return the name of the result that a list is sorted by, or None."""
    name = sort.removeprefix("result:")
    return None if name == sort else name


def _with_result(selected: Select[Any], query: RunQuery) -> Select[Any]:
    """Leave out the runs without the result that is sorted by, and have its value at hand."""
    name = result_of(query.sort)
    if name is None:
        return selected
    return selected.join(
        ResultRow, and_(col(ResultRow.run_id) == col(RunRow.id), col(ResultRow.name) == name)
    )


_KEYS: dict[Sort, Any] = {
    Sort.ID: col(RunRow.id),
    Sort.NAME: col(RunRow.name),
    Sort.KIND: col(RunRow.kind),
    Sort.STATUS: col(RunRow.status),
    Sort.STARTED: func.coalesce(type_coerce(col(RunRow.started_at), Text), ""),
    Sort.COST: func.coalesce(col(RunRow.cost_usd), -1.0),
}


def filtered(selected: Select[Any], query: RunQuery) -> Select[Any]:
    """Leave out the runs that a query does not ask for."""
    for column, wanted in (
        (RunRow.status, query.status),
        (RunRow.origin, query.origin.value if query.origin else None),
    ):
        if wanted is not None:
            selected = selected.where(col(column) == wanted)
    if query.kind is not None:
        selected = selected.where(_called(RunRow.kind, query.kind))
    if query.experiment is not None:
        hyphened = func.replace(type_coerce(col(ExperimentRow.name), Text), " ", "-")
        named = select(col(ExperimentRow.id)).where(
            func.contains_folded(hyphened, _hyphened(query.experiment.casefold()))
        )
        selected = selected.where(col(RunRow.experiment_id).in_(named))
    for tag in query.tags:
        filed = select(col(TagRow.run_id)).where(_called(TagRow.name, tag))
        selected = selected.where(col(RunRow.id).in_(filed))
    for word in query.words:
        numbered = [col(RunRow.id) == int(word)] if word.isdecimal() and len(word) < _DIGITS else []
        in_experiment = select(col(ExperimentRow.id)).where(_contains(ExperimentRow.name, word))
        in_tags = select(col(TagRow.run_id)).where(_contains(TagRow.name, word))
        selected = selected.where(
            or_(
                _contains(RunRow.name, word),
                _contains(RunRow.kind, word),
                col(RunRow.experiment_id).in_(in_experiment),
                col(RunRow.id).in_(in_tags),
                *numbered,
            )
        )
    return selected


def _called(column: Any, name: str) -> ColumnElement[bool]:
    """Whether an indexed column has this name, a blank being the same as a hyphen.

    The names that there are, which are few, are found by a loose index scan: one seek for each.
    """
    stored = type_coerce(col(column), Text)
    seen = select(func.min(stored).label("name")).cte(recursive=True)
    following = select(func.min(stored)).where(stored > seen.c.name).correlate(seen).scalar_subquery()
    seen = seen.union_all(select(following).where(seen.c.name.is_not(None)))
    called = func.replace(seen.c.name, " ", "-") == _hyphened(name)
    return stored.in_(select(seen.c.name).where(called))


def _hyphened(name: str) -> str:
    return store_text(name).replace(" ", "-")


def _contains(column: Any, folded: str) -> ColumnElement[bool]:
    return func.contains_folded(type_coerce(col(column), Text), store_text(folded))
