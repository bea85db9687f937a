"""The supervisor over real processes: how jobs end, however they are made to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.jobs import supervisor
from engine.jobs.folder import Exit, RunFolder
from engine.jobs.states import Failed, Killed, Succeeded
from engine.jobs.supervisor import Redactor

MARK = "WIZARD101_TEST_MARK"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "runs" / "1")
    yield folder
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)


def run(folder: RunFolder, *argv: str, grace_s: float = 5.0, checkpoint: tuple[str, ...] = ()) -> None:
    folder.prepare(argv, cwd=str(folder.path.parent), grace_s=grace_s, checkpoint=checkpoint)
    folder.launch(1)


def wait_for(condition: Callable[[], object], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ended(folder: RunFolder, within: float = 10.0) -> Exit:
    wait_for(lambda: not folder.alive, within)
    end = folder.exit(1)
    assert end is not None
    return end


def processes_of(folder: RunFolder) -> list[int]:
    """Return every process that carries the run's folder in its environment or arguments."""
    mark = str(folder.path).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if mark in told and b") Z" not in (entry / "stat").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def pid_of(folder: RunFolder, who: str) -> int:
    wait_for(lambda: folder.started(1))
    pid: int = json.loads((folder.path / supervisor.STARTED).read_text())[who]
    return pid


@pytest.mark.parametrize(
    ("command", "state"),
    [
        ("exit 0", Succeeded()),
        ("exit 7", Failed(7)),
        ("kill -SEGV $$", Killed(signal.SIGSEGV)),
        ("kill -9 $$", Killed(signal.SIGKILL)),
    ],
)
def test_how_it_ended_is_told(folder: RunFolder, command: str, state: object) -> None:
    run(folder, "sh", "-c", f"echo out; echo err >&2; {command}")
    assert ended(folder).state == state
    assert folder.output.read_text() == "out\nerr\n"
    assert processes_of(folder) == []


def test_a_command_that_is_not_there_is_said(folder: RunFolder) -> None:
    run(folder, "no-such-command-here")
    assert ended(folder).state == Failed(127)
    assert "no-such-command-here: No such file" in folder.output.read_text()


def test_a_folder_to_work_in_that_is_not_there_is_said(folder: RunFolder, tmp_path: Path) -> None:
    folder.prepare(["true"], cwd=str(tmp_path / "gone"))
    folder.launch(1)
    assert ended(folder).state == Failed(127)
    assert folder.output.read_text() == f"{tmp_path / 'gone'}: No such file or directory\n"


def test_the_lock_is_held_from_launch_to_end(folder: RunFolder) -> None:
    folder.prepare(["sleep", "1"], cwd="/")
    assert not folder.alive
    folder.launch(1)
    assert folder.alive
    with pytest.raises(BlockingIOError):
        folder.launch(2)
    assert ended(folder).state == Succeeded()


def test_what_the_worker_leaves_running_ends_with_it(folder: RunFolder) -> None:
    run(folder, "sh", "-c", "sleep 60 & sleep 60 & exit 0")
    assert ended(folder).state == Succeeded()
    assert processes_of(folder) == []


LEAVES = (
    "setsid sh -c 'setsid sleep 60 & sleep 60' & until pgrep -f 'sleep 60' >/dev/null; do :; done; echo ready"
)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
@pytest.mark.parametrize("how", ["it ends", "it is cancelled", "its supervisor is killed"])
def test_what_has_left_the_group_is_found_and_ended(folder: RunFolder, how: str) -> None:
    run(folder, "sh", "-c", LEAVES + ("" if how == "it ends" else "; sleep 60"))
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    if how == "it is cancelled":
        folder.ask(1, supervisor.CANCEL_KEEP)
    elif how == "its supervisor is killed":
        os.kill(pid_of(folder, "supervisor"), signal.SIGKILL)
    wait_for(lambda: not folder.alive)
    wait_for(lambda: processes_of(folder) == [], 1)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
