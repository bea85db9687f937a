"""A lane: one policy's judgement of one case, from the request to the finding.

A lane asks for the whole answer, or first for one token of it. What the first token says counts only
where its probability leaves no doubt; a failure is never a "no violation".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import cast

from engine.cases import Finding, Status, Usage
from engine.events import (
    AnswerDelta,
    Event,
    LaneStarted,
    Notice,
    PolicyFinished,
    ReasoningDelta,
    UsageReported,
)
from engine.guards.base import Stream
from engine.guards.build import Speed
from engine.guards.decision import Thresholds, parse_answer, violation_score, weigh, weigh_token
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    Effort,
    FinishChunk,
    FinishReason,
    Model,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    ReasoningChunk,
    TokenLogprob,
)
from engine.policies.load import Policy

_TOP_LOGPROBS = 20  # the most that Ollama and OpenAI-compatible servers give

ANSWER_LIMIT = 200
"""Code points of answer after which it is no verdict word, whatever follows: the model is stopped."""

Emit = Callable[[Event], None]

_CUT_OFF = "The back end cut the answer off."


@dataclass(slots=True)
class Reply:
    """What has been received in answer to one request, and how that ended."""

    reasoning: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: FinishChunk | None = None

    def keep(self, chunk: Chunk) -> None:
        if isinstance(chunk, ReasoningChunk):
            self.reasoning.append(chunk.text)
        elif isinstance(chunk, AnswerChunk):
            self.answer.append(chunk.text)
            self.logprobs.extend(chunk.logprobs)
        else:
            self.finish = chunk

    @property
    def rambles(self) -> bool:
        """Whether the answer has run on too long to be a verdict word."""
        return sum(map(len, self.answer)) > ANSWER_LIMIT

    @property
    def is_thought(self) -> bool:
        """Whether a model that was cut off here has thought, or begun to, before it answered."""
        cut = self.finish is not None and self.finish.reason is FinishReason.LENGTH
        return any(self.reasoning) or (cut and not any(self.answer))


@dataclass(slots=True)
class Lane:
    """What is known of one policy so far: of its last request, and the ``usage`` of all."""

    policy: Policy
    reply: Reply = field(default_factory=Reply)
    usage: Usage = field(default_factory=Usage)
    failure: ModelError | None = None
    finding: Finding = field(init=False)

    def __post_init__(self) -> None:
        self.finding = Finding(self.policy.name, violation=None, status=Status.ERROR)

    @property
    def unreachable(self) -> ModelUnreachable | None:
        """The failure, if it is that the back end was out of reach."""
        return self.failure if isinstance(self.failure, ModelUnreachable) else None


@dataclass(slots=True)
class Examiner:
    """Puts policies and contents before a model, any number of them at once.

    ``timeout_s``: seconds that a lane may take from being sent to its last token. ``certain`` are the
    thresholds of a verdict by one token.
    """

    model: Model
    effort: Effort
    seed: int
    max_tokens: int
    timeout_s: float
    thresholds: Thresholds
    speed: Speed
    certain: Thresholds
    _thinks: bool = field(default=False, init=False)

    async def judge(self, lane: Lane, content: str, stream: Stream, emit: Emit) -> None:
        """Judge ``content`` by the lane's policy: its ``finding`` says how that went, whatever happened."""
        began = time.perf_counter()
        emit(stream.event(LaneStarted, lane=lane.policy.name))
        settled: Finding | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                if self.speed is Speed.ONE or (self.speed is Speed.TWO and not self._thinks):
                    settled = await self._ask_one_token(lane, content, stream, emit)
                if settled is None:
                    await self._ask(lane, content, stream, emit)
        except TimeoutError:
            lane.failure = self._out_of_time()
        except ModelError as error:
            lane.failure = error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            lane.failure = ModelError("The back end gave its own work up.")
        except Exception as error:  # a fault in a back end's code must not cost the other lanes
            lane.failure = ModelError(f"The back end failed unexpectedly: {error!r}")
        finding = settled or self._finding(lane)
        lane.finding = replace(finding, latency_ms=round((time.perf_counter() - began) * 1000, 3))
        emit(stream.event(PolicyFinished, finding=lane.finding))

    async def touch(self, policy: Policy, content: str) -> None:
        """Have a prompt read, and one token written.

        Raises:
            ModelError: if the back end fails.
        """
        try:
            async with asyncio.timeout(self.timeout_s), self._chat(policy, content, 1) as chunks:
                async for _ in chunks:
                    pass
        except TimeoutError as error:
            raise self._out_of_time() from error

    async def _ask(self, lane: Lane, content: str, stream: Stream, emit: Emit) -> None:
        """Ask for the whole answer and show it as it comes."""
        lane.reply = reply = Reply()
        async with self._chat(lane.policy, content, self.max_tokens) as chunks:
            async for chunk in chunks:
                reply.keep(chunk)
                emit(_shown(chunk, lane, stream))
                if reply.rambles:
                    break

    async def _ask_one_token(self, lane: Lane, content: str, stream: Stream, emit: Emit) -> Finding | None:
        """Ask for one token. Return the finding, or None where the whole answer is to be asked for.

        Nothing of a reply that settles nothing is shown then: the whole answer begins anew.
        """
        lane.reply = reply = Reply()
        received = []
        async with self._chat(lane.policy, content, 1) as chunks:
            async for chunk in chunks:
                reply.keep(chunk)
                received.append(chunk)
                if reply.rambles:
                    break
        if reply.finish is None and not reply.rambles:
            raise ModelError(_CUT_OFF)
        if reply.is_thought:
            self._thinks = True
            violation, score, grounds = None, None, "the model thinks before it answers"
        else:
            violation, score, grounds = weigh_token(reply.logprobs, self.certain)
        settles = violation is not None or self.speed is Speed.ONE
        for chunk in received:
            if settles or isinstance(chunk, FinishChunk):
                emit(_shown(chunk, lane, stream))
        if not settles:
            message = f"One token does not decide: {grounds}. The full answer follows."
            emit(stream.event(Notice, message=message, lane=lane.policy.name))
            return None
        decided = "Decided" if violation is not None else "Not decided"
        status = Status.UNPARSABLE if score is None else Status.OK
        return Finding(lane.policy.name, violation, score, status, f"{decided} by one token: {grounds}.")

    def _chat(self, policy: Policy, content: str, max_tokens: int) -> aclosing[AsyncGenerator[Chunk, None]]:
        request = ChatRequest(
            system=policy.text,
            user=content,
            max_tokens=max_tokens,
            seed=self.seed,
            effort=self.effort,
            top_logprobs=_TOP_LOGPROBS,
        )
        return aclosing(cast(AsyncGenerator[Chunk, None], self.model.chat(request)))

    def _out_of_time(self) -> ModelTimeout:
        return ModelTimeout(f"{self.model.spec} did not finish within {self.timeout_s:g} seconds")

    def _finding(self, lane: Lane) -> Finding:
        """Return the finding of a lane whose whole answer was asked for, or that failed."""
        status, problem = _problem(lane)
        violation: bool | None = None
        score: float | None = None
        answer = "".join(lane.reply.answer)
        word = parse_answer(answer)
        if status is Status.OK and word is not None:
            score = violation_score(lane.reply.logprobs)
            violation = weigh(word, score, self.thresholds)
        elif status is Status.OK:
            status = Status.UNPARSABLE
            problem = "The answer is not exactly one verdict word."
        reasoning = "".join(lane.reply.reasoning)
        if problem:
            so_far = f"Answer: {answer}" if answer.strip() else "There is no answer."
            reasoning = f"{reasoning}\n\n[{problem} {so_far}]".lstrip()
        return Finding(lane.policy.name, violation, score, status, reasoning)


