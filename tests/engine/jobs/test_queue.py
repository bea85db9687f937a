"""The queue over a real scheduler, real supervisors and real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.jobs import reconcile, scheduler
from engine.jobs.queue import kept_variables
from engine.jobs.records import JobError, JobSpec
from engine.jobs.states import FOLLOWS, STATES, IllegalTransition, check
from engine.jobs.waiting import why_waiting
from tests.engine.jobs.conftest import Workshop, processes_with, wait_for


def test_a_job_runs_and_its_end_is_kept(workshop: Workshop) -> None:
    good = workshop.shell("sh", "-c", "echo hello; exit 0")
    bad = workshop.shell("sh", "-c", "echo no >&2; exit 7")
    assert workshop.until(good).outcome == "succeeded"
    job = workshop.until(bad)
    assert job.outcome == "failed (7)"
    assert workshop.output(good) == "hello\n"
    assert workshop.output(bad) == "no\n"
    run = workshop.tracker.runs.run(good)
    assert run is not None
    assert run.summary.status == "succeeded"
    assert run.summary.seconds is not None
    assert run.provenance.host
    assert run.provenance.packages["python"]


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


def test_jobs_are_found_by_number_and_by_words(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    first = workshop.shell("true", name="alpha")
    ids = [first, workshop.shell("true", name=f"beta of {first}"), workshop.shell("true", name="beta")]

    def found(*words: str) -> list[int]:
        return [job.id for job in workshop.jobs.live(words)]

    assert found(str(first)) == ids[:2]
    assert found(str(ids[2])) == [ids[2]]
    assert found(str(ids[2]), "BETA", "queued") == [ids[2]]
    assert not found(str(ids[2]), "alpha")
    assert not found(f"0{ids[2]}")
    assert not found("9" * 40)


def test_groups_do_not_wait_for_one_another(workshop: Workshop) -> None:
    slow = workshop.shell("sleep", "30")
    quick = workshop.shell("true", group="other")
    assert workshop.until(quick).outcome == "succeeded"
    assert workshop.job(slow).state.name == "running"
    workshop.jobs.cancel(slow)
    assert workshop.until(slow).outcome == "cancelled (SIGTERM)"


def test_what_needs_a_failed_job_is_skipped_and_comes_back_with_it(workshop: Workshop) -> None:
    flag = workshop.folder / "flag"
    first = workshop.shell("sh", "-c", f"test -e {flag}")
    second = workshop.shell("true", needs=[first])
    third = workshop.shell("true", needs=[second])
    assert workshop.until(first).outcome == "failed (1)"
    assert workshop.until(third).state.name == "skipped"
    assert workshop.job(second).reason == f"It needs job {first}, which is failed."
    flag.touch()
    with pytest.raises(JobError, match="Retry that one first"):
        workshop.shell("true", needs=[first])
    workshop.jobs.retry(first)
    assert workshop.until(third).outcome == "succeeded"
    assert workshop.job(first).attempt == 2
    assert workshop.job(second).attempt == 1, "it was never started before"
    run = workshop.tracker.runs.run(first)
    assert run is not None
    assert run.children == (second,)


def test_a_pipeline_goes_on_with_nobody_looking(workshop: Workshop) -> None:
    first = workshop.shell("sleep", "0.2")
    second = workshop.shell("sh", "-c", "echo done > finished", needs=[first])
    wait_for((workshop.folder / "finished").exists)
    assert workshop.until(second).outcome == "succeeded"


def test_pausing_keeps_a_job_in_memory(workshop: Workshop) -> None:
    run_id = workshop.shell("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
    workshop.until(run_id, "running")
    wait_for(lambda: len(workshop.output(run_id)) > 10)
    workshop.jobs.pause(run_id)
    time.sleep(0.4)
    said = workshop.output(run_id)
    time.sleep(0.3)
    assert workshop.output(run_id) == said
    assert workshop.job(run_id).state.name == "paused"
    with pytest.raises(JobError, match="is paused"):
        workshop.jobs.pause(run_id)
    workshop.jobs.resume(run_id)
    wait_for(lambda: workshop.output(run_id) != said)
    workshop.jobs.cancel(run_id)
    workshop.until(run_id)


def test_an_intent_that_was_stored_but_not_told_is_told_by_whoever_looks(workshop: Workshop) -> None:
    """As when the program that asked was killed between the two."""
    run_id = workshop.shell("sleep", "60")
    workshop.until(run_id, "running")
    workshop.jobs._tell = lambda *_: None  # type: ignore[method-assign]
    workshop.jobs.cancel(run_id)
    assert workshop.until(run_id).outcome == "cancelled (SIGTERM)"


def test_cancel_twice_and_after_the_end(workshop: Workshop) -> None:
    run_id = workshop.shell(
        "sh", "-c", "trap 'sleep 0.5; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    )
    wait_for(lambda: "ready" in workshop.output(run_id))
    workshop.jobs.cancel(run_id)
    workshop.jobs.cancel(run_id)
    workshop.jobs.cancel(run_id, keep=False)
    with pytest.raises(JobError, match="discards its checkpoint"):
        workshop.jobs.cancel(run_id)
    job = workshop.until(run_id)
    assert job.outcome == "failed (3, cancelled)"
    assert job.cancel == "discard"
    with pytest.raises(JobError, match="is over already"):
        workshop.jobs.cancel(run_id)


def test_a_queued_job_that_is_cancelled_never_runs(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    run_id = workshop.shell("touch", "ran")
    needing = workshop.shell("true", needs=[run_id])
    workshop.jobs.cancel(run_id)
    assert workshop.jobs.job(run_id).outcome == "cancelled"
    assert workshop.until(needing).state.name == "skipped"
    assert not (workshop.folder / "ran").exists()
    workshop.jobs.limit_group("default", 1)
    workshop.jobs.retry(run_id)
    assert workshop.until(needing).outcome == "succeeded"


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


def test_again_is_a_job_of_its_own(workshop: Workshop) -> None:
    run_id = workshop.shell("true", tags=["a"], experiment="Exp", note="why", priority=3)
    workshop.until(run_id)
    with pytest.raises(JobError, match="has succeeded"):
        workshop.jobs.retry(run_id)
    other = workshop.jobs.again(run_id)
    assert workshop.until(other).outcome == "succeeded"
    job = workshop.job(other)
    assert (job.retry_of, job.experiment, job.priority) == (run_id, "Exp", 3)
    assert workshop.jobs.spec(other) == workshop.jobs.spec(run_id)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "nonsense"}, "no kind of job"),
        ({"params": {}}, "command: is missing"),
        ({"params": {"command": []}}, "command"),
        ({"params": {"command": ["true"], "colour": "red"}}, "colour: is not one of its parameters"),
        ({"params": {"command": ["no-such-program"]}}, "no program 'no-such-program'"),
        ({"cwd": "/no/such/folder"}, "no folder"),
        ({"needs": [99]}, "no job 99"),
        ({"accelerators": -1}, "fewer than no"),
        ({"kind": "classify", "params": {"file": "absent.jsonl"}}, "no file"),
        ({"kind": "classify", "params": {"file": "f", "guard": "gauntlet"}}, "needs a model"),
        ({"kind": "classify", "params": {"file": "f", "model": "fake:x"}}, "without a model"),
        ({"kind": "classify", "params": {"file": "f", "guard": "gauntlet", "model": "x"}}, "names no model"),
        ({"kind": "classify", "params": {"file": "f", "limit": 0, "guard": "gues"}}, "guard: .*limit: "),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing(
    workshop: Workshop, fields: dict[str, object], said: str
) -> None:
    spec = JobSpec(**({"kind": "shell", "params": {"command": ["true"]}, "cwd": "/"} | fields))  # type: ignore[arg-type]
    with pytest.raises(JobError, match=said):
        workshop.jobs.add(spec)
    assert workshop.jobs.counts() == {}
    assert not list(workshop.folder.glob("runs/*"))


@pytest.mark.parametrize("where", ["command", "note", "name", "tags"])
def test_a_secret_is_never_written_down(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    secret = "AIza0123456789"
    monkeypatch.setenv("GEMINI_API_KEY", secret)
    fields: dict[str, object] = {} if where == "command" else {where: [secret] if where == "tags" else secret}
    command = ["echo", secret if where == "command" else "x"]
    with pytest.raises(JobError, match=r"\$GEMINI_API_KEY"):
        workshop.shell(*command, **fields)
    run_id = workshop.shell("sh", "-c", "echo $GEMINI_API_KEY; printenv GEMINI_API_KEY >&2")
    workshop.until(run_id)
    assert workshop.output(run_id) == "[secret GEMINI_API_KEY]\n" * 2
    for path in workshop.folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_folders_of_another_database_are_left_alone(workshop: Workshop) -> None:
    first = workshop.shell("true")
    for number in (first + 1, 70_000):
        (workshop.folder / "runs" / str(number)).mkdir(parents=True)
    second = workshop.shell("true")
    assert second == 70_001
    assert workshop.until(second).outcome == "succeeded"
    assert list((workshop.folder / "runs" / str(first + 1)).iterdir()) == []
    assert workshop.until(first).outcome == "succeeded"


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


def test_what_needs_a_cancelled_job_does_not_run_though_that_ended_in_good_order(workshop: Workshop) -> None:
    program = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    run_id = workshop.shell("bash", "-c", program)
    needing = workshop.shell("touch", "ran", needs=[run_id])
    wait_for(lambda: "ready" in workshop.output(run_id))
    workshop.until(run_id, "running")
    workshop.jobs.cancel(run_id)
    assert workshop.until(run_id).outcome == "cancelled (SIGTERM)"
    assert workshop.until(needing).state.name == "skipped"
    assert not (workshop.folder / "ran").exists()


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


FIGURES = """
import json, os, sys
attempt = int(os.environ["WIZARD101_ATTEMPT"])
def tell(**event):
    with open(os.environ["WIZARD101_EVENTS"], "a") as file:
        file.write(json.dumps(event) + "\\n")
