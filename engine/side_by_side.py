"""Doing the same with many things, a few at a time. Standard library only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

ThingT = TypeVar("ThingT")
DoneT = TypeVar("DoneT")


async def side_by_side(
    do: Callable[[ThingT], Coroutine[Any, Any, DoneT]], things: Iterable[tuple[int, ThingT]], slots: int
) -> AsyncGenerator[tuple[int, DoneT], None]:
    """Do numbered things, ``slots`` at a time; yield each one's number and what came of it, as they end.

    ``things`` is read as far as they are begun, so that it may be endless. What one raises is raised here,
    and closing the generator (`contextlib.aclosing`) stops those that are being done.
    """
    running: dict[asyncio.Task[DoneT], int] = {}
    try:
        for number, thing in things:
            running[asyncio.create_task(do(thing), name=f"side by side:{number}")] = number
            if len(running) >= slots:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield running.pop(task), task.result()
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield running.pop(task), task.result()
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
