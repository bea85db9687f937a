"""Guards work on a thread of their own: in turn, stopped when asked, made anew when something changed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.guard_choice import GuardChoice
from app.guard_thread import GuardThread, Judging
from engine.cases import Case
from engine.events import VerdictReached
from tests.app.scripted import ScriptedGuard

CHOICE = GuardChoice("gauntlet", "medium", "fake:script")


class Warming(ScriptedGuard):
    """Takes long to warm up."""

    warming = threading.Event()
    cancelled = threading.Event()

    async def warm(self) -> None:
        self.warming.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Workshop:
    """Makes guards and remembers them."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.stamp = 0
        self.kind: type[ScriptedGuard] = ScriptedGuard
        self.pause = 0.0
        self.thread = GuardThread(self._make, lambda: self.stamp)

    def _make(self, choice: GuardChoice) -> ScriptedGuard:
        self.made.append(self.kind(pause=self.pause))
        return self.made[-1]

    def judge(self, choice: GuardChoice = CHOICE) -> Judging:
        return self.thread.judge(Case("x"), choice)


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    shop = Workshop()
    yield shop
    shop.thread.close()


def test_a_guard_is_kept_until_the_choice_or_a_policy_changes(workshop: Workshop) -> None:
    for _ in range(2):
        assert workshop.judge().done.wait(5)
    assert len(workshop.made) == 1
    workshop.stamp += 1
    assert workshop.judge().done.wait(5)
    assert len(workshop.made) == 2
    assert workshop.made[0].closed.is_set()
    assert workshop.judge(GuardChoice("reasoner")).done.wait(5)
    assert len(workshop.made) == 3


def test_events_end_in_a_verdict_off_the_calling_thread(workshop: Workshop) -> None:
    judging = workshop.judge()
    assert judging.done.wait(5)
    assert isinstance(judging.events[-1], VerdictReached)
    assert judging.error is None


def test_stopping_closes_the_generator_within_the_promised_time(workshop: Workshop) -> None:
    workshop.pause = 0.5
    judging = workshop.judge()
    while not judging.events:
        time.sleep(0.01)
    began = time.perf_counter()
    workshop.thread.stop(judging)
    assert judging.done.wait(1)
    assert time.perf_counter() - began < 0.2
    assert workshop.made[0].stopped


def test_warming_up_gives_way_to_a_case(workshop: Workshop) -> None:
    workshop.kind = Warming
    workshop.thread.prepare(CHOICE)
    assert Warming.warming.wait(5)
    assert workshop.judge().done.wait(5)
    assert Warming.cancelled.is_set()
    assert len(workshop.made) == 1


def test_closing_stops_what_runs_and_gives_the_guard_back(workshop: Workshop) -> None:
    workshop.pause = 0.5
    judging = workshop.judge()
    while not judging.events:
        time.sleep(0.01)
    workshop.thread.close()
    assert workshop.made[0].stopped
    assert workshop.made[0].closed.is_set()
