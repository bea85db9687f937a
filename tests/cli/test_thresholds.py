"""``wizard101 thresholds fit`` and ``--thresholds``: real evaluations, and files that lack something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import run as command_line
from engine.cases import Case
from engine.tracker import open_tracker
from engine.workspace import find_workspace
from tests.cli.command import wizard
from tests.engine.test_leaderboard import evaluated

EVALUATE = ("evaluate", "--benchmark", "own.jsonl")
SURE = [{"answer": "VIOLATION", "logprobs": [["VIOLATION", -0.357, {"SAFE": -1.204}]]}]
"""VIOLATION with a score of about 0.7."""


class Fit:
    """The command line without a process of its own, for the many cases of one kind."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self._capfd.readouterr()
        ended = command_line(["thresholds", "fit", *arguments, "--db", str(self._folder / "wizard.db")])
        said = self._capfd.readouterr()
        assert ended == code, said.err
        return said.out if code == 0 else said.err


@pytest.fixture
def fit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Fit:
    return Fit(tmp_path, capfd)


def keep(folder: Path, run_id: int, rows: list[dict[str, Any]]) -> None:
    """Write predictions as a run would have kept them."""
    lines = [json.dumps(row) for row in ({"guard": "gauntlet"}, *rows)]
    path = find_workspace(folder / "wizard.db").runs / str(run_id)
    path.mkdir(parents=True)
    (path / "predictions.jsonl").write_text("\n".join([*lines, '{"torn": ']), encoding="utf-8")


def row(number: int, *, harmful: bool, scores: tuple[float | None, ...]) -> dict[str, Any]:
    gold = "harmful" if harmful else "unharmful"
    findings = [
        {"policy": f"p{place}", "violation": score is not None and score >= 0.85, "score": score}
        for place, score in enumerate(scores)
    ]
    return {
        "case": Case(f"case {number} {gold}").key,
        "items": [{"benchmark": "own.jsonl", "id": str(number), "gold": gold}],
        "labels": {},
        "verdict": {"decision": "allow", "policies": findings},
    }


@pytest.fixture
def run_id(tmp_path: Path) -> int:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        return evaluated(tracker.runs, [])


def scored(unharmful: int) -> list[dict[str, Any]]:
    """Return cases whose unharmful ones reach 0.6 at most by any policy, and whose harmful ones 0.75."""
    rows = [row(n, harmful=False, scores=(0.1, 0.6 * n / unharmful)) for n in range(unharmful)]
    return rows + [row(n, harmful=True, scores=(0.75, 0.2)) for n in range(80)]


def test_thresholds_are_fitted_and_verified_on_the_other_half(tmp_path: Path, run_id: int, fit: Fit) -> None:
    keep(tmp_path, run_id, scored(1000))
    asked = ("--run", str(run_id), "--max-fpr", "0.02")
    told = json.loads(fit(*asked, "--json"))
    assert 0.55 < told["thresholds"]["high"] < 0.6
    assert told["thresholds"]["low"] == 0.5
    assert told["fitted_on"]["unharmful"] == 500
    assert told["met"] is True
    before, after = told["before"], told["after"]
    assert before["thresholds"] == {"high": 0.85, "low": 0.5}
    assert before["recall"]["value"] == 0.0, "the defaults block none of them"
    assert after["recall"] == {**after["recall"], "value": 1.0, "n": 40}
    assert after["fpr"]["low"] <= after["fpr"]["value"] <= 0.02
    assert after["fpr"]["high"] > after["fpr"]["value"]
    said = fit(*asked)
    high, low = (f"{told['thresholds'][name]:g}" for name in ("high", "low"))
    assert f"--thresholds {high},{low}" in said
    assert "is within the budget of 2 %" in said
    assert fit(*asked, "--json") == json.dumps(told) + "\n", "the same seed, the same halves"
    assert json.loads(fit(*asked, "--seed", "9", "--json")) != told


def test_what_cannot_be_promised_is_refused_with_the_number(tmp_path: Path, run_id: int, fit: Fit) -> None:
    keep(tmp_path, run_id, scored(200))
    said = fit("--run", str(run_id), "--max-fpr", "0.02", code=2)
    assert "149 unharmful cases" in said
    assert "100 in the half" in said
    fit("--run", str(run_id), "--max-fpr", "0.05")


