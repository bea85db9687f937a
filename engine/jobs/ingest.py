"""Taking a job's event file into the tracker, as often as one likes, by as many processes as like.

The tracker remembers up to which byte a file has been taken in, and the ``seq`` it has seen. Rows are
inserted and both are advanced in one transaction, so that a process killed at any moment leaves either
nothing or the whole. A line that is no event is skipped and counted, never guessed at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlmodel import col

from engine.events import (
    Artifact,
    Event,
    EventDecodeError,
    Failed,
    Finished,
    Heartbeat,
    Input,
    JsonValue,
    Launched,
    Log,
    Metric,
    Progress,
    decode,
)
from engine.tracker.database import Database
from engine.tracker.run_records import Lineage, Result
from engine.tracker.run_tables import ArtifactRow, JobRow, MetricNameRow, RunRow
from engine.tracker.runs import insert_lineage, insert_results

LONGEST_LINE = 1 << 20
"""Bytes of the longest line that is read; longer ones are skipped."""

_BLOCK = 4 << 20
_NAME_LENGTH = 200
_RATE_MEMORY = 0.7
_INT64 = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
_COUNT = msgspec.Meta(ge=0, le=2**63 - 1)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one call has taken in: new events, lines skipped, and whether the end of the file was reached."""

    events: int = 0
    skipped: int = 0
    complete: bool = True


def ingest(database: Database, path: Path, run_id: int, *, ended: bool = False) -> Taken:
    """Take in what was appended to the event file, a block at a time, until nothing is left.

    ``ended``: nobody writes any more, so that a last line without its end is torn, and skipped.

    Raises:
        TrackerError: if the tracker cannot be written. What was taken in before is kept.
    """
    events = skipped = 0
    while True:
        if not _has_more(database, path, run_id):
            return Taken(events, skipped)
        with database.writing() as connection:
            taken = _take_block(connection, path, run_id, ended)
        events += taken.events
        skipped += taken.skipped
        if taken.complete:
            return Taken(events, skipped)


_OFFSETS = (
    col(JobRow.events_offset),
    col(JobRow.events_seq),
    col(JobRow.events_skipped),
    col(JobRow.events_discarding),
    col(JobRow.done),
    col(JobRow.rate),
    col(JobRow.progressed_at_ms),
)


