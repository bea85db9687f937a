"""``--policy-set``: judging by the policies in other words, and seeing afterwards by which."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import run as command_line
from engine.tracker import open_tracker
from tests.cli.command import REPOSITORY, wizard

GAUNTLET = ("--guard", "gauntlet", "--model", "fake:model.jsonl")
POLICIES = REPOSITORY / "policies"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model that blocks by what only the verbose texts say, and cases."""
    told = [("whatever no V rule names", "VIOLATION"), ("No bread.", "VIOLATION"), (None, "SAFE")]
    lines = [
        json.dumps({**({"match": match} if match else {}), "steps": [{"answer": answer}]})
        for match, answer in told
    ]
    (tmp_path / "model.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "own.jsonl").write_text('{"prompt": "Bread?", "label": "harmful"}\n', "utf-8")
    (tmp_path / "mine" / "bread").mkdir(parents=True)
    (tmp_path / "mine" / "bread" / "policy.md").write_text("No bread.", "utf-8")
    return tmp_path


def verdict(folder: Path, *more: str) -> dict[str, Any]:
    ended = wizard("classify", "Bread?", *GAUNTLET, "--json", *more, cwd=folder)
    assert ended.returncode == 0, ended.stderr.decode()
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def evaluated(folder: Path, *more: str) -> int:
    ended = wizard("evaluate", "--benchmark", "own.jsonl", *GAUNTLET, "--json", *more, cwd=folder)
    assert ended.returncode == 0, ended.stderr.decode()
    return int(json.loads(ended.stdout)["run"])


def test_classify_judges_by_the_set(folder: Path) -> None:
    assert verdict(folder)["decision"] == verdict(folder, "--policy-set", "standard")["decision"] == "allow"
    assert verdict(folder, "--policy-set", "minimal")["decision"] == "allow"
    found = verdict(folder, "--policy-set", "verbose")
    violated = {one["policy"] for one in found["policies"] if one["violation"]}
    assert (found["decision"], violated) == ("block", {"harassment", "hate_speech", "violence"})


def test_a_folder_is_a_set_too_with_the_policies_that_it_has(folder: Path) -> None:
    found = verdict(folder, "--policy-set", "./mine")
    assert found["decision"] == "block"
    assert [one["policy"] for one in found["policies"]] == ["bread"]


def test_a_run_tells_its_set_by_name_and_by_the_hashes_of_its_texts(folder: Path) -> None:
    run_id = evaluated(folder, "--policy-set", "verbose")
    with open_tracker(folder / "wizard.db") as tracker:
        run = tracker.runs.run(run_id)
    assert run is not None
    assert run.params["policy_set"] == "verbose"
    assert "set verbose" in run.summary.name
    used = {line.name: line.sha256 for line in run.lineage if line.role == "policy"}
    assert used == {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (POLICIES / "sets" / "verbose").glob("*/policy.md")
    }


def test_a_folder_that_changes_is_told_by_its_hashes(folder: Path) -> None:
    first = evaluated(folder, "--policy-set", "mine")
    (folder / "mine" / "bread" / "policy.md").write_text("No bread. Cake is fine.", "utf-8")
    second = evaluated(folder, "--policy-set", "mine")
    with open_tracker(folder / "wizard.db") as tracker:
        runs = [tracker.runs.run(each) for each in (first, second)]
    assert [run.params["policy_set"] for run in runs if run] == ["mine", "mine"]
    assert len({line.sha256 for run in runs if run for line in run.lineage if line.role == "policy"}) == 2


class Refused:
    """The command line without a process of its own: what it says as it refuses."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._where = ("--db", str(folder / "wizard.db"), "--policies", str(POLICIES))
        self._capfd = capfd

    def __call__(self, *arguments: str) -> str:
        self._capfd.readouterr()
        code = command_line([*arguments, *self._where])
        said = self._capfd.readouterr()
        assert (code, said.out) == (2, ""), said.err
        return " ".join(said.err.split())


@pytest.fixture
def refused(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    monkeypatch.chdir(folder)
    return Refused(folder, capfd)


@pytest.mark.parametrize(
    "guard", [(), ("--guard", "guardreasoner", "--model", "fake:model.jsonl")], ids=["reasoner", "tasks"]
)
def test_other_guards_have_no_sets(refused: Refused, guard: tuple[str, ...]) -> None:
    for command in (("classify", "Bread?"), ("evaluate", "--benchmark", "own.jsonl"), ("harden",)):
        said = refused(*command, *guard, "--policy-set", "minimal")
        assert "only the gauntlet" in said
        assert "by a set of policies" in said


def test_questions_are_answered_by_no_policies(refused: Refused) -> None:
    asked = ("evaluate", "--benchmark", "BBQ", "--model", "fake:model.jsonl", "--policy-set", "minimal")
    assert "no policy" in refused(*asked)


def test_an_unknown_set_is_told_with_those_there_are(folder: Path, refused: Refused) -> None:
    said = refused("classify", "Bread?", *GAUNTLET, "--policy-set", "terse")
    assert "no set of policies is called 'terse'" in said
    assert "standard, minimal, verbose" in said
    own = ("evaluate", "--benchmark", "own.jsonl", *GAUNTLET, "--policy-set", "terse")
    ended = wizard(*own, cwd=folder)
    assert ended.returncode == 1
    assert "no set of policies is called 'terse'" in ended.stderr.decode()
