"""Writing a job's event file. Standard library only.

The file is only ever appended to, a line at a time. A full disk does not end the work: what finds no
room is kept in memory and written once there is some.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.events import Event, Heartbeat, Progress, encode
from engine.jobs.supervisor import secrets_of

_BLOCK = 1 << 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class PatientFile:
    """Appends lines to a file; those that find no room wait. Not for several threads."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._pending = b""
        if not _ends_a_line(self._file):
            self.append(b"\n")  # a line that was torn when its writer was killed ends here

    @property
    def waiting(self) -> bool:
        """Whether something still waits for room."""
        return bool(self._pending)

    def append(self, data: bytes) -> bool:
        """Append ``data``, after what waits; return whether all of it was written."""
        self._pending += data
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._file, self._pending) :]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        return not self._pending

    def close(self) -> None:
        """Close the file; what still waits is lost."""
        os.close(self._file)


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


class EventFile:
    """The event file of one run. Any thread may write; a second attempt goes on where the first ended."""

    def __init__(self, path: Path) -> None:
        self._next = last_seq(path) + 1
        self._file = PatientFile(path)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._secrets = list(secrets_of(dict(os.environ)).values())

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 3)

    def write(self, kind: type[Event], /, **fields: Any) -> None:
        """Append an event; progress and heartbeats are dropped while there is no room."""
        with self._lock:
            if self._file.waiting and kind in (Progress, Heartbeat):
                self._file.append(b"")
                return
            line = encode(kind(seq=self._next, at_ms=self.elapsed_ms, **fields))
            for secret in self._secrets:
                line = line.replace(json.dumps(secret)[1:-1], "[secret]")
            self._next += 1
            self._file.append(line.encode("ascii") + b"\n")

    def wait_for_room(self, within_s: float) -> bool:
        """Try again for a while to write what waits; return whether all is written."""
        deadline = time.monotonic() + within_s
        while True:
            with self._lock:
                if self._file.append(b""):
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)


def last_seq(path: Path) -> int:
    """Return the ``seq`` of the last whole event in the file, -1 where there is none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return -1
    with file:
        end = file.seek(0, os.SEEK_END)
        rest = b""
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            rest = lines.pop(0) if start else b""
            for line in reversed(lines):
                seq = _seq_of(line)
                if seq is not None:
                    return seq
            end = start
    return -1


def _seq_of(line: bytes) -> int | None:
    try:
        seq = json.loads(line)["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return seq if type(seq) is int else None
