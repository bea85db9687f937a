"""A run's folder: what lies in it, starting its supervisor, and telling whether that still lives.

Standard library only. Everything here works without the database, which can be rebuilt from the folders.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.events import JsonValue
from engine.jobs import supervisor
from engine.jobs.states import Failed, JobState, Killed, Succeeded

GRACE_S = 15.0
"""How long a cancelled worker has to save its checkpoint before it is killed."""

_PATIENCE_S = 0.2
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Exit:
    """The supervisor's last word. Times are seconds since 1970; ``output_lost`` is in bytes."""

    attempt: int
    exit_code: int | None
    signal: int | None
    cancelled: str | None
    began: float
    ended: float
    output_lost: int = 0

    @property
    def state(self) -> JobState:
        """The state that this end means."""
        if self.signal is not None:
            return Killed(self.signal)
        if self.cancelled is not None and not self.exit_code:
            return Killed(signal.SIGTERM)  # it was asked to end, and did so in good order: it is not done
        return Failed(self.exit_code) if self.exit_code else Succeeded()


class RunFolder:
    """``runs/ID``. Constructing one touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def events(self) -> Path:
        return self.path / supervisor.EVENTS

    @property
    def output(self) -> Path:
        return self.path / supervisor.OUTPUT

    def prepare(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        checkpoint: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        grace_s: float = GRACE_S,
        about: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Make the folder, for its owner only, and write what the supervisor reads: all of it, or nothing.

        ``checkpoint`` names what a discarding cancel removes. ``about`` describes the job for the day the
        database has to be rebuilt.

        Raises:
            FileExistsError: if there is such a folder already: it is another job's.
            OSError: if the folder cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700)
        content: dict[str, object] = {
            "argv": list(argv),
            "cwd": cwd,
            "env": dict(env or {}),
            "checkpoint": list(checkpoint),
            "grace_s": grace_s,
            "about": dict(about or {}),
        }
        try:
            (self.path / supervisor.SPEC).write_text(json.dumps(content))
            self.ask(1, supervisor.RUN)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def spec(self) -> dict[str, Any]:
        """Return what `prepare` wrote.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it is damaged.
        """
        content = json.loads((self.path / supervisor.SPEC).read_bytes())
        if not isinstance(content, dict):
            raise ValueError("not an object")
        return content

    def ask(self, attempt: int, what: str) -> None:
        """Tell an attempt's supervisor what is wanted: its RUN, PAUSE, CANCEL_KEEP or CANCEL_DISCARD."""
        line = f"{attempt} {what}".encode().ljust(supervisor.CONTROL_SIZE)
        descriptor = os.open(self.path / supervisor.CONTROL, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.pwrite(descriptor, line, 0)
        finally:
            os.close(descriptor)

    def asked(self, attempt: int) -> str:
        """Return what was last asked of an attempt."""
        with suppress(OSError):
            line = (self.path / supervisor.CONTROL).read_text(errors="replace")
            number, _, what = line.strip().partition(" ")
            if number == str(attempt):
                return what
        return supervisor.RUN

    def discard(self) -> None:
        """Remove the checkpoint, where no supervisor is there to do it."""
        with suppress(OSError, ValueError):
            supervisor.discard_checkpoint(str(self.path), self.spec().get("checkpoint", ()))

    def set_events_aside(self, attempt: int) -> None:
        """Have the next attempt begin an event file of its own; this one's becomes ``events.ATTEMPT.jsonl``.

        Raises:
            OSError: if it cannot be renamed.
        """
        with suppress(FileNotFoundError):
            self.events.rename(self.events.with_suffix(f".{attempt}{self.events.suffix}"))

    def end_what_is_left(self, attempt: int) -> None:
        """Kill what has outlived the attempt's supervisor and its guardian, if it is still the last one.

        Without its lock, that is left to the supervisor, which then ends the job.

        Raises:
            OSError: if there is a lock, and it cannot be opened.
        """
        try:
            lock = os.open(self.path / supervisor.LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_FILE:
                return
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.launched(attempt):
                supervisor.kill_marked(str(self.path.absolute()))
        except BlockingIOError:
            pass  # somebody else does so, or starts the next attempt
        finally:
            os.close(lock)

    def launch(self, attempt: int) -> None:
        """Start the supervisor. The lock is held from before this returns until all of the run is gone.

        What may be left of an earlier attempt, whose supervisor and guardian were killed, is ended first.

        Raises:
            BlockingIOError: if an earlier attempt still holds the lock.
            OSError: if the process cannot be started.
        """
        lock = os.open(self.path / supervisor.LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _take(lock)
            if attempt > 1:
                supervisor.kill_marked(str(self.path.absolute()))
            with suppress(FileNotFoundError):
                (self.path / supervisor.EXIT).unlink()
            os.pwrite(lock, f"{attempt}\n".encode(), 0)
            try:
                self._start_supervisor(attempt, lock)
            except OSError:
                os.ftruncate(lock, 0)  # nothing was launched
                raise
        finally:
            os.close(lock)

    def _start_supervisor(self, attempt: int, lock: int) -> None:
        subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-I", "-S", supervisor.__file__),
                *(str(self.path.absolute()), str(attempt), str(lock)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            env=outer_environment(),
            start_new_session=True,
            cwd="/",
        )

    def launched(self, attempt: int) -> bool:
        """Whether the attempt's supervisor may have been started: `launch` came as far as to try."""
        try:
            return (self.path / supervisor.LOCK).read_bytes() == f"{attempt}\n".encode()
        except OSError:
            return False

    @property
    def alive(self) -> bool:
        """Whether anything of an attempt lives: its supervisor, or what is left of it being cleaned up."""
        try:
            lock = os.open(self.path / supervisor.LOCK, os.O_RDWR)
        except OSError as error:
            if error.errno in _NO_FILE:
                return False
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)

    def exit(self, attempt: int) -> Exit | None:
        """Return how the attempt ended; None if there is no word of it."""
        try:
            ended = Exit(**json.loads((self.path / supervisor.EXIT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return ended if ended.attempt == attempt else None

    def started(self, attempt: int) -> bool:
        """Whether the attempt's worker was started."""
        try:
            return bool(json.loads((self.path / supervisor.STARTED).read_bytes())["attempt"] == attempt)
        except (OSError, ValueError, TypeError, KeyError):
            return False


def _take(lock: int) -> None:
    """Lock the run. Somebody who just looks whether it is locked has it for a moment."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def outer_environment() -> dict[str, str]:
    """Return this process's environment, without what marks the processes of a job, if it is one of them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WIZARD101_")}
