"""What every guard is: something that judges a case and shows its reasoning as a stream of events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any, Protocol, TypeVar

from engine.cases import Case
from engine.events import Event
from engine.policies.load import Policy

EventT = TypeVar("EventT", bound=Event)


class Guard(Protocol):
    """Judges cases.

    ``judge`` is an asynchronous generator: `Started` first, then the reasoning as it happens, and last,
    always, `VerdictReached`: a case that could not be judged is escalated. Where the work could not be
    done at all, a `Failed` just before it says why and what to do. Closing the generator (``aclose``,
    or cancelling the task that runs it) stops the work itself: the connection is closed, the decode
    loop ends. It never raises for what a model, a server or the judged text does.
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str | None:
        """The spec of the model it judges by, if any."""
        ...

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The exact texts it judges by; their hashes are those in its `Started`."""
        ...

    @property
    def slots(self) -> int:
        """How many cases are worth judging at the same time."""
        ...

    def judge(self, case: Case) -> AsyncGenerator[Event, None]: ...

    async def warm(self) -> None:
        """Do what makes the first judgement quicker, if there is anything; never needed.

        Raises:
            engine.models.base.ModelError: if the back end fails.
        """

    async def aclose(self) -> None:
        """Give back connections and memory."""


class Stream:
    """Stamps the events of one judgement with their number and time.

    The clock stands still between `pause` and `resume`, while other judgements have their turn.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._paused: float | None = None
        self._next = 0

    @property
    def elapsed_ms(self) -> float:
        now = time.perf_counter() if self._paused is None else self._paused
        return (now - self._began) * 1000

    def pause(self) -> None:
        if self._paused is None:
            self._paused = time.perf_counter()

    def resume(self) -> None:
        if self._paused is not None:
            self._began += time.perf_counter() - self._paused
            self._paused = None

    def event(self, kind: type[EventT], **fields: Any) -> EventT:
        """Return a ``kind`` with the next ``seq`` and the present ``at_ms``."""
        event = kind(seq=self._next, at_ms=round(self.elapsed_ms, 3), **fields)
        self._next += 1
        return event
