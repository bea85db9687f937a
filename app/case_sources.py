"""Where cases for a policy are looked for, page by page; nothing is read where keys are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from app.case_checks import Proposed
from app.records import Records, Store
from engine.jobs.evaluate import Evaluate
from engine.jobs.evaluated import KeptCase, evaluated_run, kept_cases
from engine.policies.files import read_file
from engine.policies.load import PolicyError
from engine.tracker.records import DAMAGED, Probe, TrackerError
from engine.tracker.run_records import RunQuery, RunSummary
from engine.workshop.imports import Errors, Proposal, of_errors, of_file, of_probe

_PROBES = 20
_PAGE = 2_000
_RUNS = 500
_LARGEST = 64 << 20


class CaseSource(Protocol):
    """Proposals a page at a time. ``complete``: there are no more. Both methods raise what goes wrong."""

    @property
    def name(self) -> str: ...

    @property
    def complete(self) -> bool: ...

    async def first(self, words: str) -> list[Proposed]: ...

    async def more(self) -> list[Proposed]: ...


class ProbeSource:
    """The probes of the past, newest first. Damaged ones are left out."""

    name = "Probes"

    def __init__(self, records: Records, policy: str) -> None:
        self._records = records
        self._policy = policy
        self._words = ""
        self._before: int | None = None
        self.complete = False

    async def first(self, words: str) -> list[Proposed]:
        """Return the newest probes whose prompt or response contains ``words``."""
        self._words, self._before, self.complete = words, None, False
        return await self.more()

    async def more(self) -> list[Proposed]:
        words, before = self._words, self._before
        proposals, last, complete = await self._records.ask(lambda store: self._page(store, before, words))
        self._before, self.complete = last, complete
        return proposals

    def _page(self, store: Store, before: int | None, words: str) -> tuple[list[Proposed], int | None, bool]:
        page = store.probes(before=before, limit=_PROBES, contains=words or None)
        probes = (_probe(store, summary.id) for summary in page if summary.status != DAMAGED)
        proposals = [_proposed(of_probe(probe, self._policy)) for probe in probes if probe is not None]
        return proposals, page[-1].id if page else before, len(page) < _PROBES


class ListSource:
    """What can be read at once: all of it is kept, and filtered here."""

    def __init__(self, name: str, load: Callable[[], Awaitable[list[Proposed]]]) -> None:
        self.name = name
        self._load = load
        self._all: list[Proposed] | None = None
        self._matching: list[Proposed] = []
        self._given = 0

    @property
    def complete(self) -> bool:
        return self._given >= len(self._matching)

    async def first(self, words: str) -> list[Proposed]:
        """Return the first of those that have all ``words`` in their texts."""
        if self._all is None:
            self._all = await self._load()
        self._matching = await asyncio.to_thread(_matching, self._all, words)
        self._given = 0
        return await self.more()

    async def more(self) -> list[Proposed]:
        page = self._matching[self._given : self._given + _PAGE]
        self._given += len(page)
        return page


class RunErrors:
    """The errors of one finished evaluation, of either kind; its predictions are read once."""

    def __init__(self, records: Records, runs: Path, run_id: int, policy: str) -> None:
        self._records = records
        self._folder = runs / str(run_id)
        self._run_id = run_id
        self._policy = policy
        self._kept: Mapping[str, KeptCase] | None = None

    def source(self, errors: Errors) -> ListSource:
        return ListSource(f"Run {self._run_id}: {errors.value}", lambda: self._load(errors))

    async def _load(self, errors: Errors) -> list[Proposed]:
        if self._kept is None:
            await self._records.ask(lambda store: evaluated_run(store.runs, self._run_id))
            self._kept = await asyncio.to_thread(kept_cases, self._folder, self._run_id)
        return await asyncio.to_thread(self._proposed, self._kept, errors)

    def _proposed(self, kept: Mapping[str, KeptCase], errors: Errors) -> list[Proposed]:
        return list(map(_proposed, of_errors(kept.values(), self._run_id, self._policy, errors)))


def file_source(path: Path) -> ListSource:
    """Return the cases of a file."""
    return ListSource(path.name, lambda: asyncio.to_thread(_of_path, path))


async def finished_evaluations(records: Records) -> list[RunSummary]:
    """Return the evaluations that have succeeded, newest first."""
    query = RunQuery(kind=Evaluate.name, status="succeeded")
    page = await records.ask(lambda store: store.runs.page(query, limit=_RUNS))
    return [summary for _, summary in page]


def _probe(store: Store, probe_id: int) -> Probe | None:
    try:
        return store.probe(probe_id)
    except TrackerError:  # this one is damaged: the page could be read
        return None


def _proposed(proposal: Proposal) -> Proposed:
    violation = proposal.violation
    return Proposed(proposal.expecting(violation is not False), decided=violation is not None)


def _of_path(path: Path) -> list[Proposed]:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if size > _LARGEST:
        raise PolicyError(f"{path} is too large: {size >> 20:,} MiB. {_LARGEST >> 20} MiB are read at most.")
    return list(map(_proposed, of_file(read_file(path).text.encode("utf-8"), path.name)))


def _matching(proposals: list[Proposed], words: str) -> list[Proposed]:
    wanted = words.casefold().split()
    if not wanted:
        return proposals
    return [each for each in proposals if all(word in _text(each) for word in wanted)]


def _text(proposed: Proposed) -> str:
    return f"{proposed.case.case.prompt}\n{proposed.case.case.response or ''}".casefold()
