"""What crosses the tracker's API for runs: plain frozen records. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.events import JsonValue


class Origin(StrEnum):
    """Where a run's figures come from. Only measured ones are this program's own."""

    MEASURED = "measured"
    IMPORTED = "imported"
    PAPER = "paper"


STATUSES = (
    *("queued", "starting", "running", "paused", "cancelling"),
    *("succeeded", "failed", "killed", "lost", "skipped"),
    *("reported", "in progress", "planned"),
)
"""What a run's status can be: a job's states, and then those of claims."""

HEADLINES = ("f1", "accuracy", "harmful f1", "loss")
"""The results shown in lists, the most telling first; where a run has none of them, its first by name."""


@dataclass(frozen=True, slots=True)
class Result:
    """A figure that a run ended with.

    ``low`` and ``high`` bound its 95 % interval over ``n`` items; None where they are not known.
    """

    name: str
    value: float
    n: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something a run made; ``path`` is relative to its folder where it lies in it."""

    path: str
    role: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a run was made from: ``role`` is data, model, policy or run, the last with ``parent_id``."""

    role: str
    name: str
    sha256: str | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where and with what code a run ran. Fields are None or empty where that is not known."""

    host: str | None = None
    git_revision: str | None = None
    git_dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be recorded. ``status`` is a job's state, or for claims: reported, in progress, planned."""

    name: str
    kind: str
    status: str
    origin: Origin = Origin.MEASURED
    experiment: str | None = None
    params: Mapping[str, JsonValue] = field(default_factory=dict)
    results: Sequence[Result] = ()
    lineage: Sequence[Lineage] = ()
    tags: Sequence[str] = ()
    provenance: Provenance = Provenance()
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cost_usd: float | None = None
    summary: Mapping[str, JsonValue] = field(default_factory=dict)
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs. Times are in UTC.

    ``headline`` is its most telling result, in a list sorted by a result that one.
    """

    id: int
    name: str
    kind: str
    origin: Origin
    status: str
    experiment: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cost_usd: float | None
    tags: tuple[str, ...]
    headline: Result | None

    @property
    def seconds(self) -> float | None:
        """How long it ran; None before it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Run:
    """A run in full, but for its curves.

    ``children`` are the runs made from it, ``outcome`` is what it said of itself at its end.
    """

    summary: RunSummary
    params: Mapping[str, JsonValue]
    results: tuple[Result, ...]
    artifacts: tuple[Artifact, ...]
    lineage: tuple[Lineage, ...]
    children: tuple[int, ...]
    metrics: tuple[str, ...]
    provenance: Provenance
    outcome: Mapping[str, JsonValue]
    source: str
    note: str
    experiment_note: str

    @property
    def told_besides(self) -> dict[str, JsonValue]:
        """Its outcome, but for the figures that are among its results."""
        results = {result.name for result in self.results}
        return {name: value for name, value in self.outcome.items() if name not in results}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Neighbouring points of a curve as one: ``step`` is the last of them, ``count`` how many they are.

    The first and the last bucket of a curve are its first and its last point.
    ``low``, ``high`` and ``mean`` are over those that are numbers, None if there is none.
    """

    step: int
    low: float | None
    high: float | None
    mean: float | None
    count: int


class Sort(StrEnum):
    """What a list of runs can be sorted by, besides the name of a result."""

    ID = "id"
    NAME = "name"
    KIND = "kind"
    STATUS = "status"
    STARTED = "started"
    COST = "cost"


Cursor = tuple[str | int | float, int]
"""Where a run stands in a sorted list: the value it is sorted by, and its id."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, in which order.

    Each word of ``words`` must be in the name, kind, experiment or a tag, whatever the case. A run must have
    all ``tags``, and ``experiment`` somewhere in that name. In these and in ``kind`` a blank is the same as a
    hyphen. ``sort`` is a `Sort` value or ``result:NAME``; equal runs follow in the order of their ids.
    """

    words: tuple[str, ...] = ()
    kind: str | None = None
    status: str | None = None
    origin: Origin | None = None
    experiment: str | None = None
    tags: tuple[str, ...] = ()
    sort: str = Sort.ID
    descending: bool = True

    @classmethod
    def parse(cls, text: str, *, sort: str = Sort.ID, descending: bool = True) -> RunQuery:
        """Read what a person types: words, and ``kind:``, ``status:``, ``origin:``, ``exp:``, ``tag:``.

        A hyphen stands for a blank: ``status:in-progress``. ``tag:`` may be there several times; of the
        others the last counts.
        """
        named: dict[str, str] = {}
        words, tags = [], []
        for word in text.split():
            name, colon, value = word.partition(":")
            if colon and value and name == "tag":
                tags.append(value)
            elif colon and value and name in ("kind", "status", "origin", "exp"):
                named[name] = value
            else:
                words.append(word.casefold())
        origin = named.get("origin")
        if origin is not None and origin not in list(Origin):
            words.append(f"origin:{origin}")
            origin = None
        return cls(
            tuple(words),
            named.get("kind"),
            named["status"].replace("-", " ") if "status" in named else None,
            Origin(origin) if origin else None,
            named.get("exp"),
            tuple(tags),
            sort,
            descending,
        )
