"""Runs for the tests of comparing and exporting: of kind "trial", to tell them from the history."""

from __future__ import annotations

from collections.abc import Sequence

from engine.tracker.encoding import store_text
from engine.tracker.run_records import NewRun
from engine.tracker.runs import Runs
from tests.app.hostile import HOSTILE

EVIL = (
    "".join(HOSTILE.values())
    + "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;|`\r\n=1+1"
)
"""Everything that attacks a terminal, a page, a table or a spreadsheet, in one text."""


def trial(runs: Runs, name: str = "run", **fields: object) -> int:
    """Record a run and return its id."""
    kind, status = str(fields.pop("kind", "trial")), str(fields.pop("status", "succeeded"))
    return runs.add(NewRun(name, kind, status, **fields))  # type: ignore[arg-type]


def add_points(runs: Runs, run_id: int, name: str, points: Sequence[tuple[int, float | None]]) -> None:
    """Give a run a curve: steps and values."""
    stored = store_text(name)
    with runs._database.writing() as connection:
        connection.exec_driver_sql("INSERT OR IGNORE INTO metric_name (name) VALUES (?)", (stored,))
        found = connection.exec_driver_sql("SELECT id FROM metric_name WHERE name = ?", (stored,))
        name_id = found.scalar_one()
        rows = [(run_id, name_id, step, seq, 0.0, value) for seq, (step, value) in enumerate(points)]
        connection.exec_driver_sql("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?)", rows)
