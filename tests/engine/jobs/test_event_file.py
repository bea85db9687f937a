"""Writing event files: by any thread, over full disks and after kills, and without secrets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.events import (
    Artifact,
    Failed,
    Finished,
    Heartbeat,
    Input,
    Launched,
    Log,
    Metric,
    Progress,
    decode,
)
from engine.jobs import event_file
from engine.jobs.event_file import LONGEST_LINE, EventFile, PatientFile, last_seq
from engine.jobs.event_lines import Place, read_on
from tests.engine.jobs.event_rows import small_disk

SECRET = 'sk-live/"0123\\456789'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def assert_read_whole(path: Path) -> None:
    """Assert that the reader finds an event in every line."""
    part = read_on(path, Place(), ended=True)
    assert part is not None
    assert (part.skipped, part.more) == (0, False)
    assert len(part.points) + len(part.events) == len(lines(path))


def test_events_are_numbered_and_timed(path: Path) -> None:
    with EventFile(path) as file:
        file.write(Launched, kind="classify", pid=1)
        file.write(Metric, name="loss", value=0.5, step=1)
        file.write(Finished, summary={})
    told = [decode(line) for line in path.read_bytes().splitlines()]
    assert [(type(event), event.seq) for event in told] == [(Launched, 0), (Metric, 1), (Finished, 2)]
    assert 0 <= told[0].at_ms <= told[1].at_ms <= told[2].at_ms
    assert path.stat().st_mode & 0o777 == 0o600


def test_any_thread_may_write(path: Path) -> None:
    with EventFile(path) as file:

        def write(name: str) -> None:
            for step in range(500):
                file.write(Metric, name=name, value=1.0, step=step)

        threads = [threading.Thread(target=write, args=(f"curve {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = lines(path)
    assert [line["seq"] for line in told] == list(range(4000))
    for number in range(8):
        steps = [line["step"] for line in told if line["name"] == f"curve {number}"]
        assert steps == list(range(500))


# --- long texts and secrets --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "\x1b", "é", "\U0001f9d9", "\ud800"])
def test_texts_are_cut_so_that_the_line_is_an_event(path: Path, text: str) -> None:
    with EventFile(path) as file:
        long = text * 2_000_000
        file.write(Log, message=long)
        file.write(Failed, message=long, kept=long, hint=long)
        file.write(Finished, summary={"a": [long, {"b": long}]})
    assert_read_whole(path)
    log, failed, finished = lines(path)
    assert log["message"] == text * 20_000 + " [1,980,000 characters left out]"
    assert failed["hint"] == finished["summary"]["a"][1]["b"] == log["message"]


def test_what_cannot_be_a_line_is_refused_and_takes_no_number(path: Path) -> None:
    with EventFile(path) as file:
        with pytest.raises(ValueError, match="longer than a line"):
            file.write(Finished, summary={str(number): 0 for number in range(LONGEST_LINE // 4)})
        with pytest.raises(TypeError):
            file.write(Log, message={1, 2})
        file.write(Log, message="after")
    assert [(line["seq"], line["message"]) for line in lines(path)] == [(0, "after")]


def test_secrets_stay_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "OPENAI_API_KEY": SECRET,
        "SHORTER_TOKEN": SECRET[:12],
        "DB_PASSWORD": "geheim-ü-geheim",
        "aws_secret": "12345678",
        "VERY_KEY": "progress",
    }
    for name, value in {**secrets, "SHORT_KEY": "seq", "PLAIN": "plain text"}.items():
        monkeypatch.setenv(name, value)
    with EventFile(path) as file:
        file.write(Log, message=f"1 {SECRET} 2 {SECRET[:12]} 3 geheim-ü-geheim 4 plain text seq")
        file.write(Progress, done=12345678, phase=f"progress {SECRET}")
        file.write(Failed, message=SECRET, kept=SECRET, hint=f"use {SECRET}")
        file.write(Artifact, path=f"/tmp/{SECRET}", sha256="0", role="x")
        file.write(Finished, summary={f"a {SECRET}": [SECRET, {"b": (SECRET,)}], "n": 12345678})
        file.write(Log, message="x" * 19_990 + SECRET)  # it would be cut within the secret
    content = path.read_text()
    for written in (SECRET, json.dumps(SECRET)[1:-1], SECRET[:12], "geheim", "VERY"):
        assert written not in content.replace("[secret VERY_KEY]", "")
    log, progress, failed, artifact, finished, cut = lines(path)
    assert log["message"] == (
        "1 [secret OPENAI_API_KEY] 2 [secret SHORTER_TOKEN] 3 [secret DB_PASSWORD] 4 plain text seq"
    )
    # What is not text is not changed: neither numbers nor the form of the line.
    assert (progress["event"], progress["done"]) == ("progress", 12345678)
    assert progress["phase"] == "[secret VERY_KEY] [secret OPENAI_API_KEY]"
    assert failed["hint"] == "use [secret OPENAI_API_KEY]"
    assert artifact["path"] == "/tmp/[secret OPENAI_API_KEY]"
    assert finished["summary"] == {
        "a [secret OPENAI_API_KEY]": ["[secret OPENAI_API_KEY]", {"b": ["[secret OPENAI_API_KEY]"]}],
        "n": 12345678,
    }
    assert cut["message"].startswith("x" * 19_990 + "[secret OP")


# --- a second attempt --------------------------------------------------------------------------------


def test_a_second_attempt_counts_on(path: Path) -> None:
    for attempt in range(3):
        with EventFile(path) as file:
            file.write(Launched, kind="classify", pid=attempt)
            file.write(Heartbeat)
    assert [line["seq"] for line in lines(path)] == list(range(6))


@pytest.mark.parametrize("torn", [b"\0\0\0", b'{"event":"log","seq":7,"mess', b"x" * 3_000_000])
def test_a_torn_line_is_closed_off(path: Path, torn: bytes) -> None:
    with EventFile(path) as file:
        file.write(Log, message="before")
    with path.open("ab") as raw:
        raw.write(torn)
    with EventFile(path) as file:
        file.write(Log, message="after")
    before, middle, after, end = path.read_bytes().split(b"\n")
    assert (middle, end) == (torn, b"")
    assert [(decode(line).seq) for line in (before, after)] == [0, 1]


@pytest.mark.parametrize(
    ("content", "seq"),
    [
        (b"", -1),
        (b"\n\n", -1),
        (b"no event\n\0\n[]\n{}\n3\n", -1),
        (b'{"event":"log","seq":4,"message":"m"}\n', 4),
        (b'{"event":"log","seq":4,"message":"m"}', 4),
        (b'{"event":"log","seq":4,"message":"m"}\n{"event":"log","seq":5,"mes', 4),
        (b'{"event":"log","seq":4,"message":"m"}\n{"event":"log","seq":true}\n{"event":"log","seq":-3}\n', 4),
        (b'{"event":"log","message":"m"}\n' * 3, 2),
        (b'{"event":"log","seq":4,"message":"m"}\n' + b'{"event":"log","message":"m"}\n' * 3, 7),
        (b'{"event":"log","seq":4,"message":"m"}\n' + b"x" * 5_000_000 + b"\n", 4),
        (b'{"event":"log","seq":4,"message":"m"}\n' + b"[" * 100_000, 4),
        (b'{"event":"log","seq":4,"message":"' + b"m" * 900_000 + b'"}\n', 4),
        (b'{"event":"log","seq":9,"message":"' + b"m" * 2_000_000 + b'"}\n', -1),
        (b'{"event":"log","seq":4,"message":"m"}\n' + b"\n" * 3_000_000, 4),
    ],
)
def test_the_last_number(path: Path, content: bytes, seq: int) -> None:
    path.write_bytes(content)
    assert last_seq(path) == seq


def test_a_file_that_is_not_there_has_no_last_number(path: Path) -> None:
    assert last_seq(path) == -1


WRITER = """
import sys
from pathlib import Path
from engine.events import Metric
from engine.jobs.event_file import EventFile
with EventFile(Path(sys.argv[1])) as file:
    print("ready", flush=True)
    for step in range(10**9):
        file.write(Metric, name="x" * 150, value=1.0, step=step)
