"""The baseline of `benchmarks.tracker`: the same list of runs in the table that Textual brings along."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import DataTable

_ROWS = "SELECT id, status, kind, name, created_at, started_at, ended_at FROM run ORDER BY id DESC"


class _StockApp(App[float]):
    def __init__(self, rows: list[tuple[object, ...]]) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        began = time.perf_counter()
        table = self.query_one(DataTable)
        table.add_columns("id", "status", "kind", "name", "created", "started", "ended")
        table.add_rows(self._rows)
        self.call_after_refresh(lambda: self.exit(time.perf_counter() - began))


def seconds_to_fill(db: Path) -> float:
    """Return how long it takes to fill a DataTable with all runs and draw it once."""
    began = time.perf_counter()
    with closing(sqlite3.connect(db)) as raw:
        rows = raw.execute(_ROWS).fetchall()
    read = time.perf_counter() - began
    return read + (_StockApp(rows).run(headless=True) or 0.0)
