"""Judging many cases with any guard, as many at a time as it has slots for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial
from typing import Protocol, runtime_checkable

from engine.cases import Case
from engine.events import Event
from engine.guards.base import Guard
from engine.side_by_side import side_by_side

Judged = tuple[int, list[Event]]
"""The number that a case came with, and all events of its judgement."""


@runtime_checkable
class JudgesMany(Protocol):
    """A guard that has an order of its own for many cases, which saves work."""

    def judge_many(self, cases: Iterable[tuple[int, Case]]) -> AsyncGenerator[Judged, None]: ...


def judge_many(guard: Guard, cases: Iterable[tuple[int, Case]]) -> AsyncGenerator[Judged, None]:
    """Judge numbered cases; yield each one's number and events once it is judged.

    They come in the order of their end. ``cases`` is read as far as cases are begun, so that it may be
    endless, and memory stays bounded: no more than ``guard.slots`` judgements are held, or what the guard's
    own ``judge_many`` says. Leave it through `contextlib.aclosing`: closing it stops the cases that are
    being judged.
    """
    if isinstance(guard, JudgesMany):
        return guard.judge_many(cases)
    if guard.slots > 1:
        return side_by_side(partial(_judge, guard), cases, guard.slots)
    return _in_turn(guard, cases)


async def _in_turn(guard: Guard, cases: Iterable[tuple[int, Case]]) -> AsyncGenerator[Judged, None]:
    for number, case in cases:
        yield number, await _judge(guard, case)


async def _judge(guard: Guard, case: Case) -> list[Event]:
    async with aclosing(guard.judge(case)) as events:
        return [event async for event in events]
