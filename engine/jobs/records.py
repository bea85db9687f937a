"""What crosses the queue's API: plain frozen records. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.events import JsonValue
from engine.jobs.states import JobState

DEFAULT_GROUP = "default"


class JobError(ValueError):
    """What was asked of the queue cannot be done. ``hint`` says what can; ``str`` gives both."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(" ".join(part for part in (message, hint) if part))
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to be queued. ``params`` are the kind's; an empty ``name`` is made from them.

    ``needs`` are jobs that must have succeeded before it starts. ``priority``: the higher, the earlier.
    ``accelerators``: how many it needs to itself. ``cwd`` is the folder that it works in.
    """

    kind: str
    params: Mapping[str, JsonValue]
    cwd: str
    name: str = ""
    experiment: str | None = None
    group: str = DEFAULT_GROUP
    priority: int = 0
    accelerators: int = 0
    needs: Sequence[int] = ()
    tags: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A line of the queue.

    ``done`` of ``total`` units are done, ``rate`` is in units a second; None: not known. ``cancel`` is what
    was asked for, "keep" or "discard" the checkpoint. ``reason`` says why it waits, or was skipped.
    ``skipped_lines`` counts lines of its event file that were no events. Times are in UTC.
    """

    id: int
    name: str
    kind: str
    state: JobState
    experiment: str | None
    group: str
    priority: int
    accelerators: int
    attempt: int
    needs: tuple[int, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    phase: str
    done: int | None
    total: int | None
    unit: str
    rate: float | None
    cost_usd: float | None
    cancel: str | None
    reason: str
    skipped_lines: int
    retry_of: int | None

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None where that is not known."""
        if self.done is None or not self.total:
            return None
        return min(self.done / self.total, 1.0)

    @property
    def eta_s(self) -> float | None:
        """Seconds that are left at the present rate; None where that is not known."""
        if self.done is None or self.total is None or not self.rate or self.state.over:
            return None
        return max(self.total - self.done, 0) / self.rate

    @property
    def outcome(self) -> str:
        """The state in a word or two: with exit code or signal, and whether it was cancelled."""
        return self.state.describe(cancelled=self.cancel is not None)


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs of which only ``at_once`` may run at a time. 0 holds the group."""

    name: str
    at_once: int
    queued: int = 0
    active: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a job before it starts. ``seconds`` None: there is nothing to tell it by."""

    work: str
    seconds: float | None = None
    usd: float | None = None
    basis: str = ""
    warnings: Sequence[str] = field(default_factory=tuple)
