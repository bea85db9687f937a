"""Jobs without a queue, the rows that a run has, and a disk that is soon full."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from engine.events import decode
from engine.tracker.probes import Tracker
from engine.tracker.run_records import NewRun
from engine.tracker.run_tables import JobRow


def add_job(tracker: Tracker) -> int:
    """Record a run with a job of which no event has been taken in, and return its id."""
    run_id = tracker.runs.add(NewRun("run", "shell", "running"))
    columns = ("priority", "accelerators", "events_offset", "events_skipped", "events_check")
    texts = ("group_name", "reason", "phase", "unit")
    values = {**dict.fromkeys(columns, 0), **dict.fromkeys(texts, "")}
    with tracker.database.writing() as connection:
        connection.execute(insert(JobRow).values(run_id=run_id, attempt=1, events_seq=-1, **values))
    return run_id


def points(database: Path, run_id: int) -> list[tuple[int, str, int, float, float | None]]:
    """Return the run's points by seq: seq, name, step, at_ms, value."""
    with closing(sqlite3.connect(database)) as raw:
        return raw.execute(
            "SELECT seq, metric_name.name, step, at_ms, value FROM metric "
            "JOIN metric_name ON metric_name.id = name_id WHERE run_id = ? ORDER BY seq",
            (run_id,),
        ).fetchall()


def events(database: Path, run_id: int) -> list[tuple[int, str]]:
    """Return the run's other stored events by seq: seq and the name of its class."""
    with closing(sqlite3.connect(database)) as raw:
        found = raw.execute("SELECT seq, at_ms, body FROM run_event WHERE run_id = ? ORDER BY seq", (run_id,))
        told = [(seq, at_ms, decode(body)) for seq, at_ms, body in found]
    assert all((seq, at_ms) == (event.seq, event.at_ms) for seq, at_ms, event in told)
    return [(seq, type(event).__name__) for seq, _, event in told]


def job_columns(database: Path, run_id: int, *names: str) -> tuple[object, ...]:
    """Return columns of the job's row."""
    with closing(sqlite3.connect(database)) as raw:
        row: tuple[object, ...] = raw.execute(
            f"SELECT {', '.join(names)} FROM job WHERE run_id = ?", (run_id,)
        ).fetchone()
        return row


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Give a file system in memory of a size such as "64k"; the test is skipped where none can be had."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small disk takes a mount command")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def enlarge(disk: Path, size: str) -> None:
    """Give a small disk more room."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
