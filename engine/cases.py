"""The vocabulary of the whole program: what is judged, and what a judgement is.

Standard library only: every face and every process of the program imports this module.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum


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
    """The three GuardReasoner tasks (arXiv 2501.18492, section 3). None: the guard does not say."""

    request: Harm | None = None
    completion: Completion | None = None
    response: Harm | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by a model. Zero for guards without one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
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
class Verdict:
    """The judgement of a case.

    ``score`` is the highest policy score, in [0, 1], or None. ``latency_ms`` is wall time in milliseconds.

    Raises:
        ValueError: on an ``ALLOW`` that is not backed by a clean judgement of every policy. A failure
            is never "safe", whatever code built the verdict.
    """

    decision: Decision
    guard: str
    status: Status = Status.OK
    labels: Labels = Labels()
    score: float | None = None
    policies: tuple[Finding, ...] = ()
    model: str | None = None
    usage: Usage = Usage()
    latency_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.decision is not Decision.ALLOW:
            return
        clean = self.status is Status.OK
        for finding in self.policies:
            clean = clean and finding.violation is False and finding.status is Status.OK
        if not clean:
            raise ValueError("a verdict may allow only what every policy judged, and none found violating")
