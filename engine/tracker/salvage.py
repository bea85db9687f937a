"""Taking out of a damaged database what only it has: probes, tags and notes, versions of policies.

Row by row: one that cannot be read, or makes no sense, is passed over and counted. The damaged file is
only read. As often as one likes: what was taken over before is not taken again. Imports SQLModel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.tracker import damage
from engine.tracker.database import Database
from engine.tracker.encoding import load_text, store_text
from engine.tracker.probe_rows import DamagedRow, read_probe
from engine.tracker.records import Probe
from engine.tracker.schema import ProbeRow
from engine.tracker.seed import history

_TREES = (
    ("SELECT id FROM probe NOT INDEXED", "id"),
    ("SELECT id FROM probe INDEXED BY ix_probe_case_key", "case_key"),
    ("SELECT id FROM probe INDEXED BY ix_probe_guard", "guard"),
    ("SELECT id FROM probe INDEXED BY ix_probe_decision", "decision"),
    ("SELECT probe_id FROM probe_stream", "probe_id"),
)
"""What tells the numbers of probes, and the order that each is stored in."""

_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
"""What SQLite reports of the disk or of other processes, and not of what the file holds."""

_COLUMNS = tuple(name for name in ProbeRow.model_fields if name != "id")


@dataclass(slots=True)
class Salvaged:
    """What was taken over: so many probes, tags, notes, and versions of policies.

    ``there``: probes that had been taken over before. ``lost``: probes that the file tells of and that
    cannot be read. ``lost_words``: runs whose tags or note cannot be read. ``failed`` is empty, or says
    why the file was not read as it could be, so that it is to be tried again.
    """

    probes: int = 0
    there: int = 0
    tags: int = 0
    notes: int = 0
    versions: int = 0
    lost: int = 0
    lost_words: int = 0
    failed: str = ""


def salvage_all(database: Database) -> dict[Path, Salvaged]:
    """Take over what can be read of every database that was moved aside for this one.

    Where it was read it is renamed, so that it is not read again. The answer is by where each lies now.
    Several processes may call this at once: they do it one after the other.

    Raises:
        TrackerError: as `salvage` does.
        OSError: if a file cannot be renamed.
    """
    found = {}
    with damage.salvaging(database.path):
        for damaged in damage.damaged_files(database.path):
            if damage.is_empty(damaged):
                damaged.unlink()  # word of a database that was found empty
                continue
            salvaged = salvage(damaged, database)
            found[damaged if salvaged.failed else damage.mark_salvaged(damaged)] = salvaged
    return found


def salvage(damaged: Path, database: Database) -> Salvaged:
    """Take over what can be read. Probes get new numbers; runs that are not there again get nothing.

    Raises:
        TrackerError: if the database cannot be written. What was taken over before is kept.
    """
    found = Salvaged()
    try:
        with closing(sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            # SQLite then passes over what it cannot make out of the schema, and knows the rest.
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("SELECT count(*) FROM sqlite_master")
            source = _Source(connection)
            _probes(source, database, found)
            if source.met_damage and not found.probes + found.there:
                found.failed = "no probe in it can be read"
            _words(source, database, found)
            _versions(source, database, found)
            found.failed = source.passing or found.failed
    except sqlite3.Error as error:
        found.failed = str(error)
    return found


class _Source:
    """The damaged database. ``passing`` is what went wrong and may go well another time; empty if nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.met_damage = False
        self.passing = ""

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row] | None:
        """Return all rows; None if they cannot be read."""
        found: list[sqlite3.Row] = []
        return found if self._read(found, statement, *values) else None

    def rows_from_both_ends(self, statement: str, order: str) -> Iterator[sqlite3.Row]:
        """Yield what comes before the first damage, and what comes behind the last."""
        for direction in ("ASC", "DESC"):
            found: list[sqlite3.Row] = []
            whole = self._read(found, f"{statement} ORDER BY {order} {direction}")
            yield from found
            if whole:
                return

    def _read(self, found: list[sqlite3.Row], statement: str, *values: object) -> bool:
        """Add the rows to ``found``; return whether these are all."""
        try:
            for row in self._connection.execute(statement, values):
                found.append(row)  # noqa: PERF402 - what comes before the damage is kept
        except sqlite3.Error as error:
            self.met_damage = True
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _PASSING:
                self.passing = str(error)
            return False
        return True


# --- probes --------------------------------------------------------------------------------------


def _probes(source: _Source, database: Database, found: Salvaged) -> None:
    texts = _policy_texts(source)
    # Each tree is read up to where it is damaged: of what one does not tell, another may.
    numbers = {row[0] for tree, order in _TREES for row in source.rows_from_both_ends(tree, order)}
    for number in sorted(numbers):
        probe = source.rows(f"SELECT {', '.join(_COLUMNS)} FROM probe WHERE id = ?", number)  # noqa: S608
        stream = source.rows("SELECT events FROM probe_stream WHERE probe_id = ?", number)
        links = source.rows("SELECT name, sha256 FROM probe_policy WHERE probe_id = ?", number)
        if probe == [] and stream == []:
            continue  # a damaged index tells of what was never there
        if not probe or not stream:
            found.lost += 1
            continue
        policies = [(name, sha, texts[sha]) for name, sha in links or () if sha in texts]
        with database.writing() as connection:
            if _is_there(connection, probe[0], stream[0]["events"]):
                found.there += 1
            elif _take(connection, probe[0], stream[0]["events"], policies):
                found.probes += 1
            else:
                found.lost += 1


