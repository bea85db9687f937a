"""SQL that somebody typed: it reads, it ends, and it changes nothing, here or elsewhere."""

from __future__ import annotations

import hashlib
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.tracker import TrackerError, open_tracker
from engine.tracker.reading_sql import read_sql
from engine.tracker.records import StatementRefused
from engine.tracker.runs import Runs
from tests.engine.trial_runs import trial

LONG = "printf('%%.*c', %d, 'a')"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    (tmp_path / "a #%?&=\u00fc").mkdir()
    with open_tracker(tmp_path / "a #%?&=\u00fc" / "wizard.db") as tracker:
        trial(tracker.runs, "kept\x00\ud800")
        yield tracker.runs


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run",
        "INSERT INTO tag VALUES (1, 'x')",
        "REPLACE INTO tag VALUES (1, 'x')",
        "UPDATE run SET name = 'x' RETURNING name",
        "WITH x AS (SELECT 1) DELETE FROM run",
        "EXPLAIN DELETE FROM run",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE VIRTUAL TABLE temp.x USING fts5(a)",
        "CREATE TRIGGER temp.x AFTER INSERT ON tag BEGIN SELECT 1; END",
        "DROP TABLE run",
        "ALTER TABLE run RENAME TO gone",
        "INSERT INTO probe_search(probe_search) VALUES ('delete-all')",
        "UPDATE sqlite_master SET sql = ''",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 3",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA temp_store_directory = '/tmp'",
        "SELECT * FROM pragma_journal_mode('delete')",
        "ATTACH DATABASE '{folder}/made.db' AS other",
        "ATTACH DATABASE ':memory:' AS other",
        "VACUUM",
        "VACUUM INTO '{folder}/made.db'",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "ANALYZE",
        "REINDEX",
        "SELECT load_extension('{folder}/x.so')",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT 1; DELETE FROM run",
        "SELECT 1; SELECT 2",
    ],
)
def test_nothing_but_reading(runs: Runs, tmp_path: Path, statement: str) -> None:
    path = runs._database.path
    before = [hashlib.sha256(file.read_bytes()).digest() for file in sorted(path.parent.iterdir())]
    with pytest.raises(StatementRefused, match=r"cannot be run.*Nothing was changed"):
        runs.sql(statement.replace("{folder}", str(path.parent)))
    assert sorted(file.name for file in path.parent.iterdir()) == [
        *("wizard.db", "wizard.db-shm", "wizard.db-wal")
    ]
    after = [hashlib.sha256(file.read_bytes()).digest() for file in sorted(path.parent.iterdir())]
    assert [before[0], before[2]] == [after[0], after[2]]
    assert runs.sql("SELECT count(*) FROM run WHERE kind = 'trial'")[1] == [(1,)]
    trial(runs, "the program itself still writes")


@pytest.mark.parametrize(
    "statement",
    ["nonsense", "SELECT ?", "SELECT :a", "SELECT '\ud800'", "SELECT \x00", "SELECT missing FROM run"],
)
def test_what_is_no_statement_is_told(runs: Runs, statement: str) -> None:
    with pytest.raises(StatementRefused, match="cannot be run"):
        runs.sql(statement)


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT name FROM run WHERE kind = 'trial'", [("kept\x00\ud800",)]),
        ("VALUES (1), (NULL)", [(1,), (None,)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        ("SELECT name FROM pragma_table_info('tag') ORDER BY 1", [("name",), ("run_id",)]),
        ("SELECT count(*) FROM probe_search('abc')", [(0,)]),
        ("SELECT CAST(x'ff41' AS TEXT), x'00ff'", [("\ufffdA", b"\x00\xff")]),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 2",
            [(1,), (2,)],
        ),
        ("-- nothing", []),
        ("", []),
    ],
)
def test_reading_reads(runs: Runs, statement: str, rows: list[tuple[object, ...]]) -> None:
    assert runs.sql(statement)[1] == rows


def test_there_is_more_than_asked_for(runs: Runs) -> None:
    assert runs.sql("VALUES (1), (2), (3)", limit=2) == (["column1"], [(1,), (2,)], True)
    assert runs.sql("VALUES (1), (2), (3)", limit=3) == (["column1"], [(1,), (2,), (3,)], False)


@pytest.mark.parametrize(
    "statement",
    [
        ENDLESS,
        # Each of these is one call that takes minutes.
        f"SELECT instr({LONG % 20_000_000}, {LONG % 300_000} || 'b')",
        f"SELECT trim({LONG % 400_000}, printf('%.*c', 100000, 'b') || 'a')",
        f"SELECT {LONG % 60_000_000} LIKE '%' || {LONG % 900} || 'b'",
    ],
)
def test_what_does_not_end_is_ended(runs: Runs, statement: str) -> None:
    began = time.monotonic()
    with pytest.raises(TrackerError, match=r"stopped after 0\.2 seconds"):
        runs.sql(statement, seconds=0.2)
    assert time.monotonic() - began < 20
    assert runs.sql("SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT zeroblob(60000000) FROM ({ENDLESS.replace('count(*)', 'i')})",
        ENDLESS.replace("count(*)", "i"),
        "SELECT " + ", ".join(["zeroblob(60000000)"] * 100),
        # Sorted on a disk, this would fill it.
        f"SELECT i FROM ({ENDLESS.replace('count(*)', 'i, zeroblob(100000) AS wide')}) ORDER BY wide, i",
    ],
)
def test_what_grows_without_end_is_ended(runs: Runs, statement: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TrackerError, match="larger than memory"):
        runs.sql(statement, limit=10**9)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before * 1.5, "nothing of it came over"


def test_no_value_is_longer_than_it_may_be(runs: Runs) -> None:
    with pytest.raises(StatementRefused, match="too big"):
        runs.sql("SELECT zeroblob(900000000)")


def test_a_process_that_dies_is_told(runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cage = tmp_path / "cage.py"
    cage.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr("engine.tracker.reading_sql._CAGE", cage)
    with pytest.raises(TrackerError, match=r"ended by signal 9\. Nothing was changed"):
        runs.sql("SELECT 1")


def test_a_statement_neither_waits_for_a_writer_nor_holds_it_up(runs: Runs) -> None:
    ended: list[str] = []

    def ask() -> None:
        try:
            runs.sql(ENDLESS, seconds=1.5)
        except TrackerError as error:
            ended.append(error.message)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        began = time.monotonic()
        trial(runs)
        with runs._database.writing():
            assert runs.sql("SELECT 1")[1] == [(1,)]
        assert time.monotonic() - began < 30
    finally:
        asking.join()
    assert ended == ["The statement was stopped after 1.5 seconds."]


def test_a_damaged_database_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "wizard.db").write_bytes(b"not a database" * 500)
    with pytest.raises(Exception, match="not a database"):
        read_sql(tmp_path / "wizard.db", "SELECT 1", limit=1, seconds=5)
