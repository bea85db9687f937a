"""The one scheduler: which job starts when, and how it comes and goes."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.jobs import scheduler
from engine.jobs.waiting import why_waiting
from tests.engine.jobs.conftest import Workshop, wait_for


def test_jobs_start_by_priority_then_age_and_a_group_has_a_limit(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    log = workshop.folder / "order"
    priorities = (0, 5, 5, -1, 9)
    ids = [
        workshop.shell("sh", "-c", f"echo begin {n} >> {log}; sleep 0.1; echo end {n} >> {log}", priority=p)
        for n, p in enumerate(priorities)
    ]
    assert [job.id for job in workshop.jobs.live()] == [ids[4], ids[1], ids[2], ids[0], ids[3]]
    time.sleep(0.5)
    assert workshop.jobs.counts() == {"queued": 5}, "a group with a limit of 0 is held"
    workshop.jobs.limit_group("default", 1)
    for run_id in ids:
        workshop.until(run_id)
    said = log.read_text().split("\n")[:-1]
    assert said == [f"{what} {n}" for n in (4, 1, 2, 0, 3) for what in ("begin", "end")]


def test_groups_do_not_wait_for_one_another(workshop: Workshop) -> None:
    slow = workshop.shell("sleep", "30")
    quick = workshop.shell("true", group="other")
    assert workshop.until(quick).outcome == "succeeded"
    assert workshop.job(slow).state.name == "running"
    workshop.jobs.cancel(slow)
    assert workshop.until(slow).outcome == "cancelled (SIGTERM)"


def test_a_pipeline_goes_on_with_nobody_looking(workshop: Workshop) -> None:
    first = workshop.shell("sleep", "0.2")
    second = workshop.shell("sh", "-c", "echo done > finished", needs=[first])
    wait_for((workshop.folder / "finished").exists)
    assert workshop.until(second).outcome == "succeeded"


def test_more_accelerators_than_there_are_is_said(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIZARD_ACCELERATORS", "2")
    too_many = workshop.shell("true", accelerators=3)
    both = [workshop.shell("sleep", "0.3", accelerators=2, group=group) for group in ("a", "b")]
    for run_id in both:
        workshop.until(run_id)
    first, second = (workshop.job(run_id) for run_id in both)
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at
    assert workshop.job(too_many).reason == "It needs 3 accelerators; this machine has 2."
    workshop.jobs.cancel(too_many)


def test_a_large_job_is_not_passed_by_small_ones_for_ever(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIZARD_ACCELERATORS", "2")
    workshop.jobs.limit_group("default", 4)
    first = workshop.shell("sleep", "1", accelerators=1)
    workshop.until(first, "running")
    large = workshop.shell("sleep", "0.5", accelerators=2, priority=1)
    small = workshop.shell("true", accelerators=1)
    without = workshop.shell("true")
    assert workshop.until(without).outcome == "succeeded"
    waits = why_waiting(workshop.jobs.live(), workshop.jobs.groups(), 2)
    assert waits == {
        large: "It needs 2 accelerators; 1 of 2 are free.",
        small: f"The free accelerators are kept for job {large}, which needs 2.",
    }
    ends = [workshop.until(run_id).ended_at for run_id in (first, large, small)]
    assert ends == sorted(ends)  # type: ignore[type-var]


def test_a_scheduler_leaves_a_newer_database_alone(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    workshop.shell("true")
    wait_for(lambda: len(schedulers(workshop)) == 1)
    for pid in schedulers(workshop):
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not schedulers(workshop))
    with closing(sqlite3.connect(workshop.tracker.path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    scheduler.ensure(workshop.tracker.path, workshop.jobs.runs_folder)
    wait_for(lambda: schedulers(workshop))
    wait_for(lambda: not schedulers(workshop), 10)


def test_a_killed_scheduler_is_followed_by_another(workshop: Workshop) -> None:
    ids = [workshop.shell("sleep", "0.2") for _ in range(4)]
    wait_for(lambda: scheduler.is_running(workshop.tracker.path))
    for _ in range(3):
        time.sleep(0.1)
        for pid in schedulers(workshop):
            os.kill(pid, signal.SIGKILL)
        workshop.job(ids[0])
    for run_id in ids:
        assert workshop.until(run_id).outcome == "succeeded"


def test_many_who_ensure_start_one_scheduler_and_it_leaves_when_nothing_is_left(workshop: Workshop) -> None:
    run_id = workshop.shell("sleep", "0.5")
    for _ in range(5):
        scheduler.ensure(workshop.tracker.path, workshop.jobs.runs_folder)
    wait_for(lambda: len(schedulers(workshop)) == 1)
    workshop.until(run_id)
    wait_for(lambda: not schedulers(workshop))
    assert not scheduler.is_running(workshop.tracker.path)


def test_a_job_that_adds_a_job_does_not_take_the_scheduler_along(workshop: Workshop) -> None:
    """What a job starts ends with it; the scheduler that it happened to start does not."""
    adds = (
        "from engine.jobs import scheduler; from pathlib import Path; import time\n"
        f"scheduler.ensure(Path({str(workshop.tracker.path)!r}), Path({str(workshop.jobs.runs_folder)!r}))\n"
        "time.sleep(1)"
    )
    first = workshop.python(adds)
    second = workshop.shell("true", needs=[first])
    workshop.until(first, "running")
    for pid in schedulers(workshop):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: workshop.jobs.job(second).state.name == "succeeded")


def schedulers(workshop: Workshop) -> list[int]:
    mark = f"engine.jobs.scheduler\0{workshop.tracker.path}\0".encode()
    found = []
    for pid in workshop.processes():
        try:
            if mark in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found
