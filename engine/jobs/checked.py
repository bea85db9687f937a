"""A job as it is asked for, checked as far as that can be done without the queue. Imports pydantic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.events import JsonValue
from engine.jobs.kind import Kind, Params
from engine.jobs.kinds import kind_named, refuse_secrets
from engine.jobs.records import JobError, JobSpec
from engine.jobs.states import Queued
from engine.tracker.run_records import Lineage, NewRun

_HUGE = 10**9


@dataclass(frozen=True, slots=True)
class Checked:
    """A job that could be queued. The needs of ``spec`` are all: those named, and those of its kind."""

    spec: JobSpec
    kind: Kind[Any]
    params: Params

    @property
    def run(self) -> NewRun:
        """The run that it is to be."""
        spec = self.spec
        return NewRun(
            spec.name or self.kind.title(self.params),
            spec.kind,
            Queued.name,
            experiment=spec.experiment,
            params=self.params.as_jsonable(),
            lineage=[Lineage("run", f"run {need}", None, need) for need in spec.needs],
            tags=tuple(spec.tags),
            note=spec.note,
        )

    def about(self, run_id: int, retry_of: int | None) -> dict[str, JsonValue]:
        """Return what its folder keeps of it, for the day the database has to be rebuilt."""
        spec = self.spec
        return {
            "id": run_id,
            "name": self.run.name,
            "kind": spec.kind,
            "params": self.params.as_jsonable(),
            "experiment": spec.experiment,
            "group": spec.group,
            "priority": spec.priority,
            "accelerators": spec.accelerators,
            "needs": list(spec.needs),
            "tags": list(spec.tags),
            "note": spec.note,
            "retry_of": retry_of,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        }


def check_spec(spec: JobSpec) -> Checked:
    """Return a job that could be queued.

    Raises:
        JobError: if it could not: there is no such kind, parameters do not fit, or something is not there.
    """
    kind = kind_named(spec.kind)
    params = kind.validate(spec.params)
    cwd = Path(spec.cwd)
    if not cwd.is_dir():
        raise JobError(f"There is no folder {cwd} to work in.")
    kind.check(params, cwd)
    texts = (spec.name, spec.note, spec.experiment or "", spec.group, *spec.tags)
    refuse_secrets(params.as_jsonable(), *texts)
    if spec.accelerators < 0:
        raise JobError("A job cannot need fewer than no accelerators.")
    refuse_huge(spec.accelerators, spec.priority)
    refuse_nameless(spec.group)
    needs = tuple(dict.fromkeys((*spec.needs, *kind.needs(params))))
    return Checked(replace(spec, needs=needs), kind, params)


def refuse_huge(*numbers: int) -> None:
    """Refuse numbers that nobody means, and the database might not hold.

    Raises:
        JobError: if one is such a number.
    """
    for number in numbers:
        if abs(number) > _HUGE:
            raise JobError(f"{number} is out of range: {-_HUGE:,} to {_HUGE:,} are possible.")


def refuse_nameless(group: str) -> None:
    """Refuse a group without a name.

    Raises:
        JobError: if it has none.
    """
    if not group.strip():
        raise JobError("A group has a name.")
