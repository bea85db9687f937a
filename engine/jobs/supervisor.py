"""The process that stays with one job from its start to its end, whatever becomes of all others.

Run by its path, with nothing but the standard library: ``python -I -S supervisor.py RUN_DIR ATTEMPT LOCK``.
LOCK is the number of an inherited descriptor that holds the run's lock (`flock` on ``job.lock``), so that
there is no moment between "about to start" and "started" in which the lock is free.

Three processes share a run. The supervisor starts the *guardian*, a fork of itself that leads a process
group of its own and does nothing but wait for the supervisor to vanish; then it kills the group. The
worker is started in that group. As long as the supervisor or the guardian lives, the lock is held; and as
long as the guardian lives, the number of the group cannot come to mean a stranger's. So a free lock
without an ``exit.json`` means: lost, and nothing of it is left running. Processes that have left the group
are known, where there is a ``/proc``, by the run's folder in their environment.

What is asked of an attempt is in ``control``, one line that is overwritten in place: that needs no room on
a full disk. The worker's output comes through a pipe, so that a full disk cannot fail the worker either,
and so that the values of secret environment variables never reach the log.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable

SPEC, CONTROL, LOCK, STARTED, EXIT = "spec.json", "control", "job.lock", "started.json", "exit.json"
OUTPUT, EVENTS = "output.log", "events.jsonl"

CONTROL_SIZE = 32
"""Bytes of the control file: always these many, so that overwriting it takes no room."""

# Each after the number of the attempt that it is meant for: what is told late means no other.
RUN, PAUSE, CANCEL_KEEP, CANCEL_DISCARD = "run", "pause", "cancel keep", "cancel discard"
CANCEL = (CANCEL_KEEP, CANCEL_DISCARD)

RUN_DIR = "WIZARD101_RUN_DIR"
"""The variable that tells a worker its run's folder, and that marks whatever it starts."""

POLL_S = 0.1
_RETRY_S = 0.5
_CHUNK = 1 << 16
_ROUNDS = 20
"""Looks for processes that are left: what a process has started before it is killed is found by the next."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126

_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SECRET_LENGTH = 8


def secrets_of(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment's secrets: the values, at least 8 characters long, by name."""
    return {
        name: value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= _SECRET_LENGTH
    }


def write_whole(path: str, content: dict[str, object]) -> None:
    """Write a small JSON file by temporary file and rename, waiting for room where there is none."""
    blob = json.dumps(content).encode()
    temporary = path + ".tmp"
    while True:
        try:
            with open(temporary, "wb") as file:  # noqa: PTH123
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            time.sleep(_RETRY_S)


class Redactor:
    """Replaces secrets in a stream of bytes, also those that come in pieces."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._names = {value.encode(errors="surrogateescape"): name for name, value in secrets.items()}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._any = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be written by now; the beginning of what may become a secret is held back."""
        if self._any is None:
            return data
        data = self._held + data
        cut = len(data) - self._begun(data)
        written, done = b"", 0
        for found in self._any.finditer(data):
            if found.start() >= cut:
                break
            written += data[done : found.start()] + self._replacement(found)
            done = found.end()
        cut = max(cut, done)
        self._held = data[cut:]
        return written + data[done:cut]

    def flush(self) -> bytes:
        """Return what was held back: nothing follows."""
        held, self._held = self._held, b""
        return self._any.sub(self._replacement, held) if self._any else held

    def _replacement(self, found: re.Match[bytes]) -> bytes:
        return f"[secret {self._names[found[0]]}]".encode()

    def _begun(self, data: bytes) -> int:
        """Return how many bytes at the end of ``data`` are the beginning of a secret."""
        longest = max(map(len, self._names)) - 1
        for length in range(min(longest, len(data)), 0, -1):
            if any(secret.startswith(data[-length:]) for secret in self._names):
                return length
        return 0


class _Log:
    """``output.log``. What finds no room is left out, counted, and said once there is room again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._missing = 0
        self.lost = 0
        self._write(b"")

    def write(self, data: bytes) -> None:
        if not data:
            return
        said = f"\n[{self._missing} bytes of output left out: the disk was full]\n" if self._missing else ""
        missing = min(self._write(said.encode() + data), len(data))
        self._missing = self._missing + missing if missing else 0
        self.lost += missing

    def _write(self, data: bytes) -> int:
        """Write as much as there is room for; return how many bytes are left."""
        try:
            if self._file < 0:
                flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            pass
        return len(data)


def discard_checkpoint(folder: str, names: Iterable[str]) -> None:
    """Remove files and folders of a run, by name, as far as that can be done."""
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108


def marked(folder: str) -> list[int]:
    """Return all processes that carry the run's folder in their environment, whatever their group."""
    mark = f"\0{RUN_DIR}={folder}\0".encode(errors="surrogateescape")
    return [pid for pid in _processes() if pid != os.getpid() and mark in _environment(pid)]


def kill_marked(folder: str) -> None:
    """Kill every process that carries the run's folder in its environment."""
    for _ in range(_ROUNDS):
        left = marked(folder)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []


