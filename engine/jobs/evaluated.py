"""What a finished ``evaluate`` run has kept of each case: gold, labels, and each policy's score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.cases import Status
from engine.jobs.evaluate import PREDICTIONS, Evaluate, asks_questions
from engine.jobs.records import JobError
from engine.jobs.result_lines import decode_lines, read_lines

if TYPE_CHECKING:
    from engine.tracker.run_records import Run
    from engine.tracker.runs import Runs


class KeptItem(msgspec.Struct):
    """An item that the case is: of which benchmark, and its gold: a label, or a flag for each category."""

    benchmark: str
    id: str
    gold: Any = None


class KeptFinding(msgspec.Struct):
    """What one policy found; see `engine.cases.Finding`."""

    policy: str
    violation: bool | None = None
    score: float | None = None
    status: Status = Status.OK


class KeptVerdict(msgspec.Struct):
    policies: list[KeptFinding] = []


class KeptCase(msgspec.Struct):
    """A line of the predictions. ``labels`` are by the name of the task; ``tokens`` were read and written."""

    case: str
    items: list[KeptItem]
    labels: dict[str, str]
    verdict: KeptVerdict
    prompt: str = ""
    response: str | None = None
    tokens: int = 0


def evaluated_run(runs: Runs, run_id: int) -> Run:
    """Return a run that has evaluated a guard to the end.

    Raises:
        JobError: if there is no such run, it is of another kind, or it has not succeeded.
        TrackerError: if the database cannot be read.
    """
    run = runs.run(run_id)
    if run is None:
        raise JobError(f"There is no run {run_id}.", "'wizard101 runs list kind:evaluate' shows them.")
    kind, status = run.summary.kind, run.summary.status
    if kind != Evaluate.name:
        raise JobError(
            f"Run {run_id} is of the kind {kind!r}, not an evaluation made here.",
            "'wizard101 evaluate' makes one.",
        )
    if asks_questions(str(run.params.get("benchmark", ""))):
        raise JobError(f"Run {run_id} is a model's answers to questions: no guard was evaluated.")
    if status != "succeeded":
        raise JobError(
            f"Run {run_id} is {status}: only a finished evaluation says enough.",
            f"'wizard101 jobs resume {run_id}' goes on with it.",
        )
    return run


def kept_cases(folder: Path, run_id: int) -> Mapping[str, KeptCase]:
    """Return what the run with this folder has kept, by the key of the case, in the order of their end.

    Raises:
        JobError: if its predictions are gone, or none can be read.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        raise JobError(
            f"The predictions of run {run_id} are gone: there is no file {path}.",
            "Its figures are kept in the tracker; what it said of each case is not.",
        )
    try:
        _, lines = read_lines(path)
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror or error}.") from error
    found = {kept.case: kept for kept in decode_lines(lines, KeptCase)}
    if not found:
        raise JobError(f"{path} holds no predictions.", "Evaluate anew.")
    return found
