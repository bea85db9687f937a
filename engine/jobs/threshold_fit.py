"""Fitting thresholds to what an ``evaluate`` run has kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cases import Harm, Status
from engine.evaluation.thresholds import ALWAYS, DELTA, Fit, ScoredCase, ThresholdError, fit_thresholds
from engine.guards.build import GuardKind
from engine.guards.decision import Thresholds
from engine.guards.weighing import UNCLEAR, UNSAFE
from engine.jobs.evaluate import EvaluateParams
from engine.jobs.evaluated import KeptCase, KeptFinding, KeptItem, evaluated_run, kept_cases
from engine.jobs.records import JobError

if TYPE_CHECKING:
    from engine.tracker.run_records import Run
    from engine.tracker.runs import Runs

EVEN = 0.5
"""Below this score a gauntlet's model has said SAFE, and from it on VIOLATION. Whatever the thresholds, it
neither blocks against its word nor allows against it."""


@dataclass(frozen=True, slots=True)
class RunFit:
    """Thresholds fitted to a run. ``contradictory`` cases have both golds, ``unscored`` ones no score."""

    run: Run
    guard: GuardKind
    fit: Fit
    seed: int
    contradictory: int
    unscored: int


def fit_run(
    runs: Runs,
    runs_folder: Path,
    run_id: int,
    *,
    max_fpr: float,
    delta: float = DELTA,
    max_miss: float | None = None,
    seed: int = 0,
) -> RunFit:
    """Fit thresholds to what a run has kept.

    Raises:
        JobError: if the run is no finished evaluation of a guard that judges by policies with scores, its
            predictions are gone, or its cases are too few for the promise.
        TrackerError: if the database cannot be read.
    """
    run = evaluated_run(runs, run_id)
    guard = _guard_of(run)
    if guard is GuardKind.GUARDREASONER:
        raise JobError(f"Run {run_id} is of the {guard} guard, which judges by no policies.")
    kept = kept_cases(runs_folder / str(run_id), run_id)
    cases, contradictory, unscored = scored_cases(list(kept.values()))
    if not cases:
        raise JobError(
            f"Run {run_id} has no scores.",
            "A gauntlet gives them where its back end gives log-probabilities: gguf: and hf: do, and ollama: "
            "and openai: where the server does.",
        )
    try:
        fit = fit_thresholds(
            cases,
            max_fpr=max_fpr,
            delta=delta,
            max_miss=max_miss,
            seed=seed,
            former=Thresholds(UNSAFE, UNCLEAR) if guard is GuardKind.REASONER else Thresholds(),
            pivot=EVEN if guard is GuardKind.GAUNTLET else None,
        )
    except ThresholdError as error:
        raise JobError(
            str(error), "Evaluate on more cases, or allow more with --max-fpr, --max-miss or --delta."
        ) from error
    return RunFit(run, guard, fit, seed, contradictory, unscored)


def scored_cases(kept: Sequence[KeptCase]) -> tuple[list[ScoredCase], int, int]:
    """Return the cases with scores, and how many have contradictory golds and how many no score."""
    cases: list[ScoredCase] = []
    contradictory = unscored = 0
    for case in kept:
        golds = {gold for item in case.items if (gold := _is_harmful(item)) is not None}
        if len(golds) != 1:
            contradictory += len(golds) > 1
            continue
        scores = [score for finding in case.verdict.policies if (score := _score(finding)) is not None]
        if not scores:
            unscored += 1
            continue
        complete = all(_is_judged(finding) for finding in case.verdict.policies)
        cases.append(ScoredCase(case.case, golds.pop(), max(scores), complete))
    return cases, contradictory, unscored


def _guard_of(run: Run) -> GuardKind:
    try:
        guard = EvaluateParams.model_validate(run.params).guard
    except ValueError as error:
        raise JobError(f"The parameters of run {run.summary.id} are none that this program knows.") from error
    assert guard is not None  # `evaluated_run` gives no others
    return guard


def _is_harmful(item: KeptItem) -> bool | None:
    """Return whether an item's gold is harmful; None for those that are about something else."""
    if isinstance(item.gold, Mapping):
        return any(item.gold.values())
    return item.gold == Harm.HARMFUL if item.gold in tuple(Harm) else None


def _score(finding: KeptFinding) -> float | None:
    if finding.status is not Status.OK:
        return None
    if finding.score is None:
        return ALWAYS if finding.violation else None
    return finding.score if 0 <= finding.score <= 1 else None


def _is_judged(finding: KeptFinding) -> bool:
    return finding.status is Status.OK and (finding.score is not None or finding.violation is not None)
