"""The queue over a real scheduler, real supervisors and real processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.jobs import queue, scheduler
from engine.jobs.queue import Jobs, kept_variables
from engine.jobs.records import JobError, JobSpec
from tests.engine.jobs.conftest import Workshop, wait_for


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


def test_what_needs_a_job_in_several_ways_comes_back_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_SKIPPED_FOR", text(f"{queue._SKIPPED_FOR.text} ORDER BY job.run_id DESC"))
    workshop.jobs.limit_group("default", 0)
    first = workshop.shell("true")
    second = workshop.shell("true", needs=[first])
    workshop.shell("true", needs=[first, second])
    workshop.jobs.cancel(first)
    wait_for(lambda: workshop.jobs.counts() == {"skipped": 3})
    workshop.jobs.retry(first)
    assert workshop.jobs.counts() == {"queued": 3}


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


def test_what_a_guard_will_judge_by_is_a_version_from_then_on(workshop: Workshop) -> None:
    (workshop.folder / "cases.jsonl").write_text('{"prompt": "x"}\n')
    folder = workshop.folder / "policies"
    (folder / "glass").mkdir(parents=True)
    (folder / "glass" / "policy.md").write_text("one")
    jobs = Jobs(workshop.tracker.database, workshop.folder / "runs", folder)
    jobs.add(JobSpec("shell", {"command": ["true"]}, str(workshop.folder)))
    assert workshop.tracker.policies.counts() == {}
    for content in ("one", "two"):
        (folder / "glass" / "policy.md").write_text(content)
        jobs.add(JobSpec("classify", {"file": "cases.jsonl"}, str(workshop.folder)))
    versions = workshop.tracker.policies.versions("glass/policy.md")
    assert [workshop.tracker.policies.text(version.sha256) for version in versions] == ["two", "one"]
