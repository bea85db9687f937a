"""Many cases through the gauntlet: the same events as one by one, policy by policy where slots are few."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import count, groupby

import pytest

from engine.cases import Case, Decision, Status
from engine.events import Event, Failed, Notice, Started, decode, encode
from engine.guards.build import Speed
from engine.guards.gauntlet import CASES_IN_HAND, Gauntlet
from engine.guards.many import judge_many
from engine.models.base import ChatRequest, Chunk, ModelError, ModelUnreachable, Reachability
from tests.engine.told import NAMES, POLICIES, Step, Told, finding_of, judge, says, scored, verdict_of


def plain(events: list[Event]) -> list[str]:
    """Return the events in an order that does not depend on time, without their times."""
    kept = []
    for event in events:
        fields = {name: getattr(event, name) for name in event.__slots__ if name not in ("seq", "at_ms")}
        text = repr((type(event).__name__, fields))
        kept.append(text.split("latency_ms=")[0])
    return sorted(kept)


async def many(gauntlet: Gauntlet, cases: list[Case]) -> dict[int, list[Event]]:
    return {number: events async for number, events in judge_many(gauntlet, enumerate(cases))}


@pytest.mark.parametrize("slots", [1, 2, 4, 6, 12])
@pytest.mark.parametrize("speed", list(Speed))
async def test_the_events_of_each_case_are_those_of_its_own_judgement(slots: int, speed: Speed) -> None:
    scripts = {"hate": scored("VIOLATION", 0.9), "illegal": scored("SAFE", 0.6)}
    cases = [Case(f"Question {number}<|end|>", "Answer" * (number % 2) or None) for number in range(5)]
    judged = await many(Gauntlet(Told(slots=slots, **scripts), POLICIES, speed=speed), cases)
    assert sorted(judged) == list(range(5))
    for number, events in judged.items():
        alone = await judge(Gauntlet(Told(slots=slots, **scripts), POLICIES, speed=speed), cases[number])
        assert plain(events) == plain(alone)
        assert [event.seq for event in events] == list(range(len(events)))
        assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
        assert [decode(encode(event)) for event in events] == events
        assert isinstance(events[0], Started)
        assert isinstance(events[1], Notice)
        assert [finding.policy for finding in verdict_of(events).policies] == list(NAMES)


async def test_one_slot_goes_policy_by_policy() -> None:
    model = Told(slots=1)
    cases = [Case(f"Question {number}") for number in range(2 * CASES_IN_HAND)]
    numbers = [number async for number, _ in judge_many(Gauntlet(model, POLICIES), enumerate(cases))]
    assert numbers == list(range(2 * CASES_IN_HAND))
    assert model.most_running == 1
    assert len(model.requests) == 6 * 2 * CASES_IN_HAND
    policies = [system for system, _ in groupby(request.system for request in model.requests)]
    assert len(policies) == 11, "each policy once for the cases in hand, the last one for the next as well"


async def test_six_slots_keep_a_policy_each() -> None:
    model = Told(**{name: [0.001, *says("SAFE")] for name in NAMES})
    judged = await many(Gauntlet(model, POLICIES), [Case(f"Question {number}") for number in range(10)])
    assert len(judged) == 10
    assert model.most_running == 6
    order = [request.system for request in model.requests]
    for start in range(0, 60, 6):
        assert len(set(order[start : start + 6])) == 6


async def test_a_clock_stands_still_while_other_cases_have_their_turn() -> None:
    model = Told(slots=1, **{name: [0.01, *says("SAFE")] for name in NAMES})
    judged = await many(Gauntlet(model, POLICIES), [Case(f"Question {number}") for number in range(8)])
    for events in judged.values():
        verdict = verdict_of(events)
        lanes = sum(finding.latency_ms for finding in verdict.policies)
        assert 60 <= lanes <= verdict.latency_ms < lanes + 30


async def test_a_failure_costs_one_lane_of_one_case() -> None:
    class Once(Told):
        async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            if "Question 2" in request.user and "hate" in request.system:
                raise ModelError("Boom")
            async with aclosing(super().chat(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

    judged = await many(Gauntlet(Once(), POLICIES), [Case(f"Question {number}") for number in range(5)])
    assert finding_of(judged[2], "hate").status is Status.ERROR
    decisions = [verdict_of(judged[number]).decision for number in range(5)]
    assert decisions == [Decision.ALLOW] * 2 + [Decision.ESCALATE] + [Decision.ALLOW] * 2


async def test_a_dead_back_end_is_told_for_each_case() -> None:
    dead: list[Step] = [ModelUnreachable("Nobody there", "Start it.")]
    judged = await many(Gauntlet(Told(**dict.fromkeys(NAMES, dead)), POLICIES), [Case("a"), Case("b")])
    for events in judged.values():
        assert isinstance(events[-2], Failed)
        assert verdict_of(events).decision is Decision.ESCALATE


@pytest.mark.parametrize(("back", "told"), [(False, True), (True, False)])
async def test_a_back_end_that_goes_away_between_two_policies_is_told(back: bool, told: bool) -> None:
    """A job must not take a case for judged, half of which never reached the model."""

    class Dying(Told):
        async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            if len(self.requests) >= 20:
                raise ModelUnreachable("Nobody there", "Start it.")
            async with aclosing(super().chat(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

        async def check(self) -> Reachability:
            return Reachability(back, "")

    cases = [Case(f"Question {number}") for number in range(8)]
    judged = await many(Gauntlet(Dying(slots=1), POLICIES), cases)
    for events in judged.values():
        assert any(isinstance(event, Failed) and event.unreachable for event in events) == told
        assert verdict_of(events).decision is Decision.ESCALATE
        assert finding_of(events, "harassment").status is Status.OK


@pytest.mark.parametrize("slots", [1, 6])
async def test_leaving_early_stops_the_lanes(slots: int) -> None:
    model = Told(slots=slots, **{name: [0.002, *says("SAFE")] for name in NAMES})
    endless = ((number, Case(f"Question {number}")) for number in count())
    before = asyncio.all_tasks()
    async with aclosing(judge_many(Gauntlet(model, POLICIES), endless)) as judged:
        async for number, _ in judged:
            if number == 3:
                break
    assert model.running == []
    assert asyncio.all_tasks() == before
    assert len(model.requests) < 6 * (CASES_IN_HAND + 6)
