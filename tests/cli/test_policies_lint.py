"""``wizard101 policies lint``: lines for editors, exit codes, fixes, and a hook of git that runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import REPOSITORY, wizard
from tests.cli.policy_folder import policies


@pytest.fixture
def violence(tmp_path: Path) -> Path:
    """A folder with the shipped policy on violence, and nothing else."""
    shipped = REPOSITORY / "policies"
    shutil.copytree(shipped / "violence", tmp_path / "policies" / "violence")
    shutil.copy(shipped / "shared.toml", tmp_path / "policies")
    return tmp_path / "policies" / "violence"


def test_the_shipped_policies_are_clean(tmp_path: Path) -> None:
    run = wizard("policies", "lint", "--strict", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, b"")
    assert run.stderr == b"19 files: nothing is wrong.\n"
    assert not (tmp_path / "wizard.db").exists()


def test_findings_are_lines_that_editors_understand(tmp_path: Path, violence: Path) -> None:
    text = violence / "policy.md"
    text.write_text(text.read_text().replace("- V2: incitement", "- V1: incitement"))
    (violence / "cases.jsonl").open("a").write("\x1b]52;c;aGk=\x07\n")
    run = policies(tmp_path, "lint", "violence")
    assert run.returncode == 1
    lines = run.stdout.decode().splitlines()
    number = (
        text.read_text().splitlines().index(next(x for x in text.read_text().splitlines() if "V1: inc" in x))
    )
    assert any(
        line.startswith(f"policies/violence/policy.md:{number + 1}: repeated-label: ") for line in lines
    )
    assert any(line.startswith("policies/violence/cases.jsonl:122: case-unreadable: ") for line in lines)
    assert "\x1b" not in run.stdout.decode()
    told = json.loads(policies(tmp_path, "lint", "policies/violence/policy.md", "--json").stdout)
    assert told["files"] == ["policies/violence/policy.md"]
    assert told["errors"] == len([row for row in told["findings"] if row["severity"] == "error"]) > 0
    assert {row["path"] for row in told["findings"]} == {"policies/violence/policy.md"}


def test_warnings_fail_where_that_is_asked_for(tmp_path: Path, violence: Path) -> None:
    text = violence / "policy.md"
    text.write_text(text.read_text().replace("- S1: idiom", "- S1: usually idiom"))
    lax = policies(tmp_path, "lint", "violence/policy.md")
    assert lax.returncode == 0
    assert b"vague-word" in lax.stdout
    assert b"[warning]" in lax.stdout
    assert policies(tmp_path, "lint", str(violence), "--strict").returncode == 1


def test_what_is_sure_is_mended_and_nothing_is_lost(tmp_path: Path, violence: Path) -> None:
    text = violence / "policy.md"
    good = text.read_bytes()
    bad = good.replace(b"\n", b"\r\n").replace(b"exaggeration.", b"exaggeration.  ")
    text.write_bytes(bad)
    run = policies(tmp_path, "lint", "violence", "--fix", "--strict", "--json")
    assert run.returncode == 0, run.stdout
    assert text.read_bytes() == good
    (mended,) = json.loads(run.stdout)["mended"]
    assert mended["path"] == str(text)
    rows = json.loads(policies(tmp_path, "versions", "violence", "--json").stdout)["versions"]
    assert [row["origin"] for row in rows] == ["saved", "found"]
    assert policies(tmp_path, "show", "violence", "--version", "v1").stdout == bad
    again = policies(tmp_path, "lint", "violence", "--fix")
    assert (again.returncode, text.read_bytes()) == (0, good)


def test_a_fix_is_saved_though_there_is_no_database(tmp_path: Path, violence: Path) -> None:
    text = violence / "policy.md"
    good = text.read_bytes()
    text.write_bytes(good[:-1])
    (tmp_path / "nowhere").write_text("a file, where a folder is needed")
    run = policies(tmp_path, "lint", "violence", "--fix", "--db", "nowhere/wizard.db")
    assert run.returncode == 0, run.stdout
    assert text.read_bytes() == good
    assert b"was not recorded as a version" in run.stderr


def test_labels_that_cases_name_are_not_counted_anew(tmp_path: Path, violence: Path) -> None:
    text = violence / "policy.md"
    gap = re.sub(r"\bV([3-9])\b", lambda label: f"V{int(label[1]) + 1}", text.read_text())
    text.write_text(gap)
    run = policies(tmp_path, "lint", "violence", "--fix", "--json")
    assert run.returncode == 1
    found = json.loads(run.stdout)["findings"]
    assert [row["fix"] for row in found if row["code"] == "label-order"] == [None]
    assert text.read_text() == gap
    (violence / "cases.jsonl").unlink()
    run = policies(tmp_path, "lint", "violence", "--fix", "--json")
    assert (run.returncode, json.loads(run.stdout)["findings"]) == (0, [])
    assert text.read_text() != gap


def test_what_is_no_file_of_a_policy_is_usage(tmp_path: Path, violence: Path) -> None:
    (tmp_path / "README.md").write_text("hello")
    for wrong in ("README.md", "mirror", "policies/violence/notes.txt", ""):
        run = policies(tmp_path, "lint", wrong)
        assert (run.returncode, run.stdout) == (2, b"")
        assert b"There are: violence." in run.stderr


def test_a_database_is_not_loaded_to_lint(tmp_path: Path, violence: Path) -> None:
    code = (
        "import sys; from app.cli.main import run; "
        f"code = run(['policies', 'lint', '--policies', {str(violence.parent)!r}]); "
        "print(code, sorted({'sqlmodel', 'textual', 'torch', 'httpx', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "0 []\n"


HOOK = """#!/bin/sh
git diff --cached --name-only --diff-filter=ACMR -z -- \\
    '*policy.md' '*signals.toml' '*cases.jsonl' '*shared.toml' |
    xargs -0 -r wizard101 policies lint --strict
"""


def test_the_hook_of_the_documentation_keeps_a_bad_policy_out(tmp_path: Path, violence: Path) -> None:
    assert HOOK in (REPOSITORY / "docs" / "policies.md").read_text()
    command = tmp_path / "bin" / "wizard101"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
    command.chmod(0o755)
    env = environment() | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        who = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    assert git("init", "-q").returncode == 0
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    git("add", "policies")
    first = git("commit", "-qm", "good")
    assert first.returncode == 0, first.stderr
    text = violence / "policy.md"
    text.write_text(text.read_text() + "- one line more\n")
    git("add", "policies")
    refused = git("commit", "-qm", "bad")
    assert refused.returncode != 0
    assert "policies/violence/policy.md:" in refused.stdout + refused.stderr
    assert git("log", "--oneline").stdout.count("\n") == 1


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}
