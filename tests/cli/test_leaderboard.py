"""``wizard101 leaderboard``, as people and scripts use it: the real command on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from engine.evaluation.leaderboard import Board
from engine.tracker import open_tracker
from engine.tracker.run_records import Result
from tests.app.hostile import HOSTILE
from tests.cli.command import wizard
from tests.engine.test_leaderboard import evaluated, figures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with a whole evaluation and a sample, of a model with a hostile name."""
    with open_tracker(tmp_path / "wizard.db") as tracker:
        evaluated(tracker.runs, figures(Board.PROMPT, 80.0), model="fake:" + "".join(HOSTILE.values()))
        evaluated(tracker.runs, [Result("f1 ToxicChat", 61.5, 90, 50, 70)], limit=90)
    return tmp_path


def leaderboard(*arguments: str, cwd: Path, code: int = 0, width: int | None = None) -> str:
    ended = wizard("leaderboard", *arguments, cwd=cwd, env={"COLUMNS": str(width)} if width else {})
    assert ended.returncode == code, ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    return (ended.stdout if code == 0 else ended.stderr).decode()


@pytest.mark.parametrize("width", [80, 120, 200, None])
def test_every_row_says_where_it_comes_from_at_any_width(folder: Path, width: int | None) -> None:
    said = leaderboard("--task", "prompt", cwd=folder, width=width)
    assert "\x1b" not in said
    title, _, head, *lines = said.splitlines()
    assert title.startswith("Prompt: F1 in percent")
    rows = lines[:23]
    assert sum(" paper " in f" {row}" for row in rows) == 21
    assert sum("measured" in row for row in rows) == 2
    if width is not None:
        assert all(cell_len(line) <= width for line in (head, *rows))
    ours = next(row for row in rows if "80.00" in row)
    assert ("[" in ours) == (width is None or width >= 110)
    sample = next(row for row in rows if "61.50" in row)
    assert "1 of 6" in sample
    assert "*" in sample
    assert "R = F1 / (2 - F1)" in said


def test_without_a_task_all_three_are_shown_and_json_has_all_of_it(folder: Path) -> None:
    assert leaderboard(cwd=folder).count("F1 in percent") == 3
    told = json.loads(leaderboard("--json", cwd=folder))
    assert [board["task"] for board in told] == ["prompt", "response", "refusal"]
    prompt = json.loads(leaderboard("--task", "prompt", "--json", cwd=folder))
    assert prompt == told[0]
    ours = next(row for row in prompt["rows"] if row["origin"] == "measured" and not row["sample"])
    assert ours["average"]["low"] < ours["average"]["value"] < ours["average"]["high"]
    assert ours["figures"]["HarmBenchPrompt"] == {"value": 80.0, "n": 239, "low": 78.0, "high": 82.0}


def test_rows_are_sorted_by_what_is_asked_for(folder: Path) -> None:
    def first(*arguments: str) -> str:
        rows = json.loads(leaderboard("--task", "prompt", "--json", *arguments, cwd=folder))["rows"]
        return str(rows[0]["name"])

    assert first() == "GuardReasoner 8B"
    assert first("--sort", "aegis") == "GuardReasoner 3B"
    assert first("--sort", "ToxicChat", "--ascending") == "ShieldGemma 2B"
    assert first("--sort", "run").endswith("sample of 90, seed 0, medium")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--task", "colour"),
        ("--sort", "colour"),
        ("--sort", "ToxicChat"),
        ("--task", "refusal", "--sort", "ToxicChat"),
        ("--format", "csv", "--json"),
        ("--format", "html"),
    ],
)
def test_wrong_usage_is_told(folder: Path, arguments: tuple[str, ...]) -> None:
    assert leaderboard(*arguments, cwd=folder, code=2).startswith("wizard101: ")


@pytest.mark.parametrize("form", ["markdown", "csv"])
def test_exports_reach_a_terminal_through_the_gate(folder: Path, form: str) -> None:
    said = leaderboard("--task", "prompt", "--format", form, cwd=folder)
    assert "\x1b" not in said
    assert "measured" in said
    assert "78.0" in said
