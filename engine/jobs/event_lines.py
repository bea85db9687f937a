"""Reading a job's event file on from where it was left.

What a file says does not depend on when and in which pieces it is read. Each event has a number: its
``seq``, or, where its writer leaves that out, one more than that of the event before. Numbers increase. A
line that is no event of a job, or whose number does not increase, is skipped and counted, never guessed
at.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import msgspec

from engine.events import (
    Artifact,
    Event,
    Failed,
    Finished,
    Heartbeat,
    Input,
    JsonValue,
    Launched,
    Log,
    Progress,
    from_jsonable,
)
from engine.jobs.event_file import GREATEST_INT, LONGEST_LINE

BLOCK = 4 << 20
"""Bytes that are read at a time: more than `LONGEST_LINE`."""

INPUT_ROLES = ("data", "model", "policy")

_LONGEST_NAME = 200
_DEEPEST = 32
_CHECKED = 4096
"""Bytes before a place by which a file is known again."""

_COUNT = msgspec.Meta(ge=0, le=GREATEST_INT)
_INT64 = msgspec.Meta(ge=-GREATEST_INT - 1, le=GREATEST_INT)

_KINDS: dict[str, type[Event]] = {
    "launched": Launched,
    "progress": Progress,
    "log": Log,
    "input": Input,
    "artifact": Artifact,
    "heartbeat": Heartbeat,
    "finished": Finished,
    "failed": Failed,
}


class Point(msgspec.Struct, tag_field="event", tag="metric", forbid_unknown_fields=True, gc=False):
    """A `Metric` as it is read: files hold millions of them. ``seq`` -1: it was left out."""

    name: Annotated[str, msgspec.Meta(max_length=_LONGEST_NAME)]
    value: float
    step: Annotated[int, _INT64]
    seq: Annotated[int, _COUNT] = -1
    at_ms: Annotated[float, _COUNT] = 0.0


_POINTS = msgspec.json.Decoder(Point)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file has been read: up to which byte and which event, and how many lines were skipped.

    ``check`` is a checksum of what stands before.
    """

    offset: int = 0
    seq: int = -1
    skipped: int = 0
    check: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What was read of a file, and the place after it. ``more``: the end was not reached.

    ``anew``: the file is another than it was, and this is its beginning. What was read before is void.
    """

    points: list[Point]
    events: list[Event]
    skipped: int
    place: Place
    anew: bool
    more: bool


def read_on(path: Path, place: Place, *, ended: bool = False) -> Part | None:
    """Read up to `BLOCK` bytes on from a place; return None where nothing is to be read (yet).

    A last line without its end is left for later, unless the writer has ``ended``. A file that was
    replaced or has become shorter is read from its beginning. Where its first event counts on from those
    before, only what had been read already was taken away, and is not void. What is no regular file, or
    cannot be opened, says nothing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return None
        before = os.pread(descriptor, min(_CHECKED, place.offset), max(0, place.offset - _CHECKED))
        anew = zlib.crc32(before) != place.check
        if anew:
            before, start = b"", Place()
        else:
            start = place
        data = os.pread(descriptor, BLOCK, start.offset)
    finally:
        os.close(descriptor)
    at_end = start.offset + len(data) >= about.st_size
    begin, end, taken = _whole_lines(data, in_line=before[-1:] not in (b"", b"\n"), last=ended and at_end)
    if not taken:
        return None
    points, events, skipped, seq = _read_lines(data[begin:end], start.seq)
    skipped += taken > end
    numbers = [point.seq for point in points[:1]] + [event.seq for event in events[:1]]
    if anew and min(numbers, default=-1) > place.seq >= 0:
        anew, start = False, Place(skipped=place.skipped)
    check = zlib.crc32((before + data[max(0, taken - _CHECKED) : taken])[-_CHECKED:])
    after = Place(start.offset + taken, seq, start.skipped + skipped, check)
    return Part(points, events, skipped, after, anew, not at_end)


def _whole_lines(data: bytes, *, in_line: bool, last: bool) -> tuple[int, int, int]:
    """Return where the lines to be read begin and end, and up to where ``data`` is done with.

    ``in_line``: it begins within a line that has been skipped. ``last``: nothing follows it. What is done
    with beyond the lines is the beginning of one that is too long.
    """
    begin = (data.find(b"\n") + 1 or len(data)) if in_line else 0
    if last:
        return begin, len(data), len(data)
    end = max(begin, data.rfind(b"\n") + 1)
    return begin, end, len(data) if len(data) - end > LONGEST_LINE else end


def _read_lines(block: bytes, seq: int) -> tuple[list[Point], list[Event], int, int]:
    """Return what follows event ``seq``: points, other events, how many lines are none, the last number."""
    points: list[Point] = []
    events: list[Event] = []
    skipped = 0
    decode = _POINTS.decode
    for line in block.split(b"\n"):
        event: Point | Event | None
        try:
            event = decode(line)
        except (ValueError, RecursionError):
            if not line.strip() and len(line) <= LONGEST_LINE:
                continue
            event = _event_of(line, seq + 1)
        if isinstance(event, Point):
            if event.seq < 0:
                event.seq = seq + 1
            if seq < event.seq <= GREATEST_INT and len(line) <= LONGEST_LINE:
                seq = event.seq
                points.append(event)
                continue
        elif event is not None and event.seq > seq:
            seq = event.seq
            events.append(event)
            continue
        skipped += 1
    return points, events, skipped, seq


def _event_of(line: bytes, following: int) -> Point | Event | None:
    """Return what a line says, None if it is no event of a job. Its number may be left out."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        said: Any = json.loads(line.decode())
        if said["event"] == "metric":
            # Strict JSON has no NaN and no lone surrogates; Python writes them.
            return msgspec.convert(said, Point)
        kind = _KINDS[said.pop("event")]
        event: Event = from_jsonable(kind, {"seq": following, **said})
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return event if _fits(event) else None


def _fits(event: Event) -> bool:
    """Whether the database can hold it: numbers are counts, and milliseconds."""
    if isinstance(event, Input) and event.role not in INPUT_ROLES:
        return False
    if isinstance(event, Finished) and not _is_shallow(event.summary, _DEEPEST):
        return False
    values = (getattr(event, field.name) for field in fields(event))
    return all(0 <= value <= GREATEST_INT for value in values if isinstance(value, int | float))


def _is_shallow(value: JsonValue, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    items = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)
