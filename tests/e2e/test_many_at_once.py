"""Two workbenches and eight writing processes on one database: nobody is refused, and one scheduler works.

``WIZARD_MANY_SECONDS`` sets how long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.jobs import scheduler
from tests.e2e.test_tui_terminal import workbench
from tests.engine.jobs.conftest import REPOSITORY, Workshop, workshop

__all__ = ["workshop"]

SECONDS = float(os.environ.get("WIZARD_MANY_SECONDS", "5"))
WRITERS = 8
WRITER = """
import sys, time
from pathlib import Path
from engine.cases import Case
from engine.jobs.queue import Jobs
from engine.jobs.records import JobSpec
from engine.jobs.scheduler import attend
from engine.tracker import open_tracker
from engine.tracker.run_records import NewRun, Result
from tests.engine.tracking import judged
db, runs, name, seconds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
until, count, jobs_added = time.monotonic() + seconds, 0, 0
with open_tracker(db) as tracker:
    jobs = Jobs(tracker.database, runs)
    while time.monotonic() < until:
        case = Case(f"{name} {count}")
        tracker.save_probe(case, judged(case))
        run = tracker.runs.add(NewRun(f"{name} {count}", "shell", "succeeded", results=[Result("f1", count)]))
        tracker.runs.tag(run, "written")
        if count % 20 == 0:
            command = ["sh", "-c", f"echo ran >> {db.parent}/ran-{name}-{count}"]
            jobs.add(JobSpec("shell", {"command": command}, str(db.parent), group=name))
            jobs_added += 1
        attend(jobs)
        count += 1
print(count, jobs_added)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
@pytest.mark.timeout(120 + 3 * SECONDS)
def test_nobody_is_refused_and_one_scheduler_works(workshop: Workshop) -> None:
    db = workshop.tracker.path
    where = (str(db), str(workshop.jobs.runs_folder))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    at_work: set[frozenset[int]] = set()
    with workbench(db) as first, workbench(db, size=(160, 48)) as second:
        for terminal in (first, second):
            terminal.send("\x1b3")
            terminal.wait_for("[3 Jobs]", 20)
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, *where, f"w{number}", str(SECONDS)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(WRITERS)
        ]
        while any(writer.poll() is None for writer in writers):
            at_work.add(lock_holders(scheduler.lock_path(db)))
            for terminal in (first, second):
                terminal.read(0.1)
                assert "locked" not in terminal.text
        told = [writer.communicate() for writer in writers]
        assert [errors for _, errors in told] == [""] * WRITERS
        deadline = time.monotonic() + 60
        while workshop.jobs.live():
            assert time.monotonic() < deadline, workshop.jobs.counts()
            for terminal in (first, second):
                terminal.read(0.1)
        for terminal in (first, second):
            terminal.wait_for("waiting 0", 20)
    counts = [tuple(map(int, said.split())) for said, _ in told]
    assert workshop.tracker.count() == sum(count for count, _ in counts)
    jobs = sum(added for _, added in counts)
    assert workshop.jobs.counts() == {"succeeded": jobs}
    ran = [path.read_text() for path in db.parent.glob("ran-*")]
    assert ran == ["ran\n"] * jobs
    assert {len(holders) for holders in at_work} <= {0, 1}
    assert frozenset().union(*at_work), "a scheduler was at work"
    print(f"{sum(count for count, _ in counts)} probes and runs, {jobs} jobs")


def lock_holders(path: Path) -> frozenset[int]:
    """Return the processes that have a file locked."""
    try:
        inode = path.stat().st_ino
    except OSError:
        return frozenset()
    fields = (line.split() for line in Path("/proc/locks").read_text().split("\n"))
    return frozenset(
        int(each[4])
        for each in fields
        if len(each) > 5 and each[3] == "WRITE" and each[5].endswith(f":{inode}")
    )