def _shown(chunk: Chunk, lane: Lane, stream: Stream) -> Event:
    """Return the event that shows a chunk."""
    name = lane.policy.name
    if isinstance(chunk, ReasoningChunk):
        return stream.event(ReasoningDelta, lane=name, text=chunk.text)
    if isinstance(chunk, AnswerChunk):
        return stream.event(AnswerDelta, lane=name, text=chunk.text)
    lane.usage += chunk.usage
    return stream.event(UsageReported, lane=name, usage=chunk.usage)


def _problem(lane: Lane) -> tuple[Status, str]:
    """Return how the lane's last reply ended, and in words what was wrong with that, if anything."""
    failure, reply = lane.failure, lane.reply
    if failure is not None:
        status = Status.TIMEOUT if isinstance(failure, ModelTimeout) else Status.ERROR
        hint = f" ({failure.hint.rstrip('.')})" if failure.hint else ""
        return status, f"{str(failure).rstrip('.')}{hint}."
    if reply.rambles:
        return Status.UNPARSABLE, "The answer ran on without being a verdict word, and was stopped."
    if reply.finish is None:
        return Status.ERROR, _CUT_OFF
    if reply.finish.reason is FinishReason.LENGTH:
        used = reply.finish.usage.completion_tokens
        return Status.TRUNCATED, f"The model was cut off after {used} tokens, before it had finished."
    return Status.OK, ""
