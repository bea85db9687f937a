"""The tracker at size: 100,000 runs and 10,000,000 points, each figure against a named baseline in this run.

    python -m benchmarks.tracker [--runs N] [--points N] [--db FILE]

- pane: from the key to the first rows on the screen of a real terminal, against the SQL alone
- keys: Page Down from the top, End and Home, from the key to the row on the screen
- stock table: the same list in Textual's DataTable
- compare: 100 curves of 100,000 points reduced to 400, against the same statements through bare sqlite3
- ingest: a file of metric events, against a bare executemany of the same rows
- idle: the share of a core that the workbench takes with every pane opened

``--db`` keeps the generated database and uses it again. Exits with 1 if a gate is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.stock_table import seconds_to_fill
from engine.events import Metric, encode
from engine.jobs.ingest import ingest
from engine.jobs.queue import Jobs
from engine.jobs.records import JobSpec
from engine.tracker import open_tracker
from engine.tracker.curves import BUCKET_SQL, FIRST_SQL, LAST_SQL, stretches
from engine.tracker.run_records import RunQuery
from tests.terminal import Terminal

CURVES = 100
BUCKETS = 400
METRIC, NAME = "loss", "bench-"
_SHOWN = 12
"""Characters of a name that its column has room for."""
OPEN_GATE_MS, KEY_GATE_MS, COMPARE_GATE, INGEST_GATE, IDLE_GATE = 150.0, 50.0, 1.5, 0.6, 0.01
ALT_3, ALT_4, END, HOME, PAGE_DOWN, UP = "\x1b3", "\x1b4", "\x1b[F", "\x1b[H", "\x1b[6~", "\x1b[A"


class Gates:
    """Prints each figure beside its gate, and remembers whether one was missed."""

    def __init__(self) -> None:
        self.missed = 0

    def check(self, said: str, met: bool, gate: str) -> None:
        self.missed += not met
        print(f"{said}  (gate {gate}{'' if met else ': MISSED'})", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--db", type=Path)
    options = parser.parse_args()
    gates = Gates()
    with tempfile.TemporaryDirectory() as folder:
        db = options.db or Path(folder) / "wizard.db"
        if not db.exists():
            generate(db, options.runs, options.points)
        print(f"{db.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores", flush=True)
        compare(db, gates)
        pane(db, gates)
        ingest_rate(Path(folder), gates)
    return int(gates.missed > 0)


# --- the data ----------------------------------------------------------------------------------------


def generate(db: Path, runs: int, points: int) -> None:
    """Make a database of runs, the newest `CURVES` of them with a curve."""
    began = time.perf_counter()
    with open_tracker(db) as tracker, tracker.database.writing() as connection:
        first: int = connection.exec_driver_sql("SELECT coalesce(max(id), 0) + 1 FROM run").scalar_one()
        if first < 1000:
            first = 1000
        connection.exec_driver_sql(
            "INSERT INTO run (id, name, kind, origin, status, created_at, started_at, ended_at, params, "
            "packages, seeds, summary, source, note) "
            "VALUES (?, ?, ?, 'measured', ?, ?, ?, ?, '{}', '{}', '{}', '{}', '', '')",
            [_run(first + number, number) for number in range(runs)],
        )
        connection.exec_driver_sql(
            "INSERT INTO result VALUES (?, 'f1', ?, 2853, ?, ?)",
            [(first + n, n % 1000 / 10, n % 1000 / 10 - 2, n % 1000 / 10 + 2) for n in range(runs)],
        )
        connection.exec_driver_sql("INSERT INTO metric_name (id, name) VALUES (1, ?)", (METRIC,))
        for number in range(CURVES):
            run_id = first + runs - CURVES + number
            connection.exec_driver_sql(
                "INSERT INTO metric VALUES (?, 1, ?, ?, ?, ?)",
                [(run_id, step, step, step * 10.0, 5 / (step + 1)) for step in range(points // CURVES)],
            )
    print(f"generated {runs:,} runs and {points:,} points in {time.perf_counter() - began:.0f} s", flush=True)


def _run(run_id: int, number: int) -> tuple[object, ...]:
    began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    ended = began + timedelta(minutes=number % 50)
    moments = (began.isoformat(timespec="microseconds"), ended.isoformat(timespec="microseconds"))
    kind, status = ("classify", "shell")[number % 2], ("succeeded", "succeeded", "failed")[number % 3]
    return (run_id, f"{NAME}{number}", kind, status, moments[0], *moments)


# --- comparing ---------------------------------------------------------------------------------------


def compare(db: Path, gates: Gates) -> None:
    """Read a hundred curves through the tracker, and by the same statements alone."""
    with closing(sqlite3.connect(db)) as raw, open_tracker(db) as tracker:
        ids = [row[0] for row in raw.execute("SELECT DISTINCT run_id FROM metric")]
        through: list[float] = []
        alone: list[float] = []
        for _ in range(3):
            alone.append(_seconds(lambda: _raw_curves(raw, ids)))
            through.append(_seconds(lambda: tracker.runs.curves(ids, METRIC, BUCKETS)))
    ratio = statistics.median(through) / statistics.median(alone)
    said = f"compare {len(ids)} runs: {statistics.median(through):.2f} s, {ratio:.2f} times the bare SQL"
    gates.check(said, ratio <= COMPARE_GATE, f"{COMPARE_GATE} times")


def _raw_curves(raw: sqlite3.Connection, ids: list[int]) -> None:
    for run_id in ids:
        first = raw.execute(FIRST_SQL, (run_id, 1)).fetchall()
        last = raw.execute(LAST_SQL, (run_id, 1)).fetchall()
        for bounds in stretches(first, last, BUCKETS):
            raw.execute(BUCKET_SQL, (run_id, 1, *bounds)).fetchone()


# --- the panes ---------------------------------------------------------------------------------------


def pane(db: Path, gates: Gates) -> None:
    """Open the experiments pane in a real terminal, go through it, and leave it alone."""
    with open_tracker(db) as tracker:
        alone = min(_seconds(lambda: (tracker.runs.count(), tracker.runs.page(RunQuery()))) for _ in range(5))
        newest, oldest = (
            tracker.runs.page(RunQuery(descending=down), limit=1)[0][1].name for down in (True, False)
        )
    opened = []
    for _ in range(5):
        with _workbench(db) as terminal:
            opened.append(_key_to_screen(terminal, ALT_4, newest[:_SHOWN]))
    said = f"pane open: {statistics.median(opened) * 1000:.0f} ms, the SQL alone {alone * 1000:.0f} ms"
    met = statistics.median(opened) - alone <= OPEN_GATE_MS / 1000
    gates.check(said, met, f"SQL + {OPEN_GATE_MS:.0f} ms")
    print(f"stock DataTable, filled with the same list: {seconds_to_fill(db):.1f} s", flush=True)
    with _workbench(db) as terminal:
        terminal.send(ALT_4)
        terminal.wait_for(newest)
        terminal.settle()
        keys = list(_scroll(terminal, newest, oldest))
        worst = max(keys)
        middle = statistics.median(keys)
        said = f"keys: {len(keys)} measured, median {middle * 1000:.0f} ms, worst {worst * 1000:.0f} ms"
        gates.check(said, worst <= KEY_GATE_MS / 1000, f"{KEY_GATE_MS:.0f} ms")
        terminal.send(ALT_3)
        terminal.settle(1.0)
        _idle(terminal, "jobs", gates)
        terminal.send(ALT_4)
        terminal.settle(1.0)
        _idle(terminal, "experiments", gates)


def _workbench(db: Path) -> Terminal:
    open_it = "import sys, pathlib, app.open_tui as t; sys.exit(t.open_tui(pathlib.Path(sys.argv[1])))"
    terminal = Terminal([sys.executable, "-c", open_it, str(db)], columns=160, lines=48, cwd=Path.cwd())
    terminal.wait_for("Harassment")
    terminal.settle(1.5)
    return terminal


def _key_to_screen(terminal: Terminal, key: str, wanted: str) -> float:
    """Press a key and return how long it took until ``wanted`` was written to the terminal."""
    seen = len(terminal.raw)
    began = time.perf_counter()
    terminal.send(key)
    while wanted.encode() not in terminal.raw[seen:]:
        terminal.read(0.5)
        if time.perf_counter() - began > 60:
            raise TimeoutError(terminal.text)
    return time.perf_counter() - began


def _scroll(terminal: Terminal, newest: str, oldest: str) -> Iterator[float]:
    """Press keys one by one, each once the last has been answered; yield the seconds each took."""
    for _ in range(30):
        yield _key_to_screen(terminal, PAGE_DOWN, NAME)
        terminal.settle(0.1)
    for key, wanted in ((END, oldest), (HOME, newest)) * 5:
        yield _key_to_screen(terminal, key, wanted[:_SHOWN])
        terminal.settle(0.1)


def _idle(terminal: Terminal, where: str, gates: Gates, seconds: float = 10.0) -> None:
    """Measure the processor time of the workbench while nobody does anything."""
    before = _cpu(terminal.process.pid)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        terminal.read(0.5)
    share = (_cpu(terminal.process.pid) - before) / seconds
    gates.check(f"idle in {where}: {share:.2%} of a core", share <= IDLE_GATE, f"{IDLE_GATE:.0%}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- taking events in --------------------------------------------------------------------------------


def ingest_rate(folder: Path, gates: Gates, events: int = 500_000) -> None:
    """Take a file of metrics in, and insert the same rows with nothing around it."""
    rates = []
    with open_tracker(folder / "ingest.db") as tracker:
        jobs = Jobs(tracker.database, folder / "runs")
        jobs.limit_group("default", 0)
        lines = [
            encode(Metric(seq=seq, at_ms=seq / 10, name=METRIC, value=1 / (seq + 1), step=seq))
            for seq in range(events)
        ]
        content = "\n".join(lines) + "\n"
        rows = [
            (event["step"], event["seq"], event["at_ms"], event["value"]) for event in map(json.loads, lines)
        ]
        for _ in range(3):
            run_id = jobs.add(JobSpec("shell", {"command": ["true"]}, str(folder)))
            path = jobs.folder(run_id).events
            path.write_text(content)
            bare = _seconds(lambda run_id=run_id: _bare(folder / "bare.db", run_id, rows))  # type: ignore[misc]
            taken = _seconds(lambda run_id=run_id, path=path: ingest(tracker.database, path, run_id))  # type: ignore[misc]
            rates.append(bare / taken)
    rate = statistics.median(rates)
    gates.check(
        f"ingest: {rate:.0%} of the rate of a bare executemany", rate >= INGEST_GATE, f"{INGEST_GATE:.0%}"
    )


def _bare(path: Path, run_id: int, rows: list[tuple[object, ...]]) -> None:
    block = 50_000
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")
        raw.execute(
            "CREATE TABLE IF NOT EXISTS metric (run_id INTEGER NOT NULL, name_id INTEGER NOT NULL, "
            "step INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms FLOAT NOT NULL, value FLOAT, "
            "PRIMARY KEY (run_id, name_id, step, seq)) WITHOUT ROWID"
        )
        for start in range(0, len(rows), block):
            raw.execute("BEGIN IMMEDIATE")
            values = ((run_id, 1, *row) for row in rows[start : start + block])
            raw.executemany("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?)", values)
            raw.execute("COMMIT")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
