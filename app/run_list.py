"""The runs that a query finds, by their place in its order, read by key wherever one looks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypedDict

from app.records import Records
from app.widgets.paged_table import PAGE
from engine.tracker.run_records import Cursor, RunQuery, RunSummary


class _Way(TypedDict, total=False):
    """How `Runs.page` is asked for a page."""

    after: Cursor
    before: Cursor
    last: bool
    skip: int


class RunList:
    """A source for a paged table: the runs as they are at one time.

    SQLite reads quickly from a key on, slowly from a number on. So the places of rows that were read are
    remembered, and rows are read from the nearest of them, or from an end of the list.
    """

    def __init__(self, records: Records, query: RunQuery) -> None:
        self._records = records
        self._query = query
        self._count = 0
        self._first: list[tuple[Cursor, RunSummary]] = []
        self._places: dict[int, Cursor] = {}

    async def count(self) -> int:
        """Count the runs; the first of them come along, for they are most often asked for next."""
        self._count, self._first = await self._records.ask(
            lambda store: (store.runs.count(self._query), store.runs.page(self._query, limit=PAGE))
        )
        return self._count

    async def find(self, key: Hashable) -> int | None:
        assert isinstance(key, int)
        return await self._records.ask(lambda store: store.runs.place(key, self._query))

    async def rows(self, first: int, limit: int) -> Sequence[RunSummary]:
        limit = min(limit, self._count - first)
        if limit <= 0:
            return []
        if first == 0 and limit == len(self._first):
            page = self._first
        else:
            way = self._shortest_way(first, first + limit)
            page = await self._records.ask(lambda store: store.runs.page(self._query, limit=limit, **way))
        if page:
            self._places[first] = page[0][0]
            self._places[first + len(page) - 1] = page[-1][0]
        return [summary for _, summary in page]

    def _shortest_way(self, first: int, end: int) -> _Way:
        """Return how to read rows from ``first`` up to ``end`` with the fewest left out on the way."""
        ways: list[tuple[int, _Way]] = [
            (first, {"skip": first}),
            (self._count - end, {"last": True, "skip": self._count - end}),
        ]
        for index, place in self._places.items():
            if index < first:
                ways.append((first - index - 1, {"after": place, "skip": first - index - 1}))
            elif index >= end:
                ways.append((index - end, {"before": place, "skip": index - end}))
        return min(ways, key=lambda way: way[0])[1]
