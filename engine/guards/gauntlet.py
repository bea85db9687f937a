"""The gauntlet: one model applies every policy to a case, each in a lane of its own.

A lane's prompt is the policy, then the framed case, so that a back end can keep the policy's part. The
lanes run at the same time where the back end has slots for it, and their events are passed on in the
order of their arrival. A lane that fails costs its own policy's judgement, never that of the others, and
never becomes a "no violation".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass

from engine.cases import Case, Usage, Verdict
from engine.events import (
    Event,
    Failed,
    JsonValue,
    LabelParsed,
    Notice,
    PolicyRef,
    Started,
    VerdictReached,
)
from engine.guards.base import Stream
from engine.guards.build import Speed
from engine.guards.content import describe, frame
from engine.guards.decision import Thresholds, decide, highest_score, labels_of, worst_status
from engine.guards.lanes import Emit, Examiner, Lane
from engine.guards.many import Judged
from engine.guards.sweep import sweep
from engine.models.base import Effort, Model
from engine.policies.load import Policy

CASES_IN_HAND = 32
"""Cases that `Gauntlet.judge_many` goes through one policy with, where slots are few, before the next."""


@dataclass(slots=True)
class _Judgement:
    """A case that is being judged, and its first events. ``busy``: how many of its lanes are at the model."""

    case: Case
    content: str
    stream: Stream
    lanes: list[Lane]
    events: list[Event]
    busy: int = 0


class Gauntlet:
    """The guard of one model and several policies.

    ``effort`` is how long the model may think, ``max_tokens`` bounds its thinking and answer per policy.
    ``serial`` sends the policies one after the other; otherwise as many at a time as the model has slots.
    ``policy_timeout_s``: seconds that one policy may take from being sent to its last token. ``speed`` is
    how much of an answer is asked for; ``certain`` are the thresholds at which one token decides, by default
    ``thresholds``.

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
        speed: Speed = Speed.FULL,
        thresholds: Thresholds | None = None,
        certain: Thresholds | None = None,
        policy_timeout_s: float = 180.0,
        seed: int = 0,
        max_tokens: int = 2048,
    ) -> None:
        if not policies or len({policy.name for policy in policies}) < len(policies):
            raise ValueError("a gauntlet needs at least one policy, and each only once")
        self.model: str | None = model.spec
        self.policies = tuple(policies)
        self._model = model
        self._width = 1 if serial else max(1, model.slots)
        self.slots = max(1, self._width // len(self.policies))
        thresholds = thresholds or Thresholds()
        certain = certain or thresholds
        self._settings: dict[str, JsonValue] = {
            "effort": effort.value,
            "thresholds": asdict(thresholds),
            "seed": seed,
            "serial": self._width == 1,
            "max_tokens": max_tokens,
        }
        if speed is not Speed.FULL:
            self._settings |= {"speed": speed.value, "certain": asdict(certain)}
        self._examiner = Examiner(
            model,
            effort=effort,
            seed=seed,
            max_tokens=max_tokens,
            timeout_s=policy_timeout_s,
            thresholds=thresholds,
            speed=speed,
            certain=certain,
        )
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
            await self._examiner.touch(policy, content)
            self._sent.add(policy.name)

    async def judge(self, case: Case) -> AsyncGenerator[Event, None]:
        """Judge ``case`` by every policy; see `engine.guards.base.Guard`.

        Close the generator (`contextlib.aclosing`) when leaving it early: its lanes are stopped then.
        """
        judgement = self._open(case)
        judgement.stream.resume()
        for first in judgement.events:
            yield first
        arrivals: asyncio.Queue[Event | None] = asyncio.Queue()
        work = asyncio.create_task(self._run(judgement, arrivals))
        try:
            while (event := await arrivals.get()) is not None:
                yield event
            await work
        finally:
            work.cancel()
            await asyncio.wait([work])
        for last in self._conclude(judgement):
            yield last

    async def judge_many(self, cases: Iterable[tuple[int, Case]]) -> AsyncGenerator[Judged, None]:
        """Judge numbered cases, whose policies keep to their slots; see `engine.guards.many.judge_many`.

        At most `CASES_IN_HAND` judgements are held. The clock of each stands still while none of its lanes
        is at the model. A case has a `Failed` also where the back end went away between two of its policies
        and is still away: it can be judged again when that is back.
        """
        opened = ((number, self._open(case)) for number, case in cases)

        async def run(one: tuple[int, _Judgement], lane: int) -> None:
            judgement = one[1]
            judgement.stream.resume()
            judgement.busy += 1
            await self._run_lane(judgement, judgement.lanes[lane], judgement.events.append)
            judgement.busy -= 1
            if not judgement.busy:
                judgement.stream.pause()

        sweeping = sweep(opened, len(self.policies), self._width, run, in_hand=CASES_IN_HAND)
        async with aclosing(sweeping) as judged:
            async for number, judgement in judged:
                gone = (
                    any(lane.unreachable for lane in judgement.lanes) and not (await self._model.check()).ok
                )
                yield number, judgement.events + self._conclude(judgement, gone=gone)

    async def aclose(self) -> None:
        """Close the model."""
        await self._model.aclose()

    def _open(self, case: Case) -> _Judgement:
        stream = Stream()
        started = stream.event(
            Started,
            guard=self.name,
            model=self.model,
            case_key=case.key,
            policies=tuple(PolicyRef(name=policy.name, sha256=policy.sha256) for policy in self.policies),
            settings=dict(self._settings),
        )
        content = frame(case)
        events: list[Event] = [started]
        if found := describe(content):
            events.append(stream.event(Notice, message=found))
        stream.pause()
        return _Judgement(case, content.text, stream, [Lane(policy) for policy in self.policies], events)

    async def _run(self, judgement: _Judgement, arrivals: asyncio.Queue[Event | None]) -> None:
        """Run all lanes and put their events, then None, whatever happened."""
        slots = asyncio.Semaphore(self._width)

        async def run_lane(lane: Lane) -> None:
            async with slots:
                await self._run_lane(judgement, lane, arrivals.put_nowait)

        try:
            async with asyncio.TaskGroup() as group:
                for lane in judgement.lanes:
                    group.create_task(run_lane(lane), name=f"gauntlet:{lane.policy.name}")
        finally:
            arrivals.put_nowait(None)

    async def _run_lane(self, judgement: _Judgement, lane: Lane, emit: Emit) -> None:
        self._sent.add(lane.policy.name)
        await self._examiner.judge(lane, judgement.content, judgement.stream, emit)
        if lane.failure is not None:
            self._sent.discard(lane.policy.name)

    def _conclude(self, judgement: _Judgement, *, gone: bool = False) -> list[Event]:
        """Return the events that end a judgement. ``gone``: the back end is, whatever it did before."""
        case, lanes, stream = judgement.case, judgement.lanes, judgement.stream
        findings = tuple(lane.finding for lane in lanes)
        decision = decide(findings)
        labels = labels_of(decision, has_response=case.response is not None)
        events: list[Event] = [
            stream.event(LabelParsed, task=task, label=label.value)
            for task, label in (("request", labels.request), ("response", labels.response))
            if label is not None
        ]
        unreachable = [lane.unreachable for lane in lanes if lane.unreachable]
        if unreachable and (gone or len(unreachable) == len(lanes)):
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
            usage=sum((lane.usage for lane in lanes), Usage()),
            latency_ms=round(stream.elapsed_ms, 3),
        )
        events.append(stream.event(VerdictReached, verdict=verdict))
        return events
