"""Trials beside the interface, on the guards' thread: of a text, and of the one that it is compared with."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from engine.policies.load import PolicyCase, Texts
from engine.tracker.policy_records import Trials
from engine.workshop.judges import Judge
from engine.workshop.rules_process import RulesProcess
from engine.workshop.trials import Outcome
from engine.workshop.workshop import Workshop

if TYPE_CHECKING:
    from app.guard_thread import GuardThread
    from app.records import Records
    from engine.workspace import Workspace


Result = TypeVar("Result")


class Side(StrEnum):
    """Which of the two texts an outcome is of."""

    AFTER = "after"
    BEFORE = "before"


@dataclass(slots=True)
class Trying:
    """A trial under way. ``outcomes`` is filled by the guards' thread and emptied by the interface.

    ``before`` None: there is no other text to compare with. ``errors``: why a text could not be tried.
    """

    judge: Judge
    policy: str
    cases: Sequence[PolicyCase]
    after: Texts
    before: Texts | None = None
    stop_at_first: bool = False
    afresh: bool = False
    outcomes: deque[tuple[Side, Outcome]] = field(default_factory=deque)
    errors: dict[Side, Exception] = field(default_factory=dict)
    trouble: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class RecordsStore:
    """The tracker of the interface as the place where outcomes are kept."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def trials(self, text_sha256: str, judge: str, case_keys: Iterable[str]) -> Trials:
        keys = list(case_keys)
        return await self._records.ask(lambda store: store.policies.trials(text_sha256, judge, keys))

    async def keep(self, text_sha256: str, judge: str, trials: Trials) -> None:
        await self._records.ask(lambda store: store.policies.keep_trials(text_sha256, judge, trials))


class TrialThread:
    """Tries one thing after another: what is begun stops what runs."""

    def __init__(self, guards: GuardThread, workspace: Workspace, records: Records) -> None:
        self._guards = guards
        self._workspace = workspace
        self._records = records
        self._workshop: Workshop | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def begin(self, trying: Trying, told: Callable[[], object]) -> None:
        """Begin, and return at once. ``told`` is called on the guards' thread when it is over."""
        self._guards.call(lambda: self._begin(trying, told))

    def stop(self) -> None:
        """Stop what runs: the model itself stops. Returns at once."""
        self._guards.call(self._cancel)

    async def ask(self, work: Callable[[Workshop], Awaitable[Result]], *, at_once: bool = False) -> Result:
        """Do other work with the workshop: after what runs now, or ``at_once``, if it needs no model."""

        async def there() -> Result:
            if at_once:
                return await work(self.workshop)
            async with self._turn:
                return await work(self.workshop)

        return await self._guards.run(there())

    @property
    def workshop(self) -> Workshop:
        """The workshop; of the guards' thread."""
        if self._workshop is None:
            self._workshop = Workshop(self._workspace, RecordsStore(self._records), RulesProcess())
            self._guards.at_end(self._workshop.aclose)
        return self._workshop

    def _begin(self, trying: Trying, told: Callable[[], object]) -> None:
        self._cancel()
        self._task = asyncio.get_running_loop().create_task(self._run(trying, told))

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, trying: Trying, told: Callable[[], object]) -> None:
        try:
            async with self._turn:
                await self._try(trying, Side.AFTER, trying.after)
                if trying.before is not None:
                    await self._try(trying, Side.BEFORE, trying.before)
                trying.trouble = self.workshop.trouble
        finally:
            trying.done.set()
            told()

    async def _try(self, trying: Trying, side: Side, texts: Texts) -> None:
        afresh = trying.afresh and side is Side.AFTER
        try:
            running = self.workshop.run(trying.judge, trying.policy, trying.cases, texts, afresh=afresh)
            async with aclosing(running) as outcomes:
                async for outcome in outcomes:
                    trying.outcomes.append((side, outcome))
                    if trying.stop_at_first and side is Side.AFTER and not outcome.passed:
                        return
        except Exception as error:
            trying.errors[side] = error