@pytest.mark.parametrize("program", ["timeout 60", "setsid --wait"])
def test_what_has_left_the_group_is_paused_and_cancelled_like_the_rest(
    folder: RunFolder, program: str
) -> None:
    run(folder, *program.split(), "sh", "-c", COUNTS, grace_s=30)
    wait_for(lambda: folder.output.exists() and folder.output.stat().st_size > 10)
    folder.ask(1, supervisor.PAUSE)
    time.sleep(0.4)
    size = folder.output.stat().st_size
    time.sleep(0.3)
    assert folder.output.stat().st_size == size
    folder.ask(1, supervisor.RUN)
    wait_for(lambda: folder.output.stat().st_size > size)
    folder.ask(1, supervisor.CANCEL_KEEP)
    assert ended(folder, 5).cancelled == "keep"
    assert processes_of(folder) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
def test_what_a_script_has_started_saves_though_the_script_has_ended(folder: RunFolder) -> None:
    run(folder, "bash", "-c", f"{sys.executable} -c '{SAVES}' {folder.path}; echo after")
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    folder.ask(1, supervisor.CANCEL_KEEP)
    assert ended(folder).state == Killed(signal.SIGTERM)
    assert (folder.path / "checkpoint" / "state").read_text() == "saved"
    assert processes_of(folder) == []


