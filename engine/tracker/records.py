"""What crosses the tracker's API: plain frozen records. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engine.cases import Case, Decision, Verdict
from engine.events import Event, JsonValue, VerdictReached

STOPPED = "stopped"

DAMAGED = "damaged"


class TrackerError(Exception):
    """The record cannot be read or written.

    ``message`` says what happened, ``kept`` what is left of the data, ``hint`` what to do. ``str`` gives
    all three.
    """

    def __init__(self, message: str, *, kept: str = "", hint: str = "") -> None:
        super().__init__(" ".join(part for part in (message, kept, hint) if part))
        self.message = message
        self.kept = kept
        self.hint = hint


class NoRoom(TrackerError):
    """Nothing can be saved now, as the disk is full. Trying again later goes on."""


class Damaged(TrackerError):
    """The file's content is not that of a whole database."""


class Replaced(TrackerError):
    """Another file has taken the place of the one that was open. Opening again gives the new one."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} was moved away or replaced by another while it was in use.",
            kept="This was not saved.",
            hint="Try again: that opens the one that is there now.",
        )


class UnknownRun(TrackerError):
    """There are no runs by these ids."""

    def __init__(self, *run_ids: int) -> None:
        super().__init__(
            f"There is no run {', '.join(map(str, run_ids))}.",
            kept="Nothing was changed.",
            hint="'wizard101 runs list' shows them.",
        )


class StatementRefused(TrackerError):
    """What was typed is no statement, or not one that is run here."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The statement cannot be run: {why.rstrip('.')}.",
            kept="Nothing was changed.",
            hint="Give one SELECT; 'SELECT name, sql FROM sqlite_master' shows the tables.",
        )


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """One line of the history.

    ``created_at`` is in UTC. ``settings`` are those of the `Started` event. ``excerpt`` is the beginning
    of the prompt, 200 characters at most. ``status`` is a `Status` value, or "stopped" for a judgement
    that was cut off, whose ``decision`` is None. ``score`` is in [0, 1]; ``latency_ms`` is wall time in
    milliseconds. A probe whose row is damaged has the status "damaged", and of all the rest nothing
    but its ``id`` says anything.
    """

    id: int
    created_at: datetime
    source: str
    guard: str
    model: str | None
    settings: Mapping[str, JsonValue]
    excerpt: str
    decision: Decision | None
    status: str
    score: float | None
    latency_ms: float
    case_key: str


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy's exact text at the time of a probe."""

    name: str
    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A judgement in full: replaying ``events`` shows what was seen. ``policies`` is keyed by SHA-256."""

    summary: ProbeSummary
    case: Case
    events: list[Event]
    policies: Mapping[str, PolicyVersion]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, or None if the judgement was stopped."""
        last = self.events[-1]
        return last.verdict if isinstance(last, VerdictReached) else None
