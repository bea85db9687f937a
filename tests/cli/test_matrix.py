"""``wizard101 matrix`` as real processes: queued, waited for, shown again, and what becomes of failures."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from app.cli.main import run as command_line
from app.cli.matrix_tables import matrix_lines
from engine.jobs.matrix_table import BenchmarkTable, Cell, Figure, MatrixTable
from engine.tracker import open_tracker
from tests.cli.command import wizard
from tests.engine.jobs.matrices import SETS, lay_cases, lay_model, lay_policies

WRONG = {"standard": {0, 1, 2, 4, 5}, "minimal": {0, 1, 2, 3, 4, 5, 7, 8, 9, 10}, "verbose": {0}}
ASKED = ("--benchmark", "own.jsonl", "--model", "fake:m.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_policies(tmp_path / "policies")
    lay_cases(tmp_path)
    lay_model(tmp_path / "m.jsonl", WRONG)
    return tmp_path


def matrix(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    own = {"WIZARD_POLICIES": str(folder / "policies")}
    return wizard("matrix", *arguments, cwd=folder, env=own, timeout=120)


def words(output: bytes) -> list[list[str]]:
    return [line.split() for line in output.decode().splitlines()]


def test_sets_are_compared_and_the_table_is_shown_again(folder: Path) -> None:
    made = matrix(folder, *ASKED, "--set", "standard", "--set", "minimal", "--experiment", "Wording")
    assert made.returncode == 0, made.stderr.decode()
    lines = words(made.stdout)
    assert ["Run", "1002"] in lines
    assert ["standard", "82.76"] in [line[:2] for line in lines]
    assert ["minimal", "64.29"] in [line[:2] for line in lines]
    (difference,) = [line for line in lines if line[:3] == ["minimal", "fake:m.jsonl", "-18.47"]]
    assert difference[-3:] == ["5", ":", "0"]
    again = matrix(folder, "--run", "1002")
    assert (again.returncode, again.stdout) == (0, made.stdout)

    told = json.loads(matrix(folder, "--run", "1002", "--json").stdout)
    assert told["run"] == 1002
    assert (told["sets"], told["models"]) == (["standard", "minimal"], ["fake:m.jsonl"])
    assert told["tables"][0]["cells"][0]["f1"]["n"] == 24
    rows = list(
        csv.DictReader(io.StringIO(matrix(folder, "--run", "1002", "--format", "csv").stdout.decode()))
    )
    assert [row["set"] for row in rows] == ["standard", "minimal"]
    assert float(rows[1]["difference"]) == told["tables"][0]["differences"][0]["value"]
    shown = matrix(folder, "--run", "1002", "--format", "markdown").stdout.decode()
    assert "| standard | 82.76 " in shown

    with open_tracker(folder / "wizard.db") as tracker:
        runs = [tracker.runs.run(number) for number in (1000, 1001, 1002)]
    assert {run.summary.experiment for run in runs if run} == {"Wording"}
    assert [run.params.get("policy_set") for run in runs if run] == ["standard", "minimal", None]


def test_all_sets_are_taken_where_none_is_named_and_nobody_has_to_wait(folder: Path) -> None:
    queued = matrix(folder, *ASKED, "--detach", "--json")
    assert queued.returncode == 0, queued.stderr.decode()
    told = json.loads(queued.stdout)
    assert (len(told["evaluations"]), told["matrix"]) == (3, 1003)
    ended = wizard("jobs", "wait", "1003", cwd=folder, timeout=120)
    assert ended.returncode == 0, ended.stderr.decode()
    found = json.loads(matrix(folder, "--run", "1003", "--json").stdout)
    assert found["sets"] == list(SETS)


def test_what_fails_is_told_and_the_table_follows_its_retry(folder: Path) -> None:
    (folder / "m.jsonl").rename(folder / "later.jsonl")
    failed = matrix(folder, *ASKED, "--set", "standard")
    assert failed.returncode == 1
    said = failed.stderr.decode()
    assert "Job 1000 (own.jsonl: set standard, fake:m.jsonl)" in said
    assert "'wizard101 jobs retry 1000' goes on from there, and the table follows." in said
    assert failed.stdout == b""
    waiting = matrix(folder, "--run", "1001")
    assert waiting.returncode == 2
    assert b"Run 1001 has made no matrix" in waiting.stderr
    (folder / "later.jsonl").rename(folder / "m.jsonl")
    assert wizard("jobs", "retry", "1000", cwd=folder).returncode == 0
    assert wizard("jobs", "wait", "1001", cwd=folder, timeout=120).returncode == 0
    assert ["standard", "82.76"] in [line[:2] for line in words(matrix(folder, "--run", "1001").stdout)]


def test_a_back_end_out_of_reach_exits_3(folder: Path) -> None:
    gone = ("--benchmark", "own.jsonl", "--model", "openai:http://127.0.0.1:9/v1#m", "--set", "minimal")
    ended = matrix(folder, *gone)
    assert ended.returncode == 3, ended.stderr.decode()
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "A matrix needs a --benchmark"),
        (("--benchmark", "own.jsonl"), "at least one --model"),
        ((*ASKED, "--set", "terse"), "has: standard, minimal, verbose"),
        ((*ASKED, "--set", "standard", "--set", "policies"), "are the same folder"),
        (("--benchmark", "BBQ", "--model", "fake:m.jsonl"), "asks questions"),
        (("--benchmark", "own.jsonl", "--model", "m"), "model"),
        ((*ASKED, "--run", "7"), "takes no benchmark"),
        (("--run", "7"), "has made no matrix"),
        (("--run", "7", "--json", "--format", "csv"), "exclude each other"),
        ((*ASKED, "--detach", "--format", "csv"), "--detach does not wait"),
    ],
)
def test_wrong_usage_exits_2_and_queues_nothing(
    folder: Path,
    arguments: tuple[str, ...],
    said: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    where = ("--db", str(folder / "wizard.db"), "--policies", str(folder / "policies"))
    assert command_line(["matrix", *arguments, *where]) == 2
    told = capfd.readouterr()
    assert said in " ".join(told.err.split())
    assert told.out == ""
    assert list(folder.glob("runs/*")) == []


def test_a_narrow_terminal_shows_less_and_hostile_names_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b]0;x\x07" + "long " * 30
    figure = Figure(50.0, 2, 1.0, 99.0)
    cells = [
        Cell(name, model, 1, 2, 1, 2, 3.0, figure, figure, figure, figure, None, figure)
        for name in ("standard", evil)
        for model in ("gguf:/a/m.gguf", "gguf:/b/m.gguf", evil)
    ]
    table = BenchmarkTable(evil, "prompt", "f1", cells, [])
    found = MatrixTable(["standard", evil], ["gguf:/a/m.gguf", "gguf:/b/m.gguf", evil], [table], [evil])
    for columns in ("60", "80", "160"):
        monkeypatch.setenv("COLUMNS", columns)
        lines = matrix_lines(7, found)
        assert "\x1b" not in "".join(lines)
        grid = lines[2 : lines.index("", 3)]
        assert max(map(len, grid[1:])) <= int(columns)
        assert ("[1.00, 99.00]" in "".join(grid)) == (columns == "160")
        assert any("gguf:/a/m.gguf"[:8] in line for line in grid), "models of one name are told apart"
