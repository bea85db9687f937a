"""A queue in a folder of its own, whose processes are all gone after the test."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.jobs import scheduler
from engine.jobs.queue import Jobs
from engine.jobs.records import JobSpec, JobSummary
from engine.tracker import open_tracker
from engine.tracker.probes import Tracker

REPOSITORY = Path(__file__).parents[3]


def wait_for(condition: Callable[[], object], within: float = 30.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def processes_with(text: str) -> list[int]:
    """Return the processes that carry ``text`` in their environment or arguments, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if text.encode() in told and b") Z" not in (entry / "stat").read_bytes():
                    found.append(int(entry.name))
    return found


class Workshop:
    """A database, its queue, and the runs' folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracker: Tracker = open_tracker(folder / "wizard.db")
        self.jobs = Jobs(self.tracker.database, folder / "runs", REPOSITORY / "policies")

    def shell(self, *command: str, **fields: object) -> int:
        """Queue a command, with the scheduler at work."""
        spec = JobSpec("shell", {"command": list(command)}, str(self.folder), **fields)  # type: ignore[arg-type]
        run_id = self.jobs.add(spec)
        scheduler.attend(self.jobs)
        return run_id

    def python(self, program: str, **fields: object) -> int:
        """Queue a Python program that can import the engine."""
        return self.shell("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-c", program, **fields)

    def job(self, run_id: int) -> JobSummary:
        """Return a job as it is now."""
        scheduler.attend(self.jobs)
        return self.jobs.job(run_id)

    def until(self, run_id: int, *states: str, within: float = 30.0) -> JobSummary:
        """Wait until a job is in one of these states; without any, until it is over."""
        seen: list[JobSummary] = []

        def there() -> bool:
            seen[:] = [self.job(run_id)]
            return seen[0].state.name in states if states else seen[0].state.over

        try:
            wait_for(there, within)
        except AssertionError:
            raise AssertionError(f"waited for {states or 'its end'}: {seen}") from None
        return seen[0]

    def output(self, run_id: int) -> str:
        """Return what a job has said."""
        output = self.jobs.folder(run_id).output
        return output.read_text() if output.exists() else ""

    def processes(self) -> list[int]:
        """Return all processes that have to do with this queue."""
        return processes_with(str(self.folder))


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    try:
        yield workshop
    finally:
        workshop.tracker.close()
        for pid in workshop.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
