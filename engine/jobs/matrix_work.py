"""The work of a ``matrix`` job: reading what evaluations have kept, and making the table of them.

It reads the folders of the runs, which lie beside its own, and no database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.events import JsonValue
from engine.guards.build import GuardKind
from engine.jobs import supervisor
from engine.jobs.evaluate import PREDICTIONS, SCORES, Evaluate, EvaluateParams
from engine.jobs.evaluated import kept_cases
from engine.jobs.folder import RunFolder
from engine.jobs.matrix import MATRIX, MATRIX_CSV, MATRIX_MARKDOWN, MatrixParams
from engine.jobs.matrix_export import FIGURE_WORDS, matrix_csv, matrix_json, matrix_markdown, model_words
from engine.jobs.matrix_table import Judged, KeptScore, MatrixTable, make_table
from engine.jobs.records import JobError
from engine.jobs.result_lines import read_lines
from engine.jobs.states import Succeeded
from engine.jobs.worker import Work, WorkFailed
from engine.policies.sets import STANDARD

_MADE_ALIKE = ("benchmark", "limit", "seed", "level", "policies", "speed", "thresholds", "accept_changed")
"""Settings that evaluations should share whose sets and models are compared."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An evaluation, what it was asked to do, and the hashes of what it was made with."""

    judged: Judged
    params: EvaluateParams
    made_with: Mapping[str, Any]


async def make_matrix(work: Work) -> Mapping[str, JsonValue]:
    """Read and compare; return each cell's headline, in percent with its 95 % interval.

    Raises:
        WorkFailed: if a run is no finished evaluation of the gauntlet, two are of the same set and model, or
            what one has kept is gone.
    """
    params = MatrixParams.model_validate(dict(work.params))
    read: list[_Read] = []
    for done, run_id in enumerate(params.runs):
        work.progress(done, len(params.runs), "evaluations", "reading")
        read.append(await asyncio.to_thread(_read, work.folder.path.parent, run_id))
    _refuse_doubles([each.judged for each in read])
    work.progress(len(read), len(read), "evaluations", "comparing")
    notes = _notes(read)
    for note in notes:
        work.log(note, level="warning")
    matrix = await asyncio.to_thread(make_table, [each.judged for each in read], notes)
    for name, text in (
        (MATRIX, matrix_json(matrix)),
        (MATRIX_CSV, matrix_csv(matrix)),
        (MATRIX_MARKDOWN, matrix_markdown(matrix)),
    ):
        path = work.folder.path / name
        path.write_text(text, "utf-8", newline="")
        work.made(path, "scores")
    return _summary(matrix)


# --- reading -----------------------------------------------------------------------------------------


def _read(runs_folder: Path, run_id: int) -> _Read:
    folder = RunFolder(runs_folder / str(run_id))
    try:
        about = folder.spec()["about"]
        kind, given = str(about["kind"]), dict(about["params"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WorkFailed(
            f"There is nothing to be read of run {run_id}: {error}.", hint="Make the matrix without it."
        ) from error
    if kind != Evaluate.name:
        raise WorkFailed(
            f"Run {run_id} is a {kind} job, not an evaluation.", hint="Make the matrix without it."
        )
    params = EvaluateParams.model_validate(given)
    if params.guard is not GuardKind.GAUNTLET or params.model is None:
        raise WorkFailed(
            f"Run {run_id} is no evaluation of the gauntlet, and only that judges by sets of policies.",
            hint="Make the matrix without it.",
        )
    if not _has_succeeded(folder):
        raise WorkFailed(
            f"Run {run_id} has not succeeded, and what it has kept is not all of it.",
            hint=f"'wizard101 jobs resume {run_id}' goes on with it; retry this job after that.",
        )
    try:
        kept = kept_cases(folder.path, run_id)
    except JobError as error:
        raise WorkFailed(error.message, hint=error.hint) from error
    made_with, _ = read_lines(folder.path / PREDICTIONS)
    set_name = params.policy_set or STANDARD
    judged = Judged(run_id, set_name, params.model, _scores(folder, run_id), kept)
    return _Read(judged, params, made_with or {})


def _has_succeeded(folder: RunFolder) -> bool:
    """Tell whether the last attempt has; a folder says so itself."""
    try:
        attempt = int(json.loads((folder.path / supervisor.STARTED).read_bytes())["attempt"])
    except (OSError, KeyError, TypeError, ValueError):
        return False
    ended = folder.exit(attempt)
    return ended is not None and isinstance(ended.state, Succeeded)


def _scores(folder: RunFolder, run_id: int) -> Sequence[KeptScore]:
    path = folder.path / SCORES
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[KeptScore])
    except OSError as error:
        raise WorkFailed(
            f"The scores of run {run_id} cannot be read: {error}.", hint="Evaluate anew."
        ) from error
    except (ValueError, RecursionError) as error:
        raise WorkFailed(f"{path} does not hold scores: {error}.", hint="Evaluate anew.") from error


def _refuse_doubles(judged: Sequence[Judged]) -> None:
    first: dict[tuple[str, str], int] = {}
    for each in judged:
        other = first.setdefault((each.set, each.model), each.run)
        if other != each.run:
            raise WorkFailed(
                f"The runs {other} and {each.run} are both of the set {each.set} and the model {each.model}.",
                hint="Make the matrix with one of them.",
            )


# --- what does not compare ---------------------------------------------------------------------------


def _notes(read: Sequence[_Read]) -> list[str]:
    """Say in what the evaluations differ, besides their sets and models."""
    notes = []
    for name in _MADE_ALIKE:
        values = {json.dumps(each.params.as_jsonable()[name], sort_keys=True) for each in read}
        if len(values) > 1:
            notes.append(f"The evaluations differ in {name.replace('_', ' ')}: {', '.join(sorted(values))}.")
    data = {json.dumps(each.made_with.get("data"), sort_keys=True) for each in read}
    if len(data) > 1:
        notes.append("The evaluations are not of the same version of the data.")
    policies = {each.judged.set: dict(each.made_with.get("policies") or {}) for each in read}
    every = sorted({name for held in policies.values() for name in held})
    for set_name, held in policies.items():
        if missing := [name for name in every if name not in held]:
            notes.append(f"The set {set_name} has no policy for {', '.join(missing)}.")
    for set_name in policies:
        texts = {
            json.dumps(each.made_with.get("policies"), sort_keys=True)
            for each in read
            if each.judged.set == set_name
        }
        if len(texts) > 1:
            notes.append(f"The texts of the set {set_name} have changed between its evaluations.")
    return notes


def _summary(matrix: MatrixTable) -> dict[str, JsonValue]:
    """Return the headline of every cell by its name; with that of the benchmark where there are several."""
    called = model_words(matrix)
    found: dict[str, JsonValue] = {"cells": sum(len(table.cells) for table in matrix.tables)}
    for table in matrix.tables:
        ending = f" · {table.benchmark}" if len(matrix.tables) > 1 else ""
        for cell in table.cells:
            figure = cell.figure(table.figure)
            if figure is not None:
                name = f"{FIGURE_WORDS[table.figure]} {cell.set} · {called[cell.model]}{ending}"
                found[name] = msgspec.to_builtins(figure)
    return found
