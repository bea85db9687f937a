"""The commands that list policies, and show, compare and bring back their versions, as processes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engine.tracker import open_tracker
from engine.workshop.versions import note_files
from tests.cli.command import REPOSITORY, wizard
from tests.cli.policy_folder import BREAK, HOSTILE, SMASH, TEXT, make_glass, policies
from tests.terminal import Terminal


@pytest.fixture
def glass(tmp_path: Path) -> Path:
    return make_glass(tmp_path)


def note(folder: Path) -> None:
    """Record what is in the files as a version, as any command would."""
    with open_tracker(folder / "wizard.db") as tracker:
        note_files(tracker.policies, folder / "policies", ["glass"])


def test_the_shipped_policies_are_listed_with_what_they_have(tmp_path: Path) -> None:
    run = wizard("policies", "list", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert [row["name"] for row in told["policies"]] == sorted(row["name"] for row in told["policies"])
    assert len(told["policies"]) == told["total"]["policies"] == 6
    for row in told["policies"]:
        lines = (REPOSITORY / "policies" / row["name"] / "cases.jsonl").read_text().splitlines()
        violations = sum(json.loads(line)["expected"] == "violation" for line in lines)
        assert row["cases"] == {"violation": violations, "safe": len(lines) - violations}
        assert row["in_band"] is True
        assert row["findings"] == {"errors": 0, "warnings": 0}
        assert row["estimated"] is True
        assert row["versions"] == {"policy.md": 1, "signals.toml": 1}
        assert row["signals"] > 5
    assert told["total"]["tokens"] == sum(row["tokens"] for row in told["policies"])


def test_a_list_tells_what_cannot_be_read_and_shows_the_rest(tmp_path: Path, glass: Path) -> None:
    broken = tmp_path / "policies" / "broken"
    broken.mkdir()
    (broken / "policy.md").write_bytes(b"\xff\xfe no text")
    (broken / "signals.toml").write_text("[[")
    (tmp_path / "wizard.db").mkdir()
    env = {
        "WIZARD_POLICIES": str(tmp_path / "policies"),
        "WIZARD_DB": str(tmp_path / "nowhere" / "x" / "w.db"),
    }
    (tmp_path / "nowhere").write_text("a file, where a folder is needed")
    run = wizard("policies", "list", cwd=tmp_path, env=env)
    assert run.returncode == 1
    shown = run.stdout.decode()
    assert "glass" in shown
    assert "! too short" in shown
    said = run.stderr.decode()
    assert "Versions are not known" in said
    for name in ("policy.md is not UTF-8", "cases.jsonl cannot be read", "signals.toml cannot be read"):
        assert f"broken/{name}" in said


def test_a_set_of_texts_is_listed_by_its_own_band(tmp_path: Path, glass: Path) -> None:
    short = tmp_path / "policies" / "sets" / "short"
    (short / "glass").mkdir(parents=True)
    (short / "glass" / "policy.md").write_text(
        "# Glass policy\n\nAnswer with exactly one word: VIOLATION or SAFE.\n"
    )
    (short / "set.toml").write_text('says = "in short"\ntokens = [5, 30]\n')
    (row,) = json.loads(policies(tmp_path, "list", "--set", "short", "--json").stdout)["policies"]
    assert (row["band"], row["in_band"], row["versions"]) == ([5, 30], True, None)
    assert row["cases"] == {"violation": 2, "safe": 1}
    by_path = policies(tmp_path, "lint", "policies/sets/short/glass/policy.md").stdout.decode()
    assert "missing-section" not in by_path
    assert "too-short" not in by_path
    unknown = policies(tmp_path, "list", "--set", "long")
    assert unknown.returncode == 2
    assert b"has: standard, short" in unknown.stderr


def test_a_text_is_shown_byte_for_byte(tmp_path: Path, glass: Path) -> None:
    contents = (b"\xff\xfe\x1b[2J\r\nno UTF-8", HOSTILE.encode() + b"\r\n\n", b"x" * (1 << 20))
    for content in contents:
        (glass / "policy.md").write_bytes(content)
        assert policies(tmp_path, "show", "glass").stdout == content
    told = json.loads(policies(tmp_path, "show", "glass", "--signals", "--json").stdout)
    assert (told["file"], told["text"], told["version"]) == ("glass/signals.toml", BREAK, None)
    assert policies(tmp_path, "show", "glass", "--cases", "--signals").returncode == 2
    missing = policies(tmp_path, "show", "mirror")
    assert (missing.returncode, missing.stdout) == (2, b"")
    assert b"There are: glass." in missing.stderr


def test_a_version_is_shown_after_the_file_has_changed(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    (glass / "policy.md").write_text("Forbidden: nothing\n")
    run = policies(tmp_path, "show", "glass", "--version", "v1")
    assert run.stdout.decode() == TEXT
    unknown = policies(tmp_path, "show", "glass", "--version", "v7")
    assert unknown.returncode == 2
    assert b"There are v1 to v2" in unknown.stderr


def test_a_difference_is_a_patch_that_leads_from_one_to_the_other(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    lines = "".join(f"line {number}\n" for number in range(30))
    (glass / "policy.md").write_text(TEXT + lines)
    note(tmp_path)
    (glass / "policy.md").write_text(TEXT + lines.replace("line 7\n", f"{HOSTILE}\n") + "no end")
    run = policies(tmp_path, "diff", "glass")
    assert run.returncode == 0
    assert b"v2 to file: 2 changes: 2 lines added, 1 removed" in run.stderr
    copy = tmp_path / "copy" / "glass"
    copy.mkdir(parents=True)
    (copy / "policy.md").write_text(TEXT + lines)
    subprocess.run(["git", "apply", "-"], cwd=copy.parent, input=run.stdout, check=True, capture_output=True)
    assert (copy / "policy.md").read_bytes() == (glass / "policy.md").read_bytes()
    told = policies(tmp_path, "diff", "glass", "v1", "v2", "--json", "--exit-code")
    assert told.returncode == 1
    answer = json.loads(told.stdout)
    assert (answer["old"], answer["new"], answer["added"], answer["removed"]) == ("v1", "v2", 30, 0)
    same = policies(tmp_path, "diff", "glass", "v3", "--exit-code")
    assert (same.returncode, same.stdout) == (0, b"")
    assert b"no difference" in same.stderr
    beside = policies(tmp_path, "diff", "glass", "v2", "--side-by-side").stdout
    assert b"lines the same" in beside
    assert b"\x1b" not in beside


def test_without_a_change_the_last_two_versions_are_compared(tmp_path: Path, glass: Path) -> None:
    only = policies(tmp_path, "diff", "glass", "--signals")
    assert (only.returncode, only.stdout) == (0, b"")
    assert b"one version only" in only.stderr
    (glass / "signals.toml").write_text(SMASH)
    note(tmp_path)
    run = policies(tmp_path, "diff", "glass", "--signals")
    assert b'+match = ["smash the glass"]' in run.stdout
    assert b"v1 to file" in run.stderr


def test_restoring_loses_nothing(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    (glass / "policy.md").write_text("never noted by anybody\n")
    run = policies(tmp_path, "restore", "glass", "v1", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["version"] == "v3"
    assert (glass / "policy.md").read_text() == TEXT
    rows = json.loads(policies(tmp_path, "versions", "glass", "--uses", "--json").stdout)["versions"]
    assert [(row["version"], row["origin"]) for row in rows] == [
        ("v3", "restored"),
        ("v2", "found"),
        ("v1", "found"),
    ]
    assert rows[0]["sha256"] == rows[2]["sha256"]
    assert (rows[0]["probes"], rows[0]["runs"]) == (0, 0)
    lost = policies(tmp_path, "restore", "glass", rows[1]["sha256"][:10])
    assert b"as v4" in lost.stdout
    assert (glass / "policy.md").read_text() == "never noted by anybody\n"


def test_what_cannot_become_a_version_is_not_written_over(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    (glass / "policy.md").write_bytes(b"\xff")
    run = policies(tmp_path, "restore", "glass", "v1")
    assert run.returncode == 2
    assert b"would be lost" in run.stderr
    assert (glass / "policy.md").read_bytes() == b"\xff"


def test_a_database_of_a_newer_program_is_only_read(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    with closing(sqlite3.connect(tmp_path / "wizard.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    (glass / "policy.md").write_text("Forbidden: clean\n")
    run = policies(tmp_path, "diff", "glass")
    assert run.returncode == 0
    assert b"+Forbidden: clean" in run.stdout
    assert b"was not recorded as a version" in run.stderr
    refused = policies(tmp_path, "restore", "glass", "v1")
    assert refused.returncode == 1
    assert (glass / "policy.md").read_text() == "Forbidden: clean\n"


def test_uses_count_the_probes_by_a_version(tmp_path: Path, glass: Path) -> None:
    env = {"WIZARD_POLICIES": str(tmp_path / "policies")}
    assert wizard("classify", "How do I break the glass?", cwd=tmp_path, env=env).returncode == 0
    run = policies(tmp_path, "versions", "glass", "--signals", "--uses")
    head, line = run.stdout.decode().splitlines()
    assert head.split()[-2:] == ["probes", "runs"]
    assert line.split()[-2:] == ["1", "0"]


def test_nothing_acts_on_a_terminal(tmp_path: Path, glass: Path) -> None:
    (glass / "policy.md").write_text(HOSTILE + "\r\n")
    note(tmp_path)
    (glass / "policy.md").write_text("other\n")
    command = [sys.executable, "-m", "app", "policies"]
    env = {"PYTHONPATH": str(REPOSITORY), "WIZARD_POLICIES": str(tmp_path / "policies")}
    for arguments in (["show", "glass", "--version", "v1"], ["diff", "glass"], ["diff", "glass", "-y"]):
        with Terminal([*command, *arguments], cwd=tmp_path, columns=160, env=env) as terminal:
            assert terminal.wait_exit(20) == 0
            assert "␛]52;c;aGk=␇ clean ⇆ the gl" in terminal.raw.decode()
            assert b"\x1b" not in terminal.raw
