"""In which order many items go through several lanes, where it costs something to change the lane.

A back end keeps the prefix that a slot had last, and so the policy. Each worker stands for a slot: it
stays in its lane while items wait there, and then goes to where most wait. With a worker for every lane
none has to move. One worker alone takes all items in hand through the first lane, then through the next;
from the last on it begins the next items where it stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(slots=True)
class _InHand(Generic[Item]):
    """An item that is read and not yet done. ``left``: the lanes that it has still to go through."""

    item: Item
    left: int


async def sweep(
    items: Iterable[Item],
    lanes: int,
    workers: int,
    run: Callable[[Item, int], Coroutine[None, None, None]],
    *,
    in_hand: int,
) -> AsyncGenerator[Item, None]:
    """Call ``run`` for every item in each of the lanes 0 to ``lanes`` - 1; yield an item after its last.

    At most ``workers`` calls are under way at once, and at most ``in_hand`` items have been read and are not
    done. Closing the generator, and a call that raises, cancel the others.
    """
    source = iter(items)
    waiting: list[deque[_InHand[Item]]] = [deque() for _ in range(lanes)]
    idle: list[int | None] = [None] * workers
    running: dict[asyncio.Task[None], tuple[_InHand[Item], int]] = {}
    read = 0
    try:
        while True:
            done: list[Item] = []
            for task in [task for task in running if task.done()]:
                entry, lane = running.pop(task)
                task.result()
                idle.append(lane)
                entry.left -= 1
                if not entry.left:
                    done.append(entry.item)
            read -= len(done)
            for item in islice(source, in_hand - read):
                read += 1
                entry = _InHand(item, lanes)
                for queue in waiting:
                    queue.append(entry)
            idle.sort(key=lambda lane: lane is None or not waiting[lane])
            for _ in range(len(idle)):
                next_lane = _next_lane(idle[0], waiting)
                if next_lane is None:
                    break
                del idle[0]
                entry = waiting[next_lane].popleft()
                running[asyncio.create_task(run(entry.item, next_lane))] = entry, next_lane
            for item in done:
                yield item
            if not running:
                return
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _next_lane(stood: int | None, waiting: list[deque[_InHand[Item]]]) -> int | None:
    """Return the lane that a worker goes to from where it ``stood``; None where nothing waits anywhere."""
    if stood is not None and waiting[stood]:
        return stood
    fullest = max(range(len(waiting)), key=lambda lane: len(waiting[lane]))
    return fullest if waiting[fullest] else None
