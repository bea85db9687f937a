"""The history that a new database begins with: what it says, how sure it is of it, when it is told."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from engine.evaluation.intervals import f1_interval, wilson
from engine.tracker import TrackerError, migrations, open_tracker, seed
from engine.tracker.probes import Tracker
from engine.tracker.run_records import NewRun, Origin, Result, RunQuery

PAPER = "GuardReasoner, arXiv 2501.18492: "
MLX = "Predecessor: 4-bit evaluations with MLX"
TRAINING = "Predecessor: training (Exp 18 to 22)"
TASKS = ("prompt harmfulness", "response harmfulness", "refusal detection")
REFERENCE = Path(__file__).parents[3] / "shared" / "data" / "reference" / "guardreasoner_tables.json"

HISTORY = {experiment.name: experiment for experiment in seed.history()}
RUNS = [(run_id, run) for experiment in HISTORY.values() for run_id, run in experiment.runs.items()]
"""Each run of the history with its id."""


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker


def runs_of(experiment: str) -> dict[str, NewRun]:
    return {run.name: run for run in HISTORY[experiment].runs.values()}


def figures(run: NewRun) -> dict[str, Result]:
    return {result.name: result for result in run.results}


# --- what it says --------------------------------------------------------------------------------


def test_nothing_of_it_counts_as_measured(tracker: Tracker) -> None:
    assert tracker.runs.count() == len(RUNS)
    assert tracker.runs.count(RunQuery(origin=Origin.MEASURED)) == 0
    assert tracker.runs.count(RunQuery(origin=Origin.IMPORTED)) == 15
    assert {run.status for _, run in tracker.runs.page(limit=1000)} == {"reported", "in progress", "planned"}


def test_it_is_stored_as_it_is_told(tracker: Tracker) -> None:
    for run_id, told in RUNS:
        stored = tracker.runs.run(run_id)
        assert stored is not None
        assert (stored.summary.name, stored.summary.origin) == (told.name, told.origin)
        assert stored.summary.experiment == told.experiment
        assert stored.summary.created_at == told.created_at
        assert stored.results == tuple(sorted(told.results, key=lambda result: result.name))
        assert set(stored.lineage) == set(told.lineage)
        assert stored.summary.tags == tuple(sorted(told.tags))
        assert (stored.params, stored.outcome) == (told.params, told.summary)
        assert (stored.source, stored.note) == (told.source, told.note)


def test_every_run_says_where_it_comes_from_and_when() -> None:
    for _, run in RUNS:
        origin = {Origin.PAPER: "arXiv 2501.18492v2: Table", Origin.IMPORTED: "the predecessor"}[run.origin]
        assert origin in run.source
        assert run.created_at is not None
        assert run.created_at.year == 2025
        assert (run.status == "reported") == bool(run.results or run.summary)
    for experiment in HISTORY.values():
        assert experiment.note
        assert len(runs_of(experiment.name)) == len(experiment.runs)


@pytest.mark.parametrize("task", TASKS)
def test_weighted_averages_are_those_of_their_rows(task: str) -> None:
    averaged = 0
    for run in runs_of(PAPER + task).values():
        found = figures(run)
        average = found.pop("f1", None)
        if average is None:
            assert run.name.startswith("Aegis Guard 2.0 8B")
            continue
        n = sum(result.n or 0 for result in found.values())
        weighted = sum(result.value * (result.n or 0) for result in found.values()) / n
        assert average.value == pytest.approx(weighted, abs=0.01), run.name
        assert average.n == n
        averaged += 1
    assert averaged >= 20


def test_averages_of_the_three_tasks_are_the_means_of_their_averages() -> None:
    by_task = [runs_of(PAPER + task) for task in TASKS]
    suffixes = (", prompt harm", ", response harm", ", refusal")
    for name, run in runs_of(PAPER + "three tasks").items():
        found = figures(run)
        model = name.removesuffix(", three tasks")
        parts = [found["f1 prompt"], found["f1 response"], found["f1 refusal"]]
        for part, runs, suffix in zip(parts, by_task, suffixes, strict=True):
            average = figures(runs[model + suffix])["f1"]
            assert (part.value, part.n) == (average.value, average.n)
        assert found["f1"].value == pytest.approx(mean(part.value for part in parts), abs=0.01)
    for name, run in runs_of(PAPER + "ablation").items():
        found = figures(run)
        parts = [found["f1 prompt"], found["f1 response"], found["f1 refusal"]]
        as_printed = pytest.approx(mean(part.value for part in parts), abs=0.01)
        assert (found["f1"].value == as_printed) != (name == "Baseline_mix 1B")
        assert ("74.71 is printed" in run.note) == (name == "Baseline_mix 1B")


@pytest.mark.skipif(not REFERENCE.exists(), reason=f"the paper's tables are not at {REFERENCE}")
def test_every_cell_is_the_papers() -> None:
    tables: Any = json.loads(REFERENCE.read_text(encoding="utf-8"))
    numbers = ("table2_prompt_harmfulness", "table5_response_harmfulness", "table8_refusal")
    for task, number, suffix in zip(
        TASKS, numbers, (", prompt harm", ", response harm", ", refusal"), strict=True
    ):
        told = runs_of(PAPER + task)
        assert len(told) == len(tables[number])
        for row in tables[number]:
            size = "" if row["size"] == "Unknown" else f" {row['size']}"
            found = figures(told[f"{row['model']}{size}{suffix}"])
            printed = {f"f1 {name.replace('Reponse', 'Response')}": f1 for name, f1 in row["f1"].items()}
            printed["f1"] = row["weighted_average"]
            assert {name: result.value for name, result in found.items()} == {
                name: f1 for name, f1 in printed.items() if f1 is not None
            }
    for row in tables["table9_efficiency"]["rows"]:
        found = figures(runs_of(PAPER + "cost")[f"{row['method']} {row['size']}, cost"])
        assert found["SFT GPU hours"].value == row["train_gpu_hours"][0]
        assert found["latency ms"].value == row["ms_per_query"]


# --- how sure it is of it ------------------------------------------------------------------------


def test_accuracies_have_an_n_and_wilsons_interval() -> None:
    claimed = [result for _, run in RUNS for result in run.results if result.name == "accuracy"]
    assert len(claimed) == 11
    for result in claimed:
        assert result.n
        right = round(result.n * result.value / 100)
        assert round(100 * right / result.n, 1) == result.value  # so many of n is what was claimed
        low, high = wilson(right, result.n)
        assert (result.low, result.high) == (100 * low, 100 * high)


def test_no_interval_is_made_up() -> None:
    for _, run in RUNS:
        assert all(result.n is None or result.n > 0 for result in run.results)
        confusion_is_known = run.experiment == MLX
        for result in run.results:
            assert (result.low is None) == (result.high is None)
            assert (result.low is not None) == (confusion_is_known or result.name == "accuracy")


def test_98_percent_of_200_reads_as_what_it_is() -> None:
    found = figures(runs_of(MLX)["MLX 4-bit: GuardReasoner 8B on 200 prompts"])
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.n) == (98, 200)
    assert accuracy.low == pytest.approx(94.97, abs=0.01)
    assert accuracy.high == pytest.approx(99.22, abs=0.01)


def test_figures_computed_from_confusions_are_those_claimed() -> None:
    found = figures(runs_of(MLX)["MLX 4-bit: GuardReasoner 3B on 200 WildGuard prompts"])
    claimed = {"accuracy": 90, "precision": 88.75, "recall": 86.59, "f1": 87.65}
    assert {name: round(result.value, 2) for name, result in found.items()} == claimed
    assert {name: result.n for name, result in found.items()} == {
        "accuracy": 200,
        "precision": 80,
        "recall": 82,
        "f1": 200,
    }
    low, high = f1_interval(71, 9, 11)
    assert (found["f1"].low, found["f1"].high) == (100 * low, 100 * high)
    small = figures(runs_of(MLX)["MLX 4-bit: GuardReasoner 3B on 50 prompts"])
    assert (small["accuracy"].value, round(small["f1"].value, 1)) == (96, 95.8)


def test_the_figures_of_exp_18_are_of_100_prompts_and_not_of_200() -> None:
    """Of every way to be right and wrong, unlabelled answers included: which gives what is claimed?"""
    claimed = figures(runs_of(TRAINING)["Exp 18: R-SFT, LLaMA 3.2 3B"])
    assert claimed["accuracy"].n == 100

    def fits(harmful: int, safe: int) -> set[tuple[int, int]]:
        found = set()
        for tp in range(harmful + 1):
            tn = round((harmful + safe) * claimed["accuracy"].value / 100) - tp
            if not 0 <= tn <= safe:
                continue
            harmful_f1 = {round(200 * tp / (tp + fp + harmful), 1) for fp in range(safe - tn + 1)}
            safe_f1 = {round(200 * tn / (tn + fn + safe), 1) for fn in range(harmful - tp + 1)}
            if claimed["harmful f1"].value in harmful_f1 and claimed["safe f1"].value in safe_f1:
                found.add((tp, tn))
        return found

    assert fits(100, 100) == set()
    assert fits(45, 55) == {(43, 52)}


# --- when it is told -----------------------------------------------------------------------------


def test_own_runs_come_after_it(tracker: Tracker) -> None:
    assert max(run_id for run_id, _ in RUNS) < seed.FIRST_MEASURED / 2  # room to grow
    own = tracker.runs.add(NewRun("mine", "shell", "queued"))
    assert own == seed.FIRST_MEASURED
    assert [run.id for _, run in tracker.runs.page(limit=2)] == [own, RUNS[-1][0]]


def test_it_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    with open_tracker(path) as tracker, tracker.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM run WHERE origin = 'paper'")
    with open_tracker(path) as tracker:
        assert tracker.runs.count() == tracker.runs.count(RunQuery(origin=Origin.IMPORTED)) == 15


def test_a_database_that_exists_does_not_load_it(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    opening = (
        "import sys; from pathlib import Path; from engine.tracker import open_tracker\n"
        "open_tracker(Path(sys.argv[1])).close(); print('engine.tracker.seed' in sys.modules)"
    )
    loaded = [
        subprocess.run(
            [sys.executable, "-c", opening, str(path)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert loaded == ["True\n", "False\n"]


def with_probes_only(path: Path) -> None:
    made = create_engine(f"sqlite:///{path}")
    with made.begin() as connection:
        migrations.upgrade(connection, "0001")
    made.dispose()


def test_a_database_of_probes_only_is_told_it_too(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    with_probes_only(path)
    with open_tracker(path) as tracker:
        assert tracker.runs.count() == len(RUNS)
        assert tracker.runs.add(NewRun("mine", "shell", "queued")) == seed.FIRST_MEASURED


@pytest.mark.parametrize("older", [False, True])
def test_the_tables_and_the_history_are_made_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    path = tmp_path / "wizard.db"
    if older:
        with_probes_only(path)
    whole = seed.sow

    def halfway(connection: Connection) -> None:
        whole(connection)
        raise OSError("the history cannot be read")

    monkeypatch.setattr(seed, "sow", halfway)
    with pytest.raises(TrackerError):
        open_tracker(path)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'run'").fetchone() == (0,)
    monkeypatch.setattr(seed, "sow", whole)
    with open_tracker(path) as tracker:
        assert tracker.runs.count() == len(RUNS)
