"""Runs: recorded, listed by key in any order, filtered, tagged, and queried without being changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path

import pytest

from engine.tracker import TrackerError, open_tracker
from engine.tracker.export import Format, export
from engine.tracker.probes import Tracker
from engine.tracker.run_records import (
    Cursor,
    Lineage,
    NewRun,
    Origin,
    Provenance,
    Result,
    RunQuery,
    RunSummary,
    Sort,
)
from tests.engine.tracking import forget_history


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        forget_history(tracker)
        yield tracker


def new(name: str = "run", **fields: object) -> NewRun:
    return NewRun(name, str(fields.pop("kind", "shell")), str(fields.pop("status", "queued")), **fields)  # type: ignore[arg-type]


def test_a_run_comes_back_whole(tracker: Tracker) -> None:
    parent = tracker.runs.add(new("parent"))
    run_id = tracker.runs.add(
        new(
            "\x1b[31m\ud800 name",
            experiment="Exp 1",
            params={"file": "a\x00b", "limit": None},
            results=[Result("f1", 0.5, 10, 0.2, 0.8), Result("nan", float("nan"))],
            lineage=[Lineage("data", "a.jsonl", "ab" * 32), Lineage("run", "parent", None, parent)],
            tags=["keep", "keep"],
            provenance=Provenance("host", "abc", True, {"torch": "2"}, {"seed": 1}),
            note="why",
        )
    )
    run = tracker.runs.run(run_id)
    assert run is not None
    assert run.summary.name == "\x1b[31m\ud800 name"
    assert run.summary.experiment == "Exp 1"
    assert run.summary.origin is Origin.MEASURED
    assert run.params == {"file": "a\x00b", "limit": None}
    assert run.results == (Result("f1", 0.5, 10, 0.2, 0.8),)
    assert run.summary.headline == run.results[0]
    assert run.lineage == (Lineage("data", "a.jsonl", "ab" * 32), Lineage("run", "parent", None, parent))
    assert run.provenance == Provenance("host", "abc", True, {"torch": "2"}, {"seed": 1})
    assert run.summary.tags == ("keep",)
    assert run.note == "why"
    above = tracker.runs.run(parent)
    assert above is not None
    assert above.children == (run_id,)
    assert tracker.runs.run(99) is None


@pytest.mark.parametrize("field", ["params", "summary"])
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_what_is_nested_too_deep_is_refused(
    tracker: Tracker, field: str, wrap: Callable[[object], object]
) -> None:
    def nested(depth: int) -> dict[str, object]:
        return {"x": reduce(lambda inner, _: wrap(inner), range(depth), 1)}

    run_id = tracker.runs.add(new(**{field: nested(100)}))
    for form in Format:
        assert "".join(export(tracker.runs, [run_id], form))
    for depth in (101, 5000):
        with pytest.raises(TrackerError, match=r"can be nested 100 deep.*The run was not recorded"):
            tracker.runs.add(new(**{field: nested(depth)}))
    assert tracker.runs.count() == 1


@pytest.mark.parametrize("status", ["reported", "in progress", "planned"])
def test_a_claim_is_never_recorded_as_measured(tracker: Tracker, status: str) -> None:
    with pytest.raises(TrackerError, match="only_claims_are_reported"):
        tracker.runs.add(new(status=status))
    with pytest.raises(TrackerError, match="only_claims_are_reported"):
        tracker.runs.add(new(status="succeeded", origin=Origin.PAPER))
    tracker.runs.add(new(status=status, origin=Origin.IMPORTED))


def test_an_unknown_state_is_refused(tracker: Tracker) -> None:
    with pytest.raises(TrackerError, match="status_known"):
        tracker.runs.add(new(status="exploded"))


@pytest.mark.parametrize("sort", [*Sort, "result:f1"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_join_in_either_direction(tracker: Tracker, sort: str, descending: bool) -> None:
    for number in range(11):
        tracker.runs.add(
            new(
                f"run {number % 3}",
                cost_usd=None if number % 4 == 0 else number % 2,
                results=[Result("f1", number % 5)],
            )
        )
    query = RunQuery(sort=sort, descending=descending)
    whole = tracker.runs.page(query)
    assert len({run.id for _, run in whole}) == 11
    assert sorted(whole, key=lambda row: row[0], reverse=descending) == whole
    forwards: list[tuple[Cursor, RunSummary]] = []
    after = None
    while page := tracker.runs.page(query, after=after, limit=3):
        forwards += page
        after = page[-1][0]
    assert forwards == whole
    backwards: list[tuple[Cursor, RunSummary]] = []
    page = tracker.runs.page(query, last=True, limit=3)
    while page:
        backwards = page + backwards
        page = tracker.runs.page(query, before=page[0][0], limit=3)
    assert backwards == whole


def test_a_list_sorted_by_a_result_has_the_runs_with_it_and_shows_it(tracker: Tracker) -> None:
    for number in range(4):
        results = [Result("f1", 0.5)] + ([Result("recall", number / 10)] if number else [])
        tracker.runs.add(new(f"run {number}", results=results))
    query = RunQuery(words=("run",), sort="result:recall")
    listed = [summary for _, summary in tracker.runs.page(query)]
    assert [summary.headline for summary in listed] == [Result("recall", value) for value in (0.3, 0.2, 0.1)]
    assert tracker.runs.count(query) == 3
    assert [tracker.runs.place(summary.id, query) for summary in listed] == [0, 1, 2]
    assert tracker.runs.place(listed[-1].id - 1, query) is None


@pytest.mark.parametrize("sort", [*Sort, "result:f1"])
def test_rows_are_skipped_from_either_end_and_from_a_place(tracker: Tracker, sort: str) -> None:
    for number in range(9):
        tracker.runs.add(new(f"run {number % 2}", results=[Result("f1", number % 3)]))
    query = RunQuery(words=("run",), sort=sort)
    whole = tracker.runs.page(query)
    assert tracker.runs.page(query, skip=3, limit=2) == whole[3:5]
    assert tracker.runs.page(query, last=True, skip=3, limit=2) == whole[-5:-3]
    assert tracker.runs.page(query, after=whole[1][0], skip=3, limit=2) == whole[5:7]
    assert tracker.runs.page(query, before=whole[8][0], skip=3, limit=2) == whole[3:5]
    assert [tracker.runs.place(run.id, query) for _, run in whole] == list(range(9))


def test_filters_combine(tracker: Tracker) -> None:
    tracker.runs.add(new("Übung", kind="classify", experiment="Night Owls", tags=["blue"]))
    tracker.runs.add(new("übung zwei", kind="shell", tags=["light-blue"]))
    tracker.runs.add(new("other", status="reported", origin=Origin.PAPER))

    def names(text: str) -> list[str]:
        query = RunQuery.parse(text)
        found = [run.name for _, run in tracker.runs.page(query)]
        assert tracker.runs.count(query) == len(found)
        return found

    assert names("") == ["other", "übung zwei", "Übung"]
    assert names("ÜBUNG") == ["übung zwei", "Übung"]
    assert names("übung zwei") == ["übung zwei"]
    assert names("kind:classify owls") == ["Übung"]
    assert names("blue") == ["übung zwei", "Übung"]
    assert names("tag:blue") == ["Übung"]
    assert names("tag:light-blue") == ["übung zwei"]
    assert names("exp:night") == ["Übung"]
    assert names("origin:paper") == ["other"]
    assert names("status:reported") == ["other"]
    assert names("origin:nonsense") == []
    assert names("100%") == []


def test_a_hyphen_stands_for_a_blank_and_every_tag_counts(tracker: Tracker) -> None:
    tracker.runs.add(new("blanks", kind="data generation", experiment="Night Owls", tags=["exp 18", "4-bit"]))
    tracker.runs.add(new("hyphens", kind="data-generation", experiment="Night-Owls", tags=["exp-18"]))
    tracker.runs.add(new("other", kind="data", tags=["exp", "4-bit"]))

    def names(text: str) -> list[str]:
        return sorted(run.name for _, run in tracker.runs.page(RunQuery.parse(text)))

    for both in ("kind:data-generation", "tag:exp-18", "exp:t-owls"):
        assert names(both) == ["blanks", "hyphens"]
    assert names("tag:4-bit") == ["blanks", "other"]
    assert names("tag:exp-18 tag:4-bit") == names("tag:4-bit tag:exp-18") == ["blanks"]
    assert names("tag:4-bit tag:none") == names("tag:Exp-18") == []
    query = RunQuery(kind="data generation", tags=("exp 18",))
    assert tracker.runs.count(query) == 2
    assert [tracker.runs.place(run.id, query) for _, run in tracker.runs.page(query)] == [0, 1]


def test_tags_and_notes_change_only_what_is_there(tracker: Tracker) -> None:
    run_id = tracker.runs.add(new())
    tracker.runs.tag(run_id, "a", "b")
    tracker.runs.untag(run_id, "a", "never")
    tracker.runs.note(run_id, "first\nsecond")
    run = tracker.runs.run(run_id)
    assert run is not None
    assert run.summary.tags == ("b",)
    assert run.note == "first\nsecond"
    with pytest.raises(TrackerError, match="no run 99"):
        tracker.runs.tag(99, "a")


def test_a_curve_is_reduced_by_the_database(tracker: Tracker) -> None:
    run_id = tracker.runs.add(new())
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO metric_name VALUES (1, 'loss'), (2, 'lr')")
        points = [(run_id, 1, step, step, 0.0, None if step == 5 else float(step)) for step in range(1000)]
        connection.exec_driver_sql("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?)", points)
    curve = tracker.runs.curve(run_id, "loss", buckets=10)
    assert len(curve) == 12
    assert sum(bucket.count for bucket in curve) == 1000
    assert (curve[1].step, curve[1].low, curve[1].high) == (100, 1.0, 100.0)
    assert [(end.step, end.mean, end.count) for end in (curve[0], curve[-1])] == [(0, 0, 1), (999, 999, 1)]
    assert tracker.runs.curve(run_id, "unknown") == []
    whole = tracker.runs.curve(run_id, "loss", buckets=5000)
    assert len(whole) == 1000
    assert whole[5].mean is None
    run = tracker.runs.run(run_id)
    assert run is not None
    assert run.metrics == ("loss",)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run",
        "UPDATE run SET name = 'x'",
        "PRAGMA query_only = OFF; DELETE FROM run",
        "DROP TABLE run",
    ],
)
def test_sql_only_reads(tracker: Tracker, statement: str) -> None:
    tracker.runs.add(new("kept"))
    with pytest.raises(TrackerError):
        tracker.runs.sql(statement)
    assert tracker.runs.sql("SELECT name FROM run") == (["name"], [("kept",)], False)
    assert tracker.runs.add(new()) == 2


def test_sql_cannot_switch_writing_on(tracker: Tracker) -> None:
    tracker.runs.add(new("kept"))
    with pytest.raises(TrackerError):
        tracker.runs.sql("PRAGMA query_only = OFF")
    with pytest.raises(TrackerError):
        tracker.runs.sql("DELETE FROM run")
    assert tracker.runs.count() == 1
    assert tracker.runs.sql("SELECT 1 UNION SELECT 2 UNION SELECT 3", limit=2) == (["1"], [(1,), (2,)], True)
