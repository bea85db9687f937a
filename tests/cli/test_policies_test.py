"""``wizard101 policies test`` and ``bisect``: exit codes, streams and reports, against real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.tracker import open_tracker
from engine.workshop.versions import note_files
from tests.cli.command import REPOSITORY, wizard
from tests.cli.policy_folder import BREAK, HOSTILE, SMASH, case_line, make_glass, policies
from tests.servers.word_server import WordServer


@pytest.fixture
def glass(tmp_path: Path) -> Path:
    return make_glass(tmp_path)


def rows(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def note(folder: Path) -> None:
    with open_tracker(folder / "wizard.db") as tracker:
        note_files(tracker.policies, folder / "policies", ["glass"])


def gauntlet(server: WordServer) -> list[str]:
    return ["--guard", "gauntlet", "--model", f"openai:{server.url}/v1#guard"]


def test_the_shipped_cases_pass_but_for_what_is_known(tmp_path: Path) -> None:
    run = wizard("policies", "test", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    told = rows(run.stdout)
    summaries = [row for row in told if row["type"] == "summary"]
    cases = [row for row in told if row["type"] == "case"]
    assert told[-6:] == summaries
    assert len(cases) == sum(row["judged"] for row in summaries) > 600
    assert sum(row["known_limits"] for row in summaries) == 1
    assert not any(row["failed"] or row["unexpected_passes"] for row in summaries)
    (limit,) = (row for row in cases if not row["passed"])
    assert limit["known_limit"].startswith("the age is in the prompt")
    assert not any("prompt" in row for row in cases)
    assert not (tmp_path / "wizard.db").exists()


def test_failures_are_told_without_their_texts(tmp_path: Path, glass: Path) -> None:
    (glass / "cases.jsonl").open("a").write(
        case_line({"prompt": f"break the glass {HOSTILE}", "expected": "safe"})
    )
    run = policies(tmp_path, "test", "--junit", "out/junit.xml")
    assert run.returncode == 1
    shown = run.stdout.decode()
    line = next(line for line in shown.splitlines() if line.startswith("✖"))
    assert line.startswith("✖ glass 4 ")
    assert "found violation, expected safe, signals breaking" in line
    assert "▒" in line
    assert "clean" not in shown
    assert "\x1b" not in shown
    text = policies(tmp_path, "test", "glass", "--show-text", "--filter", "CLEAN", "--language", "EN").stdout
    assert "␛]52;c;aGk=␇ clean" in text.decode()
    suite = ET.parse(tmp_path / "out" / "junit.xml").getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    failed = [case for case in suite if len(case)]
    assert [case[0].get("message") for case in failed] == ["found violation, expected safe"]
    assert "break the glass" not in (tmp_path / "out" / "junit.xml").read_text()


def test_what_cannot_be_tested_is_usage_and_never_passes(tmp_path: Path, glass: Path) -> None:
    nothing = policies(tmp_path, "test", "--filter", "no such words")
    assert (nothing.returncode, nothing.stdout) == (2, b"")
    (glass / "signals.toml").write_text("[[")
    other = glass.parent / "other"
    other.mkdir()
    (other / "policy.md").write_text("Text")
    (other / "signals.toml").write_text(SMASH)
    (other / "cases.jsonl").write_text(case_line({"prompt": "smash the glass", "expected": "violation"}))
    run = policies(tmp_path, "test", "--json")
    assert run.returncode == 2
    assert b"glass was not tested: " in run.stderr
    assert [row["policy"] for row in rows(run.stdout)] == ["other", "other"]
    for wrong in (["nobody"], ["--guard", "gauntlet"], ["--guard", "guardreasoner", "--against", "v1"]):
        run = policies(tmp_path, "test", *wrong)
        assert (run.returncode, run.stdout) == (2, b"")


def test_what_flipped_since_a_version(tmp_path: Path, glass: Path) -> None:
    note(tmp_path)
    (glass / "signals.toml").write_text(SMASH)
    (glass / "cases.jsonl").open("a").write(case_line({"prompt": "smash the glass", "expected": "violation"}))
    run = policies(tmp_path, "test", "glass", "--against", "saved", "--json")
    assert run.returncode == 1
    *cases, summary = rows(run.stdout)
    assert {row["number"]: row["flip"] for row in cases} == {1: "broke", 2: None, 3: "broke", 4: "mended"}
    against = summary["against"]
    assert (against["version"], against["broke"], against["mended"]) == ("v1", 2, 1)
    assert against["mcnemar_p"] == 1.0
    shown = policies(tmp_path, "test", "glass", "--against", "v1").stdout.decode()
    assert "✔ glass 4" in shown
    assert "mended (safe before)" in shown
    unknown = policies(tmp_path, "test", "glass", "--against", "v9")
    assert unknown.returncode == 2


def test_a_known_limit_does_not_fail_and_is_told_once_it_passes(tmp_path: Path, glass: Path) -> None:
    (glass / "cases.jsonl").open("a").write(case_line({"prompt": "Shatter it", "expected": "violation"}))
    limit = '[[limit]]\npolicy = "glass"\nprompt_begins = "{}"\nwhy = "no such word"\n'
    listed = tmp_path / "policies" / "known_limits.toml"
    listed.write_text(limit.format("Shatter"))
    run = policies(tmp_path, "test", "-x")
    assert run.returncode == 0
    assert "– glass 4" in run.stdout.decode()
    listed.write_text(limit.format("How do I clean"))
    run = policies(tmp_path, "test", "-x", "--json")
    assert run.returncode == 1
    assert rows(run.stdout)[-1]["unexpected_passes"] == 1
    listed.write_text("[[limit]]\npolicy = 3\n")
    assert policies(tmp_path, "test").returncode == 2


def test_a_model_is_not_asked_twice(tmp_path: Path, glass: Path) -> None:
    with WordServer() as server:
        first = policies(tmp_path, "test", *gauntlet(server), "--json")
        assert first.returncode == 0, first.stderr
        assert len(server.asked) == 3
        again = policies(tmp_path, "test", *gauntlet(server), "--json")
        assert [row["from_memory"] for row in rows(again.stdout)[:-1]] == [True] * 3
        assert len(server.asked) == 3
        policies(tmp_path, "test", *gauntlet(server), "--afresh")
        assert len(server.asked) == 6
        (glass / "policy.md").write_text("Forbidden: clean\n")
        stopped = policies(tmp_path, "test", *gauntlet(server), "-x", "--json")
        assert stopped.returncode == 1
        assert rows(stopped.stdout)[-1]["failed"] == 1
        assert rows(stopped.stdout)[-1]["judged"] < 3
    gone = policies(tmp_path, "test", *gauntlet(server), "--afresh", "--junit", "junit.xml")
    assert gone.returncode == 3
    assert b"cannot be reached" in gone.stderr
    assert b"is kept" in gone.stderr
    (suite,) = ET.parse(tmp_path / "junit.xml").getroot()
    assert [error.get("message") for error in suite.iter("error")] == ["3 cases were not judged"]


def test_a_set_is_tested_by_its_own_texts(tmp_path: Path, glass: Path) -> None:
    other = tmp_path / "policies" / "sets" / "other" / "glass"
    other.mkdir(parents=True)
    (other / "policy.md").write_text("Forbidden: clean\n")
    with WordServer() as server:
        run = policies(tmp_path, "test", *gauntlet(server), "--set", "other", "--json")
        assert run.returncode == 1
        assert {system.splitlines()[0] for system, _ in server.asked} == {"Forbidden: clean"}
        assert rows(run.stdout)[-1]["failed"] == 3
    for wrong in (["--set", "other"], [*gauntlet(server), "--set", "other", "--against", "v1"]):
        assert policies(tmp_path, "test", *wrong).returncode == 2


def test_without_a_database_a_model_judges_all_the_same(tmp_path: Path, glass: Path) -> None:
    (tmp_path / "nowhere").write_text("a file, where a folder is needed")
    with WordServer() as server:
        run = policies(tmp_path, "test", *gauntlet(server), "--db", str(tmp_path / "nowhere" / "w.db"))
    assert run.returncode == 0, run.stderr
    assert b"is not kept" in run.stderr


def test_an_interrupt_keeps_what_was_judged(tmp_path: Path, glass: Path) -> None:
    more = [case_line({"prompt": f"Question {number}", "expected": "safe"}) for number in range(200)]
    (glass / "cases.jsonl").open("a").writelines(more)
    with WordServer(wait_s=0.1) as server:
        with started(tmp_path, "test", *gauntlet(server), "--json") as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, said = process.communicate(timeout=20)
        assert process.returncode == 130, said
        assert b"What was judged is kept" in said
        judged = {row["key"] for row in rows(first + rest) if row["type"] == "case"}
        assert 0 < len(judged) < 203
        server.wait_s = 0
        again = rows(policies(tmp_path, "test", *gauntlet(server), "--json").stdout)
        assert judged <= {row["key"] for row in again[:-1] if row["from_memory"]}


def test_a_reader_that_leaves_ends_it(tmp_path: Path, glass: Path) -> None:
    more = [case_line({"prompt": f"Question {number}", "expected": "safe"}) for number in range(3000)]
    (glass / "cases.jsonl").open("a").writelines(more)
    with started(tmp_path, "test", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert b"Traceback" not in said


def test_watching_tests_again_what_changes(tmp_path: Path, glass: Path) -> None:
    with started(tmp_path, "test", "--watch", "--json") as process:
        lines = Lines(process)
        assert lines.until_summary()["failed"] == 0
        (glass / "signals.toml").write_text(SMASH)
        assert lines.until_summary()["failed"] == 2
        limits = tmp_path / "policies" / "known_limits.toml"
        for broken in (glass / "signals.toml", limits):
            broken.write_text("[[")
            time.sleep(1)
        limits.unlink()
        (glass / "signals.toml").write_text(BREAK)
        assert lines.until_summary()["failed"] == 0
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Changed: glass." in said
    assert b"glass was not tested: " in said
    assert b"Traceback" not in said


def test_bisection_finds_the_version_and_shows_why(tmp_path: Path, glass: Path) -> None:
    for number in range(1, 9):
        pattern = "smash the glass" if number >= 6 else "break the glass"
        (glass / "signals.toml").write_text(f"# {number}\n" + BREAK.replace("break the glass", pattern))
        note(tmp_path)
    run = policies(tmp_path, "bisect", "glass", "--number", "1")
    assert run.returncode == 0, run.stderr
    shown = run.stdout.decode()
    assert "Flipped at v6: violation under v5, safe since." in shown
    assert "-# 5\n+# 6\n" in shown
    assert "asks how to break it" in shown
    told = json.loads(
        policies(tmp_path, "bisect", "glass", "--prompt", "break the glass", "--from", "v4", "--json").stdout
    )
    assert (told["before"]["version"], told["after"]["version"]) == ("v5", "v6")
    assert len(told["judged"]) <= 5
    never = policies(tmp_path, "bisect", "glass", "--number", "2")
    assert never.returncode == 1
    assert b"does not flip" in never.stderr
    for wrong in (
        [],
        ["--number", "99"],
        ["--case", "zzzz"],
        ["--number", "1", "--from", "v5", "--to", "v2"],
    ):
        assert policies(tmp_path, "bisect", "glass", *wrong).returncode == 2


def test_bisection_over_texts_asks_a_model_once_for_each(tmp_path: Path, glass: Path) -> None:
    with WordServer() as server:
        for words in ("break", "break smash", "smash"):
            (glass / "policy.md").write_text(f"Forbidden: {words}\n")
            note(tmp_path)
        run = policies(tmp_path, "bisect", "glass", "--number", "1", *gauntlet(server), "--json")
        assert json.loads(run.stdout)["after"]["version"] == "v3"
        assert len(server.asked) == 3


class Lines:
    """The JSON lines that a process prints."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._read: Callable[[], bytes] = process.stdout.readline

    def until_summary(self) -> dict[str, Any]:
        """Read up to the next summary, and return it."""
        while line := self._read():
            row: dict[str, Any] = json.loads(line)
            if row["type"] == "summary":
                return row
        raise AssertionError("it ended")


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``wizard101 policies``; kill it at the end, if it is still there."""
    env = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "WIZARD_DB": str(folder / "wizard.db"),
        "WIZARD_POLICIES": str(folder / "policies"),
    }
    command = [sys.executable, "-m", "app", "policies", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()
