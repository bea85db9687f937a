"""``wizard101 policies cases``: listing, adding, removing and importing, as processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cases import Case
from engine.policies.load import load_cases
from engine.tracker import open_tracker
from tests.cli.command import wizard
from tests.cli.policy_folder import CASES, HOSTILE, case_line, make_glass, policies
from tests.cli.test_thresholds import keep
from tests.engine.test_leaderboard import evaluated


@pytest.fixture
def glass(tmp_path: Path) -> Path:
    return make_glass(tmp_path)


def cases(folder: Path) -> list[tuple[str, bool]]:
    return [(case.case.prompt, case.violation) for case in load_cases(folder / "policies", "glass")]


def test_cases_are_listed_without_their_texts(tmp_path: Path, glass: Path) -> None:
    (glass / "cases.jsonl").open("a").write(case_line({"prompt": HOSTILE, "expected": "safe"}))
    run = policies(tmp_path, "cases", "glass", "--expected", "safe")
    head, *lines = run.stdout.decode().splitlines()
    assert head.split()[:3] == ["n", "key", "expected"]
    assert [line.split()[0] for line in lines] == ["2", "4"]
    assert "clean" not in run.stdout.decode()
    told = json.loads(policies(tmp_path, "cases", "list", "glass", "--language", "de", "--json").stdout)
    assert [(row["number"], row["response"]) for row in told] == [(3, "break the glass")]
    shown = policies(tmp_path, "cases", "glass", "--filter", "clean", "--show-text").stdout.decode()
    assert "␛]52" in shown
    assert "\x1b" not in shown
    assert policies(tmp_path, "cases", "nobody").returncode == 2


def test_a_case_is_added_once_and_can_be_taken_out_and_back(tmp_path: Path, glass: Path) -> None:
    before = (glass / "cases.jsonl").read_bytes()
    add = [
        "cases",
        "add",
        "glass",
        "--prompt",
        HOSTILE,
        "--expected",
        "safe",
        "--reason",
        "S2: a chore.",
        "--json",
    ]
    added = json.loads(policies(tmp_path, *add).stdout)
    assert [row["number"] for row in added["added"]] == [4]
    assert (added["added"][0]["prompt"], added["added"][0]["language"]) == (HOSTILE, "en")
    again = policies(tmp_path, *add)
    assert again.returncode == 0
    assert json.loads(again.stdout)["duplicates"] == 1
    taken = policies(tmp_path, "cases", "remove", "glass", Case(HOSTILE).key[:8])
    assert taken.returncode == 0
    assert b"\x1b" not in taken.stdout
    assert (glass / "cases.jsonl").read_bytes() == before
    back = policies(tmp_path, "cases", "import", "glass", "-", stdin=taken.stdout)
    assert back.returncode == 0, back.stderr
    assert load_cases(tmp_path / "policies", "glass")[3].reason == "S2: a chore."
    assert policies(tmp_path, "cases", "remove", "glass", "0" * 12).returncode == 2


def test_a_file_is_imported_whole_or_not_at_all(tmp_path: Path, glass: Path) -> None:
    before = (glass / "cases.jsonl").read_bytes()
    rows: list[dict[str, Any]] = [
        {"prompt": "smash it", "label": "harmful"},
        {"prompt": CASES[0]["prompt"], "label": "harmful"},
        {"prompt": "no label"},
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused = policies(tmp_path, "cases", "import", "glass", "mine.jsonl")
    assert refused.returncode == 2
    assert f"mine.jsonl, case {Case('no label').key[:12]}" in refused.stderr.decode()
    tried = policies(
        tmp_path, "cases", "import", "glass", "mine.jsonl", "--expected", "violation", "--dry-run"
    )
    assert b"2 cases would be added to glass. Left out, as already there or given twice: 1." in tried.stderr
    assert b"smash" not in tried.stdout
    assert (glass / "cases.jsonl").read_bytes() == before
    done = policies(
        tmp_path, "cases", "import", "glass", "mine.jsonl", "--expected", "violation", "--language", "fr"
    )
    assert done.returncode == 0
    assert cases(tmp_path)[3:] == [("smash it", True), ("no label", True)]
    for wrong in ([], ["mine.jsonl", "--probe", "1"], ["nowhere.jsonl"], ["mine.jsonl", "--errors", "fp"]):
        assert policies(tmp_path, "cases", "import", "glass", *wrong).returncode == 2


def test_probes_become_cases(tmp_path: Path, glass: Path) -> None:
    env = {"WIZARD_POLICIES": str(tmp_path / "policies")}
    for prompt in ("Please break the glass", "Please paint the glass"):
        assert wizard("classify", prompt, cwd=tmp_path, env=env).returncode == 0
    unsaid = policies(tmp_path, "cases", "import", "glass", "--probe", "1")
    assert unsaid.returncode == 2
    assert b"--expected" in unsaid.stderr
    run = policies(
        tmp_path, "cases", "import", "glass", "--probe", "1", "--probe", "2", "--expected", "as-judged"
    )
    assert run.returncode == 0, run.stderr
    assert cases(tmp_path)[3:] == [("Please break the glass", True), ("Please paint the glass", False)]
    gone = policies(tmp_path, "cases", "import", "glass", "--probe", "3", "--expected", "safe")
    assert gone.returncode == 2
    assert b"no probe 3" in gone.stderr


def test_errors_of_an_evaluation_become_cases(tmp_path: Path, glass: Path) -> None:
    def row(number: int, gold: str, violation: bool) -> dict[str, Any]:
        return {
            "case": str(number),
            "items": [{"benchmark": "own.jsonl", "id": str(number), "gold": gold}],
            "labels": {},
            "verdict": {"policies": [{"policy": "glass", "violation": violation}]},
            "prompt": f"Request {number}",
        }

    with open_tracker(tmp_path / "wizard.db") as tracker:
        run_id = evaluated(tracker.runs, [], model="fake:a")
    keep(tmp_path, run_id, [row(1, "unharmful", True), row(2, "harmful", False), row(3, "harmful", True)])
    run = policies(tmp_path, "cases", "import", "glass", "--run", str(run_id))
    assert run.returncode == 0, run.stderr
    assert cases(tmp_path)[3:] == [("Request 1", False)]
    both = policies(
        tmp_path,
        "cases",
        "import",
        "glass",
        "--run",
        str(run_id),
        "--errors",
        "fp",
        "--errors",
        "fn",
        "--json",
    )
    told = json.loads(both.stdout)
    assert [(each["prompt"], each["expected"]) for each in told["added"]] == [("Request 2", "violation")]
    assert told["duplicates"] == 1
    assert policies(tmp_path, "cases", "import", "glass", "--run", "99999").returncode == 2
