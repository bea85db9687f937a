"""Bringing the queue in line with what became of supervisors, folders and locks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from engine.jobs import reconcile
from engine.jobs.records import JobSpec
from tests.engine.jobs.conftest import Workshop, processes_with, wait_for


def test_an_intent_that_was_stored_but_not_told_is_told_by_whoever_looks(workshop: Workshop) -> None:
    """As when the program that asked was killed between the two."""
    run_id = workshop.shell("sleep", "60")
    workshop.until(run_id, "running")
    workshop.jobs._tell = lambda *_: None  # type: ignore[method-assign]
    workshop.jobs.cancel(run_id)
    assert workshop.until(run_id).outcome == "cancelled (SIGTERM)"


def test_a_folder_that_is_gone_fails_its_job_and_not_the_queue(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    gone, fine = workshop.shell("true"), workshop.shell("true")
    for path in workshop.jobs.folder(gone).path.iterdir():
        path.unlink()
    workshop.jobs.folder(gone).path.rmdir()
    workshop.jobs.limit_group("default", 1)
    assert workshop.until(fine).outcome == "succeeded"
    job = workshop.until(gone)
    assert job.outcome == "failed (1)"
    assert "cannot be started" in job.reason


@pytest.mark.parametrize("how", ["its folder", "its lock", "its lock is a folder now"])
def test_a_running_job_that_lost_its_folder_is_lost_and_holds_up_nobody(workshop: Workshop, how: str) -> None:
    folder = workshop.jobs.folder(workshop.shell("sleep", "60"))
    run_id = int(folder.path.name)
    workshop.until(run_id, "running")
    wait_for(lambda: folder.started(1))
    if how == "its folder":
        shutil.rmtree(folder.path)
    else:
        (folder.path / "job.lock").unlink()
    if how == "its lock is a folder now":
        (folder.path / "job.lock").mkdir()
    job = workshop.until(run_id)
    assert job.outcome == "lost"
    assert job.reason.startswith("Its folder was removed")
    assert workshop.until(workshop.shell("true")).outcome == "succeeded"
    wait_for(lambda: not processes_with(str(folder.path)))


def test_while_the_runs_cannot_be_seen_no_job_is_called_lost(workshop: Workshop) -> None:
    """As when they are on a disk of another machine that is away for a while."""
    run_id = workshop.shell("sleep", "3")
    workshop.until(run_id, "running")
    wait_for(lambda: workshop.jobs.folder(run_id).started(1))
    away = workshop.jobs.runs_folder.rename(workshop.folder / "away")
    time.sleep(0.5)
    assert workshop.job(run_id).state.name == "running"
    away.rename(workshop.jobs.runs_folder)
    assert workshop.until(run_id).outcome == "succeeded"


def test_who_looked_long_ago_does_not_cancel_the_next_attempt(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workshop.shell("sh", "-c", "echo $WIZARD101_ATTEMPT; sleep 1; test $WIZARD101_ATTEMPT = 2")
    workshop.until(run_id, "running")
    workshop.jobs.cancel(run_id)
    with workshop.tracker.database.reading() as connection:
        [row] = connection.execute(reconcile._ACTIVE).all()
    assert row.status == "cancelling"
    workshop.until(run_id)
    workshop.jobs.retry(run_id)
    wait_for(lambda: workshop.output(run_id).endswith("2\n"))
    reconcile._settle(workshop.jobs, row, False, False)
    assert workshop.until(run_id).outcome == "succeeded"


@pytest.mark.parametrize("when", ["queued", "lost"])
def test_a_checkpoint_is_discarded_where_no_supervisor_can_do_it(workshop: Workshop, when: str) -> None:
    cases = workshop.folder / "cases.jsonl"
    cases.write_text("".join(json.dumps({"prompt": f"hello {number}"}) + "\n" for number in range(4000)))
    run_id = workshop.jobs.add(JobSpec("classify", {"file": str(cases)}, str(workshop.folder)))
    checkpoint = workshop.jobs.folder(run_id).path / "predictions.jsonl"
    workshop.until(run_id, "running")
    wait_for(lambda: checkpoint.exists() and checkpoint.stat().st_size > 1000)
    if when == "queued":
        workshop.jobs.cancel(run_id)
        workshop.until(run_id)
        assert checkpoint.exists()
        workshop.jobs.limit_group("default", 0)
        workshop.jobs.retry(run_id)
        assert workshop.jobs.job(run_id).done is None
        workshop.jobs.cancel(run_id, keep=False)
    else:
        wait_for(lambda: workshop.jobs.folder(run_id).started(workshop.jobs.job(run_id).attempt))
        supervisor = json.loads((checkpoint.parent / "started.json").read_text())["supervisor"]
        os.kill(supervisor, signal.SIGSTOP)
        workshop.jobs.cancel(run_id, keep=False)
        os.kill(supervisor, signal.SIGKILL)
        assert workshop.until(run_id).outcome == "lost (cancelled)"
    wait_for(lambda: not checkpoint.exists())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
def test_what_outlives_supervisor_and_guardian_is_ended_before_the_job_is_called_lost(
    workshop: Workshop,
) -> None:
    run_id = workshop.shell("sh", "-c", "echo $WIZARD101_ATTEMPT; sleep 60")
    folder = workshop.jobs.folder(run_id)
    wait_for(lambda: folder.started(1))
    for pid in processes_with(f"supervisor.py\0{folder.path}\0"):
        os.kill(pid, signal.SIGKILL)
    assert workshop.until(run_id).outcome == "lost"
    assert processes_with(str(folder.path)) == []
