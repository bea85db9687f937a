"""Queueing a matrix: an evaluation for each set of policies and model, and the job that makes the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.events import JsonValue
from engine.guards.build import GuardKind
from engine.jobs.evaluate import Evaluate, is_own_file
from engine.jobs.guard_params import short_model
from engine.jobs.kind import cut_name
from engine.jobs.matrix import MOST, Matrix
from engine.jobs.queue import Jobs
from engine.jobs.records import DEFAULT_GROUP, JobError, JobSpec
from engine.policies.load import PolicyError, select_names
from engine.policies.sets import find_set
from engine.workspace import find_workspace


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """What is to be compared. ``settings`` are the evaluations' parameters besides guard, model and set.

    ``experiment`` None: one that is named after the benchmark. ``accelerators`` are for each evaluation.
    """

    sets: Sequence[str]
    models: Sequence[str]
    settings: Mapping[str, JsonValue]
    cwd: str
    experiment: str | None = None
    group: str = DEFAULT_GROUP
    priority: int = 0
    accelerators: int = 0
    tags: Sequence[str] = ()
    note: str = ""

    @property
    def policies(self) -> list[str] | None:
        """The policies that are asked for of each set; None: all."""
        named = self.settings.get("policies")
        return [str(name) for name in named] if isinstance(named, list) and named else None


@dataclass(frozen=True, slots=True)
class QueuedMatrix:
    """The jobs of a matrix: the evaluations, set by set, and the one that makes the table of them."""

    evaluations: tuple[int, ...]
    matrix: int


def queue_matrix(jobs: Jobs, plan: MatrixPlan) -> QueuedMatrix:
    """Queue all jobs of a matrix, or, where one of them cannot be, none.

    Raises:
        JobError: if the plan is of no use, or a job of it cannot be queued.
        engine.policies.load.PolicyError: if there is no such set.
        TrackerError: if the database cannot be written.
    """
    sets, models = _distinct(plan.sets, "set of policies"), _distinct(plan.models, "model")
    if len(sets) * len(models) > MOST:
        raise JobError(f"That is {len(sets) * len(models):,} evaluations: {MOST:,} are possible.")
    _check_sets(jobs, plan, sets)
    experiment = plan.experiment or f"{_benchmark_words(plan)} by set of policies"

    def spec(kind: str, params: Mapping[str, JsonValue], *, name: str = "", accelerators: int = 0) -> JobSpec:
        return JobSpec(
            kind=kind,
            params=params,
            cwd=plan.cwd,
            name=name,
            experiment=experiment,
            group=plan.group,
            priority=plan.priority,
            accelerators=accelerators,
            tags=tuple(plan.tags),
            note=plan.note,
        )

    def table(evaluations: Sequence[int]) -> JobSpec:
        shape = f"{_count(len(sets), 'set')} × {_count(len(models), 'model')}"
        return spec(Matrix.name, {"runs": list(evaluations)}, name=f"{_benchmark_words(plan)}: {shape}")

    def evaluation(set_name: str, model: str) -> JobSpec:
        cell = {"guard": GuardKind.GAUNTLET.value, "model": model, "policy_set": set_name}
        called = cut_name(f"{_benchmark_words(plan)}: set {set_name}, {short_model(model)}")
        return spec(Evaluate.name, {**plan.settings, **cell}, name=called, accelerators=plan.accelerators)

    evaluations = [evaluation(name, model) for name in sets for model in models]
    *queued, matrix = jobs.add_all(evaluations, table)
    return QueuedMatrix(tuple(queued), matrix)


def _distinct(given: Sequence[str], what: str) -> list[str]:
    if not given:
        raise JobError(f"A matrix needs at least one {what}.")
    return list(dict.fromkeys(given))


def _check_sets(jobs: Jobs, plan: MatrixPlan, sets: Sequence[str]) -> None:
    """Refuse sets that do not exist or lack a policy that is asked for, and one that is named in two ways."""
    cwd = Path(plan.cwd)
    policies = jobs.policies or find_workspace(start=cwd).policies
    named: dict[Path, str] = {}
    for name in sets:
        found = find_set(policies, name, cwd)
        try:
            select_names(found.folder, plan.policies)
        except PolicyError as error:
            raise JobError(f"The set {name}: {error}") from error
        folder = found.folder.resolve()
        other = named.setdefault(folder, name)
        if other != name:
            raise JobError(f"The sets {other} and {name} are the same folder, {folder}.", "Leave one out.")


def _benchmark_words(plan: MatrixPlan) -> str:
    benchmark = str(plan.settings.get("benchmark", ""))
    return Path(benchmark).name if is_own_file(benchmark) else benchmark


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
