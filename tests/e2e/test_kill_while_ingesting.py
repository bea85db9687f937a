"""The tracker's rows are what the event file says, whenever ``kill -9`` strikes whoever writes or reads it.

Run as a module, this file is the launcher: a process that has the database libraries loaded and forks an
ingester or a writer for every line it reads, so that many kills do not cost loading them as often.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from engine.events import Log, Metric, encode
from engine.jobs.event_file import EventFile
from engine.jobs.ingest import ingest
from engine.tracker import open_tracker
from tests.engine.jobs.event_rows import add_job, events, job_columns, points

KILLS = 40
INGESTERS = 2
WRITER_LIVES = 4
"""Kills of an ingester to each kill of the writer."""

LOG_EVERY = 9
BURST = 400
PAUSE_S = 0.02


class Launcher:
    """Starts and ends processes that work on the database and the event file of a folder."""

    def __init__(self, folder: Path, run_id: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.test_kill_while_ingesting", str(folder), str(run_id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def start(self, what: str) -> int:
        return int(self._ask(what))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._ask(f"wait {pid}") == "killed"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


def test_rows_are_what_the_file_says_whoever_is_killed(tmp_path: Path) -> None:
    database, path = tmp_path / "wizard.db", tmp_path / "events.jsonl"
    chance = random.Random(20260917)
    with open_tracker(database) as tracker:
        run_id = add_job(tracker)
        launcher = Launcher(tmp_path, run_id)
        running: list[int] = []
        try:
            writer = launcher.start("write")
            running = [launcher.start("ingest") for _ in range(INGESTERS)]
            for kill in range(KILLS):
                time.sleep(chance.choice((chance.uniform(0, 0.01), chance.uniform(0.01, 0.15))))
                launcher.kill(running.pop(0))
                check_taken_in(database, run_id)
                if kill % WRITER_LIVES == 0:
                    launcher.kill(writer)
                    tear(path, chance)
                    writer = launcher.start("write")
                running.append(launcher.start("ingest"))
        finally:
            for pid in (writer, *running):
                launcher.kill(pid)
            launcher.close()
        (before,) = job_columns(database, run_id, "events_seq")
        assert isinstance(before, int)
        assert before > KILLS
        ingest(tracker.database, path, run_id, ended=True)
    check_all(database, path, run_id)


def tear(path: Path, chance: random.Random) -> None:
    """Leave the beginning of a line. A kill itself seldom does: the kernel hardly ever cuts a short write."""
    line = encode(Log(seq=0, message="x" * chance.randrange(5000))).encode()
    with path.open("ab") as file:
        file.write(line[: chance.randrange(1, len(line))])


def check_taken_in(database: Path, run_id: int) -> None:
    """Check that there are as many rows as the place says: writers count without gaps."""
    with closing(sqlite3.connect(database)) as raw:
        raw.execute("BEGIN")
        (seq,) = raw.execute("SELECT events_seq FROM job WHERE run_id = ?", (run_id,)).fetchone()
        rows = 0
        for table in ("metric", "run_event"):
            count, last = raw.execute(
                f"SELECT count(*), max(seq) FROM {table} WHERE run_id = ?", (run_id,)
            ).fetchone()
            rows += count
            assert count == 0 or last <= seq
        assert rows == seq + 1


def check_all(database: Path, path: Path, run_id: int) -> None:
    """Compare every row with the lines of the file, read here without any of the code under test."""
    expected_points, expected_events, torn = [], [], 0
    for line in path.read_bytes().split(b"\n"):
        try:
            event = json.loads(line)
        except ValueError:
            torn += bool(line)
            continue
        if event["event"] == "metric":
            row = (event["seq"], event["name"], event["step"], event["at_ms"], event["value"])
            expected_points.append(row)
        else:
            expected_events.append((event["seq"], "Log"))
    assert points(database, run_id) == expected_points
    assert events(database, run_id) == expected_events
    assert torn >= KILLS // WRITER_LIVES
    assert job_columns(database, run_id, "events_offset", "events_skipped") == (path.stat().st_size, torn)
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


# --- the launcher ------------------------------------------------------------------------------------


def write_until_killed(path: Path) -> None:
    with EventFile(path) as file:
        for number in range(10**9):
            if number % LOG_EVERY == 0:
                file.write(Log, message="m" * (number % 3000))
            else:
                file.write(Metric, name=f"curve {number % 3}", value=number / 7, step=number)
            if number % BURST == 0:
                time.sleep(PAUSE_S)


def ingest_until_killed(folder: Path, run_id: int) -> None:
    with open_tracker(folder / "wizard.db") as tracker:
        while True:
            ingest(tracker.database, folder / "events.jsonl", run_id)


def launch(folder: Path, run_id: int) -> None:
    import engine.tracker.probes as loaded_before_forking  # noqa: F401

    for line in sys.stdin:
        what, _, pid = line.strip().partition(" ")
        if what == "wait":
            _, status = os.waitpid(int(pid), 0)
            os.write(1, b"killed\n" if os.WTERMSIG(status) == signal.SIGKILL else b"ended\n")
            continue
        child = os.fork()
        if child == 0:
            try:
                if what == "write":
                    write_until_killed(folder / "events.jsonl")
                ingest_until_killed(folder, run_id)
            finally:
                os._exit(1)
        os.write(1, f"{child}\n".encode())


if __name__ == "__main__":
    launch(Path(sys.argv[1]), int(sys.argv[2]))
