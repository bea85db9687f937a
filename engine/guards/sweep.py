"""In which order many items go through several lanes, where it costs something to change the lane.

A back end keeps the prefix that a slot had last, and so the policy. Each worker stands for a slot: it
stays in its lane while items wait there, and then goes to where most wait and nobody works, or so many
wait that help is worth it. With a worker for every lane none has to move. One worker alone takes all items
in hand through the first lane, then through the next; from the last on it begins the next items where
it stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")

HELP_FROM = 8
"""Items that have to wait in a lane before workers join it that would have to read its prefix for that."""


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
    at_work = [0] * lanes
    share = -(-workers // lanes)
    read = 0

    def may_enter(lane: int) -> bool:
        return at_work[lane] < share or len(waiting[lane]) >= HELP_FROM

    def next_lane(stood: int | None) -> int | None:
        """Return the lane that a worker goes to from where it ``stood``; None: it is of no use now."""
        if stood is not None and waiting[stood]:
            return stood
        open_lanes = [lane for lane in range(lanes) if waiting[lane] and may_enter(lane)]
        return max(open_lanes, key=lambda lane: len(waiting[lane]), default=None)

    try:
        while True:
            done: list[Item] = []
            for task in [task for task in running if task.done()]:
                entry, lane = running.pop(task)
                task.result()
                idle.append(lane)
                at_work[lane] -= 1
                entry.left -= 1
                if not entry.left:
                    done.append(entry.item)
            read -= len(done)
            for item in islice(source, in_hand - read):
                read += 1
                entry = _InHand(item, lanes)
                for queue in waiting:
                    queue.append(entry)
            idle.sort(key=lambda stood: stood is None or not waiting[stood])
            workless = []
            for stood in idle:
                going = next_lane(stood)
                if going is None:
                    workless.append(stood)
                    continue
                entry = waiting[going].popleft()
                at_work[going] += 1
                running[asyncio.create_task(run(entry.item, going))] = entry, going
            idle = workless
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
