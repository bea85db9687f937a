"""Reading what a job has printed, a stretch at a time, in either direction, however long the file is.

Lines end at newlines. What is longer than a line can sensibly be is cut into pieces, after a carriage
return where there is one. A stretch begins and ends where a line, or a piece of one, does, so that
stretches join without a gap. Standard library only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 32 << 10
"""Bytes that are read at a time."""

LONGEST = 8 << 10
"""Bytes of the longest piece of a line."""

_LONGEST_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a piece of one, without its newline. ``start`` and ``end`` are bytes of the file."""

    start: int
    end: int
    data: bytes

    @property
    def whole(self) -> bool:
        """Whether its newline was there: else it may still grow, or it goes on in the next piece."""
        return self.end - self.start > len(self.data)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring lines. ``size`` is that of the file when they were read."""

    lines: tuple[Line, ...]
    start: int
    end: int
    size: int


def size_of(path: Path) -> int:
    """Return a file's size in bytes; 0 where there is no regular file."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def read_after(path: Path, start: int) -> Stretch:
    """Return the lines from ``start`` on; the last line of the file counts though it may still grow.

    Raises:
        OSError: if the file cannot be read.
    """
    data, size = _read(path, start, BLOCK + _LONGEST_CHARACTER)
    if start + len(data) < size:
        whole = data.rfind(b"\n") + 1
        data = data[: whole or _cut(data, BLOCK)]
    return _stretch(data, start, size)


def read_before(path: Path, end: int) -> Stretch:
    """Return the lines up to ``end``, where a line begins, or the file ends.

    Raises:
        OSError: if the file cannot be read.
    """
    start = max(end - BLOCK, 0)
    data, size = _read(path, start, end - start)
    if start:
        skipped = data.find(b"\n", 0, -1) + 1 or _first_cut(data)
        start, data = start + skipped, data[skipped:]
    return _stretch(data, start, size)


def read_last(path: Path) -> Stretch:
    """Return the last lines of the file.

    Raises:
        OSError: if the file cannot be read.
    """
    return read_before(path, size_of(path))


def _read(path: Path, start: int, length: int) -> tuple[bytes, int]:
    """Return bytes, and the size of the file. What is no regular file is empty: reading it might not end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b"", 0
        return os.pread(descriptor, length, start), status.st_size
    finally:
        os.close(descriptor)


def _stretch(data: bytes, start: int, size: int) -> Stretch:
    return Stretch(tuple(_lines(data, start)), start, start + len(data), size)


def _lines(data: bytes, start: int) -> Iterator[Line]:
    for line in _split(data):
        rest = line
        while len(rest) > LONGEST:
            cut = _cut(rest, LONGEST)
            yield Line(start, start + cut, rest[:cut])
            start, rest = start + cut, rest[cut:]
        yield Line(start, start + len(rest), rest.removesuffix(b"\n"))
        start += len(rest)


def _split(data: bytes) -> Iterator[bytes]:
    """Split after newlines only."""
    lines = data.split(b"\n")
    yield from (line + b"\n" for line in lines[:-1])
    if lines[-1]:
        yield lines[-1]


def _cut(data: bytes, most: int) -> int:
    """Return where to cut a line that is too long: after a carriage return, or between characters."""
    after_return = data.rfind(b"\r", 0, most) + 1
    if after_return:
        return after_return
    cut = most
    while cut > most - _LONGEST_CHARACTER and cut < len(data) and data[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _first_cut(data: bytes) -> int:
    """Return where the first piece begins in what was cut out of a long line."""
    after_return = data.find(b"\r", 0, LONGEST) + 1
    if after_return:
        return after_return
    return next((at for at in range(_LONGEST_CHARACTER) if data[at : at + 1] and data[at] & 0xC0 != 0x80), 0)