def _policy_texts(source: _Source) -> dict[str, str]:
    """Return the texts, as stored, that are what their hash says."""
    rows = source.rows_from_both_ends("SELECT sha256, text FROM policy_text", "rowid")
    return {
        sha: text
        for sha, text in rows
        if isinstance(text, str) and sha256(load_text(text).encode(errors="replace")).hexdigest() == sha
    }


def _is_there(connection: Connection, probe: sqlite3.Row, events: object) -> bool:
    same = (
        "SELECT 1 FROM probe JOIN probe_stream ON probe_id = id "
        "WHERE case_key = ? AND created_at = ? AND events = ?"
    )
    values = (probe["case_key"], probe["created_at"], events)
    return connection.exec_driver_sql(same, values).first() is not None


def _take(
    connection: Connection, probe: sqlite3.Row, events: object, policies: list[tuple[str, str, str]]
) -> bool:
    """Insert a probe if it can be read again; return whether it can."""
    try:
        with connection.begin_nested():
            new = _insert(connection, "probe", dict(probe))
            _insert(connection, "probe_stream", {"probe_id": new, "events": events})
            for name, sha, text in policies:
                _insert(connection, "policy_text", {"sha256": sha, "text": text}, "OR IGNORE ")
                _insert(connection, "probe_policy", {"probe_id": new, "name": name, "sha256": sha})
            probe_read = read_probe(connection, new)
            if probe_read is None or not _agrees_with_itself(probe_read):
                raise DamagedRow("its parts do not agree")
    except (DamagedRow, IntegrityError):
        return False
    return True


def _agrees_with_itself(probe: Probe) -> bool:
    """Whether the texts have the key that they were saved with, and the row says what the events say."""
    summary, verdict = probe.summary, probe.verdict
    decision, score = (verdict.decision, verdict.score) if verdict else (None, None)
    return (summary.case_key, summary.decision, summary.score) == (probe.case.key, decision, score)


# --- tags and notes ------------------------------------------------------------------------------


def _words(source: _Source, database: Database, found: Salvaged) -> None:
    """Take over what people wrote on the runs that are there again, where nobody has written since."""
    with database.reading() as connection:
        runs = connection.exec_driver_sql("SELECT id, name FROM run").all()
    told = {run_id: run for experiment in history() for run_id, run in experiment.runs.items()}
    tags, notes = [], []
    for run_id, name in runs:
        tagged = source.rows("SELECT name FROM tag WHERE run_id = ?", run_id)
        noted = source.rows("SELECT note FROM run WHERE id = ? AND name = ?", run_id, name)
        found.lost_words += tagged is None or noted is None
        tags += [(run_id, tag) for (tag,) in tagged or () if isinstance(tag, str)]
        before = store_text(told[run_id].note) if run_id in told else ""
        notes += [
            (note, run_id, before)
            for (note,) in noted or ()
            if isinstance(note, str) and note not in ("", before)
        ]
    with database.writing() as connection:
        found.tags = _execute(connection, "INSERT OR IGNORE INTO tag (run_id, name) VALUES (?, ?)", tags)
        found.notes = _execute(connection, "UPDATE run SET note = ? WHERE id = ? AND note = ?", notes)


# --- versions of policies ------------------------------------------------------------------------


def _versions(source: _Source, database: Database, found: Salvaged) -> None:
    """Take over the versions of policies' files whose texts can be read, with the times that they have."""
    texts = _policy_texts(source)
    columns = ("file", "sha256", "origin", "created_at")
    rows = source.rows_from_both_ends(f"SELECT {', '.join(columns)} FROM policy_version", "id")  # noqa: S608
    versions = {
        tuple(row) for row in rows if row["sha256"] in texts and all(isinstance(each, str) for each in row)
    }
    with database.writing() as connection:
        for version in sorted(versions, key=lambda row: row[3]):
            same = "SELECT 1 FROM policy_version WHERE file = ? AND sha256 = ? AND created_at = ?"
            file, sha, _, created_at = version
            if connection.exec_driver_sql(same, (file, sha, created_at)).first() is None:
                try:
                    with connection.begin_nested():
                        _insert(connection, "policy_text", {"sha256": sha, "text": texts[sha]}, "OR IGNORE ")
                        _insert(connection, "policy_version", dict(zip(columns, version, strict=True)))
                except IntegrityError:
                    continue
                found.versions += 1


def _execute(connection: Connection, statement: str, rows: list[Any]) -> int:
    """Execute a statement for each row; return how many rows of the database it changed."""
    return connection.exec_driver_sql(statement, rows).rowcount if rows else 0


def _insert(connection: Connection, table: str, row: dict[str, Any], how: str = "") -> int:
    """Insert a row; return its rowid."""
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"INSERT {how}INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
    return connection.exec_driver_sql(statement, tuple(row.values())).lastrowid