"""


def test_a_killed_writer_is_followed_by_another(path: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            before = path.stat().st_size
            while path.stat().st_size < before + 20_000:
                pass
            os.kill(writer.pid, signal.SIGKILL)
    with EventFile(path) as file:
        file.write(Log, message="last")
    seqs = [json.loads(line)["seq"] for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert seqs == list(range(len(seqs)))


# --- a full disk -------------------------------------------------------------------------------------


def fill(disk: Path) -> Path:
    """Take all room of a disk; removing the file gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 14, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return filler


def test_a_full_disk_is_waited_out_and_nothing_is_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "events.jsonl"
        with EventFile(path) as file:
            file.write(Launched, kind="classify", pid=1)
            filler = fill(disk)
            for step in range(500):
                file.write(Metric, name="loss", value=1.0, step=step)
                file.write(Progress, done=step, total=500)
                file.write(Heartbeat)
            file.write(Input, role="data", name="x", sha256=None)
            file.write(Finished, summary={"f1": 1})
            assert not file.wait_for_room(0.3)
            filler.unlink()
            assert file.wait_for_room(30)
            file.write(Log, message="after")
        told = lines(path)
        assert [line["seq"] for line in told] == list(range(len(told)))
        assert [line["step"] for line in told if line["event"] == "metric"] == list(range(500))
        # In the last page of the file there was some room: what was written there stays.
        kinds = Counter(line["event"] for line in told)
        assert kinds["progress"] < 100
        assert [line["done"] for line in told if line["event"] == "progress"][-1] == 499
        assert [line["event"] for line in told[-4:]] == ["progress", "input", "finished", "log"]
        assert [line["at_ms"] for line in told if line["event"] != "progress"] == sorted(
            line["at_ms"] for line in told if line["event"] != "progress"
        )
        assert_read_whole(path)


