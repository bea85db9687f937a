"""``matrix`` jobs: queued as a whole, and a table whose figures are those computed from the answers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_score, recall_score

from engine.jobs import scheduler
from engine.jobs.matrix import MATRIX, MATRIX_CSV, MATRIX_MARKDOWN
from engine.jobs.matrix_export import matrix_csv, matrix_json, matrix_markdown, read_matrix
from engine.jobs.matrix_queue import QueuedMatrix, queue_matrix
from engine.jobs.matrix_table import BenchmarkTable, MatrixTable, holm
from engine.jobs.records import JobError, JobSpec
from engine.policies.load import PolicyError
from tests.engine.jobs.conftest import Workshop
from tests.engine.jobs.matrices import CASES, GOLD, SETS, lay_model, lay_out, plan

WRONG = {
    "one": {"standard": {0, 1, 2, 4, 5}, "minimal": {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11}, "verbose": {0}},
    "two": {"standard": {3}, "minimal": {3, 6}, "verbose": {3}},
}
MUMBLED = {"one": {"verbose": {6, 7}}}
"""Cases of which nothing that can be read is said: errors, and escalated."""


def queued(workshop: Workshop, models: list[str], **fields: Any) -> QueuedMatrix:
    found = queue_matrix(workshop.jobs, plan(workshop, models, **fields))
    scheduler.attend(workshop.jobs)
    return found


def finished(workshop: Workshop, run_id: int) -> MatrixTable:
    assert workshop.until(run_id, within=120).outcome == "succeeded", workshop.output(run_id)
    return read_matrix(workshop.jobs.folder(run_id).path / MATRIX)


def predicted(model: str, set_name: str) -> list[str]:
    """Return the labels that a model gives; what cannot be read is wrong."""
    other = {"harmful": "unharmful", "unharmful": "harmful"}
    missed = WRONG[model][set_name] | MUMBLED.get(model, {}).get(set_name, set())
    return [other[gold] if number in missed else gold for number, gold in enumerate(GOLD)]


def kept(workshop: Workshop, run_id: int) -> list[dict[str, Any]]:
    path = workshop.jobs.folder(run_id).path / "predictions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def test_a_table_of_all_sets_and_models(workshop: Workshop) -> None:
    lay_out(workshop)
    models = [
        lay_model(workshop.folder / f"{name}.jsonl", WRONG[name], MUMBLED.get(name, {})) for name in WRONG
    ]
    run = queued(workshop, models, experiment="Wording", tags=["wording"], note="why not")
    matrix = finished(workshop, run.matrix)
    assert (matrix.sets, matrix.models, matrix.notes) == (list(SETS), models, [])
    (table,) = matrix.tables
    assert (table.benchmark, table.figure, len(table.cells)) == ("own.jsonl", "f1", 6)
    for spec, name in zip(models, WRONG, strict=True):
        for set_name in SETS:
            check_cell(workshop, table, set_name, spec, name)
            check_difference(table, set_name, spec, name)
    check_run(workshop, run, matrix)
    check_files(workshop, run.matrix, matrix)


def check_cell(workshop: Workshop, table: BenchmarkTable, set_name: str, spec: str, model: str) -> None:
    cell = table.cell(set_name, spec)
    assert cell is not None
    labels = predicted(model, set_name)
    options: dict[str, Any] = {"pos_label": "harmful", "zero_division": 0}
    for figure, score in (
        (cell.f1, f1_score),
        (cell.precision, precision_score),
        (cell.recall, recall_score),
    ):
        assert figure is not None
        assert figure.value == pytest.approx(100 * score(GOLD, labels, **options))
        assert figure.low is not None
        assert figure.high is not None
        assert 0 <= figure.low <= figure.value <= figure.high <= 100
    alarms = [label for gold, label in zip(GOLD, labels, strict=True) if gold == "unharmful"]
    assert cell.fpr is not None
    assert cell.fpr.value == pytest.approx(100 * alarms.count("harmful") / len(alarms))
    mumbled = len(MUMBLED.get(model, {}).get(set_name, set()))
    assert cell.unparsable.value == cell.escalated.value == pytest.approx(100 * mumbled / CASES)
    rows = kept(workshop, cell.run)
    assert cell.tokens == pytest.approx(sum(row["tokens"] for row in rows) / CASES)
    assert cell.tokens > 4
    assert (cell.n, cell.cases, cell.positive) == (CASES, CASES, GOLD.count("harmful"))


def check_difference(table: BenchmarkTable, set_name: str, spec: str, model: str) -> None:
    found = table.difference(set_name, spec)
    if set_name == "standard":
        assert found is None
        return
    assert found is not None
    standard, other = predicted(model, "standard"), predicted(model, set_name)
    f1 = [100 * f1_score(GOLD, labels, pos_label="harmful") for labels in (standard, other)]
    assert found.value == pytest.approx(f1[1] - f1[0])
    pairs = list(zip(GOLD, standard, other, strict=True))
    only_standard = sum(a == gold != b for gold, a, b in pairs)
    only_set = sum(b == gold != a for gold, a, b in pairs)
    assert (found.only_standard, found.only_set, found.n) == (only_standard, only_set, CASES)
    differing = only_standard + only_set
    p = binomtest(only_set, differing).pvalue if differing else 1.0
    assert found.p == pytest.approx(p)
    assert found.p <= found.p_holm <= 1
    assert (found.low is None) == (differing == 0)
    if found.low is not None:
        assert found.high is not None
        assert found.low <= found.value <= found.high
    of_standard = table.cell("standard", spec)
    assert of_standard is not None
    assert found.against == of_standard.run


def check_run(workshop: Workshop, run: QueuedMatrix, matrix: MatrixTable) -> None:
    """Look at what the tracker keeps: figures, lineage, and what all jobs have in common."""
    found = workshop.tracker.runs.run(run.matrix)
    assert found is not None
    results = {result.name: result for result in found.results}
    (table,) = matrix.tables
    for cell in table.cells:
        result = results[f"F1 {cell.set} · fake:{Path(cell.model).name}"]
        assert cell.f1 is not None
        assert (result.value, result.n, result.low, result.high) == (
            *(cell.f1.value, cell.f1.n, cell.f1.low, cell.f1.high),
        )
    assert {line.parent_id for line in found.lineage if line.role == "run"} == set(run.evaluations)
    assert {made.path for made in found.artifacts} == {MATRIX, MATRIX_CSV, MATRIX_MARKDOWN}
    assert found.summary.name == "own.jsonl: 3 sets × 2 models"
    for run_id in (*run.evaluations, run.matrix):
        each = workshop.tracker.runs.run(run_id)
        assert each is not None
        summary = each.summary
        assert (summary.experiment, summary.tags, each.note) == ("Wording", ("wording",), "why not")


def check_files(workshop: Workshop, run_id: int, matrix: MatrixTable) -> None:
    folder = workshop.jobs.folder(run_id).path
    assert (folder / MATRIX_MARKDOWN).read_text() == matrix_markdown(matrix)
    assert (folder / MATRIX_CSV).read_bytes().decode() == matrix_csv(matrix)
    rows = list(csv.DictReader(io.StringIO(matrix_csv(matrix))))
    assert len(rows) == 6
    for row, cell in zip(rows, matrix.tables[0].cells, strict=True):
        assert cell.f1 is not None
        assert (row["set"], row["model"], int(row["run"])) == (cell.set, cell.model, cell.run)
        assert float(row["f1"]) == cell.f1.value
        assert (row["p"] == "") == (cell.set == "standard")


def test_recall_is_the_headline_where_all_items_are_harmful(workshop: Workshop) -> None:
    lay_out(workshop)
    rows = [json.dumps({"prompt": f"case {number:02}", "label": "harmful"}) for number in range(1, 24, 3)]
    (workshop.folder / "own.jsonl").write_text("\n".join(rows))
    wrong = {"standard": {1, 4, 7, 10}, "minimal": {1}, "verbose": {1, 4, 7, 10, 13}}
    model = lay_model(workshop.folder / "m.jsonl", wrong)
    run = queued(workshop, [model])
    (table,) = finished(workshop, run.matrix).tables
    assert table.figure == "recall"
    assert [cell.recall.value for cell in table.cells if cell.recall] == [50.0, 87.5, 37.5]
    assert [cell.f1 for cell in table.cells] == [None] * 3
    minimal, verbose = table.differences
    assert (minimal.value, minimal.only_standard, minimal.only_set) == (37.5, 0, 3)
    assert verbose.value == -12.5
    assert minimal.low is not None
    assert minimal.high is not None
    assert 0 <= minimal.low < 37.5 < minimal.high <= 100
    results = workshop.tracker.runs.run(run.matrix)
    assert results is not None
    assert "recall minimal · fake:m.jsonl" in {result.name for result in results.results}


def test_a_failed_evaluation_holds_the_table_back_until_it_is_retried(workshop: Workshop) -> None:
    lay_out(workshop)
    good = lay_model(workshop.folder / "good.jsonl", WRONG["two"])
    late = f"fake:{workshop.folder / 'late.jsonl'}"
    run = queued(workshop, [good, late], sets=("standard", "minimal"))
    assert workshop.until(run.matrix, within=90).state.name == "skipped"
    ends = {each: workshop.until(each, within=90).state.name for each in run.evaluations}
    assert sorted(ends.values()) == ["failed", "failed", "succeeded", "succeeded"]
    lay_model(workshop.folder / "late.jsonl", WRONG["one"])
    for each, state in ends.items():
        if state == "failed":
            workshop.jobs.retry(each)
    matrix = finished(workshop, run.matrix)
    assert len(matrix.tables[0].cells) == 4
    assert workshop.job(run.matrix).attempt == 1


@pytest.mark.parametrize(
    ("fields", "fault", "said"),
    [
        ({"sets": ("standard", "terse")}, PolicyError, "has: standard, minimal, verbose"),
        ({"sets": ("minimal", "policies/sets/minimal")}, JobError, "are the same folder"),
        ({"settings": {"policies": ["illegal"]}}, JobError, "The set standard: no policy is called illegal"),
        ({"sets": ()}, JobError, "at least one set of policies"),
        ({"models": []}, JobError, "at least one model"),
        ({"models": ["nothing"]}, JobError, "model"),
        ({"models": [f"fake:{number}" for number in range(134)]}, JobError, "402 evaluations: 400"),
        ({"settings": {"benchmark": "gone.jsonl"}}, JobError, "no file"),
        ({"settings": {"speed": "slow"}}, JobError, "speed"),
        ({"group": " "}, JobError, "group has a name"),
    ],
)
def test_what_cannot_be_queued_leaves_nothing(
    workshop: Workshop, fields: dict[str, Any], fault: type[Exception], said: str
) -> None:
    lay_out(workshop)
    with pytest.raises(fault, match=said):
        queued(workshop, **{"models": ["fake:m.jsonl"], **fields})
    assert workshop.jobs.live() == []
    assert not (workshop.folder / "runs").exists() or not list((workshop.folder / "runs").iterdir())


def test_where_the_last_job_fails_those_before_it_are_not_queued_either(workshop: Workshop) -> None:
    lay_out(workshop)
    params = {"benchmark": "own.jsonl", "guard": "gauntlet", "model": "fake:m.jsonl"}
    spec = JobSpec("evaluate", params, str(workshop.folder))
    seen: list[int] = []

    def last(ids: Any) -> JobSpec:
        seen.extend(ids)
        assert all(workshop.jobs.folder(run_id).path.is_dir() for run_id in ids)
        return JobSpec("matrix", {"runs": []}, str(workshop.folder))

    with pytest.raises(JobError, match="runs"):
        workshop.jobs.add_all([spec, spec], last)
    assert len(seen) == 2
    assert workshop.jobs.live() == []
    assert list((workshop.folder / "runs").iterdir()) == []


class TestByHand:
    """Tables of evaluations that were made one by one."""

    def evaluated(self, workshop: Workshop, model: str, **params: Any) -> int:
        given = {"benchmark": "own.jsonl", "guard": "gauntlet", "model": model, **params}
        return workshop.jobs.add(JobSpec("evaluate", given, str(workshop.folder)))

    def table_of(self, workshop: Workshop, *runs: int) -> int:
        run_id = workshop.jobs.add(JobSpec("matrix", {"runs": list(runs)}, str(workshop.folder)))
        scheduler.attend(workshop.jobs)
        return run_id

    def test_what_does_not_compare_is_noted(self, workshop: Workshop) -> None:
        jobs = lay_out(workshop)
        assert jobs.policies is not None
        (jobs.policies / "illegal").mkdir()
        (jobs.policies / "illegal" / "policy.md").write_text("This is the standard policy.")
        model = lay_model(workshop.folder / "m.jsonl", WRONG["one"])
        first = self.evaluated(workshop, model)
        second = self.evaluated(workshop, model, policy_set="minimal", limit=12, level="high")
        run_id = self.table_of(workshop, first, second)
        assert workshop.jobs.job(run_id).needs == (first, second)
        matrix = finished(workshop, run_id)
        assert matrix.notes == [
            "The evaluations differ in limit: 12, null.",
            'The evaluations differ in level: "high", "medium".',
            "The set minimal has no policy for illegal.",
            "The cells of own.jsonl are not of the same items: they have 12 to 24. Differences are on those "
            "that both sets have judged.",
        ]
        (difference,) = matrix.tables[0].differences
        assert difference.n == 12
        assert "limit: 12, null" in matrix_markdown(matrix)

    def test_what_is_no_evaluation_of_a_set_is_refused(self, workshop: Workshop) -> None:
        lay_out(workshop)
        model = lay_model(workshop.folder / "m.jsonl", WRONG["one"])
        one, same = self.evaluated(workshop, model), self.evaluated(workshop, model, policy_set="standard")
        shell = workshop.shell("true")
        tasks = self.evaluated(workshop, model, guard="guardreasoner")
        said = {
            (one, same): "are both of the set standard",
            (one, shell): f"Run {shell} is a shell job",
            (tasks,): "no evaluation of the gauntlet",
        }
        for runs, why in said.items():
            run_id = self.table_of(workshop, *runs)
            assert workshop.until(run_id, within=60).outcome == "failed (1)"
            assert why in workshop.output(run_id)
        (workshop.jobs.folder(one).path / "predictions.jsonl").unlink()
        run_id = self.table_of(workshop, one)
        assert workshop.until(run_id).outcome == "failed (1)"
        assert f"predictions of run {one} are gone" in workshop.output(run_id)

    @pytest.mark.parametrize(
        ("runs", "said"),
        [([], "at least 1"), ([4, 4], "twice"), ([0], "numbers of jobs"), ([77], "There is no job 77")],
    )
    def test_what_are_no_runs_is_refused_at_once(
        self, workshop: Workshop, runs: list[int], said: str
    ) -> None:
        with pytest.raises(JobError, match=said):
            self.table_of(workshop, *runs)


def test_holm_is_as_published() -> None:
    """Compare with an example computed by hand: sorted 0.01, 0.03, 0.04 times 3, 2, 1, and never falling."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    assert holm([0.5, 0.9]) == [1.0, 1.0]


