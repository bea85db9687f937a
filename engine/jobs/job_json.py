"""Jobs as JSON, for machines. Times are ISO 8601 in UTC. Imports SQLModel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.events import JsonValue
from engine.jobs.folder import RunFolder
from engine.jobs.records import JobSummary
from engine.jobs.states import Failed, Killed, Succeeded
from engine.jobs.told import Told
from engine.tracker.run_json import run_json
from engine.tracker.run_records import Run


def job_json(job: JobSummary, why: str = "") -> dict[str, Any]:
    """Return a line of the queue as an object. ``why`` it waits takes the place of its reason."""
    state = job.state
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": state.name,
        "outcome": job.outcome,
        "exit_code": 0 if isinstance(state, Succeeded) else state.code if isinstance(state, Failed) else None,
        "signal": state.signal if isinstance(state, Killed) else None,
        "cancel": job.cancel,
        "reason": why or job.reason,
        "attempt": job.attempt,
        "experiment": job.experiment,
        "group": job.group,
        "priority": job.priority,
        "accelerators": job.accelerators,
        "needs": list(job.needs),
        "retry_of": job.retry_of,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "progress": {
            "done": job.done,
            "total": job.total,
            "unit": job.unit,
            "phase": job.phase,
            "fraction": job.fraction,
            "rate": job.rate,
            "eta_s": job.eta_s,
        },
        "cost_usd": job.cost_usd,
        "skipped_lines": job.skipped_lines,
    }


def whole_job_json(
    job: JobSummary, run: Run, folder: RunFolder, failure: Told | None, why: str = ""
) -> dict[str, Any]:
    """Return all that is known of a job as an object: the job's line, its run, and where its files are.

    The run's ``outcome``, what the work said of itself at its end, is ``summary`` here. ``failure`` is the
    event that says why it failed.
    """
    of_run = run_json(run)
    of_run["summary"] = of_run.pop("outcome")
    del of_run["status"], of_run["headline"]
    return {
        **job_json(job, why),
        **{name: value for name, value in of_run.items() if name not in _OF_JOB},
        "failure": None if failure is None else _failure(failure),
        "folder": str(folder.path),
        "output": str(folder.output),
        "events": str(folder.events),
    }


_OF_JOB = ("id", "name", "kind", "experiment", "created_at", "started_at", "ended_at", "cost_usd")


def _failure(failure: Told) -> dict[str, JsonValue]:
    return {name: failure.body.get(name) for name in ("message", "unreachable", "kept", "hint")}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
