"""Bringing jobs back from their folders, after the database was lost. Imports SQLModel.

A run's folder says what the job is, what it told, and how it ended; only what people added later, notes,
tags and priorities, is in the database alone. See `engine.tracker.salvage` for what can be had of that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlmodel import col

from engine.jobs import supervisor
from engine.jobs.folder import RunFolder
from engine.jobs.job_rows import insert_job
from engine.jobs.kinds import kind_named
from engine.jobs.queue import Jobs
from engine.jobs.reconcile import reconcile
from engine.jobs.records import DEFAULT_GROUP, JobError
from engine.tracker.run_records import Lineage, NewRun
from engine.tracker.run_tables import JobNeedRow, JobRow, RunRow
from engine.tracker.run_writing import insert_lineage, insert_run

NOT_BEGUN = "It had not begun when the database was lost."
"""Why a job is skipped that waited then: whether it was wanted any more is not in its folder."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: jobs brought back and jobs that were there, by id, and folders that say nothing."""

    brought_back: tuple[int, ...]
    there: tuple[int, ...]
    unreadable: Mapping[str, str]


def rebuild(jobs: Jobs) -> Rebuilt:
    """Bring back every job that has a folder and no row. As often as one likes; jobs go on meanwhile.

    Raises:
        TrackerError: if the database cannot be written. What was brought back before is kept.
    """
    brought_back: list[int] = []
    there: list[int] = []
    unreadable: dict[str, str] = {}
    needs: dict[int, list[int]] = {}
    for run_id in _numbers(jobs.runs_folder):
        folder = jobs.folder(run_id)
        try:
            about = _about(folder, run_id)
        except (OSError, ValueError, OverflowError, KeyError, TypeError, JobError) as error:
            unreadable[folder.path.name] = str(error) or type(error).__name__
            continue
        with jobs.database.writing() as connection:
            known = connection.execute(select(col(RunRow.id)).where(col(RunRow.id) == run_id)).first()
            if known is None:
                _insert(connection, run_id, about, folder)
                brought_back.append(run_id)
                needs[run_id] = about["needs"]
            elif _is_job(connection, run_id):
                there.append(run_id)
            else:
                unreadable[folder.path.name] = "Its number is that of a run which is no job."
    _link(jobs, needs)
    reconcile(jobs)
    return Rebuilt(tuple(brought_back), tuple(there), unreadable)


def _numbers(runs_folder: Path) -> list[int]:
    try:
        return sorted(int(path.name) for path in runs_folder.iterdir() if path.name.isdecimal())
    except FileNotFoundError:
        return []


def _about(folder: RunFolder, run_id: int) -> dict[str, Any]:
    """Return what the folder says the job is, each part of the type that it has to be."""
    about = folder.spec()["about"]
    if about["id"] != run_id:
        raise ValueError(f"It says that it is of job {about['id']}.")
    kind = kind_named(about["kind"])
    params = kind.validate(about["params"]).as_jsonable()
    experiment, retry_of = about.get("experiment"), about.get("retry_of")
    return {
        "name": str(about["name"]),
        "kind": kind.name,
        "params": params,
        "experiment": None if experiment is None else str(experiment),
        "group": str(about.get("group", DEFAULT_GROUP)),
        "priority": int(about.get("priority", 0)),
        "accelerators": int(about.get("accelerators", 0)),
        "needs": [int(need) for need in about.get("needs", [])],
        "tags": [str(tag) for tag in about.get("tags", [])],
        "note": str(about.get("note", "")),
        "retry_of": None if retry_of is None else int(retry_of),
        "created_at": datetime.fromisoformat(about["created_at"]).astimezone(UTC),
    }


def _insert(connection: Connection, run_id: int, about: Mapping[str, Any], folder: RunFolder) -> None:
    """Insert the rows of a job, in a state that `reconcile` takes further."""
    attempt = _attempt(folder)
    asked = supervisor.RUN if attempt is None else folder.asked(attempt)
    status, cancel, reason = "starting", None, ""
    if attempt is None:
        status, reason = "skipped", NOT_BEGUN
    elif asked == supervisor.PAUSE:
        status = "paused"
    elif asked in (supervisor.CANCEL_KEEP, supervisor.CANCEL_DISCARD):
        status, cancel = "cancelling", asked.removeprefix("cancel ")
    run = NewRun(
        about["name"],
        about["kind"],
        status,
        experiment=about["experiment"],
        params=about["params"],
        tags=about["tags"],
        note=about["note"],
        created_at=about["created_at"],
    )
    insert_run(connection, run, run_id)
    former = about["retry_of"]
    insert_job(
        connection,
        run_id,
        group=about["group"],
        priority=about["priority"],
        accelerators=about["accelerators"],
        retry_of=former if former is not None and _is_job(connection, former) else None,
        attempt=attempt or 1,
        cancel=cancel,
        reason=reason,
    )


def _attempt(folder: RunFolder) -> int | None:
    """Return the attempt that was last launched; None if none was."""
    try:
        return int((folder.path / supervisor.LOCK).read_text())
    except (OSError, ValueError):
        pass
    try:
        return int(json.loads((folder.path / supervisor.EXIT).read_bytes())["attempt"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_job(connection: Connection, run_id: int) -> bool:
    found = select(col(JobRow.run_id)).where(col(JobRow.run_id) == run_id)
    return connection.execute(found).first() is not None


def _link(jobs: Jobs, needs: Mapping[int, list[int]]) -> None:
    """Store which job needs which, once all are there."""
    with jobs.database.writing() as connection:
        for run_id, needed in needs.items():
            for need in dict.fromkeys(needed):
                if _is_job(connection, need):
                    connection.execute(insert(JobNeedRow).values(run_id=run_id, needs_id=need))
                    insert_lineage(connection, run_id, [Lineage("run", f"run {need}", None, need)])
