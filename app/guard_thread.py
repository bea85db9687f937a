"""Guards at work beside the interface: a thread with an event loop of its own builds and runs them.

The interface's loop draws and listens, nothing else. It takes a judgement's events from a queue when it
draws; a guard that computes for seconds on end delays no key.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.guard_choice import GuardChoice
from engine.cases import Case
from engine.events import Event
from engine.guards.base import Guard
from engine.policies.load import Policy

Result = TypeVar("Result")


@dataclass(slots=True)
class Judging:
    """A judgement under way. ``events`` is filled by the guards' thread and emptied by the interface."""

    case: Case
    choice: GuardChoice
    events: deque[Event] = field(default_factory=deque)
    policies: Sequence[Policy] = ()
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)


class GuardThread:
    """Judges one case after another. ``make`` is called on the thread, as it may read files and import."""

    def __init__(self, make: Callable[[GuardChoice], Guard], stamp: Callable[[], object]) -> None:
        self._make = make
        self._stamp = stamp
        self._made: tuple[GuardChoice, object] | None = None
        self._guard: Guard | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._preparing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._at_end: list[Callable[[], Awaitable[object]]] = []

    def judge(self, case: Case, choice: GuardChoice) -> Judging:
        """Begin to judge and return at once."""
        judging = Judging(case, choice)
        self._running_loop().call_soon_threadsafe(self._begin, judging)
        return judging

    def prepare(self, choice: GuardChoice) -> None:
        """Make the guard and warm it up, if it can be, while a case is being written. Returns at once."""
        self._running_loop().call_soon_threadsafe(self._begin_to_prepare, choice)

    def stop(self, judging: Judging) -> None:
        """Cancel: the guard's generator is closed, which stops the work itself. Returns at once."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, judging)

    async def run(self, work: Awaitable[Result]) -> Result:
        """Await ``work`` on the guards' thread."""

        async def there() -> Result:
            return await work

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self._running_loop()))

    def call(self, work: Callable[[], object]) -> None:
        """Have ``work`` called on the guards' thread, whose event loop is running there. Returns at once."""
        self._running_loop().call_soon_threadsafe(work)

    def at_end(self, work: Callable[[], Awaitable[object]]) -> None:
        """Have ``work`` awaited on the guards' thread before it ends."""
        self._at_end.append(work)

    def close(self, patience_s: float = 1.0) -> None:
        """Stop everything and give the guard's connections back, or give up waiting after ``patience_s``."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._wind_up(), loop)
        self._thread.join(patience_s)
        if not self._thread.is_alive():
            loop.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="guards", daemon=True)
            self._thread.start()
        return self._loop

    def _begin_to_prepare(self, choice: GuardChoice) -> None:
        self._end_preparing()
        self._preparing = asyncio.get_running_loop().create_task(self._prepare(choice))

    def _end_preparing(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            self._preparing = None

    async def _prepare(self, choice: GuardChoice) -> None:
        """What goes wrong here goes wrong again when a case is judged, and is told then."""
        with contextlib.suppress(Exception):
            async with self._turn:
                guard = await self._guard_for(choice)
                await guard.warm()

    def _begin(self, judging: Judging) -> None:
        self._end_preparing()
        task = asyncio.get_running_loop().create_task(self._judge(judging))
        self._tasks[id(judging)] = task
        task.add_done_callback(lambda _: self._tasks.pop(id(judging), None))

    def _cancel(self, judging: Judging) -> None:
        task = self._tasks.get(id(judging))
        if task is not None:
            task.cancel()

    async def _judge(self, judging: Judging) -> None:
        try:
            async with self._turn:
                guard = await self._guard_for(judging.choice)
                judging.policies = guard.policies
                async with contextlib.aclosing(guard.judge(judging.case)) as events:
                    async for event in events:
                        judging.events.append(event)
        except Exception as error:
            judging.error = error
        finally:
            judging.done.set()

    async def _guard_for(self, choice: GuardChoice) -> Guard:
        """Return the guard of the last case if it is the one chosen and no policy has changed since."""
        wanted = (choice, self._stamp())
        if self._guard is None or self._made != wanted:
            await self._let_go()
            self._guard = self._make(choice)
            self._made = wanted
        return self._guard

    async def _let_go(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()

    async def _wind_up(self) -> None:
        self._end_preparing()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._let_go()
        for work in self._at_end:
            with contextlib.suppress(Exception):
                await work()
        asyncio.get_running_loop().stop()
