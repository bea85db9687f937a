"""A model that replays a script: for tests, demonstrations and screenshots, without a model.

The script is a JSON Lines file; each line is one reply (`docs/models.md` shows examples)::

    {"match": "hate speech", "tokens_per_second": 40, "steps": [
        {"reasoning": "The text asks for a recipe."},
        {"answer": "SAFE", "logprobs": [["SAFE", -0.05, {"VIOLATION": -3.1}]]}]}
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.cases import Usage
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    PromptTooLong,
    Reachability,
    ReasoningChunk,
    TokenLogprob,
)
from engine.models.streaming import Patience, paced

_KINDS: dict[str, type[ModelError]] = {
    "error": ModelError,
    "unreachable": ModelUnreachable,
    "timeout": ModelTimeout,
    "too_long": PromptTooLong,
}
_PIECE = re.compile(r"\s*\S+|\s+\Z")


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Match(_Line):
    system: str = ""
    user: str = ""


class _Step(_Line):
    """One step; exactly one of the fields that say what happens is given."""

    reasoning: str | None = None
    answer: str | None = None
    logprobs: list[tuple[str, float] | tuple[str, float, dict[str, float]]] = Field(default_factory=list)
    wait_ms: float | None = Field(default=None, ge=0)
    error: str | None = None
    kind: str = Field(default="error", pattern="^(" + "|".join(_KINDS) + ")$")
    hint: str = ""
    finish: str | None = Field(default=None, pattern="^(stop|length)$")
    cut: bool | None = None


class _Reply(_Line):
    match: str | _Match = ""
    tokens_per_second: float | None = Field(default=None, gt=0)
    steps: list[_Step]

    def fits(self, system: str, user: str) -> bool:
        if isinstance(self.match, _Match):
            return self.match.system in system and self.match.user in user
        return self.match in system or self.match in user


_reply = TypeAdapter(_Reply)


@dataclass(slots=True)
class _Group:
    """The replies that share one matcher, given in turn."""

    replies: list[_Reply]
    given: int = 0

    def next(self) -> _Reply:
        reply = self.replies[self.given % len(self.replies)]
        self.given += 1
        return reply


class FakeModel:
    """Replays the script in ``path``.

    A request gets the first reply of the file whose ``match`` occurs in its system or user text (or
    ``{"system": .., "user": ..}`` in both, or that has none); of a raw completion the prompt is both.
    Replies with the same ``match`` come in turn and begin anew after the last: six lanes that differ in
    their system text never disturb each other. Tokens are words here.

    Raises:
        ModelError: where the script is missing or breaks its format, naming the line.
    """

    def __init__(self, path: Path, *, slots: int = 6, patience: Patience | None = None) -> None:
        self.spec = f"fake:{path}"
        self.slots = slots
        self._patience = patience or Patience()
        self._groups: dict[str, _Group] = {}
        for reply in _read(path):
            self._groups.setdefault(repr(reply.match), _Group([])).replies.append(reply)

    def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        return paced(self._play(request), self._patience, self.spec)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        return paced(self._play(request), self._patience, self.spec)

    async def _play(self, request: ChatRequest | CompletionRequest) -> AsyncGenerator[Chunk, None]:
        if isinstance(request, ChatRequest):
            reply = self._choose(request.system, request.user)
            prompt = len(f"{request.system} {request.user}".split())
        else:
            reply = self._choose(request.prompt, request.prompt)
            prompt = len(request.prompt.split())
        pause = 1 / reply.tokens_per_second if reply.tokens_per_second else 0.0
        written = 0
        for step in reply.steps:
            if step.wait_ms is not None:
                await asyncio.sleep(step.wait_ms / 1000)
            elif step.error is not None:
                raise _KINDS[step.kind](step.error, step.hint)
            elif step.cut:
                return
            elif step.finish is not None:
                yield FinishChunk(FinishReason(step.finish), Usage(prompt, written))
                return
            for chunk in _say(step):
                if written == request.max_tokens:
                    yield FinishChunk(FinishReason.LENGTH, Usage(prompt, written))
                    return
                await asyncio.sleep(pause)
                if isinstance(request, CompletionRequest) and isinstance(chunk, ReasoningChunk):
                    chunk = AnswerChunk(chunk.text)
                yield chunk
                written += 1
        yield FinishChunk(FinishReason.STOP, Usage(prompt, written))

    def _choose(self, system: str, user: str) -> _Reply:
        for group in self._groups.values():
            if group.replies[0].fits(system, user):
                return group.next()
        raise ModelError(f"{self.spec} has no reply to this request", "add a line without `match`")

    async def check(self) -> Reachability:
        return Reachability(True, "a script, not a model")

    async def aclose(self) -> None:
        """Nothing is held."""


def _say(step: _Step) -> list[Chunk]:
    if step.reasoning is not None:
        return [ReasoningChunk(piece) for piece in _PIECE.findall(step.reasoning)]
    if step.answer is None:
        return []
    if not step.logprobs:
        return [AnswerChunk(piece) for piece in _PIECE.findall(step.answer)]
    entries = [
        TokenLogprob(entry[0], entry[1], tuple(entry[2].items()) if len(entry) == 3 else ())
        for entry in step.logprobs
    ]
    return [AnswerChunk(entry.token, (entry,)) for entry in entries]


def _read(path: Path) -> list[_Reply]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the script {path} cannot be read: {error}") from error
    replies = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            reply = _reply.validate_json(line)
        except ValidationError as error:
            raise ModelError(f"{path}, line {number}: {_complaint(error)}") from None
        for step in reply.steps:
            spelled = "".join(entry[0] for entry in step.logprobs)
            if step.logprobs and spelled != step.answer:
                raise ModelError(f"{path}, line {number}: logprobs spell {spelled!r}, not {step.answer!r}")
        replies.append(reply)
    return replies


def _complaint(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}".lstrip(": ")
