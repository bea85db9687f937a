"""A thousand short jobs: does each run once, in the order of priority, and what does a job cost?

    python -m benchmarks.jobs [--jobs N] [--at-once N]

The overhead of a job is the wall time per job, times how many run at once, less what the same command takes
when it is started directly in the same way (the named baseline: `subprocess`, as many at once).
Exits with 1 if a gate is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.jobs import scheduler
from engine.jobs.queue import Jobs
from engine.jobs.records import JobSpec
from engine.tracker import open_tracker

OVERHEAD_GATE_MS = 150.0
PRIORITIES = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), options.jobs, options.at_once)


def measure(folder: Path, count: int, at_once: int) -> int:
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(subprocess.run, command(folder, -1), check=True) for _ in range(count)]:
            done.result()
    directly = time.perf_counter() - began
    (folder / "-1").unlink()

    with open_tracker(folder / "wizard.db") as tracker:
        jobs = Jobs(tracker.database, folder / "runs")
        jobs.limit_group("default", at_once)
        began = time.perf_counter()
        ids = [
            jobs.add(JobSpec("shell", {"command": command(folder, n)}, str(folder), priority=n % PRIORITIES))
            for n in range(count)
        ]
        added = time.perf_counter() - began
        began = time.perf_counter()
        scheduler.attend(jobs)
        while jobs.counts().get("succeeded", 0) < count:
            time.sleep(0.1)
            scheduler.attend(jobs)
        worked = time.perf_counter() - began
        ran = sorted(jobs.ended(limit=count), key=lambda job: (job.started_at or job.created_at, job.id))

    times_run = [len((folder / str(number)).read_text()) for number in range(count)]
    late = sum(1 for job, place in zip(ran, expected(ids), strict=True) if job.priority != place)
    overhead_ms = (worked - directly) / count * at_once * 1000
    print(f"{count} jobs, {at_once} at once: added in {added:.2f} s ({added / count * 1000:.1f} ms each)")
    print(f"directly (subprocess): {directly:.2f} s; as jobs: {worked:.2f} s, {worked / directly:.1f} times")
    print(f"each ran once: {all(times == 1 for times in times_run)}; out of order: {late}")
    print(f"overhead of a job: {overhead_ms:.1f} ms (gate {OVERHEAD_GATE_MS:.0f} ms)")
    missed = overhead_ms > OVERHEAD_GATE_MS or any(times != 1 for times in times_run) or late > 0
    return int(missed)


def command(folder: Path, number: int) -> list[str]:
    return ["sh", "-c", f"printf x >> {folder / str(number)}"]


def expected(ids: list[int]) -> list[int]:
    """Return the priorities in the order in which jobs have to start."""
    return sorted((number % PRIORITIES for number in range(len(ids))), reverse=True)


if __name__ == "__main__":
    sys.exit(main())
