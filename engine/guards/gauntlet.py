"""The gauntlet: one model applies every policy to a case, each in a lane of its own.

A lane's prompt is the policy, then the framed case, so that a back end can keep the policy's part. The
lanes run at the same time where the back end has slots for it, and their events are passed on in the
order of their arrival. A lane that fails costs its own policy's judgement, never that of the others, and
never becomes a "no violation".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import cast

from engine.cases import Case, Finding, Status, Usage, Verdict
from engine.events import (
    AnswerDelta,
    Event,
    Failed,
    LabelParsed,
    LaneStarted,
    Notice,
    PolicyFinished,
    PolicyRef,
    ReasoningDelta,
    Started,
    UsageReported,
    VerdictReached,
)
from engine.guards.base import Stream
from engine.guards.content import describe, frame
from engine.guards.decision import (
    Thresholds,
    decide,
    highest_score,
    labels_of,
    parse_answer,
    violation_score,
    weigh,
    worst_status,
)
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


@dataclass(slots=True)
class _Lane:
    """What has been received for one policy so far, and how that ended."""

    policy: Policy
    reasoning: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: FinishChunk | None = None
    failure: ModelError | None = None
    finding: Finding = field(init=False)

    @property
    def rambles(self) -> bool:
        """Whether the answer has run on too long to be a verdict word."""
        return sum(map(len, self.answer)) > ANSWER_LIMIT

    def __post_init__(self) -> None:
        self.finding = Finding(self.policy.name, violation=None, status=Status.ERROR)

    def take(self, chunk: Chunk, stream: Stream) -> Event:
        """Keep a chunk and return the event that shows it."""
        lane = self.policy.name
        if isinstance(chunk, ReasoningChunk):
            self.reasoning.append(chunk.text)
            return stream.event(ReasoningDelta, lane=lane, text=chunk.text)
        if isinstance(chunk, AnswerChunk):
            self.answer.append(chunk.text)
            self.logprobs.extend(chunk.logprobs)
            return stream.event(AnswerDelta, lane=lane, text=chunk.text)
        self.finish = chunk
        return stream.event(UsageReported, lane=lane, usage=chunk.usage)


class Gauntlet:
    """The guard of one model and several policies.

    ``effort`` is how long the model may think, ``max_tokens`` bounds its thinking and answer per policy.
    ``serial`` sends the policies one after the other; otherwise as many at a time as the model has slots.
    ``policy_timeout_s``: seconds that one policy may take from being sent to its last token.

    Raises:
        ValueError: without policies, or if two have the same name.
    """

    name = "gauntlet"

    def __init__(
        self,
        model: Model,
        policies: Sequence[Policy],
        *,
        effort: Effort = Effort.MEDIUM,
        serial: bool = False,
        thresholds: Thresholds | None = None,
        policy_timeout_s: float = 180.0,
        seed: int = 0,
        max_tokens: int = 2048,
    ) -> None:
        if not policies or len({policy.name for policy in policies}) < len(policies):
            raise ValueError("a gauntlet needs at least one policy, and each only once")
        self.model: str | None = model.spec
        self.policies = tuple(policies)
        self.slots = 1
        self._model = model
        self._effort = effort
        self._width = 1 if serial else max(1, model.slots)
        self._thresholds = thresholds or Thresholds()
        self._timeout_s = policy_timeout_s
        self._seed = seed
        self._max_tokens = max_tokens
        self._sent: set[str] = set()

    async def warm(self) -> None:
        """Send each policy once, one after the other, so that the first case finds their prefixes read.

        Worth calling ahead of the first case, while somebody still types; `judge` does not wait for it,
        since the lanes of a first case leave the same prefixes behind and show something sooner. An empty
        case is framed like every other and one token is asked for: a back end then holds all that any
        case's prompts share. Does nothing with fewer slots than policies, where prefixes cannot all be
        kept, and for policies that have been sent before.

        Raises:
            ModelError: if the back end fails. Cases can be judged all the same, if it recovers.
        """
        if self._width < len(self.policies):
            return
        content = frame(Case("")).text
        for policy in self.policies:
            if policy.name in self._sent:
                continue
            request = self._request(policy, content, max_tokens=1)
            try:
                async with asyncio.timeout(self._timeout_s), self._chat(request) as chunks:
                    async for _ in chunks:
                        pass
            except TimeoutError as error:
                raise self._out_of_time() from error
            self._sent.add(policy.name)

    async def judge(self, case: Case) -> AsyncGenerator[Event, None]:
        """Judge ``case`` by every policy; see `engine.guards.base.Guard`.

        Close the generator (`contextlib.aclosing`) when leaving it early: its lanes are stopped then.
        """
        stream = Stream()
        yield stream.event(
            Started,
            guard=self.name,
            model=self.model,
            case_key=case.key,
            policies=tuple(PolicyRef(name=policy.name, sha256=policy.sha256) for policy in self.policies),
            settings={
                "effort": self._effort.value,
                "thresholds": asdict(self._thresholds),
                "seed": self._seed,
                "serial": self._width == 1,
                "max_tokens": self._max_tokens,
            },
        )
        content = frame(case)
        if found := describe(content):
            yield stream.event(Notice, message=found)
        lanes = [_Lane(policy) for policy in self.policies]
        arrivals: asyncio.Queue[Event | None] = asyncio.Queue()
        work = asyncio.create_task(self._run(lanes, content.text, stream, arrivals))
        try:
            while (event := await arrivals.get()) is not None:
                yield event
            await work
        finally:
            work.cancel()
            await asyncio.wait([work])
        for event in self._conclude(case, lanes, stream):
            yield event

    async def aclose(self) -> None:
        """Close the model."""
        await self._model.aclose()

    async def _run(
        self, lanes: list[_Lane], content: str, stream: Stream, arrivals: asyncio.Queue[Event | None]
    ) -> None:
        """Run all lanes and put their events, then None, whatever happened."""
        slots = asyncio.Semaphore(self._width)

        async def run_lane(lane: _Lane) -> None:
            async with slots:
                await self._run_lane(lane, content, stream, arrivals)

        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(run_lane(lane), name=f"gauntlet:{lane.policy.name}")
        finally:
            arrivals.put_nowait(None)

    async def _run_lane(
        self, lane: _Lane, content: str, stream: Stream, arrivals: asyncio.Queue[Event | None]
    ) -> None:
        began = time.perf_counter()
        arrivals.put_nowait(stream.event(LaneStarted, lane=lane.policy.name))
        request = self._request(lane.policy, content, max_tokens=self._max_tokens)
        self._sent.add(lane.policy.name)
        try:
            async with asyncio.timeout(self._timeout_s), self._chat(request) as chunks:
                async for chunk in chunks:
                    arrivals.put_nowait(lane.take(chunk, stream))
                    if lane.rambles:
                        break
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
        if lane.failure is not None:
            self._sent.discard(lane.policy.name)
        lane.finding = self._judge_lane(lane, (time.perf_counter() - began) * 1000)
        arrivals.put_nowait(stream.event(PolicyFinished, finding=lane.finding))

    def _out_of_time(self) -> ModelTimeout:
        return ModelTimeout(f"{self.model} did not finish within {self._timeout_s:g} seconds")

    def _request(self, policy: Policy, content: str, *, max_tokens: int) -> ChatRequest:
        return ChatRequest(
            system=policy.text,
            user=content,
            max_tokens=max_tokens,
            seed=self._seed,
            effort=self._effort,
            top_logprobs=_TOP_LOGPROBS,
        )

    def _chat(self, request: ChatRequest) -> aclosing[AsyncGenerator[Chunk, None]]:
        return aclosing(cast(AsyncGenerator[Chunk, None], self._model.chat(request)))

    def _judge_lane(self, lane: _Lane, latency_ms: float) -> Finding:
        """Return the finding of a lane that has ended."""
        status, problem = _problem(lane)
        violation: bool | None = None
        score: float | None = None
        answer = "".join(lane.answer)
        word = parse_answer(answer)
        if status is Status.OK and word is not None:
            score = violation_score(lane.logprobs)
            violation = weigh(word, score, self._thresholds)
        elif status is Status.OK:
            status = Status.UNPARSABLE
            problem = "The answer is not exactly one verdict word."
        reasoning = "".join(lane.reasoning)
        if problem:
            so_far = f"Answer: {answer}" if answer.strip() else "There is no answer."
            reasoning = f"{reasoning}\n\n[{problem} {so_far}]".lstrip()
        return Finding(lane.policy.name, violation, score, status, reasoning, round(latency_ms, 3))

    def _conclude(self, case: Case, lanes: list[_Lane], stream: Stream) -> list[Event]:
        """Return the events that end a judgement."""
        findings = tuple(lane.finding for lane in lanes)
        decision = decide(findings)
        labels = labels_of(decision, has_response=case.response is not None)
        events: list[Event] = [
            stream.event(LabelParsed, task=task, label=label.value)
            for task, label in (("request", labels.request), ("response", labels.response))
            if label is not None
        ]
        failures = [lane.failure for lane in lanes]
        unreachable = [failure for failure in failures if isinstance(failure, ModelUnreachable)]
        if len(unreachable) == len(lanes):
            first = unreachable[0]
            events.append(stream.event(Failed, message=str(first), unreachable=True, hint=first.hint))
        verdict = Verdict(
            decision,
            self.name,
            status=worst_status(findings),
            labels=labels,
            score=highest_score(findings),
            policies=findings,
            model=self.model,
            usage=sum((lane.finish.usage for lane in lanes if lane.finish), Usage()),
            latency_ms=round(stream.elapsed_ms, 3),
        )
        events.append(stream.event(VerdictReached, verdict=verdict))
        return events


def _problem(lane: _Lane) -> tuple[Status, str]:
    """Return how the lane's stream ended, and in words what was wrong with that, if anything."""
    failure = lane.failure
    if failure is not None:
        status = Status.TIMEOUT if isinstance(failure, ModelTimeout) else Status.ERROR
        hint = f" ({failure.hint.rstrip('.')})" if failure.hint else ""
        return status, f"{str(failure).rstrip('.')}{hint}."
    if lane.rambles:
        return Status.UNPARSABLE, "The answer ran on without being a verdict word, and was stopped."
    if lane.finish is None:
        return Status.ERROR, "The back end cut the answer off."
    if lane.finish.reason is FinishReason.LENGTH:
        used = lane.finish.usage.completion_tokens
        return Status.TRUNCATED, f"The model was cut off after {used} tokens, before it had finished."
    return Status.OK, ""