for step in range(3):
    tell(event="metric", name="loss", step=step, value=float(attempt))
if attempt == 1:
    tell(event="finished", summary={"early": 1.0})
sys.exit(attempt == 1)
"""


def test_a_second_attempt_from_the_start_has_figures_of_its_own(workshop: Workshop) -> None:
    run_id = workshop.python(FIGURES)
    workshop.until(run_id, "failed")
    assert [bucket.mean for bucket in workshop.tracker.runs.curve(run_id, "loss")] == [1.0] * 3
    assert list(workshop.tracker.runs.results([run_id])[run_id]) == ["early"]
    workshop.jobs.retry(run_id)
    assert workshop.tracker.runs.curve(run_id, "loss") == []
    assert workshop.until(run_id).outcome == "succeeded"
    assert [bucket.mean for bucket in workshop.tracker.runs.curve(run_id, "loss")] == [2.0] * 3
    assert workshop.tracker.runs.results([run_id]) == {run_id: {}}
    told = (workshop.jobs.folder(run_id).path / "events.1.jsonl").read_text()
    assert told.count("metric") == 3


def test_a_long_pipeline_comes_back_as_a_whole(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    ids: list[int] = []
    for _ in range(1200):
        spec = JobSpec("shell", {"command": ["true"]}, "/", needs=ids[-1:])
        ids.append(workshop.jobs.add(spec))
    workshop.jobs.cancel(ids[0])
    scheduler.attend(workshop.jobs)
    wait_for(lambda: workshop.jobs.counts() == {"skipped": 1200}, 60)
    workshop.jobs.retry(ids[0])
    assert workshop.jobs.counts() == {"queued": 1200}


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


def test_a_variable_that_holds_a_secret_is_not_kept() -> None:
    environment = {
        "PATH": "/bin",
        "OPENAI_API_KEY": "sk-0123456789",
        "WIZARD_OPENAI_URL": "http://me:sk-0123456789@localhost:8000",
        "OLLAMA_HOST": "localhost:11434",
    }
    assert kept_variables(environment) == {"PATH": "/bin", "OLLAMA_HOST": "localhost:11434"}


def test_a_folder_made_by_another_meanwhile_is_left_to_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = workshop.jobs.runs_folder / "1000" / "spec.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    monkeypatch.setattr(Path, "exists", lambda _: False)  # they made it between the look and the making
    with pytest.raises(JobError, match="cannot be written"):
        workshop.jobs.add(JobSpec("shell", {"command": ["true"]}, "/"))
    assert theirs.read_text() == "theirs"


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


@pytest.mark.parametrize("old", STATES.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("new", STATES.values(), ids=lambda kind: kind.name)
def test_only_what_may_follow_follows(old, new) -> None:  # type: ignore[no-untyped-def]
    fields = {
        "failed": {"code": 1},
        "killed": {"signal": 9},
        "cancelling": {"keep": True},
        "skipped": {"why": ""},
    }
    before, after = (kind(**fields.get(kind.name, {})) for kind in (old, new))
    if new in FOLLOWS[old] and old is not new:
        check(before, after)
    else:
        with pytest.raises(IllegalTransition):
            check(before, after)


def test_progress_that_does_not_say_when_has_a_rate_all_the_same(workshop: Workshop) -> None:
    tells = """echo "{\\"event\\": \\"progress\\", \\"done\\": $i, \\"total\\": 400}" >> $WIZARD101_EVENTS"""
    run_id = workshop.shell(
        "sh", "-c", f"i=0; while [ $i -lt 400 ]; do i=$((i+1)); {tells}; sleep 0.05; done"
    )
    wait_for(lambda: workshop.job(run_id).rate)
    time.sleep(1.0)
    job = workshop.job(run_id)
    assert job.rate is not None
    assert 2 < job.rate < 40
    assert job.eta_s is not None
    workshop.jobs.cancel(run_id)
    workshop.until(run_id)
