"""The columns of the queue, for the room there is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.content import Content

from app.job_figures import took_words
from app.job_words import JobLine, standing, state_words
from app.run_words import cost_words, when_words
from app.safe_text import one_line
from app.widgets.columns import Column

_ROOM_FOR_ALL = 120
_ROOM_FOR_KIND = 100
_BAR, _LONG_BAR = 8, 14
_TEXT = 200
_STANDING, _LONG_STANDING = 37, 53


def job_columns(width: int) -> Sequence[Column[JobLine]]:
    """Return the columns for a table of ``width`` cells: in a narrow one, all that moves shares one."""
    return _WIDE if width >= _ROOM_FOR_ALL else _MIDDLE if width >= _ROOM_FOR_KIND else _NARROW


def _now() -> datetime:
    return datetime.now(UTC)


def _group(line: JobLine) -> Content:
    """Return the group, and the priority where somebody has given one."""
    job = line.job
    priority = f" {job.priority:+d}" if job.priority else ""
    return Content.assemble((one_line(job.group, _TEXT), "$text-muted"), (priority, "bold"))


def _when(line: JobLine) -> Content:
    job = line.job
    return Content.styled(when_words(job.ended_at or job.started_at or job.created_at, _now()), "$text-muted")


_ID: Column[JobLine] = Column("id", "Job", 5, lambda line: str(line.job.id), right=True)
_STATE: Column[JobLine] = Column("state", "State", 12, lambda line: state_words(line.job))
_KIND: Column[JobLine] = Column("kind", "Kind", 8, lambda line: one_line(line.job.kind, _TEXT))
_GROUP: Column[JobLine] = Column("group", "Group", 12, _group, flexible=1)
_STANDS: Column[JobLine] = Column(
    "stands", "How it stands", _STANDING, lambda line: standing(line, _BAR, _now()), flexible=1
)
_STANDS_IN_FULL: Column[JobLine] = Column(
    "stands",
    "How it stands",
    _LONG_STANDING,
    lambda line: standing(line, _LONG_BAR, _now(), roomy=True),
    flexible=2,
)


def _name(line: JobLine) -> str:
    return one_line(line.job.name, _TEXT)


_NARROW = (_ID, _STATE, Column("name", "Name", 14, _name, flexible=1), _STANDS)
_MIDDLE = (_ID, _STATE, Column("name", "Name", 16, _name, flexible=2), _KIND, _STANDS)
_WIDE: tuple[Column[JobLine], ...] = (
    _ID,
    _STATE,
    Column("name", "Name", 20, _name, flexible=2),
    _KIND,
    _STANDS_IN_FULL,
    _GROUP,
    Column("when", "When", 10, _when, drop=2),
    Column("took", "Took", 10, lambda line: took_words(line.job, _now()), right=True, drop=3),
    Column("cost", "Cost", 7, lambda line: cost_words(line.job.cost_usd), right=True, drop=4),
)