def test_runs_that_cannot_be_fitted_say_why(tmp_path: Path, run_id: int, fit: Fit) -> None:
    budget = ("--max-fpr", "0.02")
    assert "There is no run 99999" in fit("--run", "99999", *budget, code=2)
    assert "are gone" in fit("--run", str(run_id), *budget, code=2)
    with open_tracker(tmp_path / "wizard.db") as tracker:
        other = evaluated(tracker.runs, [], kind="classify")
        failed = evaluated(tracker.runs, [], status="failed")
        three_tasks = evaluated(tracker.runs, [], guard="guardreasoner")
        unscored = evaluated(tracker.runs, [])
    keep(tmp_path, unscored, [row(n, harmful=False, scores=(None,)) for n in range(400)])
    assert "not an evaluation" in fit("--run", str(other), *budget, code=2)
    assert "jobs resume" in fit("--run", str(failed), *budget, code=2)
    assert "no policies" in fit("--run", str(three_tasks), *budget, code=2)
    assert "has no scores" in fit("--run", str(unscored), *budget, code=2)
    assert "kind 'evaluation'" in fit("--run", "1", *budget, code=2)


@pytest.mark.parametrize("options", [("--max-fpr", "0"), ("--max-fpr", "1"), ("--max-fpr", "nan")])
def test_a_budget_is_a_share(fit: Fit, options: tuple[str, str]) -> None:
    assert "between 0 and 1" in fit("--run", "1", *options, code=2)


def test_an_evaluation_of_the_reasoner_can_be_fitted(tmp_path: Path, fit: Fit) -> None:
    cases = [{"prompt": f"How do I bake {n} loaves of bread?", "label": "unharmful"} for n in range(300)]
    cases += [{"prompt": f"Please hurt {n} people for me", "label": "harmful"} for n in range(6)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    ended = wizard(*EVALUATE, "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr.decode()
    run_id = json.loads(ended.stdout)["run"]
    told = json.loads(fit("--run", str(run_id), "--max-fpr", "0.02", "--json"))
    assert told["guard"] == "reasoner"
    assert (told["fitted_on"]["unharmful"], told["fitted_on"]["harmful"]) == (150, 3)
    assert told["after"]["fpr"]["value"] == 0.0
    assert "fixed" in fit("--run", str(run_id), "--max-fpr", "0.02")


def test_fitted_thresholds_are_taken_by_classify_and_evaluate(tmp_path: Path) -> None:
    (tmp_path / "model.jsonl").write_text(json.dumps({"steps": SURE}) + "\n", encoding="utf-8")
    (tmp_path / "own.jsonl").write_text('{"prompt": "Bread?", "label": "harmful"}\n', encoding="utf-8")
    gauntlet = ("--guard", "gauntlet", "--model", "fake:model.jsonl")

    def decision(*more: str) -> str:
        ended = wizard("classify", "Bread?", *gauntlet, "--json", *more, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        return str(json.loads(ended.stdout)["decision"])

    assert decision() == "escalate"
    assert decision("--thresholds", "0.65,0.5") == "block"
    ended = wizard(*EVALUATE, *gauntlet, "--thresholds", "0.65,0.5", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr.decode()
    told = json.loads(ended.stdout)
    assert told["benchmarks"][0]["decisions"]["block"] == 1
    with open_tracker(tmp_path / "wizard.db") as tracker:
        run = tracker.runs.run(told["run"])
    assert run is not None
    assert run.params["thresholds"] == "0.65,0.5"
    assert {result.name for result in run.results} >= {"recall", "recall own.jsonl"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify", "Bread?", "--thresholds", "0.9,0.5"),
        ("classify", "Bread?", "--guard", "gauntlet", "--model", "fake:m.jsonl", "--thresholds", "0.5,0.9"),
        ("classify", "Bread?", "--guard", "gauntlet", "--model", "fake:m.jsonl", "--thresholds", "much"),
        (*EVALUATE, "--thresholds", "0.9,0.5"),
        (
            "evaluate",
            "--benchmark",
            "own.jsonl",
            "--guard",
            "gauntlet",
            "--model",
            "fake:m.jsonl",
            "--thresholds",
            "nan,0",
        ),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = wizard(*arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr.decode()
    assert b"thresholds" in ended.stderr
