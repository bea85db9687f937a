"""The contract between guards and the things that write text.

A model turns one `ChatRequest` or `CompletionRequest` into a stream of chunks. Back ends differ in what
they can say (only some separate reasoning from the answer, only some give log-probabilities); the chunk
types say what there is, and nothing is made up where there is nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from engine.cases import Usage


class Effort(StrEnum):
    """How long a reasoning model thinks. Back ends without the notion ignore it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One instruction and one content, to be answered greedily unless ``temperature`` says otherwise.

    ``system`` holds the policy and comes first, so that a back end can keep its prefix; "" sends none.
    ``user`` holds what is judged. ``max_tokens`` bounds reasoning and answer together. ``top_logprobs``:
    alternatives asked for per answer token, 0 for none.
    """

    system: str
    user: str
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0
    effort: Effort = Effort.MEDIUM
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A text to be carried on as it is, without a chat template, greedily unless told otherwise.

    The back end's tokenizer puts its beginning-of-text token before it, where it has one. The prompt is
    ``prefix + rest``: ``prefix`` is what many requests share, so that a back end can keep it; it may be
    "". ``top_logprobs``: alternatives asked for per token, 0 for none.
    """

    prefix: str
    rest: str
    max_tokens: int = 2048
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    top_logprobs: int = 0

    @property
    def prompt(self) -> str:
        return self.prefix + self.rest


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One sampled token with its natural log-probability and the alternatives at its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """More of the model's thinking, where the back end keeps it apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerChunk:
    """More of the answer. ``logprobs`` is empty where the back end gives none."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


class FinishReason(StrEnum):
    """Why a model stopped writing."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class FinishChunk:
    """The last chunk of every complete answer. A stream that ends without one was cut off."""

    reason: FinishReason
    usage: Usage


Chunk = ReasoningChunk | AnswerChunk | FinishChunk


class ModelError(Exception):
    """A back end failed. The message says what happened; ``hint`` says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ModelUnreachable(ModelError):
    """Nothing answered, or the extra that is needed is not installed. Trying later may help."""


class PromptTooLong(ModelError):
    """The request does not fit the model's context. It is never cut silently."""


class ModelTimeout(ModelError):
    """The back end stopped sending."""


class CannotCount(ModelError):
    """The back end has no way to count tokens. Nothing that may pass: asking again is of no use."""


@dataclass(frozen=True, slots=True)
class Reachability:
    """Whether a model can be used now, and if not, why and what to do."""

    ok: bool
    detail: str
    hint: str = ""


class Model(Protocol):
    """Something that writes text, known everywhere by its ``spec`` string.

    ``slots`` is how many requests the back end works on at once (1: send one after the other).
    """

    spec: str
    slots: int

    def chat(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        """Stream the answer.

        Closing the generator stops inference: the HTTP connection is closed, the decode loop ends.

        Raises:
            ModelError: and its subclasses, for everything a back end or a network can do.
        """
        ...

    def complete(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Stream the continuation of a text, as `AnswerChunk`s; in all else like `chat`."""
        ...

    async def check(self) -> Reachability:
        """Ask the back end whether it could answer, within two seconds and without generating."""
        ...

    async def aclose(self) -> None:
        """Close connections and free the model."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A model that can say how long a text is for it. Not every back end can."""

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens of the model's own tokenizer each text has, without loading any weights.

        The plain text is counted: no chat template, no beginning-of-text token. What the text holds of the
        model's markers counts as the back end reads it. An empty text has none.

        Raises:
            CannotCount: where the back end has no way to tell.
            ModelError: and its other subclasses, for everything a back end or a network can do.
        """
        ...
