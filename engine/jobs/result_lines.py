"""A run's file of results: a line that says what they were made with, then a line for each case.

It is read once when an attempt begins, then appended to. A line that was torn when a worker was killed does
not count.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.events import JsonValue
from engine.jobs.event_file import PatientFile
from engine.jobs.worker import WorkFailed

_ROOM_S = 1.0

Form = TypeVar("Form", bound=msgspec.Struct)


class ResultLines:
    """The file at ``path``. ``earlier`` is the lines of results that an earlier attempt has left.

    Raises:
        WorkFailed: if that attempt was made with something else than ``made_with``.
    """

    def __init__(self, path: Path, made_with: Mapping[str, JsonValue]) -> None:
        head, self.earlier = read_lines(path)
        if head is not None and head != made_with:
            changed = [name for name, value in made_with.items() if head.get(name) != value]
            kept = bytes(self.earlier).count(b"\n")
            raise WorkFailed(
                f"This has changed since the first attempt: {', '.join(changed) or 'what it was made with'}. "
                "Its results and new ones do not mix.",
                kept=f"The {kept:,} results so far are kept in {path.name}.",
                hint="Run it anew, as a job of its own.",
            )
        self._file = PatientFile(path)
        if head is None:
            self._file.append(_line(made_with))

    async def keep(self, row: Mapping[str, Any]) -> None:
        """Write a result down. On a full disk this waits for room: no work is done meanwhile."""
        written = self._file.append(_line(row))
        while not written:
            await asyncio.sleep(_ROOM_S)
            written = self._file.append(b"")

    def close(self) -> None:
        self._file.close()


def read_lines(path: Path) -> tuple[dict[str, JsonValue] | None, memoryview]:
    """Return what the file says it was made with, and the lines after that: a view, as they may be many.

    That is its first line, unless the first attempt was killed while it wrote that.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    begin = 0
    while end := content.find(b"\n", begin) + 1:
        with suppress(ValueError, RecursionError):
            told: Any = json.loads(content[begin:end])
            if isinstance(told, dict) and "guard" in told:
                whole = content.rfind(b"\n") + 1  # what follows the last newline is torn
                return told, memoryview(content)[end:whole]
        begin = end
    return None, memoryview(b"")


def decode_lines(lines: memoryview, form: type[Form]) -> list[Form]:
    """Return the lines as msgspec structures; what is no line of this form is left out."""
    try:
        return msgspec.json.Decoder(form).decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a line was torn, or holds half a surrogate pair
        found = []
        for line in bytes(lines).split(b"\n"):
            with suppress(ValueError, RecursionError):
                found.append(msgspec.convert(json.loads(line), form))
        return found


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n"
