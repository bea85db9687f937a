"""Taking out of a damaged database what only it has: probes, and the tags and notes of runs.

Row by row: one that cannot be read is passed over and counted. The damaged file is only read. Imports
SQLModel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from engine.tracker.database import Database

_BLOCK = 200
_HIGHEST = 10_000_000


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many probes, tags and notes were taken over; ``lost``: probes that are there and cannot be read."""

    probes: int = 0
    tags: int = 0
    notes: int = 0
    lost: int = 0


def salvage(damaged: Path, database: Database) -> Salvaged:
    """Take over what can be read. Probes get new numbers; runs that are not there again get nothing.

    Raises:
        TrackerError: if the database cannot be written. What was taken over before is kept.
    """
    try:
        with closing(sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True)) as source:
            source.row_factory = sqlite3.Row
            probes, lost = _probes(source, database)
            tags, notes = _words(source, database)
            return Salvaged(probes, tags, notes, lost)
    except sqlite3.Error:
        return Salvaged()


def _probes(source: sqlite3.Connection, database: Database) -> tuple[int, int]:
    taken = lost = 0
    with suppress(sqlite3.Error):
        for row in _rows(source, "policy_text", "sha256"):
            with database.writing() as connection:
                _insert(connection, "policy_text", dict(row), "OR IGNORE ")
    for number in _numbers(source):
        try:
            probe = source.execute("SELECT * FROM probe WHERE id = ?", (number,)).fetchone()
            stream = source.execute("SELECT * FROM probe_stream WHERE probe_id = ?", (number,)).fetchone()
            policies = source.execute("SELECT * FROM probe_policy WHERE probe_id = ?", (number,)).fetchall()
        except sqlite3.Error:
            lost += 1
            continue
        if probe is None:
            continue
        if stream is None:
            lost += 1
            continue
        with database.writing() as connection:
            new = _insert(connection, "probe", {**dict(probe), "id": None})
            _insert(connection, "probe_stream", {**dict(stream), "probe_id": new})
            for policy in policies:
                if _has(connection, "policy_text", "sha256", policy["sha256"]):
                    _insert(connection, "probe_policy", {**dict(policy), "probe_id": new})
        taken += 1
    return taken, lost


def _numbers(source: sqlite3.Connection) -> Iterator[int]:
    """Yield the numbers of probes, block by block; where a block cannot be read, all that it could have."""
    try:
        last = source.execute("SELECT seq FROM sqlite_sequence WHERE name = 'probe'").fetchone()
    except sqlite3.Error:
        last = None
    highest = min(int(last[0]) if last else 0, _HIGHEST)
    for start in range(1, highest + 1, _BLOCK):
        end = min(start + _BLOCK - 1, highest)
        try:
            found = source.execute("SELECT id FROM probe WHERE id BETWEEN ? AND ?", (start, end)).fetchall()
            yield from (row[0] for row in found)
        except sqlite3.Error:
            yield from range(start, end + 1)


def _words(source: sqlite3.Connection, database: Database) -> tuple[int, int]:
    tags = notes = 0
    with suppress(sqlite3.Error):
        for row in _rows(source, "tag", "run_id"):
            with database.writing() as connection:
                if _has(connection, "run", "id", row["run_id"]):
                    tags += _insert(connection, "tag", dict(row), "OR IGNORE ") is not None
    with suppress(sqlite3.Error):
        for row in source.execute("SELECT id, note FROM run WHERE note <> '' AND origin = 'measured'"):
            with database.writing() as connection:
                changed = connection.exec_driver_sql(
                    "UPDATE run SET note = ? WHERE id = ? AND note = ''", (row["note"], row["id"])
                )
                notes += changed.rowcount
    return tags, notes


def _rows(source: sqlite3.Connection, table: str, order: str) -> Iterator[sqlite3.Row]:
    yield from source.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608


def _has(connection: Connection, table: str, column: str, value: object) -> bool:
    query = f"SELECT 1 FROM {table} WHERE {column} = ?"  # noqa: S608
    return connection.exec_driver_sql(query, (value,)).first() is not None


def _insert(connection: Connection, table: str, row: dict[str, Any], how: str = "") -> int | None:
    """Insert a row; return its rowid, or None if it was there already."""
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"INSERT {how}INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
    inserted = connection.exec_driver_sql(statement, tuple(row.values()))
    return inserted.lastrowid if inserted.rowcount else None
