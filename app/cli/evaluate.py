"""``wizard101 evaluate``: a guard on benchmarks, as a job that is waited for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from app.cli.exits import Exit
from app.cli.finished import when_finished
from app.cli.job_kinds import Wishes, command_of
from app.cli.tables import Column, room, table
from app.safe_text import visible

if TYPE_CHECKING:
    from engine.jobs.folder import RunFolder
    from engine.jobs.records import JobSpec

NAME = "evaluate"


@cache
def command() -> TyperCommand:
    """Return the command, made from the kind's parameters when it is asked for."""
    from engine.jobs.kinds import kind_named

    return command_of(kind_named(NAME), evaluate)


def evaluate(spec: JobSpec, wishes: Wishes) -> int:
    """Queue the evaluation, wait for it and print its figures. An interrupt leaves it running."""
    from engine.jobs.evaluate import SCORES

    def show(run_id: int, folder: RunFolder) -> int:
        scores = json.loads((folder.path / SCORES).read_text("utf-8"))
        if wishes.as_json:
            print(json.dumps({"run": run_id, "benchmarks": scores}))
        else:
            print("\n".join(score_lines(run_id, scores)))
        return Exit.DONE

    return when_finished(spec, wishes, show)


def score_lines(run_id: int, scores: list[Mapping[str, Any]]) -> list[str]:
    """Return the figures of a run as lines: of benchmarks of one class recall only."""
    columns = [
        Column("benchmark", least=12),
        Column("task"),
        Column("n", right=True),
        Column("figure"),
        Column("", right=True),
        Column("95 % interval"),
        Column("FPR", right=True, drop=2),
        Column("AUPRC", right=True, drop=3),
        Column("unparsable", right=True, drop=1),
    ]
    lines = table(columns, [_row(score) for score in scores], room())
    return [f"Run {run_id}", "", *lines, "", f"'wizard101 runs show {run_id}' shows all of it."]


def _row(score: Mapping[str, Any]) -> list[str]:
    figures = score["wrong"]
    name = next(name for name in ("f1", "recall", "false positive rate") if name in figures)
    figure = figures[name]
    fpr = figures.get("false positive rate")
    return [
        visible(score["benchmark"], keep_newlines=False),
        score["task"],
        f"{score['n']:,}",
        {"f1": "F1", "recall": "recall", "false positive rate": "FPR"}[name],
        f"{figure['value']:.2f}",
        f"{figure['low']:.2f} to {figure['high']:.2f}",
        "–" if fpr is None else f"{fpr['value']:.2f}",
        f"{figures['auprc']['value']:.2f}" if "auprc" in figures else "–",
        f"{score['unparsable']:,}",
    ]