def test_a_long_full_disk_takes_no_more_memory_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "_HELD_BYTES", 20_000)
    with small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "events.jsonl"
        with EventFile(path) as file:
            filler = fill(disk)
            for step in range(2000):
                file.write(Metric, name="loss", value=1.0, step=step)
                if step % 500 == 0:
                    file.write(Artifact, path=f"{step}", sha256="", role="checkpoint")
            filler.unlink()
            file.write(Finished, summary={})
        told = lines(path)
        assert [line["seq"] for line in told] == list(range(len(told)))
        assert [line["path"] for line in told if line["event"] == "artifact"] == ["0", "500", "1000", "1500"]
        steps = [line["step"] for line in told if line["event"] == "metric"]
        assert steps == sorted(steps)
        assert steps[-100:] == list(range(1900, 2000))
        (said,) = [line for line in told if line["event"] == "log"]
        assert said["level"] == "warning"
        assert said["message"].startswith(f"The disk was full: {2000 - len(steps):,} events")
        assert told[-1]["event"] == "finished"
        assert_read_whole(path)


def test_what_held_events_take_is_bounded_whatever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "_HELD_BYTES", 20_000)
    with small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "events.jsonl"
        with EventFile(path) as file:
            filler = fill(disk)
            for number in range(1000):
                file.write(Artifact, path=f"{number}", sha256="", role="checkpoint")
            filler.unlink()
        paths = [line["path"] for line in lines(path) if line["event"] == "artifact"]
        assert 100 < len(paths) < 500
        assert paths[-100:] == [f"{number}" for number in range(900, 1000)]


def test_a_torn_line_is_closed_off_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "events.jsonl"
        path.write_bytes(b"x" * 4096)  # a page that is full, so that not even a newline finds room
        filler = fill(disk)
        with EventFile(path) as file:
            file.write(Log, message="first")
            assert path.stat().st_size == 4096
            filler.unlink()
        assert path.read_bytes()[4096:].startswith(b'\n{"event":"log","seq":0')


def test_a_patient_file_tells_whether_all_is_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        file = PatientFile(disk / "lines")
        assert file.append(b"first\n")
        filler = fill(disk)
        assert not file.append(b"x" * 10_000 + b"\n")
        assert not file.append(b"")
        filler.unlink()
        assert file.append(b"last\n")
        file.close()
        assert (disk / "lines").read_bytes() == b"first\n" + b"x" * 10_000 + b"\nlast\n"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="director"):
        EventFile(tmp_path)
    with pytest.raises(FileNotFoundError):
        EventFile(tmp_path / "no" / "events.jsonl")
