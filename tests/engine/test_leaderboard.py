"""The leaderboard: which runs make a row, what a row may claim, and what stands beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.evaluation.leaderboard import (
    FACTS,
    Board,
    Standing,
    as_f1,
    as_recall,
    boards_benchmarks,
    figure_word,
    read_leaderboard,
)
from engine.evaluation.leaderboard_export import (
    average_words,
    leaderboard_csv,
    leaderboard_json,
    leaderboard_markdown,
)
from engine.evaluation.metrics import Confusion
from engine.tracker import open_tracker
from engine.tracker.run_records import Lineage, Origin, Result
from engine.tracker.runs import Runs
from tests.engine.trial_runs import EVIL, trial

PARAMS: dict[str, Any] = {
    "guard": "gauntlet",
    "model": "fake:m",
    "benchmark": "guardreasoner",
    "limit": None,
    "seed": 0,
    "data_dir": None,
    "level": "medium",
    "policies": [],
    "serial": False,
    "prompt_style": "raw",
    "accept_changed": False,
}


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker.runs


def figures(board: Board, value: float, *, n: int | None = None, reach: float = 2.0) -> list[Result]:
    """Return the results that an evaluation on all benchmarks of a task ends with."""
    return [
        Result(
            f"{figure_word(each).lower()} {each.name}",
            value,
            n or each.contents[0].size,
            value - reach,
            value + reach,
        )
        for each in boards_benchmarks(board)
    ]


def evaluated(runs: Runs, results: list[Result], **changed: Any) -> int:
    lineage = changed.pop("lineage", ())
    fields = {name: changed.pop(name) for name in ("status", "origin", "kind") if name in changed}
    kind = fields.pop("kind", "evaluate")
    return trial(
        runs, "an evaluation", kind=kind, params=PARAMS | changed, results=results, lineage=lineage, **fields
    )


def measured(runs: Runs, board: Board = Board.PROMPT) -> list[Standing]:
    return [row for row in read_leaderboard(runs, board).standings if row.origin is Origin.MEASURED]


def test_the_papers_rows_are_all_there_and_marked(runs: Runs) -> None:
    rows = {board: read_leaderboard(runs, board).standings for board in Board}
    assert {board: len(found) for board, found in rows.items()} == {
        Board.PROMPT: 21,
        Board.RESPONSE: 25,
        Board.REFUSAL: 20,
    }
    assert {row.origin for found in rows.values() for row in found} == {Origin.PAPER}
    best = rows[Board.PROMPT][0]
    assert (best.name, best.average and best.average.value) == ("GuardReasoner 8B", 81.09)
    assert [row.coverage for row in rows[Board.PROMPT] if row.coverage] == ["2 of 6 benchmarks"]
    names = [benchmark.name for benchmark in read_leaderboard(runs, Board.RESPONSE).benchmarks]
    assert names == [
        *("HarmBenchResponse", "SafeRLHF", "BeaverTails", "XSTestResponseHarmful", "WildGuardTestResponse")
    ]


@pytest.mark.parametrize("missed", [0, 1, 37, 100, 239])
def test_recall_and_f1_of_a_set_of_one_class_become_each_other_exactly(missed: int) -> None:
    confusion = Confusion(tp=239 - missed, fn=missed)
    assert confusion.f1 is not None
    assert confusion.recall is not None
    recall = as_recall(Result("f1", 100 * confusion.f1, 239))
    assert recall.value == pytest.approx(100 * confusion.recall)
    assert as_f1(recall).value == pytest.approx(100 * confusion.f1)


def test_a_row_has_the_latest_figure_of_each_benchmark_whatever_run_it_is_of(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 90.0))
    again = evaluated(runs, figures(Board.PROMPT, 80.0), serial=True)
    single = evaluated(
        runs, [Result("f1", 60.0, 2853), Result("f1 ToxicChat", 60.0, 2853, 58, 62)], benchmark="ToxicChat"
    )
    (row,) = measured(runs)
    assert row.run_id == single
    assert row.figures["ToxicChat"].value == 60.0
    assert row.figures["OpenAIModeration"].value == 80.0, f"run {again} is the latest of it, not the best"
    assert not row.sample


def test_the_average_weighs_as_the_paper_does_and_has_an_interval(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0))
    (row,) = measured(runs)
    recall_as_f1 = 2 * 0.8 / 1.8 * 100
    expected = (80 * (6987 - 339) + recall_as_f1 * 339) / 6987
    assert row.average is not None
    assert row.average.value == pytest.approx(expected)
    assert row.average.n == row.n == 6987
    assert row.average.low is not None
    assert row.average.high is not None
    assert row.average.low < expected < row.average.high
    assert row.average.high - row.average.low < 4.0, "an average of independent parts is surer than they are"


def test_of_a_refusal_set_printed_with_499_items_the_449_there_are_are_the_whole(runs: Runs) -> None:
    evaluated(runs, figures(Board.REFUSAL, 88.0), guard="guardreasoner", level="high")
    (row,) = measured(runs, Board.REFUSAL)
    assert not row.sample
    assert row.n == 449 + 1777
    assert row.name == "guardreasoner fake:m"


def test_there_is_no_average_of_fewer_benchmarks_than_the_papers(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0)[:4])
    (row,) = measured(runs)
    assert row.average is None
    assert average_words(row) == "4 of 6 benchmarks"
    assert read_leaderboard(runs, Board.PROMPT).sorted()[-2:][0].average is None


def test_a_sample_is_marked_and_is_a_row_of_its_own(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0))
    evaluated(runs, figures(Board.PROMPT, 99.0, n=50), limit=50, seed=3)
    whole, sample = sorted(measured(runs), key=lambda row: row.sample)
    assert (whole.sample, sample.sample) == (False, True)
    assert sample.name == "gauntlet fake:m, sample of 50, seed 3, medium"
    assert sample.n == 300
    assert average_words(sample).endswith("*")
    # Older data may hold a part of a benchmark without any limit.
    evaluated(runs, [Result("f1 WildGuardTestPrompt", 90.0, 1554, 88, 92)], level="high")
    assert [row.sample for row in measured(runs) if row.name.endswith("high")] == [True]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"serial": True}, True),
        ({"data_dir": "elsewhere"}, True),
        ({"seed": 5}, True),  # without a limit nothing is drawn
        ({"prompt_style": "chat"}, True),  # nothing to a gauntlet
        ({"thresholds": None}, True),
        ({"speed": "full"}, True),  # as it was before there were speeds
        ({"speed": "one"}, False),
        ({"policy_set": None}, True),
        ({"policy_set": "standard"}, True),  # as it was before there were sets
        ({"policy_set": "minimal"}, False),
        ({"thresholds": "0.9,0.4"}, False),
        ({"level": "high"}, False),
        ({"model": "fake:other"}, False),
        ({"policies": ["violence"]}, False),
        ({"accept_changed": True}, False),
    ],
)
def test_a_row_is_a_guard_with_what_its_judgements_depend_on(
    runs: Runs, changed: dict[str, Any], same: bool
) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0))
    evaluated(runs, figures(Board.PROMPT, 70.0), **changed)
    rows = measured(runs)
    assert len(rows) == (1 if same else 2)
    assert len({row.name for row in rows}) == len(rows), "rows that differ are called differently"


def test_rows_of_other_sets_of_policies_are_called_by_them(runs: Runs) -> None:
    for name in ("minimal", "verbose", "standard"):
        evaluated(runs, figures(Board.PROMPT, 80.0), policy_set=name)
    assert {row.name for row in measured(runs)} == {
        "gauntlet fake:m, medium",
        "gauntlet fake:m, medium, set minimal",
        "gauntlet fake:m, medium, set verbose",
    }


def test_figures_of_other_versions_of_the_policies_do_not_mix(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 90.0), lineage=[Lineage("policy", "violence", "old")])
    evaluated(
        runs,
        [Result("f1 ToxicChat", 60.0, 2853, 58, 62)],
        benchmark="ToxicChat",
        lineage=[Lineage("policy", "violence", "new"), Lineage("data", "ToxicChat", "d")],
    )
    (row,) = measured(runs)
    assert list(row.figures) == ["ToxicChat"]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed"},
        {"status": "running"},
        {"kind": "classify"},
        {"status": "reported", "origin": Origin.IMPORTED},
        {"status": "reported", "origin": Origin.PAPER},
    ],
)
def test_what_was_not_measured_to_the_end_has_no_row(runs: Runs, fields: dict[str, Any]) -> None:
    before = read_leaderboard(runs, Board.PROMPT)
    evaluated(runs, figures(Board.PROMPT, 99.0), **fields)
    assert read_leaderboard(runs, Board.PROMPT) == before


def test_rows_are_sorted_by_any_column_and_those_without_a_value_come_last(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0)[:1])
    board = read_leaderboard(runs, Board.PROMPT)
    for by in (*FACTS, *(benchmark.name for benchmark in board.benchmarks)):
        for descending in (True, False):
            rows = board.sorted(by, descending=descending)
            assert sorted(map(id, rows)) == sorted(map(id, board.standings))
    rows = board.sorted("HarmBenchPrompt", descending=False)
    known = [row.figures["HarmBenchPrompt"].value for row in rows if "HarmBenchPrompt" in row.figures]
    assert known == sorted(known)
    assert {row.name for row in rows[len(known) :]} == {"gauntlet fake:m, medium", "Aegis Guard 2.0 8B"}
    with pytest.raises(ValueError, match="no column"):
        board.sorted("colour")


def test_exports_hold_every_figure_with_its_interval_and_defuse_hostile_names(runs: Runs) -> None:
    evaluated(runs, figures(Board.PROMPT, 80.0), model=EVIL)
    board = read_leaderboard(runs, Board.PROMPT)
    table = leaderboard_markdown(board, board.sorted())
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 22
    assert "<script>" not in table
    assert any("80.00 \\[78.00, 82.00\\]" in line and "measured" in line for line in lines)
    assert "R = F1 / (2 - F1)" in table
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(board, board.sorted()))))
    ours = next(row for row in rows if row["origin"] == "measured")
    assert (ours["ToxicChat F1 low"], ours["HarmBenchPrompt recall"]) == ("78.0", "80.0")
    told = leaderboard_json(board, board.sorted())
    assert [benchmark["figure"] for benchmark in told["benchmarks"]].count("recall") == 2
    assert {row["origin"] for row in told["rows"]} == {"paper", "measured"}
