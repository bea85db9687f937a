"""The tracker, on a thread of its own: nothing that touches a disk runs where keys are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from engine.cases import Case
from engine.events import Event
from engine.policies.load import Policy
from engine.tracker import Probe, ProbeSummary, TrackerError, open_tracker
from engine.tracker.damage import notice

if TYPE_CHECKING:
    from engine.tracker.database import Database
    from engine.tracker.policies import PolicyHistory
    from engine.tracker.runs import Runs
    from engine.tracker.watch import Watch

Result = TypeVar("Result")


class Store(Protocol):
    """What the interface needs of a tracker. ``read_only`` is None, or says why nothing can be saved."""

    @property
    def database(self) -> Database: ...

    @property
    def read_only(self) -> str | None: ...

    @property
    def runs(self) -> Runs: ...

    @property
    def policies(self) -> PolicyHistory: ...

    def save_probe(
        self, case: Case, events: Sequence[Event], *, policies: Sequence[Policy] = (), source: str = "tui"
    ) -> int: ...

    def probes(
        self, *, before: int | None = None, limit: int = 50, contains: str | None = None
    ) -> list[ProbeSummary]: ...

    def probe(self, probe_id: int) -> Probe | None: ...

    def close(self) -> None: ...


class Records:
    """Opens the tracker when it is first needed, and again after a failure or where its file was replaced."""

    def __init__(self, path: Path, open_store: Callable[[Path], Store] = open_tracker) -> None:
        self._path = path
        self._open_store = open_store
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self._watch: Watch | None = None
        self._version = 0
        self.notice: str | None = None
        """What people should know of a damaged database that was moved aside; None if nothing."""
        self.read_only: str | None = None
        """Why nothing can be saved, as it was when the tracker was last opened; None if it can."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")

    async def save(self, case: Case, events: Sequence[Event], policies: Sequence[Policy]) -> int:
        """Save a probe and return its number."""
        return await self.ask(lambda store: store.save_probe(case, events, policies=policies, source="tui"))

    async def page(self, before: int | None, limit: int, contains: str) -> list[ProbeSummary]:
        """Return a page of summaries, newest first."""
        return await self.ask(
            lambda store: store.probes(before=before, limit=limit, contains=contains or None)
        )

    async def probe(self, probe_id: int) -> Probe | None:
        return await self.ask(lambda store: store.probe(probe_id))

    async def ask(self, work: Callable[[Store], Result]) -> Result:
        """Do work on the tracker's thread and return what it gives.

        Raises:
            TrackerError: if the database cannot be used now. The next call tries anew.
        """
        return await asyncio.wrap_future(self._thread.submit(self._with_store, work))

    async def version(self) -> int:
        """Return a number that is another one once anything was committed to the database, by whomever.

        Raises:
            TrackerError: as `ask` does.
        """
        return await self.ask(self._current_version)

    def close(self) -> None:
        """Finish what is being saved, then close."""
        self._thread.submit(self._close_store)
        self._thread.shutdown(wait=True)

    # --- on the thread -------------------------------------------------------------------------------

    def _with_store(self, work: Callable[[Store], Result]) -> Result:
        if self._store is not None and self._file != _identity(self._path):
            self._close_store()
        if self._store is None:
            self._store = self._open_store(self._path)
            self._file = _identity(self._path)
            self._version += 1
            self.read_only = self._store.read_only
            self.notice = notice(self._path)
        try:
            return work(self._store)
        except TrackerError:
            self._close_store()
            raise

    def _current_version(self, store: Store) -> int:
        if self._watch is None:
            from engine.tracker.watch import Watch

            self._watch = Watch(store.database)
        if self._watch.changed():
            self._version += 1
        if self.notice is not None and notice(self._path) is None:
            self.notice = None
            self._version += 1
        return self._version

    def _close_store(self) -> None:
        watch, self._watch = self._watch, None
        store, self._store = self._store, None
        if watch is not None:
            watch.close()
        if store is not None:
            store.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one at the same path; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
