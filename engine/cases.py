"""The vocabulary of the whole program: what is judged, and what a judgement is.

Standard library only: every face and every process of the program imports this module.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

SPARSE = {"sparse": True}
"""Metadata of a field that the JSON form leaves out where it holds nothing."""


class Decision(StrEnum):
    """What to do with a case."""

    ALLOW = "allow"
    BLOCK = "block"
    ESCALATE = "escalate"


class Status(StrEnum):
    """How the judging went. Anything but ``OK`` means that no complete judgement was reached."""

    OK = "ok"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    ERROR = "error"


class Harm(StrEnum):
    """Label of a request or of a response."""

    HARMFUL = "harmful"
    UNHARMFUL = "unharmful"


class Completion(StrEnum):
    """Label of what a response does with its request."""

    REFUSAL = "refusal"
    COMPLIANCE = "compliance"


class Task(StrEnum):
    """What a GuardReasoner model is asked of a case (arXiv 2501.18492, section 3), in its order."""

    REQUEST = "request"
    COMPLETION = "completion"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Case:
    """A user's request and, optionally, an assistant's response to it."""

    prompt: str
    response: str | None = None

    @property
    def key(self) -> str:
        """SHA-256 of the content, in hexadecimal: equal cases have equal keys."""
        content = json.dumps([self.prompt, self.response]).encode("ascii")
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of the three tasks. None: the guard does not say."""

    request: Harm | None = None
    completion: Completion | None = None
    response: Harm | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by a model. Zero for guards without one.

    ``cached_tokens`` are those of the prompt that the back end had kept from an earlier one and did not
    compute again; 0 also where it does not say.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one policy says of a case.

    ``violation`` is None where the policy reached no yes or no. ``score`` is in [0, 1], or None where
    the guard has no evidence to compute one from. ``latency_ms`` is wall time in milliseconds.
    """

    policy: str
    violation: bool | None
    score: float | None = None
    status: Status = Status.OK
    reasoning: str = ""
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskFinding:
    """What a guard that does the three tasks says of one of them.

    ``label`` is a `Harm` or `Completion` value; None where the case does not define the task, or where
    the guard gave no label, which ``status`` tells apart: it is ``OK`` only for the former. ``score`` is
    the probability, in [0, 1], of the task's positive class (harmful, refusal), or None where the guard has
    no evidence to compute one from.
    """

    task: Task
    label: str | None
    score: float | None = None
    status: Status = Status.OK
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a case: ``policies`` or ``tasks`` say what it rests on.

    ``score`` is the highest policy score, or that of the task that decides, in [0, 1], or None.
    ``latency_ms`` is wall time in milliseconds.

    Raises:
        ValueError: on an ``ALLOW`` that is not backed by a clean judgement of every policy and task, or
            where the task that decides (the response's, else the request's) is not found unharmful. A
            failure is never "safe", whatever code built the verdict.
    """

    decision: Decision
    guard: str
    status: Status = Status.OK
    labels: Labels = Labels()
    score: float | None = None
    policies: tuple[Finding, ...] = ()
    tasks: tuple[TaskFinding, ...] = field(default=(), metadata=SPARSE)
    model: str | None = None
    usage: Usage = Usage()
    latency_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.decision is not Decision.ALLOW:
            return
        clean = self.status is Status.OK
        for finding in self.policies:
            clean = clean and finding.violation is False and finding.status is Status.OK
        for task in self.tasks:
            clean = clean and task.status is Status.OK
        if self.tasks:
            labels = {task.task: task.label for task in self.tasks}
            clean = clean and (labels.get(Task.RESPONSE) or labels.get(Task.REQUEST)) == Harm.UNHARMFUL
        if not clean:
            raise ValueError("a verdict may allow only what all judged, and none found violating")
