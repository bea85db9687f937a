"""Saving and reading probes. Imports SQLModel: reach it through `engine.tracker.open_tracker`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    column,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
)
from sqlmodel import col

from engine.cases import Case, Decision, Verdict
from engine.events import Event, Started, VerdictReached, to_jsonable
from engine.policies.load import Policy
from engine.tracker.database import Database
from engine.tracker.encoding import pack_events, store_text
from engine.tracker.policies import PolicyHistory, keep_texts
from engine.tracker.probe_rows import SUMMARY, DamagedRow, read_probe, read_summaries
from engine.tracker.records import STOPPED, Probe, ProbeSummary, TrackerError
from engine.tracker.runs import Runs
from engine.tracker.schema import ProbePolicyRow, ProbeRow, ProbeStreamRow

_TRIGRAM = 3

_TRIGRAMS_ASKED = 16

_SEARCH = table("probe_search", column("rowid"))


class Tracker:
    """An open database. Any thread may call any method; each call is one transaction.

    Every method raises `TrackerError` where the database cannot be read or written. ``read_only`` is
    None, or says why nothing can be saved; ``notice`` is None, or tells of a damaged database that was moved
    aside.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.path = self.database.path
        self.read_only = self.database.read_only
        self.notice = self.database.notice
        self.runs = Runs(self.database)
        self.policies = PolicyHistory(self.database)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Call it once no other method is running."""
        self.database.close()

    def save_probe(
        self, case: Case, events: Sequence[Event], *, policies: Sequence[Policy] = (), source: str = "tui"
    ) -> int:
        """Save one judgement and return its id. On return it is committed.

        A stream that does not end in `VerdictReached` is saved as stopped.

        Raises:
            ValueError: if the stream does not begin with `Started`.
            TrackerError: if it could not be saved.
        """
        (probe_id,) = self.save_probes([(case, events)], policies=policies, source=source)
        return probe_id

    def save_probes(
        self,
        judged: Iterable[tuple[Case, Sequence[Event]]],
        *,
        policies: Sequence[Policy] = (),
        source: str = "batch",
    ) -> list[int]:
        """Save judgements by the same policies, all or none, and return their ids in order.

        On return they are committed.

        Raises:
            ValueError: if a stream does not begin with `Started`.
            TrackerError: if they could not be saved.
        """
        rows = [(_probe_values(case, events, source), pack_events(events)) for case, events in judged]
        if not rows:
            return []
        with self.database.writing() as connection:
            keep_texts(connection, {policy.sha256: policy.text for policy in policies})
            return _insert(connection, rows, policies)

    def probes(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        contains: str | None = None,
        decision: Decision | None = None,
        guard: str | None = None,
    ) -> list[ProbeSummary]:
        """Return up to ``limit`` summaries, newest first, of probes with an id below ``before``.

        The id of a page's last summary is the next page's ``before``. ``contains`` is a substring of the
        prompt or the response, whatever the case of its letters; it has no wildcards. A probe whose row is
        damaged is among them, with the status "damaged".
        """
        query = select(*SUMMARY).limit(limit)
        newest_first: Any = col(ProbeRow.id)
        if contains:
            query = query.where(_holds(contains))
            if trigrams := _trigrams(contains):
                query = query.join(_SEARCH, _SEARCH.c.rowid == col(ProbeRow.id))
                query = query.where(text("probe_search MATCH :trigrams").bindparams(trigrams=trigrams))
                newest_first = _SEARCH.c.rowid
        if before is not None:
            query = query.where(newest_first < before)
        if decision is not None:
            query = query.where(col(ProbeRow.decision) == decision.value)
        if guard is not None:
            query = query.where(col(ProbeRow.guard) == guard)
        query = query.order_by(newest_first.desc())
        with self.database.reading() as connection:
            return read_summaries(connection, query)

    def probe(self, probe_id: int) -> Probe | None:
        """Return the judgement in full, or None if there is none by that id."""
        with self.database.reading() as connection:
            try:
                return read_probe(connection, probe_id)
            except DamagedRow as error:
                raise TrackerError(
                    f"Probe {probe_id} in {self.path} cannot be read: {error}.",
                    kept="It was left as it is, and all else can be read.",
                    hint="It is damaged, or a newer version of Wizard101 may be able to read it.",
                ) from error

    def count(self) -> int:
        """Return how many probes are saved."""
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(ProbeRow)).scalar_one()


def _probe_values(case: Case, events: Sequence[Event], source: str) -> dict[str, Any]:
    first = events[0] if events else None
    if not isinstance(first, Started):
        raise ValueError("a probe's events begin with Started")
    last = events[-1]
    verdict = last.verdict if isinstance(last, VerdictReached) else None
    return {
        "created_at": datetime.now(UTC),
        "source": source,
        "guard": first.guard,
        "model": first.model,
        "decision": verdict.decision.value if verdict else None,
        "status": verdict.status.value if verdict else STOPPED,
        "score": verdict.score if verdict else None,
        "latency_ms": verdict.latency_ms if verdict else last.at_ms,
        "case_key": case.key,
        "settings": json.dumps(first.settings),
        "verdict": _verdict_json(verdict) if verdict else None,
        "prompt": case.prompt,
        "response": case.response,
    }


def _verdict_json(verdict: Verdict) -> str:
    bare = dataclasses.replace(
        verdict,
        policies=tuple(dataclasses.replace(finding, reasoning="") for finding in verdict.policies),
        tasks=tuple(dataclasses.replace(finding, reasoning="") for finding in verdict.tasks),
    )
    return json.dumps(to_jsonable(bare), separators=(",", ":"))


def _insert(
    connection: Connection, rows: Sequence[tuple[dict[str, Any], bytes]], policies: Sequence[Policy]
) -> list[int]:
    new = insert(ProbeRow).returning(col(ProbeRow.id), sort_by_parameter_order=True)
    ids: Any = connection.execute(new, [values for values, _ in rows]).scalars().all()
    streams = [
        {"probe_id": probe_id, "events": packed} for probe_id, (_, packed) in zip(ids, rows, strict=True)
    ]
    connection.execute(insert(ProbeStreamRow), streams)
    links = [
        {"probe_id": probe_id, "name": policy.name, "sha256": policy.sha256}
        for probe_id in ids
        for policy in policies
    ]
    if links:
        connection.execute(insert(ProbePolicyRow), links)
    return list(ids)


def _holds(contains: str) -> ColumnElement[bool]:
    """Return the condition that the prompt or the response holds the text, in any case."""
    folded = literal(store_text(contains).casefold())
    return or_(
        func.contains_folded(text("CAST(probe.prompt AS BLOB)"), folded),
        func.contains_folded(text("CAST(probe.response AS BLOB)"), folded),
    )


def _trigrams(contains: str) -> str | None:
    """Return the search table's expression for some of the text's trigrams, evenly spread.

    None for a text too short to have any: it is looked for in every probe.
    """
    stored = store_text(contains)
    starts = range(len(stored) - _TRIGRAM + 1)
    step = max(1, -(-len(starts) // _TRIGRAMS_ASKED))
    asked = {stored[start : start + _TRIGRAM] for start in starts[::step]}
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in sorted(asked)) or None
