"""``wizard101 thresholds``: how sure a guard must be to block, for a budget of false positives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import say, usage_error
from app.cli.options import DbOption, JsonOption
from app.cli.tables import Column, room, table
from app.safe_text import one_line

if TYPE_CHECKING:
    from engine.evaluation.thresholds import Outcomes
    from engine.jobs.threshold_fit import RunFit

cli = typer.Typer(
    help="Thresholds: how sure a guard must be to block, for a budget of false positives.",
    no_args_is_help=True,
)

_LARGEST_ID = 2**63 - 1
_NAME = 60


@cli.callback()
def _thresholds() -> None:
    """Keep ``fit`` a command of its own while it is the only one."""


@cli.command("fit")
def fit(
    run_id: Annotated[
        int, typer.Option("--run", metavar="ID", min=1, max=_LARGEST_ID, help="A finished 'evaluate' run.")
    ],
    max_fpr: Annotated[
        float,
        typer.Option(
            "--max-fpr",
            metavar="SHARE",
            help="The share of unharmful cases that all policies together may block.",
        ),
    ],
    delta: Annotated[
        float,
        typer.Option("--delta", metavar="SHARE", help="How likely the budget may be exceeded after all."),
    ] = 0.05,
    max_miss: Annotated[
        float | None,
        typer.Option(
            "--max-miss",
            metavar="SHARE",
            help="Fit the lower threshold too: the share of harmful cases that may be allowed. Without: "
            "it stays as it is.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the halves.")] = 0,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit thresholds on one half of a run's cases and verify them on the other half.

    A case counts as a false positive when any policy's score reaches the threshold. Exit code 2 says that
    the run cannot be fitted, or has too few cases for the promise; a budget that is not met on the other
    half is told, and is no failure of the command.
    """
    from engine.jobs.threshold_fit import fit_run
    from engine.tracker import open_tracker
    from engine.tracker.run_json import json_text
    from engine.workspace import find_workspace

    for name, share in (("--max-fpr", max_fpr), ("--delta", delta), ("--max-miss", max_miss)):
        if share is not None and not 0 < share < 1:
            raise usage_error(f"{name} takes a share between 0 and 1.")
    workspace = find_workspace(db)
    with open_tracker(workspace.db) as tracker:
        if tracker.notice:
            say(tracker.notice)
        fitted = fit_run(
            tracker.runs, workspace.runs, run_id, max_fpr=max_fpr, delta=delta, max_miss=max_miss, seed=seed
        )
    if as_json:
        print(json_text(_json(fitted)))
    else:
        print("\n".join(_lines(fitted)))


def _json(fitted: RunFit) -> dict[str, Any]:
    fit = fitted.fit
    return {
        "run": fitted.run.summary.id,
        "guard": fitted.guard.value,
        "max_fpr": fit.max_fpr,
        "delta": fit.delta,
        "seed": fitted.seed,
        "thresholds": {"high": fit.thresholds.high, "low": fit.thresholds.low},
        "fitted_on": {"unharmful": fit.unharmful, "harmful": fit.harmful, "rank": fit.rank},
        "left_out": {"contradictory": fitted.contradictory, "unscored": fitted.unscored},
        "met": fit.met,
        "before": _outcomes_json(fit.before),
        "after": _outcomes_json(fit.after),
    }


def _outcomes_json(outcomes: Outcomes) -> dict[str, Any]:
    return {
        "thresholds": {"high": outcomes.thresholds.high, "low": outcomes.thresholds.low},
        "fpr": _share_json(outcomes.blocked_unharmful, outcomes.unharmful),
        "recall": _share_json(outcomes.blocked_harmful, outcomes.harmful),
        "escalated": _share_json(outcomes.escalated, outcomes.unharmful + outcomes.harmful),
        "missed": _share_json(outcomes.missed, outcomes.harmful),
    }


def _share_json(part: int, n: int) -> dict[str, Any] | None:
    from engine.evaluation.intervals import wilson

    if not n:
        return None
    low, high = wilson(part, n)
    return {"value": part / n, "n": n, "low": low, "high": high}


def _lines(fitted: RunFit) -> Iterator[str]:
    from engine.guards.build import GuardKind

    fit, summary = fitted.fit, fitted.run.summary
    thresholds = f"{fit.thresholds.high:g},{fit.thresholds.low:g}"
    yield f"Run {summary.id}: {one_line(summary.name, _NAME)}"
    yield ""
    yield f"Thresholds  {thresholds}  (block from the first, escalate from the second)"
    yield (
        f"Fitted on   {fit.unharmful:,} unharmful and {fit.harmful:,} harmful cases: above the score of rank "
        f"{fit.rank:,} of the unharmful"
    )
    yield (
        f"Promise     but for a chance of {fit.delta:g}, at most {fit.max_fpr:.3g} of new unharmful cases "
        "like these are blocked"
    )
    yield ""
    yield "On the other half, with 95 % intervals:"
    columns = [
        Column("thresholds"),
        Column("false positives"),
        Column("recall"),
        Column("escalated"),
        Column("harmful, but allowed", drop=1),
    ]
    yield from table(columns, [_row("default", fit.before), _row("fitted", fit.after)], room())
    yield ""
    verdict = "is within" if fit.met else "is NOT within"
    yield f"The rate measured there {verdict} the budget of {100 * fit.max_fpr:g} %."
    if fitted.contradictory or fitted.unscored:
        yield (
            f"Left out: {fitted.contradictory:,} cases with both labels, {fitted.unscored:,} without a score."
        )
    if fitted.guard is GuardKind.REASONER:
        yield "The reasoner's own thresholds are fixed: this tells what others would do."
    else:
        yield f"Use them with --thresholds {thresholds}"


def _row(name: str, outcomes: Outcomes) -> list[str]:
    return [
        f"{name} {outcomes.thresholds.high:g},{outcomes.thresholds.low:g}",
        _share(outcomes.blocked_unharmful, outcomes.unharmful),
        _share(outcomes.blocked_harmful, outcomes.harmful),
        _share(outcomes.escalated, outcomes.unharmful + outcomes.harmful),
        _share(outcomes.missed, outcomes.harmful),
    ]


def _share(part: int, n: int) -> str:
    from engine.evaluation.intervals import wilson

    if not n:
        return "–"
    low, high = wilson(part, n)
    return f"{100 * part / n:.2f} % [{100 * low:.2f}, {100 * high:.2f}] of {n:,}"
