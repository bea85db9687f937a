"""Writing a job's event file. Standard library only.

The file is only ever appended to, a line at a time. A full disk does not end the work: what finds no
room is kept in memory and written once there is some.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.events import Event, Heartbeat, Log, Metric, Progress, encode
from engine.jobs.supervisor import secrets_of

LONGEST_LINE = 1 << 20
"""Bytes of the longest line that is an event."""

GREATEST_INT = 2**63 - 1
"""The greatest number that the database can hold."""

_LONGEST_TEXT = 20_000
"""Code points of the longest text in an event: four of these still are a line, however they are escaped."""

_HELD_BYTES = 16 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRY_S = 0.2
_BLOCK = 1 << 20


class PatientFile:
    """Appends lines to a file; what finds no room waits. Not for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._pending = b""
        self.append(b"")

    def append(self, data: bytes) -> bool:
        """Append ``data``, after what waits; return whether all of it was written."""
        self._pending += data
        try:
            if self._file is None:
                self._file = self._open()
            while self._pending:
                self._pending = self._pending[os.write(self._file, self._pending) :]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return False
        return True

    def close(self) -> None:
        """Close the file; what still waits is lost."""
        descriptor, self._file = self._file, -1  # whatever gets its number next is not ours to write to
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        opened = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if not _ends_a_line(opened):
            self._pending = b"\n" + self._pending  # a line that was torn when its writer was killed ends here
        return opened


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


class EventFile:
    """The event file of one run. Any thread may write; a second attempt goes on where the first ended.

    While the disk is full, events are kept in memory: of progress only the latest, no heartbeats, and at
    most 16 MiB. Beyond that the oldest points and log lines give way; a log line tells how many. Values of
    environment variables whose names say that they are secret are replaced by those names.
    """

    def __init__(self, path: Path) -> None:
        self._next = last_seq(path) + 1
        self._file = PatientFile(path)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._secrets = {value: name for name, value in secrets_of(dict(os.environ)).items()}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._held: OrderedDict[int | type[Event], tuple[Event, int]] = OrderedDict()
        self._held_bytes = 0
        self._holds = 0
        self._left_out = 0

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            try:
                self._write_held()
            finally:
                self._file.close()

    def write(self, kind: type[Event], /, **fields: Any) -> None:
        """Append an event with the next ``seq``. Long texts are cut.

        Raises:
            ValueError: if the event is longer than any line may be.
            OSError: if the file cannot be written for another reason than a full disk.
        """
        told = {name: self._told(value) for name, value in fields.items()}
        with self._lock:
            at_ms = round((time.monotonic() - self._began) * 1000, 3)
            has_room = self._write_held()
            event = kind(seq=self._next, at_ms=at_ms, **told)
            line = _line(event)
            if len(line) > LONGEST_LINE:
                raise ValueError(f"an event of {len(line):,} bytes is longer than a line may be")
            if has_room:
                self._append(line)
            elif kind is not Heartbeat:
                self._hold(event, len(line))

    def wait_for_room(self, within_s: float) -> bool:
        """Try again for a while to write what waits; return whether all is written."""
        deadline = time.monotonic() + within_s
        while True:
            with self._lock:
                if self._write_held():
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_RETRY_S)

    def _append(self, line: bytes) -> bool:
        self._next += 1
        return self._file.append(line)

    def _hold(self, event: Event, size: int) -> None:
        self._holds += 1
        # Progress takes the place of the progress before it: only the latest tells anything.
        key = Progress if isinstance(event, Progress) else self._holds
        if key in self._held:
            self._let_go(key)
        self._held[key] = event, size
        self._held_bytes += size
        while self._held_bytes > _HELD_BYTES:
            expendable = (key for key, (held, _) in self._held.items() if isinstance(held, Metric | Log))
            self._let_go(next(expendable, next(iter(self._held))))
            self._left_out += 1

    def _let_go(self, key: int | type[Event]) -> Event:
        event, size = self._held.pop(key)
        self._held_bytes -= size
        return event

    def _write_held(self) -> bool:
        """Write what waits, as far as there is room; return whether all is written."""
        if not self._file.append(b""):
            return False
        if self._left_out:
            message = f"The disk was full: {self._left_out:,} events, mostly points of curves, were left out."
            self._left_out = 0
            if not self._append(_line(Log(seq=self._next, message=message, level="warning"))):
                return False
        while self._held:
            event = self._let_go(next(iter(self._held)))
            if not self._append(_line(replace(event, seq=self._next))):
                return False
        return True

    def _told(self, value: Any) -> Any:
        """Return a value without secrets, and its texts no longer than they may be."""
        if isinstance(value, str):
            text = self._secret.sub(self._name_of_secret, value) if self._secret else value
            left_out = len(text) - _LONGEST_TEXT
            return text if left_out <= 0 else f"{text[:_LONGEST_TEXT]} [{left_out:,} characters left out]"
        if isinstance(value, dict):
            return {self._told(key): self._told(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._told(item) for item in value]
        return value

    def _name_of_secret(self, found: re.Match[str]) -> str:
        return f"[secret {self._secrets[found[0]]}]"


def _line(event: Event) -> bytes:
    return encode(event).encode("ascii") + b"\n"


def last_seq(path: Path) -> int:
    """Return the ``seq`` of the last whole event in the file, -1 where there is none.

    Events that have none count up from the last one that has.
    """
    counted = 0
    for line in _lines_backwards(path):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(event, dict) or "event" not in event:
            continue
        seq = event.get("seq")
        if type(seq) is int and 0 <= seq <= GREATEST_INT:
            return seq + counted
        counted += "seq" not in event
    return counted - 1


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, the last first, but for those that are blank or too long to be events."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        end = file.seek(0, os.SEEK_END)
        rest = b""
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            lines = (file.read(end - start) + rest).split(b"\n")
            # Of a line that is too long no more is kept than shows that it is.
            rest = lines.pop(0)[: LONGEST_LINE + 1] if start else b""
            yield from (line for line in reversed(lines) if line.strip() and len(line) <= LONGEST_LINE)
            end = start
