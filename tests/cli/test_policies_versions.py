"""Versions that cannot be used, and texts that are gone: bisecting, comparing and bringing back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.policy_folder import BREAK, SMASH, make_glass, policies


@pytest.fixture
def glass(tmp_path: Path) -> Path:
    """A policy whose signals were right, broken, right and wrong, in this order."""
    folder = make_glass(tmp_path)
    for text in (BREAK, "[[", BREAK + "# again\n", SMASH):
        (folder / "signals.toml").write_text(text)
        assert policies(tmp_path, "versions", "glass").returncode == 0
    return folder


def test_a_version_that_nothing_can_be_judged_by_is_an_outcome(tmp_path: Path, glass: Path) -> None:
    run = policies(tmp_path, "bisect", "glass", "--number", "1")
    assert run.returncode == 0, run.stderr
    told = run.stdout.decode()
    assert "signals.toml cannot be read" in told or "Flipped at v4" in told
    broke = policies(tmp_path, "bisect", "glass", "--number", "1", "--to", "v2", "--json")
    found = json.loads(broke.stdout)
    assert (found["before"]["status"], found["after"]["status"]) == ("ok", "error")
    assert "signals.toml cannot be read" in found["after"]["reasoning"]


def test_who_compares_with_such_a_version_is_told_that_it_is_the_version(tmp_path: Path, glass: Path) -> None:
    run = policies(tmp_path, "test", "--against", "v2")
    assert run.returncode == 2
    assert b"by v2 nothing can be judged: " in run.stderr
    assert run.stdout == b""


def test_a_text_that_was_moved_away_comes_back(tmp_path: Path, glass: Path) -> None:
    (tmp_path / "policies" / "wood").mkdir()
    (tmp_path / "policies" / "wood" / "policy.md").write_text("wood")
    before = (glass / "policy.md").read_text()
    (glass / "policy.md").write_bytes(b"\xff")
    refused = policies(tmp_path, "restore", "glass", "v1")
    assert b"move it away, then restore" in refused.stderr
    (glass / "policy.md").unlink()
    run = policies(tmp_path, "restore", "glass", "v1")
    assert run.returncode == 0, run.stderr
    assert (glass / "policy.md").read_text() == before
    for wrong in ("..", "glass/../wood", "stone"):
        assert b"no policy is called" in policies(tmp_path, "restore", wrong, "v1").stderr
