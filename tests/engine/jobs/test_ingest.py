"""Taking in event files: the rows are what the file says, whoever takes it in and however often."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import (
    Artifact,
    Event,
    Failed,
    Finished,
    Heartbeat,
    Input,
    Launched,
    Log,
    Metric,
    Progress,
    encode,
)
from engine.jobs.event_file import EventFile
from engine.jobs.event_lines import BLOCK
from engine.jobs.ingest import Taken, ingest
from engine.tracker import TrackerError, open_tracker
from engine.tracker.probes import Tracker
from engine.tracker.run_records import Artifact as MadeArtifact
from engine.tracker.run_records import Lineage, Result
from tests.engine.jobs.event_rows import add_job, enlarge, events, job_columns, points, small_disk


class Taking:
    """A job of which events are taken in."""

    def __init__(self, tracker: Tracker, folder: Path) -> None:
        self.tracker = tracker
        self.run_id = add_job(tracker)
        self.path = folder / "events.jsonl"
        self._next = 0

    def append(self, *told: Event) -> None:
        """Append events, numbered on."""
        with self.path.open("a") as file:
            for event in told:
                file.write(encode(replace(event, seq=self._next)) + "\n")
                self._next += 1

    def append_text(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def take(self, *, ended: bool = False) -> Taken:
        return ingest(self.tracker.database, self.path, self.run_id, ended=ended)

    def points(self) -> list[tuple[int, str, int, float, float | None]]:
        return points(self.tracker.path, self.run_id)

    def events(self) -> list[tuple[int, str]]:
        return events(self.tracker.path, self.run_id)

    def columns(self, *names: str) -> tuple[object, ...]:
        return job_columns(self.tracker.path, self.run_id, *names)


@pytest.fixture
def taking(tmp_path: Path) -> Iterator[Taking]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield Taking(tracker, tmp_path)


def metric(name: str = "loss", value: float = 0.5, step: int = 1, at_ms: float = 0.0) -> Metric:
    return Metric(seq=0, at_ms=at_ms, name=name, value=value, step=step)


def progress(done: int, at_ms: float, **fields: str) -> Progress:
    return Progress(seq=0, at_ms=at_ms, done=done, total=100, **fields)


# --- what becomes of the events ----------------------------------------------------------------------


def test_what_a_worker_reports_is_in_the_tracker(taking: Taking) -> None:
    with EventFile(taking.path) as file:
        file.write(Launched, kind="classify", pid=1)
        file.write(Input, role="data", name="cases.jsonl", sha256="ab" * 32)
        file.write(Progress, done=1, total=2, phase="judging")
        file.write(Heartbeat)
        file.write(Metric, name="loss", value=0.25, step=7)
        file.write(Log, message="\x1b[31m\ud800\0", level="info")
        file.write(Artifact, path="out\ud800.jsonl", sha256="cd" * 32, role="predictions")
        file.write(Finished, summary={"f1": {"value": 90.0, "n": 10, "low": 80, "high": 95}, "cost_usd": 2})
    assert taking.take() == Taken(8)
    assert taking.take() == taking.take(ended=True) == Taken()
    run = taking.tracker.runs.run(taking.run_id)
    assert run is not None
    assert run.metrics == ("loss",)
    assert run.lineage == (Lineage("data", "cases.jsonl", "ab" * 32),)
    assert run.artifacts == (MadeArtifact("out\ud800.jsonl", "predictions", "cd" * 32),)
    assert run.results == (Result("f1", 90.0, 10, 80.0, 95.0),)
    assert run.summary.cost_usd == 2.0
    assert run.outcome["cost_usd"] == 2
    assert [(seq, name, step, value) for seq, name, step, _, value in taking.points()] == [
        (4, "loss", 7, 0.25)
    ]
    kept = [(0, "Launched"), (1, "Input"), (5, "Log"), (6, "Artifact"), (7, "Finished")]
    assert taking.events() == kept
    assert taking.columns("done", "total", "unit", "phase") == (1, 2, "cases", "judging")


def test_a_failure_is_kept_in_full(taking: Taking) -> None:
    taking.append(Failed(seq=0, message="no answer", unreachable=True, kept="all", hint="wait"))
    taking.take()
    assert taking.events() == [(0, "Failed")]


def test_values_that_are_no_numbers(taking: Taking) -> None:
    taking.append(*(metric(value=value) for value in (math.nan, math.inf, -math.inf, 1e308)))
    assert taking.take() == Taken(4)
    assert [value for *_, value in taking.points()] == [None, math.inf, -math.inf, 1e308]


def test_names_of_all_kinds(taking: Taking) -> None:
    names = ["", "\ud800", "a\0b", "\x1a", "é", "'; DROP TABLE metric; --", "x" * 200]
    taking.append(*(metric(name) for name in names))
    assert taking.take() == Taken(7)
    run = taking.tracker.runs.run(taking.run_id)
    assert run is not None
    assert sorted(run.metrics) == sorted(names)


def test_figures_that_are_none_are_left_out(taking: Taking) -> None:
    summary = {
        "text": "x",
        "truth": True,
        "huge": 10**400,
        "nothing": None,
        "nan": math.nan,
        "endless": math.inf,
        "no n": {"value": 1, "n": 10**30, "low": True, "high": "x"},
        "nested": {"value": {"value": 1}},
        "list": [1],
        "cost_usd": 10**400,
        "good": 3,
    }
    taking.append(Finished(seq=0, summary=summary))
    assert taking.take() == Taken(1)
    run = taking.tracker.runs.run(taking.run_id)
    assert run is not None
    assert run.results == (Result("good", 3.0), Result("no n", 1.0))
    assert run.summary.cost_usd is None
    assert run.outcome["huge"] == 10**400


def test_lines_that_are_no_events_are_counted_with_the_job(taking: Taking) -> None:
    taking.append(metric())
    taking.append_text("no event\n" + "x" * 10_000_000 + "\n")
    taking.append(metric(step=2))
    taking.append_text('{"event":"met')
    assert taking.take() == Taken(2, 2)
    assert taking.take(ended=True) == Taken(0, 1)
    assert taking.take(ended=True) == Taken()
    assert taking.columns("events_skipped") == (3,)
    assert [step for _, _, step, _, _ in taking.points()] == [1, 2]


def test_a_run_without_a_job_takes_nothing_in(taking: Taking) -> None:
    taking.append(metric())
    assert ingest(taking.tracker.database, taking.path, taking.run_id + 1) == Taken()


# --- progress ----------------------------------------------------------------------------------------


def test_the_rate_is_that_of_the_last_while(taking: Taking) -> None:
    taking.append(progress(0, 0.0))
    taking.take()
    assert taking.columns("done", "rate") == (0, None)
    taking.append(progress(10, 1000.0))
    taking.take()
    assert taking.columns("rate") == (10.0,)
    taking.append(*(progress(10 + second, 1000.0 * (1 + second)) for second in range(1, 61)))
    taking.take()
    (rate,) = taking.columns("rate")
    assert rate == pytest.approx(1.0, abs=0.05)


def test_the_rate_does_not_depend_on_how_often_progress_is_told(taking: Taking) -> None:
    taking.append(progress(0, 0.0), progress(100, 10_000.0))
    taking.append(progress(101, 10_000.001))  # one more at once is not a thousand more a second
    taking.take()
    assert taking.columns("done", "rate") == (101, pytest.approx(10.0, rel=0.02))


@pytest.mark.parametrize(
    "between",
    [
        [Launched(seq=0, kind="classify", pid=2), progress(50, 9_000.0)],
        [progress(0, 6_000.0, phase="another")],
        [progress(0, 6_000.0, unit="pairs")],
    ],
    ids=["process", "phase", "unit"],
)
def test_the_rate_begins_anew(taking: Taking, between: list[Event]) -> None:
    taking.append(progress(0, 0.0), progress(50, 5_000.0), *between)
    taking.take()
    assert taking.columns("rate") == (None,)


def test_progress_without_times_has_no_rate(taking: Taking) -> None:
    for done in range(5):
        taking.append_text(json.dumps({"event": "progress", "done": done}) + "\n")
    taking.take()
    assert taking.columns("done", "total", "rate") == (4, None, None)


# --- files of programs that do not count, and files that are replaced --------------------------------


def test_a_program_may_leave_out_the_numbers(taking: Taking) -> None:
    for step in range(3):
        taking.append_text(
            json.dumps({"event": "metric", "name": "loss", "value": step, "step": step}) + "\n"
        )
        taking.append_text(json.dumps({"event": "log", "message": f"epoch {step}"}) + "\n")
        assert taking.take() == Taken(2)
    assert [seq for seq, *_ in taking.points()] == [0, 2, 4]
    assert taking.events() == [(1, "Log"), (3, "Log"), (5, "Log")]


def test_a_program_may_write_its_file_anew(taking: Taking) -> None:
    history: list[str] = []
    for step in range(4):
        history.append(json.dumps({"event": "metric", "name": "loss", "value": step, "step": step}))
        taking.path.write_text("\n".join(history) + "\n")
        taking.take()
        taking.take()
    assert [(seq, step) for seq, _, step, _, _ in taking.points()] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert taking.columns("events_skipped") == (0,)


def test_a_replaced_file_replaces_all_that_was_taken_in(taking: Taking) -> None:
    with taking.tracker.database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO lineage VALUES (?, 'run', 'run 1', NULL, ?)", (taking.run_id, taking.run_id)
        )
    first = (
        progress(3, 10.0),
        metric("old"),
        Input(seq=0, role="model", name="old", sha256=None),
        Artifact(seq=0, path="old", sha256="", role="weights"),
        Finished(seq=0, summary={"old": 1, "cost_usd": 3}),
    )
    taking.append(*first)
    taking.append_text("no event\n")
    taking.take()
    taking.path.write_text(encode(replace(metric("new"), seq=0)) + "\n")
    assert taking.take() == Taken(1)
    run = taking.tracker.runs.run(taking.run_id)
    assert run is not None
    assert (run.metrics, run.artifacts, run.results, run.outcome) == (("new",), (), (), {})
    assert run.lineage == (Lineage("run", "run 1", None, taking.run_id),)
    assert run.summary.cost_usd is None
    assert taking.events() == []
    assert taking.columns("done", "rate", "events_skipped") == (None, None, 0)


def test_a_shorter_file_is_taken_in_as_it_is(taking: Taking) -> None:
    """A power cut may take the end of a file that was taken in; the next attempt counts on from there."""
    taking.append(*(metric(step=step) for step in range(10)))
    taking.take()
    content = taking.path.read_bytes()
    taking.path.write_bytes(content[: len(content) // 2])
    with EventFile(taking.path) as file:
        file.write(Launched, kind="classify", pid=2)
    taking.take()
    steps = [step for _, _, step, _, _ in taking.points()]
    assert steps == list(range(len(steps)))
    assert taking.events() == [(len(steps), "Launched")]


def test_an_emptied_file_takes_nothing_away(taking: Taking) -> None:
    taking.append(*(metric(step=step) for step in range(3)))
    taking.take()
    taking.path.write_bytes(b"")
    assert taking.take(ended=True) == Taken()
    taking.append(metric(step=3))
    assert taking.take() == Taken(1)
    assert [(seq, step) for seq, _, step, _, _ in taking.points()] == [(0, 0), (1, 1), (2, 2), (3, 3)]


# --- a database that is full, and many processes -----------------------------------------------------

LOG_EVERY = 9


def write_points(path: Path, number: int) -> None:
    """Write an event file of ``number`` events: every ninth is a log line, the others points."""
    with path.open("a") as file:
        for seq in range(number):
            event = (
                Log(seq=seq, message="m")
                if seq % LOG_EVERY == 0
                else Metric(seq=seq, name=f"curve {seq % 3}", value=seq / 7, step=seq)
            )
            file.write(encode(event) + "\n")


def assert_whole(taking: Taking, number: int) -> None:
    """Assert that the rows are those of `write_points`."""
    assert [row[0] for row in taking.points()] == [seq for seq in range(number) if seq % LOG_EVERY]
    assert all(row[2] == row[0] and row[4] == row[0] / 7 for row in taking.points())
    assert taking.events() == [(seq, "Log") for seq in range(0, number, LOG_EVERY)]
    assert taking.columns("events_offset", "events_seq", "events_skipped") == (
        taking.path.stat().st_size,
        number - 1,
        0,
    )


def test_a_full_database_loses_nothing(tmp_path: Path) -> None:
    number = 120_000
    with small_disk(tmp_path / "disk", "4m") as disk, open_tracker(disk / "wizard.db") as tracker:
        taking = Taking(tracker, tmp_path)
        write_points(taking.path, number)
        assert taking.path.stat().st_size > BLOCK
        for _ in range(3):
            with pytest.raises(TrackerError, match="no room left"):
                taking.take()
        (seq,) = taking.columns("events_seq")
        assert isinstance(seq, int)
        assert seq > 0
        assert len(taking.points()) + len(taking.events()) == seq + 1
        enlarge(disk, "64m")
        assert taking.take().events == number - (seq + 1)
        assert_whole(taking, number)


def _ingest_until(database: Path, path: Path, run_id: int, last: int) -> None:
    with open_tracker(database) as tracker:
        while job_columns(database, run_id, "events_seq") != (last,):
            ingest(tracker.database, path, run_id)


def test_many_processes_take_in_a_growing_file(taking: Taking) -> None:
    number = 30_000
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.jobs.ingest", "engine.tracker.probes"])
    arguments = (taking.tracker.path, taking.path, taking.run_id, number - 1)
    processes = [context.Process(target=_ingest_until, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    try:
        write_points(taking.path, number)
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    finally:
        for process in processes:
            with suppress(ValueError):
                process.kill()
    assert_whole(taking, number)


def test_threads_take_in_one_file(taking: Taking) -> None:
    from concurrent.futures import ThreadPoolExecutor

    write_points(taking.path, 60_000)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: taking.take(), range(4)))
    assert sum(each.events for each in taken) == 60_000
    assert_whole(taking, 60_000)
