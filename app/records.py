"""The tracker, on a thread of its own: nothing that touches a disk runs where keys are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from engine.cases import Case
from engine.events import Event
from engine.policies.load import Policy
from engine.tracker import Probe, ProbeSummary, open_tracker

Result = TypeVar("Result")


class Store(Protocol):
    """What the interface needs of a tracker."""

    def save_probe(
        self, case: Case, events: Sequence[Event], *, policies: Sequence[Policy] = (), source: str = "tui"
    ) -> int: ...

    def probes(
        self, *, before: int | None = None, limit: int = 50, contains: str | None = None
    ) -> list[ProbeSummary]: ...

    def probe(self, probe_id: int) -> Probe | None: ...

    def close(self) -> None: ...


class Records:
    """Opens the tracker when it is first needed, and again after a failure to open it."""

    def __init__(self, path: Path, open_store: Callable[[Path], Store] = open_tracker) -> None:
        self._path = path
        self._open_store = open_store
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")

    async def save(self, case: Case, events: Sequence[Event], policies: Sequence[Policy]) -> int:
        """Save a probe and return its number."""
        return await self._run(lambda store: store.save_probe(case, events, policies=policies, source="tui"))

    async def page(self, before: int | None, limit: int, contains: str) -> list[ProbeSummary]:
        """Return a page of summaries, newest first."""
        return await self._run(
            lambda store: store.probes(before=before, limit=limit, contains=contains or None)
        )

    async def probe(self, probe_id: int) -> Probe | None:
        return await self._run(lambda store: store.probe(probe_id))

    def close(self) -> None:
        """Finish what is being saved, then close."""
        self._thread.submit(self._close_store)
        self._thread.shutdown(wait=True)

    async def _run(self, work: Callable[[Store], Result]) -> Result:
        return await asyncio.wrap_future(self._thread.submit(self._with_store, work))

    def _with_store(self, work: Callable[[Store], Result]) -> Result:
        if self._store is None:
            self._store = self._open_store(self._path)
        return work(self._store)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
