"""The order of a sweep: who changes lanes, and when; how much is in hand; what stops it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import count, pairwise

import pytest

from engine.guards.sweep import HELP_FROM, sweep

LANES = 6


class Recorder:
    """What ran, in the order of its beginning, and how much of it at once."""

    def __init__(self, takes: Callable[[int, int], float] = lambda item, lane: 0.0) -> None:
        self.ran: list[tuple[int, int]] = []
        self.running = 0
        self.most_running = 0
        self.read = 0
        self._takes = takes

    async def run(self, item: int, lane: int) -> None:
        self.ran.append((item, lane))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self._takes(item, lane))
        finally:
            self.running -= 1

    def items(self, number: int | None = None) -> Iterator[int]:
        for item in count() if number is None else range(number):
            self.read += 1
            yield item

    def sweep(self, items: Iterator[int], workers: int, in_hand: int = 8) -> AsyncGenerator[int, None]:
        return sweep(items, LANES, workers, self.run, in_hand=in_hand)


async def test_one_worker_changes_lanes_when_a_lane_is_empty() -> None:
    recorder = Recorder()
    done = [item async for item in recorder.sweep(recorder.items(20), 1)]
    assert done == list(range(20))
    assert recorder.ran[:8] == [(item, 0) for item in range(8)]
    assert [lane for _, lane in recorder.ran[: 6 * 8 : 8]] == list(range(6))
    assert recorder.ran[48] == (8, 5), "it goes on where it stands: that lane's prefix is there"
    changes = sum(before != after for (_, before), (_, after) in pairwise(recorder.ran))
    assert changes == 5 * 3


@pytest.mark.parametrize("workers", [1, 2, 4, 6, 9, 12])
async def test_every_item_goes_once_through_every_lane(workers: int) -> None:
    chance = random.Random(workers)
    recorder = Recorder(lambda item, lane: chance.random() * 0.003)
    done = [item async for item in recorder.sweep(recorder.items(40), workers)]
    assert sorted(done) == list(range(40))
    assert Counter(recorder.ran) == Counter((item, lane) for item in range(40) for lane in range(LANES))
    assert recorder.most_running == workers


async def test_with_a_worker_for_every_lane_none_has_to_move() -> None:
    recorder = Recorder()
    running: Counter[int] = Counter()

    async def run(item: int, lane: int) -> None:
        running[lane] += 1
        assert running[lane] == 1, "two workers in one lane"
        await recorder.run(item, lane)
        running[lane] -= 1

    assert [item async for item in sweep(range(30), LANES, LANES, run, in_hand=8)] == list(range(30))
    assert recorder.most_running == LANES
    for lane in range(LANES):
        assert [item for item, its in recorder.ran if its == lane] == list(range(30))


@pytest.mark.parametrize(("in_hand", "helped"), [(HELP_FROM, False), (3 * HELP_FROM, True)])
async def test_a_lane_is_helped_where_many_wait(in_hand: int, helped: bool) -> None:
    running: Counter[int] = Counter()
    most: Counter[int] = Counter()

    async def run(item: int, lane: int) -> None:
        running[lane] += 1
        most[lane] = max(most[lane], running[lane])
        await asyncio.sleep(0.01 if lane == 3 else 0)
        running[lane] -= 1

    async with aclosing(sweep(range(40), LANES, LANES, run, in_hand=in_hand)) as done:
        assert sorted([item async for item in done]) == list(range(40))
    assert (most[3] > 1) == helped


@pytest.mark.parametrize("workers", [1, 3, 6])
async def test_no_more_is_read_than_is_in_hand(workers: int) -> None:
    recorder = Recorder()
    done = 0
    async with aclosing(recorder.sweep(recorder.items(), workers)) as items:
        async for _ in items:
            done += 1
            assert recorder.read <= done + 8 + workers
            if done == 30:
                break
    assert recorder.running == 0


async def test_results_come_while_the_rest_is_under_way() -> None:
    recorder = Recorder(lambda item, lane: 60.0 if item == 0 else 0.0)
    async with aclosing(recorder.sweep(recorder.items(5), 12)) as items:
        assert sorted([await anext(items) for _ in range(4)]) == [1, 2, 3, 4]
    assert recorder.running == 0


async def test_nothing_is_no_work() -> None:
    recorder = Recorder()
    assert [item async for item in recorder.sweep(recorder.items(0), 3)] == []


async def test_cancelling_cancels_the_calls() -> None:
    recorder = Recorder(lambda item, lane: 60.0)
    before = asyncio.all_tasks()

    async def read() -> None:
        async with aclosing(recorder.sweep(recorder.items(9), 4)) as items:
            async for _ in items:
                pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    assert recorder.running == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.running == 0
    assert asyncio.all_tasks() == before


async def test_a_call_that_raises_cancels_the_others() -> None:
    recorder = Recorder(lambda item, lane: 60.0)

    async def run(item: int, lane: int) -> None:
        if lane == 2:
            raise RuntimeError("a fault")
        await recorder.run(item, lane)

    with pytest.raises(RuntimeError, match="a fault"):
        async for _ in sweep(range(9), LANES, 4, run, in_hand=8):
            pass
    assert recorder.running == 0


async def test_a_source_that_raises_cancels_the_calls() -> None:
    recorder = Recorder(lambda item, lane: 0.01 if item == 0 else 60.0)

    def broken() -> Iterator[int]:
        yield from range(8)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        async for _ in recorder.sweep(broken(), 12):
            pass
    assert recorder.running == 0
