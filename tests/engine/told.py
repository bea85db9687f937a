"""A model that does exactly as told, and what judgements by it look like."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from engine.cases import Case, Finding, Usage, Verdict
from engine.events import Event, VerdictReached
from engine.guards.gauntlet import Gauntlet
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    Reachability,
    ReasoningChunk,
    TokenLogprob,
)
from engine.policies.load import Policy

NAMES = ("harassment", "hate", "illegal", "minors", "self_harm", "violence")
POLICIES = tuple(Policy(name, f"The policy on {name}.", name.encode().hex(), Path()) for name in NAMES)
DONE = FinishChunk(FinishReason.STOP, Usage(500, 10))

Step = Chunk | BaseException | float | asyncio.Event
Script = Sequence[Step]


class Told:
    """A model whose replies are scripts, by the name of the policy asked; all others are SAFE.

    ``one`` has those for requests of one token, where they differ.
    """

    spec = "told"

    def __init__(self, *, slots: int = 6, one: Mapping[str, Script] | None = None, **scripts: Script) -> None:
        self.slots = slots
        self.requests: list[ChatRequest] = []
        self.running: list[str] = []
        self.most_running = 0
        self.closed = False
        self._scripts = scripts
        self._one = one or {}

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        name = request.system.split()[-1].rstrip(".")
        self.running.append(name)
        self.most_running = max(self.most_running, len(self.running))
        try:
            script = self._scripts.get(name, says("SAFE"))
            for step in self._one.get(name, script) if request.max_tokens == 1 else script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.running.remove(name)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        raise NotImplementedError("a gauntlet chats")

    async def check(self) -> Reachability:
        return Reachability(True, "")

    async def aclose(self) -> None:
        self.closed = True


def says(answer: str, reasoning: str = "", *logprobs: TokenLogprob) -> list[Step]:
    return [ReasoningChunk(reasoning), AnswerChunk(answer, logprobs), DONE]


def scored(word: str, violation: float) -> list[Step]:
    top = (("VIOLATION", math.log(violation)), ("SAFE", math.log(1 - violation)))
    return says(word, "", TokenLogprob(word, math.log(0.5), top))


async def judge(gauntlet: Gauntlet, case: Case | None = None) -> list[Event]:
    async with aclosing(gauntlet.judge(case or Case("How do I kill a process?"))) as events:
        return [event async for event in events]


def verdict_of(events: list[Event]) -> Verdict:
    assert isinstance(events[-1], VerdictReached)
    return events[-1].verdict


def finding_of(events: list[Event], policy: str) -> Finding:
    (finding,) = [finding for finding in verdict_of(events).policies if finding.policy == policy]
    return finding
