"""What is imported when, and what happens without a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import app
from tests.cli.command import wizard

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "sqlmodel",
    "sqlalchemy",
    "alembic",
    "textual",
    "xllamacpp",
    "ollama",
    "httpx",
    "numpy",
    "scipy",
    "sklearn",
)


@pytest.mark.parametrize("module", ["app.__main__", "app.cli.main", "engine.events", "engine.cases"])
def test_light_modules_stay_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_version(tmp_path: Path) -> None:
    run = wizard("--version", cwd=tmp_path)
    assert (run.returncode, run.stdout.decode().strip()) == (0, f"wizard101 {app.__version__}")


@pytest.mark.parametrize("arguments", [[], ["--db", "x.db"]])
def test_without_a_terminal_the_workbench_refuses(tmp_path: Path, arguments: list[str]) -> None:
    run = wizard(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert b"needs a terminal" in run.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["classify"],
        ["models"],
        ["models", "pull"],
        ["doctor"],
        ["init"],
        ["policies"],
        ["policies", "test"],
        ["policies", "cases", "import"],
        ["score"],
    ],
)
def test_every_command_has_help(tmp_path: Path, command: list[str]) -> None:
    run = wizard(*command, "--help", cwd=tmp_path)
    assert run.returncode == 0
    assert b"Usage: wizard101" in run.stdout


def test_init_lays_out_a_workspace_once(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    run = wizard("init", str(target), cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (target / "wizard.db").stat().st_mode & 0o777 == 0o600
    assert len(list(target.glob("policies/*/policy.md"))) == 6
    (target / "policies" / "violence" / "policy.md").write_text("mine now")
    again = wizard("init", str(target), cwd=tmp_path)
    assert again.returncode == 2
    assert (target / "policies" / "violence" / "policy.md").read_text() == "mine now"


def test_doctor_reports_a_broken_database(tmp_path: Path) -> None:
    assert wizard("doctor", cwd=tmp_path).returncode == 0
    (tmp_path / "notes.txt").write_bytes(b"not a database" * 500)
    run = wizard("doctor", "--json", "--db", "notes.txt", cwd=tmp_path)
    assert run.returncode == 1
    assert b'"name": "database", "ok": false' in run.stdout


def test_doctor_tells_of_a_database_that_was_moved_aside(tmp_path: Path) -> None:
    assert wizard("classify", "hello", cwd=tmp_path).returncode == 0
    (tmp_path / "wizard.db").write_bytes(b"not a database" * 500)
    run = wizard("doctor", "--json", cwd=tmp_path)
    assert run.returncode == 0
    assert b"wizard.db.damaged-" in run.stdout
