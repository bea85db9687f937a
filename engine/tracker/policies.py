"""The versions of policies' files, who used them, and what cases were found to be. Imports SQLModel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, text
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlmodel import col

from engine.cases import Finding, Status
from engine.tracker.database import Database
from engine.tracker.encoding import load_text
from engine.tracker.policy_records import PolicyFileVersion, Trials, Uses, VersionOrigin
from engine.tracker.policy_tables import PolicyVersionRow, TrialRow
from engine.tracker.schema import PolicyTextRow

_NEWEST = 5
_AT_ONCE = 500


class PolicyHistory:
    """What a database knows of policies. Any thread may call any method; each call is one transaction.

    Every method raises `TrackerError` where the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- versions ------------------------------------------------------------------------------------

    def note(self, texts: Mapping[str, str], origin: VersionOrigin = VersionOrigin.FOUND) -> tuple[str, ...]:
        """Record the texts of files that are not what was last recorded of them; return these files.

        On return it is committed. A text that the file had before becomes a version again.
        """
        hashes = {file: sha256(content.encode()).hexdigest() for file, content in texts.items()}
        with self._database.reading() as connection:
            if not _changed(connection, hashes):
                return ()
        with self._database.writing() as connection:
            changed = _changed(connection, hashes)
            keep_texts(connection, {hashes[file]: texts[file] for file in changed})
            now = datetime.now(UTC)
            for file in changed:
                values = {"file": file, "sha256": hashes[file], "origin": origin.value, "created_at": now}
                connection.execute(insert(PolicyVersionRow).values(values))
        return changed

    def versions(self, file: str) -> list[PolicyFileVersion]:
        """Return the versions of a file, newest first, without who used them."""
        query = (
            select(
                col(PolicyVersionRow.file),
                func.row_number()
                .over(order_by=(col(PolicyVersionRow.created_at), col(PolicyVersionRow.id)))
                .label("number"),
                col(PolicyVersionRow.sha256),
                col(PolicyVersionRow.origin),
                col(PolicyVersionRow.created_at),
            )
            .where(col(PolicyVersionRow.file) == file)
            .order_by(col(PolicyVersionRow.created_at).desc(), col(PolicyVersionRow.id).desc())
        )
        with self._database.reading() as connection:
            return [
                PolicyFileVersion(row.file, row.number, row.sha256, VersionOrigin(row.origin), row.created_at)
                for row in connection.execute(query)
            ]

    def counts(self) -> dict[str, int]:
        """Return how many versions each file has."""
        query = select(col(PolicyVersionRow.file), func.count()).group_by(col(PolicyVersionRow.file))
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def text(self, sha: str) -> str | None:
        """Return the text with this hash, or None if it was not kept."""
        with self._database.reading() as connection:
            return _text_of(connection, sha)

    def texts(self, shas: Iterable[str]) -> dict[str, str]:
        """Return the texts with these hashes, those that were kept."""
        with self._database.reading() as connection:
            found = {sha: _text_of(connection, sha) for sha in shas}
        return {sha: content for sha, content in found.items() if content is not None}

    def uses(self, shas: Sequence[str]) -> Uses:
        """Return who has judged by what has one of these hashes."""
        with self._database.reading() as connection:
            probes = connection.execute(_PROBES_BY, {"shas": list(shas)}).scalars().all()
            runs = connection.execute(_RUNS_BY, {"shas": list(shas)}).scalars().all()
        return Uses(len(probes), len(runs), tuple(probes[:_NEWEST]), tuple(runs[:_NEWEST]))

    # --- trials --------------------------------------------------------------------------------------

    def trials(self, text_sha256: str, judge: str, case_keys: Iterable[str]) -> Trials:
        """Return what is known of these cases under a text, by a judge."""
        keys = list(case_keys)
        found: Trials = {}
        with self._database.reading() as connection:
            for first in range(0, len(keys), _AT_ONCE):
                query = (
                    select(TrialRow.__table__)  # type: ignore[attr-defined]
                    .where(col(TrialRow.text_sha256) == text_sha256, col(TrialRow.judge) == judge)
                    .where(col(TrialRow.case_key).in_(keys[first : first + _AT_ONCE]))
                )
                for row in connection.execute(query):
                    with suppress(ValueError):  # a row that another program wrote, or damage: judged anew
                        found[row.case_key] = _finding(row)
        return found

    def keep_trials(self, text_sha256: str, judge: str, trials: Trials) -> None:
        """Keep what cases were found to be; what is known of one already is replaced."""
        if not trials:
            return
        rows = [
            {
                "text_sha256": text_sha256,
                "judge": judge,
                "case_key": key,
                "violation": finding.violation,
                "score": finding.score,
                "status": finding.status.value,
                "reasoning": finding.reasoning,
                "latency_ms": finding.latency_ms,
            }
            for key, finding in trials.items()
        ]
        new = insert_or(TrialRow)
        decided = ("violation", "score", "status", "reasoning", "latency_ms")
        replacing = new.on_conflict_do_update(set_={name: new.excluded[name] for name in decided})
        with self._database.writing() as connection:
            connection.execute(replacing, rows)


def keep_texts(connection: Connection, texts: Mapping[str, str]) -> None:
    """Keep texts by their hashes; those that are there are left as they are."""
    for sha, content in texts.items():
        version = insert_or(PolicyTextRow).values(sha256=sha, text=content)
        connection.execute(version.on_conflict_do_nothing())


def _changed(connection: Connection, hashes: Mapping[str, str]) -> tuple[str, ...]:
    last = {load_text(file): sha for file, sha in connection.execute(_LAST)}
    return tuple(file for file, sha in hashes.items() if last.get(file) != sha)


def _text_of(connection: Connection, sha: str) -> str | None:
    found = select(col(PolicyTextRow.text)).where(col(PolicyTextRow.sha256) == sha)
    return connection.execute(found).scalar_one_or_none()


def _finding(row: Any) -> Finding:
    return Finding(
        policy="",
        violation=None if row.violation is None else bool(row.violation),
        score=row.score,
        status=Status(row.status),
        reasoning=row.reasoning,
        latency_ms=row.latency_ms,
    )


# Versions go by their time: what was taken over from a damaged database is older than its rows are.
_LAST = text("""
    SELECT file, sha256 FROM (
        SELECT file, sha256, row_number() OVER (PARTITION BY file ORDER BY created_at DESC, id DESC) AS place
        FROM policy_version
    ) WHERE place = 1
""")

_PROBES_BY = text(
    "SELECT DISTINCT probe_id FROM probe_policy WHERE sha256 IN :shas ORDER BY probe_id DESC"
).bindparams(bindparam("shas", expanding=True))

_RUNS_BY = text(
    "SELECT DISTINCT run_id FROM lineage WHERE role = 'policy' AND sha256 IN :shas ORDER BY run_id DESC"
).bindparams(bindparam("shas", expanding=True))
