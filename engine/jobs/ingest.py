"""Taking a job's event file into the tracker, as often as one likes, by as many processes as like.

The tracker remembers up to which place a file has been taken in. Rows are inserted and the place is moved
on in one transaction, by whoever finds the place where it was when the file was read, so that a process
killed at any moment leaves either nothing or the whole. Imports SQLModel.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlmodel import col

from engine.events import Artifact, Event, Finished, Heartbeat, Input, JsonValue, Launched, Progress, encode
from engine.jobs.event_file import GREATEST_INT
from engine.jobs.event_lines import INPUT_ROLES, Part, Place, Point, read_on
from engine.tracker.database import Database
from engine.tracker.encoding import store_text
from engine.tracker.run_records import Lineage, Result
from engine.tracker.run_tables import (
    ArtifactRow,
    JobRow,
    LineageRow,
    MetricRow,
    ResultRow,
    RunEventRow,
    RunRow,
)
from engine.tracker.run_writing import insert_lineage, insert_results

_INSERT_POINTS = "INSERT INTO metric (run_id, name_id, step, seq, at_ms, value) VALUES "
_POINTS_AT_ONCE = 100
"""Points that one statement inserts: that takes half the time of a statement each."""

_RATE_SPAN_MS = 10_000.0
"""The rate of progress is that of about this time."""

_SINCE_1970_MS = 1e11
"""What lies between progress that does not say when and the first that was given a time is no duration."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one call has taken in: new events, and lines that were skipped."""

    events: int = 0
    skipped: int = 0


def ingest(database: Database, path: Path, run_id: int, *, ended: bool = False) -> Taken:
    """Take in what was appended to the event file, a part at a time, until nothing is left.

    ``ended``: nobody writes any more, so that a last line without its end is read as it is.

    Raises:
        TrackerError: if the tracker cannot be read or written. What was taken in before is kept, and the
            next call goes on from there.
    """
    events = skipped = 0
    more = True
    while more:
        with database.reading() as connection:
            place = _place(connection, run_id)
        part = None if place is None else read_on(path, place, ended=ended)
        if part is None:
            break
        with database.writing() as connection:
            if _place(connection, run_id) != place:
                continue  # another process was first
            _store(connection, run_id, part)
        events += len(part.points) + len(part.events)
        skipped += part.skipped
        more = part.more
    return Taken(events, skipped)


_PLACE = select(
    col(JobRow.events_offset), col(JobRow.events_seq), col(JobRow.events_skipped), col(JobRow.events_check)
).where(col(JobRow.run_id) == bindparam("run"))


def _place(connection: Connection, run_id: int) -> Place | None:
    row = connection.execute(_PLACE, {"run": run_id}).one_or_none()
    return None if row is None else Place(*row)


def _store(connection: Connection, run_id: int, part: Part) -> None:
    if part.anew:
        forget(connection, run_id)
    _insert_points(connection, run_id, part.points)
    _insert_events(connection, run_id, part.events)
    pace = _Pace(*connection.execute(_PACE, {"run": run_id}).one())
    for event in _timed(part.events):
        pace.heed(event)
    place = {
        "events_offset": part.place.offset,
        "events_seq": part.place.seq,
        "events_skipped": part.place.skipped,
        "events_check": part.place.check,
    }
    changed = update(JobRow).where(col(JobRow.run_id) == run_id)
    connection.execute(changed.values(**place, **asdict(pace)))


def forget(connection: Connection, run_id: int) -> None:
    """Remove what was taken in of an event file that is, or is to be, another: it is read from its start."""
    for table in (MetricRow, RunEventRow, ArtifactRow):
        connection.execute(delete(table).where(col(table.run_id) == run_id))
    inputs = (col(LineageRow.run_id) == run_id, col(LineageRow.role).in_(INPUT_ROLES))
    connection.execute(delete(LineageRow).where(*inputs))
    _forget_end(connection, run_id)
    connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(cost_usd=None))
    forget_progress(connection, run_id)
    place = {"events_offset": 0, "events_seq": -1, "events_skipped": 0, "events_check": 0}
    connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(**place))


def forget_progress(connection: Connection, run_id: int) -> None:
    """Remove how far the work was."""
    connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(**asdict(_Pace())))


def _forget_end(connection: Connection, run_id: int) -> None:
    """Remove what an earlier process of the job said of itself at its end."""
    connection.execute(delete(ResultRow).where(col(ResultRow.run_id) == run_id))
    connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(summary="{}"))


# --- curves ------------------------------------------------------------------------------------------


def _insert_points(connection: Connection, run_id: int, points: Sequence[Point]) -> None:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.name, []).append(point)
    ids = {name: _name_id(raw, name) for name in curves}
    # Curve after curve, as the table has them: each row then goes next to the one before.
    ordered = list(chain.from_iterable(curves.values()))
    for start in range(0, len(ordered), _POINTS_AT_ONCE):
        some = ordered[start : start + _POINTS_AT_ONCE]
        values = [
            value
            for point in some
            for value in (run_id, ids[point.name], point.step, point.seq, point.at_ms, point.value)
        ]
        raw.execute(_INSERT_POINTS + ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some)), values)