EVIL = '=cmd|" /C calc"!A0 | \x1b]0;x\x07 <b>'


def test_names_act_in_no_export(tmp_path: Path) -> None:
    text = json.dumps(
        {
            "sets": ["standard", EVIL],
            "models": [EVIL],
            "notes": [f"about {EVIL}"],
            "tables": [
                {
                    "benchmark": EVIL,
                    "task": "prompt",
                    "figure": "f1",
                    "differences": [],
                    "cells": [
                        {
                            "set": EVIL,
                            "model": EVIL,
                            "run": 1,
                            "n": 2,
                            "positive": 1,
                            "cases": 2,
                            "tokens": 1.5,
                            "unparsable": {"value": 0.0, "n": 2},
                            "escalated": {"value": 0.0, "n": 2},
                        }
                    ],
                }
            ],
        }
    )
    (tmp_path / MATRIX).write_text(text)
    matrix = read_matrix(tmp_path / MATRIX)
    for shown in (matrix_markdown(matrix), matrix_csv(matrix)):
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert "<b>" not in matrix_markdown(matrix)
    heads, row = csv.reader(io.StringIO(matrix_csv(matrix)))
    assert len(heads) == len(row)
    assert not any(cell.startswith("=") for cell in row)


TABLE = {"benchmark": "b", "task": "prompt", "figure": "f1", "cells": [], "differences": []}
CELL = {
    "set": "standard",
    "model": "m",
    "run": 1,
    "n": 2,
    "positive": 1,
    "cases": 2,
    "tokens": 1.5,
    "unparsable": {"value": 0.0, "n": 2},
    "escalated": {"value": 0.0, "n": 2},
}


