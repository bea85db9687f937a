"""Full disks, real ones of two megabytes: nothing is lost, no job ends for it, and all goes on by itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.disk import disk_warning
from engine.jobs import scheduler
from engine.jobs.queue import Jobs
from engine.jobs.records import JobError, JobSpec
from engine.tracker import TrackerError, open_tracker
from tests.e2e.test_tui_terminal import workbench
from tests.engine.jobs.conftest import Workshop, wait_for
from tests.engine.jobs.event_rows import small_disk

STEPS = 300
TELLS = f"""
import os, sys, time
from pathlib import Path
from engine.events import Finished, Metric
from engine.jobs.event_file import EventFile
folder = Path(sys.argv[1])
with EventFile(Path(os.environ["WIZARD101_EVENTS"])) as events:
    for step in range({STEPS}):
        events.write(Metric, name="loss", value=1.0, step=step)
        print("x" * 200, flush=True)
        if step == 20:
            (folder / "under way").touch()
            while not (folder / "full").exists():
                time.sleep(0.01)
    (folder / "done").touch()
    events.write(Finished, summary={{"steps": {STEPS}}})
    events.wait_for_room(60)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "2m") as path:
        yield path


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    (tmp_path / "home").mkdir()
    workshop = Workshop(tmp_path / "home")
    try:
        yield workshop
    finally:
        workshop.tracker.close()
        for pid in workshop.processes():
            subprocess.run(["kill", "-9", str(pid)], check=False)


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def add_until_refused(workshop: Workshop) -> None:
    for _ in range(1000):
        workshop.jobs.add(JobSpec("shell", {"command": ["true"]}, str(workshop.folder), note="x" * 5000))


def points(workshop: Workshop, run_id: int) -> int:
    return sum(bucket.count for bucket in workshop.tracker.runs.curve(run_id, "loss", buckets=1000))


def test_a_full_disk_of_runs_holds_nothing_up_for_good(workshop: Workshop, disk: Path) -> None:
    workshop.jobs = Jobs(workshop.tracker.database, disk / "runs", workshop.jobs._policies)
    run_id = workshop.python(f"import sys; sys.argv[1:] = [{str(workshop.folder)!r}]\n{TELLS}")
    wait_for((workshop.folder / "under way").exists)
    filler = fill(disk)
    warning = disk_warning(workshop.tracker.path, workshop.jobs.runs_folder)
    assert warning is not None
    assert "the runs is full" in warning
    (workshop.folder / "full").touch()
    wait_for((workshop.folder / "done").exists)
    with pytest.raises(JobError, match="Nothing was queued"):
        workshop.shell("true")
    time.sleep(1.0)
    assert workshop.job(run_id).state.name == "running", "it is done, and its end waits for room"
    filler.unlink()
    job = workshop.until(run_id)
    assert job.outcome == "succeeded"
    assert points(workshop, run_id) == STEPS
    run = workshop.tracker.runs.run(run_id)
    assert run is not None
    assert run.outcome == {"steps": STEPS}
    said = len(workshop.output(run_id).replace("\n", ""))
    assert said >= STEPS * 200 or "found no room" in job.reason
    assert "is full" not in (disk_warning(workshop.tracker.path, workshop.jobs.runs_folder) or "")
    assert workshop.until(workshop.shell("true")).outcome == "succeeded"


def test_a_full_disk_of_the_database_is_waited_out(workshop: Workshop, disk: Path) -> None:
    workshop.tracker.close()
    workshop.tracker = open_tracker(disk / "wizard.db")
    workshop.jobs = Jobs(workshop.tracker.database, workshop.folder / "runs", workshop.jobs._policies)
    run_id = workshop.python(f"import sys; sys.argv[1:] = [{str(workshop.folder)!r}]\n{TELLS}")
    wait_for((workshop.folder / "under way").exists)
    wait_for(lambda: workshop.job(run_id).state.name == "running")
    filler = fill(disk)
    (workshop.folder / "full").touch()
    wait_for((workshop.folder / "done").exists)
    wait_for(lambda: not workshop.jobs.folder(run_id).alive)
    with pytest.raises(TrackerError, match="no room left"):
        add_until_refused(workshop)
    assert scheduler.is_running(workshop.tracker.path), "it waits for room"
    filler.unlink()
    wait_for(lambda: workshop.jobs.job(run_id).state.over)
    assert workshop.jobs.job(run_id).outcome == "succeeded"
    assert points(workshop, run_id) == STEPS
    for job in workshop.jobs.live():
        with suppress(JobError):
            workshop.jobs.cancel(job.id)


def test_the_workbench_says_so_and_stops_saying_so(tmp_path: Path, disk: Path) -> None:
    db = disk / "wizard.db"
    open_tracker(db).close()
    with workbench(db, size=(160, 48)) as terminal:
        terminal.send("\x1b3")
        terminal.wait_for("[3 Jobs]")
        filler = fill(disk)
        terminal.wait_for("is full", 20)
        terminal.send("\x1b1")
        terminal.wait_for("[1 Probe]")
        terminal.send("hello\r")
        terminal.wait_for("Not saved", 20)
        filler.unlink()
        terminal.send("\r")
        terminal.wait_for("saved #1", 20)
        terminal.send("\x1b3")
        terminal.wait_for("[3 Jobs]")
        terminal.wait_for(lambda text: "is full" not in text, 20)