def _environment(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return b"\0" + file.read()
    except OSError:
        return b""


class Supervisor:
    """One attempt at one job."""

    def __init__(self, folder: str, attempt: int, lock: int) -> None:
        self._folder = folder
        self._attempt = attempt
        self._lock = lock
        self._links = os.fstat(lock).st_nlink
        with open(os.path.join(folder, SPEC), "rb") as file:  # noqa: PTH118, PTH123
            self._spec = json.load(file)
        self._log = _Log(self._path(OUTPUT))
        self._control = os.open(self._path(CONTROL), os.O_RDONLY | os.O_CLOEXEC)
        self._redactor = Redactor(secrets_of(dict(os.environ)))
        self._told_to_stop = False
        self._paused = False
        self._cancelled: str | None = None
        self._kill_at = float("inf")
        self._guardian = 0
        self._worker = 0
        self._leash = -1

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)  # noqa: PTH118

    def run(self) -> None:
        """Start the worker, stay with it, and leave word of how it ended."""
        began = time.time()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._start_guardian()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            self._worker = self._start_worker(writing)
        except OSError as error:
            os.close(writing)
            self._log.write(f"{error.filename}: {error.strerror}\n".encode(errors="replace"))
            self._end_group()
            self._leave_word(began, NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE, None)
            return
        os.close(writing)
        # Not waited for: a full disk must not hold the worker up, and this file is only for people to read.
        who = {"supervisor": os.getpid(), "worker": self._worker}
        with contextlib.suppress(OSError), open(self._path(STARTED), "w") as file:  # noqa: PTH123
            json.dump({"attempt": self._attempt, "at": began, **who}, file)
        code = self._watch(reading, woken)
        self._let_others_save(reading)
        self._end_group()
        while data := _available(reading):
            self._log.write(self._redactor.feed(data))
        self._log.write(self._redactor.flush())
        ended_by = -code if code < 0 else None
        self._leave_word(began, None if ended_by else code, ended_by)

    def _on_stop(self, *_: object) -> None:
        self._told_to_stop = True

    def _start_guardian(self) -> None:
        watched, self._leash = os.pipe()
        # Nothing that the job sends its own group may end it.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._guardian = os.fork()
        if self._guardian == 0:
            try:
                os.setpgid(0, 0)
                os.close(self._leash)
                os.read(watched, 1)
                kill_marked(self._folder)
                os.killpg(os.getpgid(0), signal.SIGKILL)
            finally:
                os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        os.close(watched)
        with contextlib.suppress(OSError):  # whoever is first: the group must be there for the worker
            os.setpgid(self._guardian, self._guardian)

    def _start_worker(self, output: int) -> int:
        os.chdir(self._spec["cwd"])
        environment = dict(os.environ, **self._spec.get("env", {}))
        environment |= {
            RUN_DIR: self._folder,
            "WIZARD101_EVENTS": self._path(EVENTS),
            "WIZARD101_ATTEMPT": str(self._attempt),
        }
        argv = self._spec["argv"]
        restored = [signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD]
        return os.posix_spawnp(
            argv[0],
            argv,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_CLOSE, self._lock),
            ],
            setpgroup=self._guardian,
            setsigmask=[],
            setsigdef=restored,
        )

    def _watch(self, reading: int, woken: int) -> int:
        """Stay with the worker until it ends; return its exit code, or minus the signal that ended it."""
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            for number, _ in poll.poll(POLL_S * 1000):
                if number == woken:
                    os.read(woken, _CHUNK)
                elif data := _available(reading):
                    self._log.write(self._redactor.feed(data))
                else:
                    poll.unregister(reading)
            ended, status = os.waitpid(self._worker, os.WNOHANG)
            if ended:
                self._worker = 0
                return os.waitstatus_to_exitcode(status)
            self._heed()

    def _let_others_save(self, reading: int) -> None:
        """Where the job was cancelled: leave what the worker has started the rest of the grace period."""
        while self._cancelled and time.monotonic() < self._kill_at and marked(self._folder):
            self._log.write(self._redactor.feed(_available(reading)))
            self._heed()
            time.sleep(POLL_S)

    def _heed(self) -> None:
        """Do what the control file asks for."""
        if time.monotonic() > self._kill_at:
            self._signal(signal.SIGKILL)
        line = os.pread(self._control, CONTROL_SIZE, 0).decode(errors="replace").strip()
        attempt, _, wanted = line.partition(" ")
        if attempt != str(self._attempt):
            wanted = ""
        if self._links and not os.fstat(self._lock).st_nlink:
            self._told_to_stop = True  # the folder was removed: nobody could tell any more that it runs
        if self._told_to_stop and wanted not in CANCEL:
            wanted = CANCEL_KEEP
        if wanted in CANCEL:
            if self._cancelled is None:
                self._signal(signal.SIGTERM)
                self._signal(signal.SIGCONT)
                self._kill_at = time.monotonic() + float(self._spec["grace_s"])
            self._cancelled = wanted.removeprefix("cancel ")
        elif wanted == PAUSE and not self._paused:
            self._signal(signal.SIGSTOP)
            os.kill(self._guardian, signal.SIGCONT)
            self._paused = True
        elif wanted == RUN and self._paused:
            self._signal(signal.SIGCONT)
            self._paused = False

    def _signal(self, number: signal.Signals) -> None:
        """Send all processes of the job a signal.

        The guardian is not reaped before the end, nor the worker before it has ended: their numbers are ours.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guardian, number)
        for pid in {self._worker, *marked(self._folder)} - {0}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self._guardian:
                    os.kill(pid, number)

    def _end_group(self) -> None:
        """Kill what the worker left running, and the guardian with it."""
        self._signal(signal.SIGKILL)
        kill_marked(self._folder)
        os.waitpid(self._guardian, 0)

    def _leave_word(self, began: float, exit_code: int | None, ended_by: int | None) -> None:
        if self._cancelled == "discard":
            discard_checkpoint(self._folder, self._spec.get("checkpoint", ()))
        write_whole(
            self._path(EXIT),
            {
                "attempt": self._attempt,
                "exit_code": exit_code,
                "signal": ended_by,
                "cancelled": self._cancelled,
                "began": began,
                "ended": time.time(),
                "output_lost": self._log.lost,
            },
        )


def _available(reading: int) -> bytes:
    try:
        return os.read(reading, _CHUNK)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    Supervisor(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()
