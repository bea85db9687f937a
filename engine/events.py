"""Everything that happens while a guard judges or a job works, as typed events.

The terminal interface, ``--events``, the tracker and the tests consume this one stream. Every event
has ``seq``, which counts from 0 within its stream without gaps, and ``at_ms``, the milliseconds since
the stream began. The JSON form is one object with the class's tag under ``"event"``; `decode` is the
exact inverse of `encode`, for any text a model can produce, lone surrogates included.

Standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Union

from engine.cases import Finding, Status, TaskFinding, Usage, Verdict

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events share."""

    seq: int
    at_ms: float = 0.0


# --- a guard judging one case -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """The exact policy text a verdict came from: its name and the SHA-256 of what was applied."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The first event. ``settings`` holds what else decides the outcome (level, thresholds, seed)."""

    guard: str
    model: str | None
    case_key: str
    policies: tuple[PolicyRef, ...] = ()
    settings: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something the user should know about how the case was judged, such as neutralised markers."""

    message: str
    lane: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStarted(Event):
    """A lane (a policy, or a task) has been sent to the model: its clock runs from here."""

    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta(Event):
    """More of a model's reasoning in one lane."""

    lane: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDelta(Event):
    """More of a model's final answer in one lane."""

    lane: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of the judged text: ``part`` is "prompt" or "response", offsets are in code points."""

    part: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing a reasoning step found. ``effect`` is its weight: positive raises the confidence."""

    signal: str
    says: str
    effect: float
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """One visible step of reasoning: what it looked for, what it found, how that moved the confidence."""

    lane: str
    step: int
    title: str
    looked_for: str
    found: tuple[Evidence, ...] = ()
    before: float = 0.0
    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelParsed(Event):
    """A task's label as it stands: a later one for the same task takes its place.

    ``task`` is a `Task` value. ``label`` is a `Harm` or `Completion` value, or "none" where a model states
    that the task does not apply. None takes an earlier label back: the model begins its answers anew, or
    states what is no label.
    """

    task: str
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A model has begun a step of its reasoning; the deltas that follow in this lane are its text.

    ``step`` is the number that the model gave it; None where it gave none, as for a conclusion.
    """

    lane: str
    step: int | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatFault(Event):
    """A model's output departs from the format asked for.

    ``text`` is the span at fault, ``start`` and ``end`` are its place in the whole output, in code
    points; where something is missing the span is empty, at the place where that was known.
    """

    message: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFinished(Event):
    """The whole text that a model wrote for a case, exactly as it came."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFinished(Event):
    """One task has its final label, or is known to have none."""

    finding: TaskFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFinished(Event):
    """One policy has been judged."""

    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported(Event):
    """Tokens that one lane has used."""

    lane: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReached(Event):
    """The last event of every judgement, however badly it went."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """The work could not be carried on. In a job's stream this is the last event.

    ``unreachable`` tells a back end that may answer later from work that cannot succeed. ``kept`` says
    what of the work is left, ``hint`` what to do.
    """

    message: str
    status: Status = Status.ERROR
    unreachable: bool = False
    kept: str = ""
    hint: str = ""


# --- a job's worker ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched(Event):
    """A worker process has begun. ``pid`` is for people to read, never to find the process by."""

    kind: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """``done`` of ``total`` units (None: not known) in the named phase."""

    done: int
    total: int | None = None
    unit: str = "cases"
    phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Event):
    """One point of a curve."""

    name: str
    value: float
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Event):
    """A line for people."""

    message: str
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Event):
    """Something the work is made from. ``role`` is "data", "model" or "policy"."""

    role: str
    name: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Event):
    """A file or folder that the job made."""

    path: str
    sha256: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Event):
    """The worker is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The worker's last event when its work is done."""

    summary: dict[str, JsonValue] = field(default_factory=dict)


# --- JSON codec ----------------------------------------------------------------------------------

_TAGS: dict[str, type[Event]] = {
    "started": Started,
    "notice": Notice,
    "lane_started": LaneStarted,
    "reasoning_delta": ReasoningDelta,
    "answer_delta": AnswerDelta,
    "step_finished": StepFinished,
    "step_started": StepStarted,
    "label_parsed": LabelParsed,
    "format_fault": FormatFault,
    "output_finished": OutputFinished,
    "task_finished": TaskFinished,
    "policy_finished": PolicyFinished,
    "usage": UsageReported,
    "verdict": VerdictReached,
    "failed": Failed,
    "launched": Launched,
    "progress": Progress,
    "metric": Metric,
    "log": Log,
    "input": Input,
    "artifact": Artifact,
    "heartbeat": Heartbeat,
    "finished": Finished,
}
_TAG_OF = {event_type: tag for tag, event_type in _TAGS.items()}

_COMPACT = json.JSONEncoder(separators=(",", ":"))
_SCALARS = frozenset({str, int, float, bool, type(None)})

EVENT_TYPES: tuple[type[Event], ...] = tuple(_TAGS.values())


class EventDecodeError(ValueError):
    """A line that is not the JSON form of an event."""


def encode(event: Event) -> str:
    """Return the event as one line of ASCII JSON."""
    return _COMPACT.encode({"event": _TAG_OF[type(event)], **to_jsonable(event)})


def decode(line: str | bytes) -> Event:
    """Return the event that `encode` wrote.

    Raises:
        EventDecodeError: if the line is anything else.
    """
    try:
        fields = json.loads(line)
        event_type = _TAGS[fields.pop("event")]
        event = _build(event_type, fields)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise EventDecodeError(f"not an event: {error!r}") from error
    assert isinstance(event, Event)
    return event


def to_jsonable(value: Any) -> Any:
    """Return a dataclass of this vocabulary as plain dictionaries, lists and scalars, in field order."""
    if type(value) in _SCALARS:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {name: getattr(value, name) for name in _hints(type(value))}
        sparse = _sparse(type(value))
        return {name: to_jsonable(member) for name, member in members.items() if member or name not in sparse}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_jsonable(item) for item in value]
    return value


def from_jsonable(kind: type[Any], value: Any) -> Any:
    """Return the dataclass ``kind`` that `to_jsonable` took apart.

    Raises:
        EventDecodeError: if the value does not fit the type.
    """
    try:
        return _build(kind, value)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise EventDecodeError(f"not a {kind.__name__}: {error!r}") from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


@cache
def _sparse(kind: Any) -> frozenset[str]:
    return frozenset(item.name for item in dataclasses.fields(kind) if item.metadata.get("sparse"))


def _build(kind: Any, value: Any) -> Any:
    """Rebuild ``value`` as ``kind``, checking every scalar's type on the way."""
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        (present,) = [option for option in options if option is not type(None)]
        return _build(present, value)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise TypeError(f"expected a list, not {type(value).__name__}")
        return tuple(_build(item, part) for part in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {type(value).__name__}")
        return value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict) or not value.keys() <= hints.keys():
            raise TypeError(f"fields do not fit {kind}")
        return kind(**{name: _build(hints[name], part) for name, part in value.items()})
    if issubclass(kind, Enum):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value
