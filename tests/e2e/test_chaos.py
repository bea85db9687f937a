"""``kill -9`` at random moments: of a job's worker, of its supervisor, and of whoever takes its events in.

What must come of it, whatever the moment:

| killed | the job ends as | unless |
| --- | --- | --- |
| worker | killed (SIGKILL) | it had ended before: succeeded |
| supervisor | lost | its end was written down before: succeeded |
| scheduler, or another who takes events in | succeeded | |

And always: the rows are those of the event file, nothing is left running, and a retry succeeds.
``WIZARD_CHAOS_KILLS`` sets how many kills there are.
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
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engine.events import EventDecodeError, Heartbeat, Metric, Progress, decode
from engine.jobs import scheduler, supervisor
from tests.engine.jobs.conftest import REPOSITORY, Workshop, processes_with, wait_for, workshop

__all__ = ["workshop"]

KILLS = int(os.environ.get("WIZARD_CHAOS_KILLS", "16"))
AT_ONCE = 6
VICTIMS = ("worker", "supervisor", "scheduler", "looker")
ENDS = {
    "worker": {"killed (SIGKILL)", "succeeded"},
    "supervisor": {"lost", "succeeded"},
    "scheduler": {"succeeded"},
    "looker": {"succeeded"},
}
STEPS = 60
WORKER = f"""
import os, time
from pathlib import Path
from engine.events import Finished, Launched, Log, Metric, Progress
from engine.jobs.event_file import EventFile
with EventFile(Path(os.environ["WIZARD101_EVENTS"])) as events:
    events.write(Launched, kind="chaos", pid=os.getpid())
    for step in range({STEPS}):
        events.write(Metric, name="loss", value=1 / (step + 1), step=step)
        events.write(Metric, name="rate", value=step, step=step)
        events.write(Progress, done=step + 1, total={STEPS})
        if step % 10 == 0:
            events.write(Log, message=f"step {{step}}")
        time.sleep(0.01)
    events.write(Finished, summary={{"steps": {STEPS}}})
"""
LOOKER = """
import sys, time
from pathlib import Path
from engine.jobs.queue import Jobs
from engine.jobs.reconcile import reconcile
from engine.tracker import open_tracker
jobs = Jobs(open_tracker(Path(sys.argv[1])).database, Path(sys.argv[2]))
while True:
    reconcile(jobs)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
@pytest.mark.timeout(60 + 4 * KILLS)
def test_whatever_is_killed_the_record_is_true(workshop: Workshop) -> None:
    chance = random.Random(20261125)
    workshop.jobs.limit_group("default", AT_ONCE)
    looker = look(workshop)
    outcomes: dict[str, dict[str, int]] = {victim: {} for victim in VICTIMS}
    ended: list[int] = []
    for first in range(0, KILLS, AT_ONCE):
        victims = [VICTIMS[number % len(VICTIMS)] for number in range(first, min(first + AT_ONCE, KILLS))]
        jobs = [(workshop.python(WORKER), victim) for victim in victims]
        for run_id, victim in jobs:
            time.sleep(chance.uniform(0, 0.3))
            kill(workshop, run_id, victim, looker)
            if victim == "looker":
                looker.wait()
                looker = look(workshop)
        for run_id, victim in jobs:
            outcome = workshop.until(run_id, within=60).outcome
            assert outcome in ENDS[victim], (victim, outcome)
            outcomes[victim][outcome] = outcomes[victim].get(outcome, 0) + 1
            assert processes_with(str(workshop.jobs.folder(run_id).path)) == []
            check_rows(workshop, run_id)
            ended.append(run_id)
    print(outcomes)
    again = [run_id for run_id in ended if workshop.job(run_id).outcome != "succeeded"]
    for run_id in again:
        workshop.jobs.retry(run_id)
    for run_id in again:
        assert workshop.until(run_id, within=60).outcome == "succeeded"
        check_rows(workshop, run_id)
    looker.kill()
    looker.wait()
    wait_for(lambda: not scheduler.is_running(workshop.tracker.path))
    with closing(sqlite3.connect(workshop.tracker.path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def look(workshop: Workshop) -> subprocess.Popen[bytes]:
    """Start a process that takes events in, over and over."""
    where = (str(workshop.tracker.path), str(workshop.jobs.runs_folder))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen([sys.executable, "-c", LOOKER, *where], env=environment)


def kill(workshop: Workshop, run_id: int, victim: str, looker: subprocess.Popen[bytes]) -> None:
    if victim == "looker":
        looker.kill()
        return
    if victim == "scheduler":
        found = [pid for pid in workshop.processes() if b"engine.jobs.scheduler" in command_of(pid)]
        # A supervisor looks like the scheduler between fork and exec: it is not who is meant.
        pids = [pid for pid in found if parent_of(pid) not in found]
    else:
        started = workshop.jobs.folder(run_id).path / supervisor.STARTED
        wait_for(lambda: workshop.job(run_id) and started.exists() and started.read_text().endswith("}"))
        pids = [json.loads(started.read_text())[victim]]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    scheduler.attend(workshop.jobs)


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def check_rows(workshop: Workshop, run_id: int) -> None:
    """Compare the database with the event file, event by event."""
    metrics, others, bad = [], [], 0
    lines = workshop.jobs.folder(run_id).events
    for line in lines.read_bytes().split(b"\n") if lines.exists() else []:
        if not line:
            continue
        try:
            event = decode(line)
        except EventDecodeError:
            bad += 1
            continue
        if isinstance(event, Metric):
            metrics.append((event.name, event.step, event.seq, event.value))
        elif not isinstance(event, Progress | Heartbeat):
            others.append((event.seq, line.decode()))
    kept = workshop.tracker.runs.sql(
        f"SELECT metric_name.name, step, seq, value FROM metric JOIN metric_name ON id = name_id "
        f"WHERE run_id = {run_id} ORDER BY seq",
        limit=100_000,
    )[1]
    assert kept == sorted(metrics, key=lambda row: row[2])
    told = workshop.tracker.runs.sql(f"SELECT seq, body FROM run_event WHERE run_id = {run_id} ORDER BY seq")[
        1
    ]
    assert [seq for seq, _ in told] == [seq for seq, _ in others]
    for (_, body), (_, line) in zip(told, others, strict=True):
        assert json.loads(body).items() <= json.loads(line).items()
    assert workshop.job(run_id).skipped_lines == bad
