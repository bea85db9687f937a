"""After the database was lost: jobs come back from their folders, the rest from what can still be read."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from engine.jobs import scheduler, supervisor
from engine.jobs.queue import Jobs
from engine.jobs.rebuild import NOT_BEGUN, rebuild
from engine.tracker import open_tracker
from engine.tracker.damage import damaged_files
from tests.cli.command import wizard
from tests.engine.jobs.conftest import Workshop, wait_for

TELLS = """
import os
from pathlib import Path
from engine.events import Finished, Log, Metric
from engine.jobs.event_file import EventFile
with EventFile(Path(os.environ["WIZARD101_EVENTS"])) as events:
    for step in range(20):
        events.write(Metric, name="loss", value=1 / (step + 1), step=step)
    events.write(Log, message="half way")
    events.write(Finished, summary={"f1": {"value": 90.0, "n": 50}})
"""


def lose_database(workshop: Workshop) -> None:
    """Overwrite the database as a failing disk does, and open what takes its place."""
    wait_for(lambda: not scheduler.is_running(workshop.tracker.path))
    workshop.tracker.close()
    path = workshop.tracker.path
    path.with_name("wizard.db-wal").unlink(missing_ok=True)
    path.write_bytes(b"\xff" * 40_960)
    workshop.tracker = open_tracker(path)
    workshop.jobs = Jobs(workshop.tracker.database, workshop.jobs.runs_folder)


def facts(workshop: Workshop) -> dict[int, object]:
    """Return what is known of every job, but for what is told of its last attempt."""
    jobs = sorted(workshop.jobs.ended(limit=100), key=lambda job: job.id)
    runs = workshop.tracker.runs
    found: dict[int, object] = {}
    for job in jobs:
        run = runs.run(job.id)
        assert run is not None
        curve = runs.curve(job.id, "loss")
        found[job.id] = (job.outcome, job.name, job.needs, run.params, run.results, run.summary.tags, curve)
    return found


def test_jobs_come_back_with_their_ends_curves_and_results(workshop: Workshop) -> None:
    ids = [
        workshop.python(TELLS, tags=["kept"], experiment="Exp", note="why", name="tells"),
        workshop.shell("sh", "-c", "exit 7"),
        workshop.shell("sleep", "60"),
    ]
    ids.append(workshop.shell("true", needs=[ids[0]]))
    for run_id in ids[:2]:
        workshop.until(run_id)
    workshop.until(ids[2], "running")
    started = workshop.jobs.folder(ids[2]).path / supervisor.STARTED
    wait_for(lambda: started.exists() and started.read_text().endswith("}"))
    os.kill(json.loads(started.read_text())["supervisor"], signal.SIGKILL)
    for run_id in ids:
        workshop.until(run_id)
    before = facts(workshop)
    lose_database(workshop)
    assert workshop.jobs.counts() == {}
    rebuilt = rebuild(workshop.jobs)
    assert rebuilt.brought_back == tuple(ids)
    assert facts(workshop) == before
    assert rebuild(workshop.jobs).there == tuple(ids), "again changes nothing"
    assert facts(workshop) == before
    assert workshop.until(workshop.shell("true")).id > max(ids)


def test_what_is_under_way_goes_on_and_what_waited_is_asked_about(workshop: Workshop) -> None:
    running = workshop.shell("sh", "-c", "while [ ! -e go ]; do sleep 0.05; done")
    waiting = workshop.shell("true")
    workshop.until(running, "running")
    for pid in workshop.processes():
        if b"engine.jobs.scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    lose_database(workshop)
    rebuild(workshop.jobs)
    assert workshop.jobs.job(running).state.name == "running"
    assert workshop.jobs.job(waiting).reason == NOT_BEGUN
    (workshop.folder / "go").touch()
    workshop.until(running, "succeeded")
    workshop.jobs.retry(waiting)
    workshop.until(waiting, "succeeded")


def test_a_paused_job_stays_paused(workshop: Workshop) -> None:
    run_id = workshop.shell("sleep", "60")
    workshop.until(run_id, "running")
    workshop.jobs.pause(run_id)
    for pid in workshop.processes():
        if b"engine.jobs.scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    lose_database(workshop)
    rebuild(workshop.jobs)
    assert workshop.job(run_id).state.name == "paused"
    assert workshop.jobs.folder(run_id).asked(1) == supervisor.PAUSE
    workshop.jobs.cancel(run_id)
    assert workshop.until(run_id).outcome == "cancelled (SIGTERM)"


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\x00\xff"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(json.dumps({"about": {"id": 3}})),
        lambda path: path.write_text(json.dumps({"about": {"id": "x", "kind": "shell"}})),
    ],
)
def test_a_folder_that_tells_nothing_is_named_and_left(workshop: Workshop, harm) -> None:  # type: ignore[no-untyped-def]
    bad, good = workshop.shell("true"), workshop.shell("true")
    workshop.until(bad)
    workshop.until(good)
    lose_database(workshop)
    harm(workshop.jobs.folder(bad).path / supervisor.SPEC)
    rebuilt = rebuild(workshop.jobs)
    assert rebuilt.brought_back == (good,)
    assert list(rebuilt.unreadable) == [str(bad)]


def test_the_command_brings_back_jobs_probes_tags_and_notes(tmp_path: Path) -> None:
    assert wizard("classify", "hello there", cwd=tmp_path).returncode == 0
    added = wizard("jobs", "run", "shell", "--json", "true", cwd=tmp_path)
    run_id = json.loads(added.stdout)["id"] if added.stdout.startswith(b"{") else 1000
    assert wizard("runs", "tag", str(run_id), "gold", cwd=tmp_path).returncode == 0
    assert wizard("runs", "note", str(run_id), "a note", cwd=tmp_path).returncode == 0
    path = tmp_path / "wizard.db"
    with open_tracker(path) as tracker:
        (schema,) = tracker.runs.sql("SELECT rootpage FROM sqlite_master WHERE name = 'metric'")[1]
    with path.open("r+b") as file:
        file.seek(4096 * (schema[0] - 1))
        file.write(b"\xff" * 4096)
    path.with_name("wizard.db.suspect").touch()
    listed = wizard("runs", "list", cwd=tmp_path)
    assert b"runs rebuild" in listed.stderr
    rebuilt = wizard("runs", "rebuild", "--json", cwd=tmp_path)
    assert rebuilt.returncode == 0, rebuilt.stderr
    told = json.loads(rebuilt.stdout)
    assert told["brought_back"] == [run_id]
    (salvaged,) = told["salvaged"].values()
    taken = {"probes": 1, "tags": 1, "notes": 1}
    assert salvaged == {**taken, "versions": 0, "there": 0, "lost": 0, "lost_words": 0, "failed": ""}
    with open_tracker(path) as tracker:
        run = tracker.runs.run(run_id)
        assert run is not None
        assert (run.note, run.summary.tags) == ("a note", ("gold",))
        (probe,) = tracker.probes()
        assert tracker.probe(probe.id) is not None
    assert damaged_files(path) == []
    again = wizard("runs", "rebuild", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, b"0 jobs brought back, 1 were there.\n")
    assert b"runs rebuild" not in wizard("runs", "list", cwd=tmp_path).stderr
    (tmp_path / "runs" / str(run_id) / supervisor.SPEC).unlink()
    unreadable = wizard("runs", "rebuild", cwd=tmp_path)
    assert unreadable.returncode == 1
    assert b"tells nothing" in unreadable.stderr