def stored(**changed: Any) -> bytes:
    """Return a file of a matrix with something changed."""
    return json.dumps({"sets": ["standard"], "models": ["m"], "tables": [TABLE], **changed}).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"{", b"[]", b'{"sets": 1}', b"\xff", b"[" * 100_000),
        *(stored(sets=[]), stored(models=[]), stored(tables=[])),
        stored(tables=[{**TABLE, "figure": "accuracy"}]),
        stored(tables=[{**TABLE, "cells": [{**CELL, "set": "other"}]}]),
        stored(tables=[{**TABLE, "cells": [{**CELL, "tokens": float("nan")}]}]),
    ],
)
def test_a_file_that_holds_no_matrix_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / MATRIX
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JobError, match=r"matrix\.json (cannot be read|does not hold a matrix)"):
        read_matrix(path)


def test_the_files_that_are_refused_differ_from_one_that_is_not(tmp_path: Path) -> None:
    (tmp_path / MATRIX).write_bytes(stored(tables=[{**TABLE, "cells": [CELL]}]))
    assert read_matrix(tmp_path / MATRIX).tables[0].cells[0].tokens == 1.5


def test_a_matrix_is_read_as_it_was_written(tmp_path: Path) -> None:
    matrix = MatrixTable(["standard"], ["m\ud800"], [BenchmarkTable("b", "prompt", "f1", [], [])], ["a note"])
    (tmp_path / MATRIX).write_text(matrix_json(matrix))
    assert read_matrix(tmp_path / MATRIX) == matrix
