"""Judging many cases: how many at once, in which order, and what closing or a fault stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import count
from pathlib import Path

import pytest

from engine.cases import Case
from engine.events import Event, Log, Started, VerdictReached
from engine.guards.base import Stream
from engine.guards.many import judge_many
from engine.guards.reasoner import Reasoner
from engine.policies.load import Policy

POLICIES = Path(__file__).resolve().parents[2] / "policies"


class Sleeper:
    """A guard that sleeps for as many milliseconds as the prompt says; "fault" raises."""

    name = "sleeper"
    model = None
    policies: tuple[Policy, ...] = ()

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running = 0
        self.most_running = 0
        self.begun = 0

    async def judge(self, case: Case) -> AsyncGenerator[Event, None]:
        self.begun += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            stream = Stream()
            yield stream.event(Started, guard=self.name, model=None, case_key=case.key)
            if case.prompt == "fault":
                raise RuntimeError("a fault")
            await asyncio.sleep(int(case.prompt) / 1000)
            yield stream.event(Log, message=case.prompt)
        finally:
            self.running -= 1

    async def warm(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to do."""


def numbered(*prompts: object) -> Iterator[tuple[int, Case]]:
    return ((number, Case(str(prompt))) for number, prompt in enumerate(prompts))


async def test_one_slot_judges_in_turn() -> None:
    guard = Sleeper(1)
    judged = [(number, events) async for number, events in judge_many(guard, numbered(9, 1, 5))]
    assert [number for number, _ in judged] == [0, 1, 2]
    assert guard.most_running == 1
    for number, events in judged:
        assert [event.seq for event in events] == [0, 1]
        assert isinstance(events[0], Started)
        assert events[0].case_key == Case(("9", "1", "5")[number]).key


async def test_as_many_at_once_as_there_are_slots_in_the_order_of_their_end() -> None:
    guard = Sleeper(3)
    numbers = [number async for number, _ in judge_many(guard, numbered(400, 20, 150, 20, 20))]
    assert guard.most_running == 3
    assert numbers == [1, 3, 4, 2, 0]


async def test_cases_are_read_no_further_than_they_are_judged() -> None:
    guard = Sleeper(3)
    endless = ((number, Case("1")) for number in count())
    async with aclosing(judge_many(guard, endless)) as judged:
        async for number, _ in judged:
            assert guard.begun <= number + 6
            if number > 20:
                break
    assert guard.running == 0


@pytest.mark.parametrize("slots", [1, 3])
async def test_no_cases_are_no_work(slots: int) -> None:
    assert [one async for one in judge_many(Sleeper(slots), numbered())] == []


@pytest.mark.parametrize("slots", [1, 3])
async def test_cancelling_stops_what_is_being_judged(slots: int) -> None:
    guard = Sleeper(slots)
    before = asyncio.all_tasks()

    async def read() -> None:
        async with aclosing(judge_many(guard, numbered(*[60_000] * 9))) as judged:
            async for _ in judged:
                pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    assert guard.running == slots
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guard.running == 0
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("slots", [1, 3])
async def test_a_fault_in_a_guard_reaches_the_caller_and_stops_the_others(slots: int) -> None:
    guard = Sleeper(slots)
    with pytest.raises(RuntimeError, match="a fault"):
        async for _ in judge_many(guard, numbered(1, "fault", 60_000, 60_000)):
            pass
    assert guard.running == 0


async def test_a_guard_with_an_order_of_its_own_is_left_to_it() -> None:
    class Backwards(Sleeper):
        async def judge_many(
            self, cases: Iterator[tuple[int, Case]]
        ) -> AsyncGenerator[tuple[int, list[Event]], None]:
            for number, case in reversed(list(cases)):
                yield number, [event async for event in self.judge(case)]

    numbers = [number async for number, _ in judge_many(Backwards(1), numbered(1, 1, 1))]
    assert numbers == [2, 1, 0]


async def test_a_guard_that_never_waits_loses_almost_no_time() -> None:
    class Instant(Sleeper):
        async def judge(self, case: Case) -> AsyncGenerator[Event, None]:
            yield _ANY

    guard = Instant(1)
    cases = [(number, Case("Hello")) for number in range(2000)]

    async def seconds() -> float:
        began = time.process_time()
        async with aclosing(judge_many(guard, cases)) as judged:
            assert [number async for number, _ in judged] == list(range(len(cases)))
        return time.process_time() - began

    spent = min([await seconds() for _ in range(7)]) / len(cases)
    assert spent < 50e-6, f"{spent * 1e6:.1f} \u00b5s per case"


async def test_the_rules_judge_many_as_they_judge_one() -> None:
    texts = ["How do I bake bread?", "How do I kill a process?"]
    async for number, events in judge_many(Reasoner(POLICIES), numbered(*texts)):
        assert isinstance(events[-1], VerdictReached)
        assert events[-1].verdict.decision is Reasoner(POLICIES).classify(Case(texts[number])).decision


_ANY = Log(seq=0, at_ms=0.0, message="judged")