def test_cancelled_and_ended_in_good_order_is_not_succeeded(folder: RunFolder) -> None:
    run(folder, "bash", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    folder.ask(1, supervisor.CANCEL_KEEP)
    end = ended(folder)
    assert (end.exit_code, end.cancelled) == (0, "keep")
    assert end.state == Killed(signal.SIGTERM)


def test_what_is_told_to_another_attempt_means_nothing(folder: RunFolder) -> None:
    run(folder, "sleep", "0.6")
    folder.ask(2, supervisor.CANCEL_KEEP)
    assert ended(folder).state == Succeeded()
    assert folder.asked(1) == supervisor.RUN
    assert folder.asked(2) == supervisor.CANCEL_KEEP


def test_no_signal_to_its_own_group_frees_a_job_of_its_guardian(folder: RunFolder) -> None:
    run(
        folder,
        "bash",
        "-c",
        "trap '' USR1 QUIT ALRM; kill -USR1 0; kill -QUIT 0; kill -ALRM 0; echo ready; sleep 60",
    )
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    os.kill(pid_of(folder, "supervisor"), signal.SIGKILL)
    wait_for(lambda: not folder.alive)
    wait_for(lambda: processes_of(folder) == [], 1)


def test_a_job_whose_folder_is_removed_is_ended(folder: RunFolder) -> None:
    run(folder, "sleep", "60")
    pid_of(folder, "worker")
    shutil.rmtree(folder.path)
    wait_for(lambda: processes_of(folder) == [], 3)


STUBBORN = "trap '' TERM; (trap '' TERM; sleep 60; sleep 60) & echo ready; sleep 60; sleep 60"


def test_cancel_asks_first_and_kills_the_whole_group_after_the_grace_period(folder: RunFolder) -> None:
    run(folder, "sh", "-c", STUBBORN, grace_s=0.5)
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    began = time.monotonic()
    folder.ask(1, supervisor.CANCEL_KEEP)
    folder.ask(1, supervisor.CANCEL_KEEP)
    end = ended(folder)
    assert 0.4 < time.monotonic() - began < 2.0
    assert end.state == Killed(signal.SIGKILL)
    assert end.cancelled == "keep"
    assert processes_of(folder) == []


SAVES = """
import pathlib, signal, sys, time
def save(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[1], "checkpoint").mkdir()
    pathlib.Path(sys.argv[1], "checkpoint", "state").write_text("saved")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "kept"), [(supervisor.CANCEL_KEEP, True), (supervisor.CANCEL_DISCARD, False)]
)
def test_a_cancelled_worker_saves_and_the_checkpoint_is_kept_or_not(
    folder: RunFolder, how: str, kept: bool
) -> None:
    run(folder, sys.executable, "-c", SAVES, str(folder.path), checkpoint=("checkpoint",))
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    folder.ask(1, how)
    assert ended(folder).state == Killed(signal.SIGTERM)
    assert (folder.path / "checkpoint" / "state").exists() is kept


def test_discarding_may_be_asked_for_while_it_saves(folder: RunFolder) -> None:
    run(folder, sys.executable, "-c", SAVES, str(folder.path), checkpoint=("checkpoint",))
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    folder.ask(1, supervisor.CANCEL_KEEP)
    time.sleep(0.15)
    folder.ask(1, supervisor.CANCEL_DISCARD)
    assert ended(folder).cancelled == "discard"
    assert not (folder.path / "checkpoint").exists()


COUNTS = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


def test_pause_stops_every_process_and_resume_goes_on(folder: RunFolder) -> None:
    run(folder, "sh", "-c", COUNTS)
    wait_for(lambda: folder.output.exists() and folder.output.stat().st_size > 10)
    folder.ask(1, supervisor.PAUSE)
    time.sleep(0.4)
    size = folder.output.stat().st_size
    time.sleep(0.3)
    assert folder.output.stat().st_size == size
    assert folder.alive
    folder.ask(1, supervisor.RUN)
    wait_for(lambda: folder.output.stat().st_size > size)
    folder.ask(1, supervisor.PAUSE)
    time.sleep(0.3)
    folder.ask(1, supervisor.CANCEL_KEEP)
    assert ended(folder).state == Killed(signal.SIGTERM)


@pytest.mark.parametrize("paused", [False, True])
def test_a_killed_supervisor_takes_its_job_along_before_the_lock_is_free(
    folder: RunFolder, paused: bool
) -> None:
    run(folder, "sh", "-c", STUBBORN)
    wait_for(lambda: folder.output.exists() and "ready" in folder.output.read_text())
    if paused:
        folder.ask(1, supervisor.PAUSE)
        time.sleep(0.3)
    os.kill(pid_of(folder, "supervisor"), signal.SIGKILL)
    wait_for(lambda: not folder.alive)
    wait_for(lambda: processes_of(folder) == [], 1)
    assert folder.exit(1) is None


def test_a_killed_worker_is_told_as_killed(folder: RunFolder) -> None:
    run(folder, "sleep", "60")
    os.kill(pid_of(folder, "worker"), signal.SIGKILL)
    assert ended(folder).state == Killed(signal.SIGKILL)
    assert ended(folder).cancelled is None


def test_a_supervisor_told_to_stop_cancels_its_job(folder: RunFolder) -> None:
    run(folder, "sleep", "60")
    os.kill(pid_of(folder, "supervisor"), signal.SIGTERM)
    assert ended(folder).state == Killed(signal.SIGTERM)


def test_secrets_never_reach_the_log(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_0123456789abcdef"
    monkeypatch.setenv("HF_TOKEN", secret)
    pieces = f"printf %s {secret[:7]}; sleep 0.3; printf '%s\\n' {secret[7:]}; echo $HF_TOKEN; printf hf_01"
    run(folder, "sh", "-c", pieces)
    assert ended(folder).state == Succeeded()
    assert folder.output.read_text() == "[secret HF_TOKEN]\n[secret HF_TOKEN]\nhf_01"


@pytest.mark.parametrize("size", [1, 3, 8, 13, 100])
def test_of_secrets_that_begin_alike_nothing_is_left_however_they_are_cut(size: int) -> None:
    secrets = {"A_KEY": "abcdefgh", "B_KEY": "abcdefghSECRETTAIL", "C_KEY": "TAILabcdefgh"}
    data = b"abcdefghSECRETTAIL abcdefghSECRET TAILabcdefghSECRETTAILabcdefgh abcdefg"
    redactor = Redactor(secrets)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    written = b"".join([*map(redactor.feed, pieces), redactor.flush()])
    assert written == Redactor(secrets).feed(data) + b"abcdefg"
    assert b"abcdefgh" not in written
    assert written.startswith(b"[secret B_KEY] [secret A_KEY]SECRET [secret C_KEY]SECRET[secret C_KEY] ")


def test_much_output_at_once_is_all_there(folder: RunFolder) -> None:
    run(folder, sys.executable, "-c", "import sys; sys.stdout.write('x' * 5_000_000)")
    assert ended(folder).state == Succeeded()
    assert folder.output.stat().st_size == 5_000_000
