"""The columns of the list of runs, for the room there is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.content import Content

from app.run_words import (
    cost_words,
    duration,
    headline_words,
    origin_word,
    outcome_words,
    status_words,
    when_words,
)
from app.safe_text import one_line
from app.widgets.columns import Column
from engine.tracker.run_records import RunSummary, Sort

SORTS = {
    Sort.ID: "number, which is the order they were made in",
    Sort.NAME: "name",
    Sort.KIND: "kind",
    Sort.STATUS: "status",
    Sort.STARTED: "when they began",
    Sort.COST: "cost",
}
"""What runs can be sorted by, besides the name of a result."""

_ROOM_FOR_ALL = 110
_TEXT = 200


def run_columns(width: int) -> Sequence[Column[RunSummary]]:
    """Return the columns for a table of ``width`` cells: in a narrow one, status and result share one."""
    return _WIDE if width >= _ROOM_FOR_ALL else _NARROW


def sort_column(sort: str) -> str:
    """Return the name of the column that shows what the runs are sorted by."""
    return "result" if sort.startswith("result:") else sort


def _name(run: RunSummary) -> str:
    return one_line(run.name, _TEXT)


def _when(run: RunSummary) -> Content:
    return Content.styled(when_words(run.started_at or run.created_at, datetime.now(UTC)), "$text-muted")


_ID: Column[RunSummary] = Column(Sort.ID, "Run", 6, lambda run: str(run.id), right=True)
_ORIGIN: Column[RunSummary] = Column("origin", "Origin", 8, lambda run: origin_word(run.origin))
_WHEN: Column[RunSummary] = Column(Sort.STARTED, "When", 10, _when, drop=2)

_NARROW: tuple[Column[RunSummary], ...] = (
    _ID,
    _ORIGIN,
    Column(Sort.NAME, "Name", 14, _name, flexible=3),
    Column("result", "Result", 36, outcome_words),
    _WHEN,
)
_WIDE: tuple[Column[RunSummary], ...] = (
    _ID,
    _ORIGIN,
    Column(Sort.STATUS, "Status", 13, lambda run: status_words(run.status)),
    Column(Sort.KIND, "Kind", 10, lambda run: one_line(run.kind, _TEXT), drop=1),
    Column(Sort.NAME, "Name", 20, _name, flexible=3),
    Column(
        "experiment", "Experiment", 12, lambda run: one_line(run.experiment or "", _TEXT), flexible=2, drop=5
    ),
    Column("result", "Result", 36, headline_words),
    _WHEN,
    Column("duration", "Took", 11, lambda run: duration(run, datetime.now(UTC)), right=True, drop=3),
    Column(Sort.COST, "Cost", 8, lambda run: cost_words(run.cost_usd), right=True, drop=4),
)