def _name_id(raw: sqlite3.Connection, name: str) -> int:
    stored = (store_text(name),)
    raw.execute("INSERT INTO metric_name (name) VALUES (?) ON CONFLICT DO NOTHING", stored)
    number: int = raw.execute("SELECT id FROM metric_name WHERE name = ?", stored).fetchone()[0]
    return number


# --- all other events --------------------------------------------------------------------------------


def _insert_events(connection: Connection, run_id: int, events: Sequence[Event]) -> None:
    """Keep the events, but for those that the next supersedes, and what they say of the run."""
    kept = [event for event in events if not isinstance(event, Progress | Heartbeat)]
    if kept:
        rows = [(run_id, event.seq, event.at_ms, encode(event)) for event in kept]
        connection.exec_driver_sql("INSERT INTO run_event VALUES (?, ?, ?, ?)", rows)
    for event in kept:
        match event:
            case Launched():
                _forget_end(connection, run_id)
            case Artifact():
                values = {"role": event.role, "sha256": event.sha256}
                made = insert_or(ArtifactRow).values(run_id=run_id, path=event.path, **values)
                connection.execute(made.on_conflict_do_update(set_=values))
            case Input():
                insert_lineage(connection, run_id, [Lineage(event.role, event.name, event.sha256)])
            case Finished():
                _finish(connection, run_id, event.summary)


def _finish(connection: Connection, run_id: int, summary: dict[str, JsonValue]) -> None:
    """Keep what the work says of itself at its end; figures become results, and ``cost_usd`` its cost."""
    changes: dict[str, Any] = {"summary": json.dumps(summary)}
    cost = _number(summary.get("cost_usd"))
    if cost is not None:
        changes["cost_usd"] = cost
    connection.execute(update(RunRow).where(col(RunRow.id) == run_id).values(**changes))
    insert_results(connection, run_id, _figures(summary))


def _figures(summary: dict[str, JsonValue]) -> Iterator[Result]:
    """Yield the summary's figures: numbers, or objects with a value and, perhaps, n, low and high."""
    for name, given in summary.items():
        figure = given if isinstance(given, dict) else {"value": given}
        value, n = _number(figure.get("value")), figure.get("n")
        if value is not None and name != "cost_usd":
            count = n if type(n) is int and 0 <= n <= GREATEST_INT else None
            yield Result(name, value, count, _number(figure.get("low")), _number(figure.get("high")))


def _number(value: JsonValue) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


# --- progress ----------------------------------------------------------------------------------------


def _timed(events: Sequence[Event]) -> Iterator[Event]:
    """Yield events, but of progress that does not say when it was made only the last: that is news of now."""
    untimed = [event for event in events if isinstance(event, Progress) and event.done and not event.at_ms]
    for event in events:
        if untimed and event is untimed[-1]:
            yield dataclasses.replace(event, at_ms=time.time() * 1000)
        elif not (isinstance(event, Progress) and event.done and not event.at_ms):
            yield event


@dataclass(slots=True)
class _Pace:
    """How far the work is, and how fast it goes: columns of the job's row."""

    done: int | None = None
    total: int | None = None
    unit: str = ""
    phase: str = ""
    rate: float | None = None
    progressed_at_ms: float | None = None

    def heed(self, event: Event) -> None:
        """Follow an event. The rate begins anew with each process of the job, and with each phase."""
        if isinstance(event, Launched):
            self.rate = self.progressed_at_ms = None
        elif isinstance(event, Progress):
            if (event.phase, event.unit) != (self.phase, self.unit):
                self.rate = self.progressed_at_ms = None
            self._measure(event)
            self.done, self.total = event.done, event.total
            self.unit, self.phase = event.unit, event.phase
            self.progressed_at_ms = event.at_ms

    def _measure(self, event: Progress) -> None:
        if self.done is None or self.progressed_at_ms is None:
            return
        passed, done = event.at_ms - self.progressed_at_ms, event.done - self.done
        if passed <= 0 or done < 0 or passed > _SINCE_1970_MS:
            return
        now = done * 1000 / passed
        weight = 1.0 if self.rate is None else 1 - math.exp(-passed / _RATE_SPAN_MS)
        rate = weight * now + (1 - weight) * (self.rate or 0.0)
        self.rate = rate if math.isfinite(rate) else None


_PACE = select(
    col(JobRow.done),
    col(JobRow.total),
    col(JobRow.unit),
    col(JobRow.phase),
    col(JobRow.rate),
    col(JobRow.progressed_at_ms),
).where(col(JobRow.run_id) == bindparam("run"))
