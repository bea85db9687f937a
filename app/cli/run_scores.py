"""``wizard101 runs scores``: what an evaluation has found, benchmark by benchmark."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.cli.exits import CommandError, Exit, usage_error
from app.cli.options import DbOption, JsonOption, RunId


def show_scores(
    run_id: RunId,
    categories: Annotated[
        bool, typer.Option("--categories", help="Show the figures of each category and policy, too.")
    ] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the scores of an evaluation, as 'wizard101 evaluate' prints them."""
    from app.cli.evaluation_tables import read_scores, score_lines
    from engine.jobs.evaluate import SCORES
    from engine.workspace import find_workspace

    path = find_workspace(db).runs / str(run_id) / SCORES
    try:
        scores = read_scores(path)
        lines = [] if as_json else score_lines(run_id, scores, categories=categories)
    except FileNotFoundError as error:
        raise usage_error(f"Run {run_id} has no scores: there is no {path}.") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CommandError(f"{path} does not hold the scores of an evaluation.", Exit.FAILED) from error
    print(json.dumps({"run": run_id, "benchmarks": scores}) if as_json else "\n".join(lines))
