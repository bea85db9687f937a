"""``wizard101 jobs``, as people and scripts use it: the real command over a real scheduler and real jobs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from app.cli.main import run as command_line
from tests.cli.command import REPOSITORY, wizard
from tests.engine.jobs.conftest import processes_with, wait_for
from tests.terminal import Terminal

HOSTILE = "\x1b]52;c;aGFja2Vk\x07\u202e\u200b\r\n\x9b31m\udcff"
DATABASE = "wizard.db"


class Desk:
    """``wizard101 jobs`` in a folder of its own. It runs in this process; the jobs in theirs."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.said = ""
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command, whose exit code must be ``code``; return what it printed, and keep what it said."""
        self._capfd.readouterr()
        ended = command_line(["jobs", *arguments])
        printed, self.said = self._capfd.readouterr()
        assert ended == code, self.said
        return printed

    def add(self, *arguments: str) -> int:
        told = json.loads(self("add", *arguments))
        assert list(told) == ["id"]
        return int(told["id"])

    def shell(self, script: str, *options: str) -> int:
        """Queue a job that has ``sh`` run a script."""
        return self.add("shell", "--json", *options, "--", "sh", "-c", script)

    def show(self, job_id: int) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self("show", str(job_id), "--json"))
        return shown

    def until(self, job_id: int, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until what is shown of a job is so."""
        seen: list[dict[str, Any]] = []

        def is_so() -> object:
            seen[:] = [self.show(job_id)]
            return condition(seen[0])

        wait_for(is_so, 60)
        return seen[0]

    def running(self, job_id: int, word: str = "") -> None:
        """Wait until a job runs, and has printed a word."""
        self.until(job_id, lambda job: job["state"] == "running")
        wait_for(lambda: word in self("logs", str(job_id)), 60)

    def wait(self, *job_ids: int, code: int = 0) -> None:
        self("wait", *map(str, job_ids), "--timeout", "90", code=code)


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setenv("WIZARD_DB", str(tmp_path / DATABASE))
    monkeypatch.setenv("WIZARD_POLICIES", str(REPOSITORY / "policies"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)
    try:
        yield Desk(tmp_path, capfd)
        with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
            left = "SELECT id FROM run JOIN job ON run_id = id WHERE status NOT IN {}"
            over = ("succeeded", "failed", "killed", "lost", "skipped")
            assert database.execute(left.format(over)).fetchall() == [], "a test ends its jobs"
    finally:
        for pid in processes_with(str(tmp_path)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def acts(text: str) -> set[str]:
    """Return the characters that a terminal would act on or hide."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"}


# --- from beginning to end -------------------------------------------------------------------------------


def test_a_script_adds_waits_and_looks(desk: Desk) -> None:
    """In processes of their own, as scripts run it."""
    program = "import sys; print(sys.argv[1:])"
    command = [sys.executable, "-c", program, "--json", "--", "a b", "", "$HOME", "-f"]
    added = wizard("jobs", "add", "shell", "--json", "--", *command, cwd=desk.folder)
    assert added.returncode == 0, added.stderr
    job_id = str(json.loads(added.stdout)["id"])
    assert added.stdout.decode() == f'{{"id": {job_id}}}\n'
    assert wizard("jobs", "wait", job_id, cwd=desk.folder).returncode == 0
    shown = json.loads(wizard("jobs", "show", job_id, "--json", cwd=desk.folder).stdout)
    assert (shown["state"], shown["exit_code"], shown["signal"]) == ("succeeded", 0, None)
    assert shown["params"] == {"command": command}
    log = wizard("jobs", "logs", job_id, cwd=desk.folder)
    assert (log.stdout.decode(), log.stderr) == (f"{command[3:]}\n", b"")
    listed = json.loads(wizard("jobs", "list", "--json", cwd=desk.folder).stdout)
    assert [(job["id"], job["state"]) for job in listed] == [(int(job_id), "succeeded")]
    wait_for(lambda: not processes_with(str(desk.folder)), 60)  # the scheduler leaves by itself


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_nobody_reads_is_done_all_the_same(desk: Desk, closed: str) -> None:
    program = f"{sys.executable} -m app jobs add shell --json -- true {closed}"
    ended = subprocess.run(
        ["sh", "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=desk.folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    [job] = json.loads(desk("list", "--json"))
    desk("wait", str(job["id"]))


def test_failures_and_signals_are_told(desk: Desk) -> None:
    failing = desk.shell("echo to no avail >&2; exit 7", "--name", "feeble")
    killed = desk.shell("kill -9 $$")
    missing = desk.add("shell", "--json", "sh", "-c", "exec ./nothing-here")
    desk.wait(failing, killed, missing, code=1)
    assert f"Job {failing} (feeble): failed (7)." in desk.said
    assert f"'wizard101 jobs logs {failing}' shows" in desk.said
    assert "killed (SIGKILL)" in desk.said
    shown = desk.show(failing)
    assert (shown["state"], shown["outcome"], shown["exit_code"]) == ("failed", "failed (7)", 7)
    shown = desk.show(killed)
    assert (shown["state"], shown["exit_code"], shown["signal"]) == ("killed", None, 9)
    assert desk.show(missing)["exit_code"] == 127
    assert desk("logs", str(failing)) == "to no avail\n"
    assert "✖ failed (7)" in desk("show", str(failing))
    assert [line.split()[:3] for line in desk("list").splitlines()[1:]] == [
        [str(missing), "✖", "failed"],
        [str(killed), "✖", "killed"],
        [str(failing), "✖", "failed"],
    ]


def test_cancelling_ends_the_grandchild_too(desk: Desk) -> None:
    job_id = desk.shell("sh -c 'trap \"\" TERM; echo born; while :; do sleep 1; done' & wait", "--group", "g")
    waiting = desk.shell("true", "--group", "g")
    desk.running(job_id, "born")
    assert (
        desk("cancel", str(waiting), str(job_id)) == f"Job {waiting}: cancelled\nJob {job_id}: cancelling\n"
    )
    desk.wait(waiting, job_id, code=1)
    shown = desk.show(job_id)
    assert shown["cancel"] == "keep"
    assert shown["outcome"] == "cancelled (SIGTERM)"
    assert processes_with(shown["folder"]) == []
    assert desk.show(waiting)["state"] == "skipped"
    desk("cancel", str(job_id), code=2)
    assert "is over already" in desk.said


def test_pause_and_resume(desk: Desk) -> None:
    job_id = desk.shell("while ! test -e go; do sleep 0.05; done; echo went")
    desk.running(job_id)
    assert json.loads(desk("pause", str(job_id), "--json"))["state"] == "paused"
    started = json.loads((desk.folder / "runs" / str(job_id) / "started.json").read_text())
    wait_for(lambda: ") T" in Path(f"/proc/{started['worker']}/stat").read_text(), 60)
    (desk.folder / "go").touch()
    desk("wait", str(job_id), "--timeout", "1", code=1)
    assert "is still paused" in desk.said
    assert "The jobs go on" in desk.said
    assert desk("resume", str(job_id)) == f"Job {job_id}: running\n"
    desk.wait(job_id)
    assert desk("logs", str(job_id)) == "went\n"
    desk("resume", str(job_id), code=2)


def test_several_are_asked_whatever_becomes_of_one(desk: Desk) -> None:
    desk("group", "default", "0")
    ids = [desk.shell("true") for _ in range(2)]
    assert desk("cancel", str(ids[0]), "98765", str(ids[1]), code=2).count("cancelled") == 2
    assert "There is no job 98765" in desk.said


def test_retry_in_place_and_anew(desk: Desk) -> None:
    job_id = desk.shell("echo attempt $WIZARD101_ATTEMPT; test -e flag", "--tag", "mine", "--note", "why")
    desk.wait(job_id, code=1)
    (desk.folder / "flag").touch()
    assert desk("retry", str(job_id)) == f"Job {job_id}: queued\n"
    desk.wait(job_id)
    assert desk.show(job_id)["attempt"] == 2
    assert desk("logs", str(job_id)) == "attempt 1\nattempt 2\n"
    desk("retry", str(job_id), code=2)
    assert "has succeeded" in desk.said
    told = json.loads(desk("retry", "--new", str(job_id), "--json"))
    assert list(told) == ["id"]
    desk.wait(told["id"])
    again = desk.show(told["id"])
    assert (again["retry_of"], again["attempt"], again["tags"], again["note"]) == (job_id, 1, ["mine"], "why")


def test_what_needs_a_failed_job_is_skipped_and_comes_back(desk: Desk) -> None:
    first = desk.shell("test -e flag")
    second = desk.shell("true", "--needs", str(first))
    third = desk.shell("true", "--needs", str(second), "--needs", str(first))
    desk.wait(third, code=1)
    shown = desk.show(third)
    assert (shown["state"], shown["needs"]) == ("skipped", [first, second])
    assert shown["reason"].startswith("It needs job ")
    assert shown["reason"] in desk("show", str(third))
    desk("add", "shell", "--needs", str(first), "true", code=2)
    (desk.folder / "flag").touch()
    desk("retry", str(first))
    desk.wait(first, second, third)
    assert desk.show(first)["children"] == [second, third]


def test_groups_limits_and_priorities(desk: Desk) -> None:
    assert json.loads(desk("group", "slow", "0", "--json")) == {
        "name": "slow",
        "at_once": 0,
        "active": 0,
        "queued": 0,
    }
    ids = [
        desk.shell(f"echo {n} >> order; sleep 0.1", "--group", "slow", "--priority", str(n))
        for n in (0, 5, -1)
    ]
    desk("priority", str(ids[0]), "-7")
    desk("priority", str(ids[2]), "9")
    listed = json.loads(desk("list", "slow", "--json"))
    assert [job["id"] for job in listed] == [ids[2], ids[1], ids[0]]
    assert listed[0]["reason"] == "Its group slow is held."
    assert "Its group slow is held." in desk("list")
    assert [line.split() for line in desk("group").splitlines()[1:]] == [["slow", "0", "0", "3"]]
    desk("group", "slow", "1")
    desk.wait(*ids)
    assert (desk.folder / "order").read_text().split() == ["-1", "5", "0"]
    desk("priority", str(ids[0]), "1", code=2)
    desk("group", "slow", "-1", code=2)
    assert json.loads(desk("group", "never-seen", "--json"))["at_once"] == 1


# --- waiting ---------------------------------------------------------------------------------------------


def test_a_back_end_out_of_reach_is_3_unless_more_was_wrong(desk: Desk) -> None:
    (desk.folder / "cases.jsonl").write_text('{"prompt": "hello"}\n')
    job_id = desk.add(
        *("classify", "cases.jsonl", "--guard", "gauntlet", "--model", "ollama:none", "--policy", "violence"),
        *("--json", "--experiment", "trial"),
    )
    desk.wait(job_id, code=3)
    shown = desk.show(job_id)
    assert shown["failure"]["unreachable"] is True
    assert shown["failure"]["message"] in desk("show", str(job_id)).replace("\n", " ")
    assert shown["experiment"] == "trial"
    failing = desk.shell("exit 3")
    desk.wait(job_id, failing, code=1)
    desk.wait(failing, code=1)
    desk("wait", str(failing), "98765", code=2)
    good = desk.shell("true")
    told = [json.loads(line)["state"] for line in desk("wait", str(good), "--json").splitlines()]
    assert told == ["succeeded"]


@pytest.mark.parametrize("command", ["wait", "run"])
def test_an_interrupt_leaves_the_job_running(desk: Desk, command: str) -> None:
    if command == "wait":
        job_id = desk.shell("echo here; sleep 60")
        arguments = ["wait", str(job_id)]
    else:
        arguments = ["run", "shell", "--", "sh", "-c", "echo here; sleep 60"]
    waiting = subprocess.Popen(
        [sys.executable, "-m", "app", "jobs", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        if command == "run":
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == b"here\n"
            job_id = json.loads(desk("list", "--json"))[0]["id"]
        else:
            desk.running(job_id, "here")
            time.sleep(1.0)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert waiting.returncode == 130
    assert b"Traceback" not in said
    assert b"on." in said
    assert desk.show(job_id)["state"] == "running"
    desk("cancel", str(job_id))
    desk.wait(job_id, code=1)


def test_run_prints_and_ends_as_the_job_does(desk: Desk) -> None:
    assert desk("run", "shell", "--", "sh", "-c", "echo one; sleep 0.3; printf two") == "one\ntwo\n"
    assert desk("run", "shell", "sh", "-c", "echo out; exit 9", code=1) == "out\n"
    assert "failed (9)" in desk.said
    told = json.loads(desk("run", "shell", "--json", "--name", "quick", "--", "echo", "unseen"))
    assert (told["name"], told["state"]) == ("quick", "succeeded")


# --- logs ------------------------------------------------------------------------------------------------


def test_a_log_is_followed_to_its_end_through_a_retry(desk: Desk) -> None:
    job_id = desk.shell(
        "echo $WIZARD101_ATTEMPT; while ! test -e go; do sleep 0.05; done; echo end; test -e good"
    )
    desk.running(job_id, "1")
    following = subprocess.Popen(
        [sys.executable, "-m", "app", "jobs", "logs", "-f", str(job_id)], stdout=subprocess.PIPE
    )
    try:
        assert following.stdout is not None
        assert following.stdout.readline() == b"1\n"
        (desk.folder / "go").touch()
        assert following.stdout.read() == b"end\n"
        assert following.wait(60) == 0
    finally:
        following.kill()
    (desk.folder / "good").touch()
    desk("retry", str(job_id))
    assert desk("logs", "--follow", str(job_id)) == "1\nend\n2\nend\n"
    assert desk("logs", "-f", "-n", "1", str(job_id)) == "end\n"


def test_the_last_lines_of_a_log_without_reading_it_all(desk: Desk) -> None:
    job_id = desk.shell("echo only")
    desk.wait(job_id)
    path = Path(desk.show(job_id)["output"])
    with path.open("r+b") as log:
        log.truncate(200 << 30)  # a hole: it takes no room, but nobody could read it in time
        log.seek(0, os.SEEK_END)
        log.write(b"\n" + b"x" * 50_000 + b"\na\nb\nno end")
    assert desk("logs", str(job_id), "--lines", "3") == "a\nb\nno end\n"
    assert desk("logs", str(job_id), "--lines", "4") == "x" * 50_000 + "\na\nb\nno end\n"
    assert desk("logs", str(job_id), "--lines", "0") == ""
    with path.open("r+b") as log:
        log.truncate(200 << 30)  # one endless line
    assert len(desk("logs", str(job_id), "--lines", "2")) < 3 << 20
    with path.open("ab") as log:
        log.write(b"\n" + b"".join(b"\r%4d of 5000 [=====     ]" % number for number in range(5000)))
    assert "\n↻ 4999 of 5000" in "\n" + desk("logs", str(job_id), "--lines", "1")


def test_a_log_cannot_act_on_the_terminal(desk: Desk) -> None:
    noise = (
        b"\x1b]52;c;aGFja2Vk\x07 \xff\xfe\x00 \xe2\x80\xae\x9b31m 10%\r20%\ntab\there \x1b[31mred\x1b[0m\n"
    )
    (desk.folder / "noise").write_bytes(noise)
    job_id = desk.shell("cat noise")
    desk.wait(job_id)
    shown = desk("logs", str(job_id))
    assert not acts(shown)
    assert "20%" in shown
    assert "here red" in shown
    raw = wizard("jobs", "logs", "--raw", str(job_id), cwd=desk.folder)
    assert raw.stdout == noise
    job_id = desk.shell("true")
    desk.wait(job_id)
    assert desk("logs", str(job_id)) == ""
    assert desk.said == f"Job {job_id} has printed nothing.\n"


def test_on_a_terminal_an_unfinished_line_is_shown_and_raw_refused(desk: Desk) -> None:
    job_id = desk.shell("printf '10%%\\r20%%'; while ! test -e go; do sleep 0.05; done; printf '\\rdone\\n'")
    with Terminal(
        [sys.executable, "-m", "app", "jobs", "logs", "-f", str(job_id)], cwd=desk.folder
    ) as terminal:
        terminal.wait_for("20%", 60)
        (desk.folder / "go").touch()
        terminal.wait_for("done", 60)
        assert terminal.wait_exit(60) == 0
        assert "20%" not in terminal.text
    refused = [sys.executable, "-m", "app", "jobs", "logs", "--raw", str(job_id)]
    with Terminal(refused, cwd=desk.folder) as terminal:
        assert terminal.wait_exit(60) == 2


# --- what a job reports ----------------------------------------------------------------------------------

REPORTING = """
import json, os
def tell(**event):
    with open(os.environ["WIZARD101_EVENTS"], "a") as events:
        events.write(json.dumps(event) + "\\n")
tell(event="progress", done=3, total=4, unit="files", phase="counting")
tell(event="metric", name="loss", value=0.5, step=1)
tell(event="artifact", path="out.txt", role="table", sha256="0" * 64)
tell(event="finished", summary={"accuracy": {"value": 0.9, "n": 100, "low": 0.8, "high": 0.95}})
with open(os.environ["WIZARD101_EVENTS"], "ab") as events:
    events.write(b"no event\\n\\xff\\n")
"""


def test_what_a_shell_job_reports_is_shown(desk: Desk) -> None:
    job_id = desk.add("shell", "--json", "--", sys.executable, "-c", REPORTING)
    desk.wait(job_id)
    shown = desk.show(job_id)
    assert shown["progress"]["fraction"] == 0.75
    assert shown["skipped_lines"] == 2
    assert shown["metrics"] == ["loss"]
    assert [made["path"] for made in shown["artifacts"]] == ["out.txt"]
    assert shown["results"][0]["n"] == 100
    text = desk("show", str(job_id))
    for said in (
        "3 of 4 files",
        "2 lines of its event file are no events",
        "[0.800, 0.950]",
        "out.txt",
        "loss",
    ):
        assert said in text, said
    events = desk("logs", str(job_id), "--events").splitlines()
    assert json.loads(events[0])["done"] == 3
    assert len(events) == 6


def test_an_estimate_queues_nothing(desk: Desk) -> None:
    (desk.folder / "cases.jsonl").write_text('{"prompt": "hello"}\n' * 30)
    told = json.loads(desk("add", "classify", "cases.jsonl", "--limit", "20", "--estimate", "--json"))
    assert (told["work"], told["seconds"]) == ("20 cases", None)
    assert desk("add", "classify", "cases.jsonl", "--estimate").startswith("30 cases\n")
    assert desk("list") == ""
    assert "There is no job yet" in desk.said


# --- wrong and hostile -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add",), "shell"),
        (
            ("add", "dream"),
            "There is no kind of job called 'dream'. There are: classify, evaluate, harden, shell, matrix.",
        ),
        (("add", "shell"), "command: is missing"),
        (("add", "shell", "no-such-program-anywhere"), "no program"),
        (("add", "shell", "--set", "command"), "NAME=VALUE"),
        (("add", "shell", "--set", "colour=red", "true"), "colour: is not one of its parameters"),
        (("add", "shell", "--set", 'command=["echo", "a\\u0000b"]'), "NUL"),
        (("add", "shell", "--needs", "98765", "true"), "There is no job 98765"),
        (("add", "shell", "--needs", "0", "true"), "no job's number"),
        (("add", "shell", "--tag", " ", "true"), "cannot be empty"),
        (("add", "shell", "--group", " ", "true"), "A group has a name"),
        (("add", "shell", "--priority", "9" * 30, "true"), "out of range"),
        (("add", "shell", "--accelerators", "-1", "true"), "accelerators"),
        (("add", "classify"), "file: is missing"),
        (("add", "classify", "none.jsonl"), "There is no file"),
        (("add", "classify", "none.jsonl", "--guard", "dog"), "guard: Input should be"),
        (("add", "classify", "none.jsonl", "--limit", "0"), "limit: "),
        (("add", "classify", "none.jsonl", "--colour", "red"), "--colour"),
        (("show", "98765"), "There is no job 98765"),
        (("show", "1"), "There is no job 1"),  # a run of the history, but no job
        (("show", "x"), "a valid integer"),
        (("show", "9" * 30), "no job's number"),
        (("logs", "98765"), "There is no job 98765"),
        (("wait",), "ID"),
        (("pause", "98765"), "There is no job 98765"),
        (("priority", "98765", "1"), "There is no job 98765"),
        (("retry", "--new", "98765"), "There is no job 98765"),
        (("group", "", "1"), "A group has a name"),
        (("group", "a", "9" * 30), "out of range"),
    ],
)
def test_wrong_usage_is_2(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    desk(*arguments, code=2)
    assert said in desk.said
    assert desk.said.startswith("wizard101: ")
    desk("list")


def test_secrets_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "correct-horse-battery"
    monkeypatch.setenv("MY_API_KEY", secret)
    for arguments in (
        ("--", "echo", f"--key={secret}"),
        ("--name", secret, "true"),
        ("--note", secret, "true"),
    ):
        assert desk("add", "shell", *arguments, code=2) == ""
        assert "$MY_API_KEY" in desk.said
        assert secret not in desk.said
    job_id = desk.shell('echo "the key is $MY_API_KEY"')
    desk.wait(job_id)
    assert desk("logs", str(job_id)) == "the key is [secret MY_API_KEY]\n"
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_no_name_acts_on_the_terminal(desk: Desk) -> None:
    options = [part for name in ("name", "group", "note", "experiment") for part in (f"--{name}", HOSTILE)]
    job_id = desk.shell("exit 1", *options, "--tag", "\x1b]0;x\x07\u202e")
    desk.wait(job_id, code=1)
    assert not acts(desk.said)
    for arguments in (
        *(("list",), ("list", "--json"), ("list", HOSTILE), ("show", str(job_id)), ("group", HOSTILE, "1")),
        *(("group",), ("show", str(job_id), "--json"), ("group", HOSTILE, "--json"), ("retry", str(job_id))),
    ):
        printed = desk(*arguments)
        assert not acts(printed + desk.said), arguments
        if "--json" in arguments:
            assert printed.isascii()
            json.loads(printed)
    desk.wait(job_id, code=1)
    for arguments in (
        ("add", HOSTILE),
        ("add", "shell", HOSTILE),
        ("add", "shell", "--set", HOSTILE, "true"),
    ):
        desk(*arguments, code=2)
        assert not acts(desk.said), arguments


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_the_list_fits_the_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    desk("group", "a-group-with-a-long-name", "0")
    ids = [desk.shell("true # " + "long " * 40, "--group", "a-group-with-a-long-name") for _ in range(2)]
    lines = desk("list").splitlines()
    assert len(lines) == 3
    assert all(cell_len(line) <= width for line in lines)
    assert all("queued" in line for line in lines[1:])
    desk("cancel", *map(str, ids))


def test_the_list_says_that_there_is_more(desk: Desk) -> None:
    desk("group", "default", "0")
    ids = [desk.shell("true", "--name", f"job {number}") for number in range(4)]
    desk("cancel", *map(str, ids[:3]))
    assert [job["id"] for job in json.loads(desk("list", "--limit", "1", "--json"))] == [ids[3], ids[2]]
    assert "More are over" in desk.said
    assert [job["id"] for job in json.loads(desk("list", "--all", "--json"))] == [ids[3], *ids[2::-1]]
    assert desk.said == ""
    assert [job["id"] for job in json.loads(desk("list", "SKIPPED", "job 1", "--json"))] == [ids[1]]
    desk("list", "nothing-like-it")
    assert desk.said == "No job matches.\n"
    desk("cancel", str(ids[3]))


def test_a_newer_database_is_only_read(desk: Desk) -> None:
    job_id = desk.shell("echo kept")
    desk.wait(job_id)
    with closing(sqlite3.connect(desk.folder / DATABASE)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert str(job_id) in desk("list")
    assert desk.said.count("newer Wizard101") == 1
    assert desk("logs", str(job_id)) == "kept\n"
    for arguments in (("add", "shell", "true"), ("retry", "--new", str(job_id)), ("group", "default", "0")):
        desk(*arguments, code=1)
        assert desk.said.count("newer Wizard101") == 1
    assert [path.name for path in (desk.folder / "runs").iterdir()] == [str(job_id)]
