"""Runs side by side: what differs is told apart as JSON does, and nothing is invented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.tracker import TrackerError, open_tracker
from engine.tracker.compare import ABSENT, AT_MOST, compare, compare_runs, load_all, value_words
from engine.tracker.figures import duration_words, figure_words, number_words
from engine.tracker.records import UnknownRun
from engine.tracker.run_json import comparison_json, json_text
from engine.tracker.run_records import STATUSES, NewRun, Origin, Result, RunQuery
from engine.tracker.runs import Runs
from engine.tracker.svg_curve import curve_words
from tests.engine.trial_runs import add_points, trial


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker.runs


def test_runs_stand_in_the_order_asked_for_and_differences_come_first(runs: Runs) -> None:
    nested = {"beta": 0.9, "eps": None}
    one = trial(runs, "one", params={"model": "m", "lr": 1, "flag": True, "optim": nested})
    two = trial(runs, "two", params={"model": "m", "lr": 1.0, "flag": 1, "optim": {"beta": 0.9}})
    compared = compare(runs, [two, one])
    assert [summary.id for summary in compared.summaries] == [two, one]
    lines = {line.name: line for line in compared.parameters}
    assert [line.name for line in compared.parameters] == ["flag", "optim.eps", "lr", "model", "optim.beta"]
    assert lines["flag"].values == (1, True)
    assert lines["flag"].differs, "JSON's true is not 1"
    assert not lines["lr"].differs, "1.0 is 1"
    assert lines["optim.eps"].values == (ABSENT, None)
    assert lines["optim.eps"].differs, "a null is not the same as nothing"
    assert not lines["optim.beta"].differs


def test_names_with_dots_are_not_mistaken_for_parameters_within_others(runs: Runs) -> None:
    one = trial(runs, params={"a.b": 1, "a": {"b": 2}})
    two = trial(runs, params={"a.b": 1, "a": {"b": 3}})
    compared = compare(runs, [one, two])
    assert [(line.name, line.values, line.differs) for line in compared.parameters] == [
        ("a.b", (2, 3), True),
        ("a.b", (1, 1), False),
    ]


def test_results_are_only_what_is_stored(runs: Runs) -> None:
    one = trial(runs, results=[Result("accuracy", 0.98, 200, 0.95, 0.992), Result("loss", 0.7)])
    two = trial(runs, results=[Result("accuracy", 0.96, 50, 0.865, 0.989), Result("zeta", 1.0, 3)])
    three = trial(runs, results=[Result("accuracy", 0.5, 200, 0.43, 0.57)])
    overlapping = {line.name: line for line in compare(runs, [one, two]).results}
    assert list(overlapping) == ["accuracy", "loss", "zeta"]
    assert overlapping["accuracy"].overlap is True
    assert overlapping["loss"].results == (Result("loss", 0.7), None)
    assert overlapping["loss"].overlap is None
    assert compare(runs, [one, three]).results[0].overlap is False
    assert compare(runs, [one, two, three]).results[0].overlap is None, "only two runs are told apart"


def test_metrics_are_those_of_any_run(runs: Runs) -> None:
    one, two = trial(runs), trial(runs)
    add_points(runs, one, "loss", [(0, 1.0), (1, 0.5)])
    add_points(runs, two, "lr", [(0, 1.0)])
    add_points(runs, two, "loss", [(3, 2.0)])
    compared = compare(runs, [one, two])
    assert compared.metrics == ("loss", "lr")
    assert [run.metrics for run in compared.runs] == [("loss",), ("loss", "lr")]


def test_missing_too_few_too_many_and_twice_the_same(runs: Runs) -> None:
    one, two = trial(runs), trial(runs)
    with pytest.raises(UnknownRun, match=r"no run 98765, 98766\. Nothing"):
        compare(runs, [one, 98765, two, 98766])
    for wrong in ([], [one], [one] * 2, list(range(1, AT_MOST + 2))):
        with pytest.raises(ValueError, match="compared"):
            compare(runs, wrong)
    with pytest.raises(TrackerError):
        load_all(runs, [98765])


def test_a_hundred_runs_are_compared(runs: Runs) -> None:
    ids = [trial(runs, params={"seed": number, "same": "x"}) for number in range(AT_MOST)]
    compared = compare(runs, ids)
    assert compared.parameters[0].values == tuple(range(AT_MOST))
    assert not compared.parameters[1].differs
    assert compare_runs(compared.runs[:1]).parameters[0].differs is False


def test_a_comparison_as_json_tells_null_from_nothing(runs: Runs) -> None:
    one = trial(runs, params={"a": None, "huge": float("inf")}, results=[Result("f1", float("-inf"))])
    two = trial(runs)
    told = comparison_json(compare(runs, [one, two]))
    assert told["parameters"][0] == {"name": "a", "differs": True, "values": [{"value": None}, None]}
    assert '"value": "Infinity"' in json_text(told)
    assert '"value": "-Infinity"' in json_text(told)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "text"),
        ("1", '"1"'),
        (1, "1"),
        (None, "null"),
        ("null", '"null"'),
        (ABSENT, "–"),
        ([1], "[1]"),
    ],
)
def test_values_that_differ_read_differently(value: object, words: str) -> None:
    assert value_words(value) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (Result("a", 0.98, 200, 0.9497, 0.9923), "0.980 [0.950, 0.992] n=200"),
        (Result("a", 95.0, 100, 88.8, 97.8), "95.0 [88.8, 97.8] n=100"),
        (Result("a", 0.98, 11396, 0.9773, 0.9824), "0.9800 [0.9773, 0.9824] n=11396"),
        (Result("a", 0.713), "0.713"),
        (Result("a", 1.0, 5, 1.0, 1.0), "1.000 [1.000, 1.000] n=5"),
        (Result("a", 11396.0), "11396"),
        (Result("a", 1e308, 3, -1e308, 1e308), "1.000e+308 [-1.000e+308, 1.000e+308] n=3"),
        (Result("a", float("inf"), 3, 0.0, float("inf")), "infinite [0, infinite] n=3"),
    ],
)
def test_a_figure_stands_with_its_certainty(result: Result, words: str) -> None:
    assert figure_words(result) == words


def test_numbers_and_durations_are_short() -> None:
    assert [number_words(n) for n in (0.0, -1.5, 12345.67, 1e-7, 1e20)] == [
        *("0", "-1.5", "12345.7", "1.00e-07", "1.000e+20")
    ]
    assert [duration_words(s) for s in (None, 0.5, 125, 100728, 3e5)] == [
        *("", "0.5 s", "2 min 5 s", "27 h 58 min", "3 d 11 h")
    ]
    assert [duration_words(s) for s in (9.94, 9.97, 59.4, 59.6, 3599.4, 3599.6)] == [
        *("9.9 s", "10 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min")
    ]


def test_every_status_that_can_be_typed_can_be_stored(runs: Runs) -> None:
    for status in STATUSES:
        claim = status in ("reported", "in progress", "planned")
        new = NewRun(status, "trial", status, Origin.IMPORTED if claim else Origin.MEASURED)
        run_id = runs.add(new)
        query = RunQuery.parse(f"kind:trial status:{status.replace(' ', '-')}")
        assert [run.id for _, run in runs.page(query)] == [run_id]


# --- curves and whole runs -------------------------------------------------------------------------------


def test_a_curve_has_every_point_in_just_one_bucket(runs: Runs) -> None:
    run_id = trial(runs)
    steps = [-7, -3, 0, 1, 2, 50, 51, 1000, 2**62]
    add_points(runs, run_id, "loss", [(step, float(step)) for step in steps] + [(2**62 + 1, None)])
    for buckets in (1, 2, 3, 7, 400):
        curve = runs.curve(run_id, "loss", buckets)
        assert len(curve) <= buckets + 2
        assert sum(bucket.count for bucket in curve) == len(steps) + 1
        assert [bucket.step for bucket in curve] == sorted(bucket.step for bucket in curve)
    _, whole, _ = runs.curve(run_id, "loss", 1)
    assert (whole.step, whole.low, whole.high) == (2**62, -3.0, float(2**62))


@pytest.mark.parametrize("points", [1, 2, 3, 10_000])
def test_a_curve_begins_and_ends_with_its_first_and_last_point(runs: Runs, points: int) -> None:
    run_id = trial(runs)
    values = [10.0, *([0.5] * (points - 2)), 7.0][:points]
    add_points(runs, run_id, "loss", list(enumerate(values)))
    curve = runs.curve(run_id, "loss")
    assert (curve[0].mean, curve[-1].mean) == (values[0], values[-1])
    assert sum(bucket.count for bucket in curve) == points
    end = f"{values[-1]:g}"
    assert curve_words(curve).startswith(f"10 → {end}, ")


def test_points_of_one_step_stay_in_their_order(runs: Runs) -> None:
    run_id = trial(runs)
    add_points(runs, run_id, "loss", [(5, float(number)) for number in range(4)])
    assert [(bucket.mean, bucket.count) for bucket in runs.curve(run_id, "loss")] == [
        *((0.0, 1), (1.5, 2), (3.0, 1))
    ]


def test_an_end_that_is_no_number_is_said_to_be_none(runs: Runs) -> None:
    run_id = trial(runs)
    add_points(runs, run_id, "loss", [(0, 2.0), (1, 1.0), (2, None)])
    assert curve_words(runs.curve(run_id, "loss")) == "2 → –, lowest 1, highest 2, 3 points"


@pytest.mark.parametrize("far", [-(10**7), 10**7])
def test_one_point_far_off_leaves_the_others_apart(runs: Runs, far: int) -> None:
    run_id = trial(runs)
    add_points(runs, run_id, "loss", sorted([*((step, float(step)) for step in range(1000)), (far, 5.0)]))
    assert len(runs.curve(run_id, "loss")) > 300


def test_curves_of_several_runs_equal_those_of_each(runs: Runs) -> None:
    ids = [trial(runs) for _ in range(3)]
    for place, run_id in enumerate(ids[:2]):
        add_points(runs, run_id, "loss", [(step, step * 1.5 + place) for step in range(0, 900, 3)])
    together = runs.curves(ids, "loss", 40)
    assert together == {run_id: runs.curve(run_id, "loss", 40) for run_id in ids}
    assert together[ids[2]] == []


def test_whole_runs_come_in_the_order_asked_for_without_those_that_are_not_there(runs: Runs) -> None:
    first, second = trial(runs, "first", tags=["a"]), trial(runs, "second", results=[Result("f1", 0.5)])
    found = runs.full([second, 98765, first, second])
    assert list(found) == [second, first]
    assert found == {run_id: runs.run(run_id) for run_id in (second, first)}
    assert runs.full([]) == {}
    assert runs.result_names(RunQuery(kind="trial")) == ["f1"]
