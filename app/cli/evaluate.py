"""``wizard101 evaluate``: a guard on benchmarks, as a job that is waited for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from app.cli.exits import Exit
from app.cli.finished import when_finished
from app.cli.job_kinds import Wishes, command_of

if TYPE_CHECKING:
    from engine.jobs.folder import RunFolder
    from engine.jobs.records import JobSpec

NAME = "evaluate"


@dataclass(frozen=True)
class EvaluateWishes(Wishes):
    """What every job may be given, and what is asked of the figures."""

    categories: Annotated[
        bool, typer.Option("--categories", help="Show the figures of each category and policy, too.")
    ] = False


@cache
def command() -> TyperCommand:
    """Return the command, made from the kind's parameters when it is asked for."""
    from engine.jobs.kinds import kind_named

    return command_of(kind_named(NAME), evaluate, wishing=EvaluateWishes)


def evaluate(spec: JobSpec, wishes: Wishes) -> int:
    """Queue the evaluation, wait for it and print its figures. An interrupt leaves it running."""
    from app.cli.evaluation_tables import read_scores, score_lines
    from engine.jobs.evaluate import SCORES

    assert isinstance(wishes, EvaluateWishes)
    categories = wishes.categories

    def show(run_id: int, folder: RunFolder) -> int:
        scores = read_scores(folder.path / SCORES)
        if wishes.as_json:
            print(json.dumps({"run": run_id, "benchmarks": scores}))
        else:
            print("\n".join(score_lines(run_id, scores, categories=categories)))
        return Exit.DONE

    return when_finished(spec, wishes, show)