def _has_more(database: Database, path: Path, run_id: int) -> bool:
    """Look without taking the write lock: most calls find nothing new."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    with database.reading() as connection:
        offset = connection.execute(select(col(JobRow.events_offset)).where(col(JobRow.run_id) == run_id))
        return offset.scalar_one() != size


def _take_block(connection: Connection, path: Path, run_id: int, ended: bool) -> Taken:
    stored = connection.execute(select(*_OFFSETS).where(col(JobRow.run_id) == run_id)).one()
    offset, discarding = stored.events_offset, stored.events_discarding
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if offset > size:
            offset, discarding = 0, False  # it was replaced: what has been seen is known by its seq
        file.seek(offset)
        block = file.read(_BLOCK)
    at_end = offset + len(block) >= size
    whole = block.rfind(b"\n") + 1
    skipped = 0
    if discarding:
        line_end = block.find(b"\n") + 1
        offset += line_end or len(block)
        block, discarding = block[line_end or len(block) :], not line_end
        whole = block.rfind(b"\n") + 1
    if len(block) - whole > LONGEST_LINE or (ended and at_end and whole < len(block)):
        # Longer than any event, or torn: what there is of it is passed over, and it counts once.
        skipped += 1
        discarding = not (ended and at_end)
        rest = len(block)
    else:
        rest = whole
    events, bad = _decoded(block[:whole])
    skipped += bad
    seq = stored.events_seq
    fresh = []
    for event in events:
        number = seq + 1 if event.seq is None else event.seq
        if number > seq:
            seq = number
            fresh.append((number, event))
    changes = _store(connection, run_id, fresh, stored)
    changes |= {
        "events_offset": offset + rest,
        "events_seq": seq,
        "events_skipped": stored.events_skipped + skipped,
        "events_discarding": discarding,
    }
    connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(**changes))
    return Taken(len(fresh), skipped, complete=at_end)


# --- decoding ----------------------------------------------------------------------------------------

_KINDS: dict[str, type[Event]] = {
    "launched": Launched,
    "progress": Progress,
    "metric": Metric,
    "log": Log,
    "input": Input,
    "artifact": Artifact,
    "heartbeat": Heartbeat,
    "finished": Finished,
    "failed": Failed,
}
_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": str | None,
    "int": Annotated[int, _INT64],
    "int | None": Annotated[int, _INT64] | None,
    "float": float,
    "bool": bool,
}


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    """Return a decoder of the job events, made from their dataclasses; ``seq`` may be left out."""
    union: Any = None
    for tag, kind in _KINDS.items():
        members: list[Any] = [("seq", Annotated[int, _COUNT] | None, None)]
        for member in fields(kind):
            if member.name == "seq":
                continue
            kind_of = _TYPES.get(str(member.type), Any)
            optional = member.default is not member.default_factory  # MISSING for both: it is required
            default = (
                msgspec.field(default_factory=dict) if callable(member.default_factory) else member.default
            )
            members.append((member.name, kind_of, default) if optional else (member.name, kind_of))
        struct = msgspec.defstruct(kind.__name__, members, tag_field="event", tag=tag, kw_only=True, gc=False)
        union = struct if union is None else union | struct
    return msgspec.json.Decoder(union)


def _decoded(block: bytes) -> tuple[list[Any], int]:
    """Return the events of whole lines, and how many lines are none."""
    decoder = _decoder()
    try:
        return decoder.decode_lines(block), 0
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    events, bad = [], 0
    for line in block.split(b"\n"):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST_LINE:
                raise EventDecodeError("too long")
            events.append(_decoded_line(decoder, line))
        except (msgspec.MsgspecError, EventDecodeError, UnicodeDecodeError, RecursionError):
            bad += 1
    return events, bad


def _decoded_line(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What this program writes and strict JSON has not: NaN, and lone surrogates.
        event = decode(line)
        if type(event) not in _KINDS.values() or not _fits(event):
            raise EventDecodeError("not a job's event") from None
        return event


def _fits(event: Event) -> bool:
    numbers = (getattr(event, member.name) for member in fields(event))
    return event.seq >= 0 and all(-(2**63) <= number < 2**63 for number in numbers if isinstance(number, int))


# --- storing -----------------------------------------------------------------------------------------

_METRIC = "INSERT OR IGNORE INTO metric VALUES (?, ?, ?, ?, ?, ?)"
_EVENT = "INSERT OR IGNORE INTO run_event VALUES (?, ?, ?, ?)"


def _store(
    connection: Connection, run_id: int, events: Iterable[tuple[int, Any]], stored: Any
) -> dict[str, Any]:
    """Insert the events' rows; return the changes to the job's own row."""
    metrics = []
    others = []
    changes: dict[str, Any] = {}
    names = _MetricNames(connection)
    done, rate, then = stored.done, stored.rate, stored.progressed_at_ms
    for seq, event in events:
        kind = type(event).__name__
        if kind == "Metric":
            value = None if math.isnan(event.value) else event.value
            metrics.append((run_id, names[event.name], event.step, seq, event.at_ms, value))
            continue
        if kind == "Heartbeat":
            continue
        if kind == "Progress":
            if then is not None and event.at_ms > then and event.done >= done:
                now = (event.done - done) * 1000 / (event.at_ms - then)
                rate = now if rate is None else _RATE_MEMORY * rate + (1 - _RATE_MEMORY) * now
            done, then = event.done, event.at_ms
            changes |= {"done": done, "total": event.total, "unit": event.unit, "phase": event.phase}
            changes |= {"rate": rate, "progressed_at_ms": then}
            continue
        others.append((run_id, seq, event.at_ms, json.dumps(_body(kind, event))))
        if kind == "Artifact":
            values = {"role": event.role, "sha256": event.sha256}
            made = insert_or(ArtifactRow).values(run_id=run_id, path=event.path, **values)
            connection.execute(made.on_conflict_do_update(set_=values))
        elif kind == "Input":
            insert_lineage(connection, run_id, [Lineage(event.role, event.name, event.sha256)])
        elif kind == "Finished" and isinstance(event.summary, dict):
            _finish(connection, run_id, event.summary)
    if metrics:
        connection.exec_driver_sql(_METRIC, metrics)
    if others:
        connection.exec_driver_sql(_EVENT, others)
    return changes


def _body(kind: str, event: Any) -> dict[str, JsonValue]:
    names = [name for name in _members(kind) if name not in ("seq", "at_ms")]
    tag = next(tag for tag, known in _KINDS.items() if known.__name__ == kind)
    return {"event": tag, **{name: getattr(event, name) for name in names}}


@cache
def _members(kind: str) -> tuple[str, ...]:
    (known,) = [known for known in _KINDS.values() if known.__name__ == kind]
    return tuple(member.name for member in fields(known))


class _MetricNames(dict[str, int]):
    """Ids of metric names; those that are new are inserted."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, name: str) -> int:
        shown = name[:_NAME_LENGTH]
        new = insert_or(MetricNameRow).values(name=shown).on_conflict_do_nothing()
        self._connection.execute(new)
        found = select(col(MetricNameRow.id)).where(col(MetricNameRow.name) == shown)
        self[name] = number = self._connection.execute(found).scalar_one()  # type: ignore[assignment]
        return number  # type: ignore[return-value]


def _finish(connection: Connection, run_id: int, summary: dict[str, JsonValue]) -> None:
    """Keep what the work says of itself at its end; figures become results, and ``cost_usd`` its cost."""
    changes: dict[str, Any] = {"summary": json.dumps(summary)}
    cost = summary.get("cost_usd")
    if isinstance(cost, int | float) and math.isfinite(cost):
        changes["cost_usd"] = cost
    connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(**changes))
    insert_results(connection, run_id, _figures(summary))


def _figures(summary: dict[str, JsonValue]) -> Iterator[Result]:
    """Yield the summary's figures: numbers, or objects with a value and, perhaps, n, low and high."""
    for name, given in summary.items():
        figure = given if isinstance(given, dict) else {"value": given}
        value, n = figure.get("value"), figure.get("n")
        if name == "cost_usd" or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        ends = (figure.get("low"), figure.get("high"))
        low, high = (float(end) if isinstance(end, int | float) else None for end in ends)
        yield Result(name, float(value), n if isinstance(n, int) else None, low, high)
