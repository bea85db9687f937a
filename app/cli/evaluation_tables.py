"""The scores that an evaluation has kept, as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.cli.question_tables import question_lines
from app.cli.tables import Column, room, table
from app.safe_text import visible
from engine.evaluation.benchmark_errors import UnknownBenchmark
from engine.evaluation.benchmarks import QUESTION, find_benchmark

Score = Mapping[str, Any]


def read_scores(path: Path) -> list[Score]:
    """Return the scores that an evaluation wrote down, one a benchmark."""
    found: list[Score] = json.loads(path.read_text("utf-8"))
    return found


def score_lines(run_id: int, scores: Sequence[Score], *, categories: bool) -> list[str]:
    """Return the figures of a run as lines; with ``categories``, those of each category and policy, too."""
    lines = [f"Run {run_id}"]
    judged = [score for score in scores if score["task"] != QUESTION]
    if judged:
        lines += ["", *_judged_lines(judged)]
    for score in scores:
        if score["task"] == QUESTION:
            lines += ["", _line(score["benchmark"]), *question_lines(score, categories=categories)]
        elif categories:
            lines += _parts_lines(score)
    hidden = not categories and any(score["categories"] or score.get("policies") for score in scores)
    more = f"'wizard101 runs scores {run_id} --categories' shows each category. " if hidden else ""
    return [*lines, "", f"{more}'wizard101 runs show {run_id}' shows all of it."]


def _judged_lines(scores: Sequence[Score]) -> list[str]:
    """Return a table of what guards achieved: of benchmarks of one class recall only."""
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
    return table(columns, [_row(score) for score in scores], room())


def _row(score: Score) -> list[str]:
    figures = score["wrong"]
    name = next(name for name in ("f1", "recall", "false positive rate") if name in figures)
    figure = figures[name]
    fpr = figures.get("false positive rate")
    return [
        score["benchmark"],
        score["task"],
        f"{score['n']:,}",
        {"f1": "F1", "recall": "recall", "false positive rate": "FPR"}[name],
        f"{figure['value']:.2f}",
        f"{figure['low']:.2f} to {figure['high']:.2f}",
        "–" if fpr is None else f"{fpr['value']:.2f}",
        f"{figures['auprc']['value']:.2f}" if "auprc" in figures else "–",
        f"{score['unparsable']:,}",
    ]


def _parts_lines(score: Score) -> list[str]:
    """Return a table for the categories of a benchmark and one for the policies, those there are."""
    lines: list[str] = []
    for key, head in (("categories", _category_word(score["benchmark"])), ("policies", "policy")):
        if parts := score.get(key):
            columns = [
                Column(head, least=12),
                Column("n", right=True),
                Column("recall", right=True),
                Column("95 % interval", drop=3),
                Column("FPR", right=True),
                Column("95 % interval", drop=4),
                Column("F1", right=True, drop=2),
                Column("unparsable", right=True, drop=1),
            ]
            rows = [_part_row(name, part) for name, part in parts.items()]
            lines += ["", _line(f"{score['benchmark']} by {head}"), *table(columns, rows, room())]
    return lines


def _part_row(name: str, part: Mapping[str, Any]) -> list[str]:
    return [
        name,
        f"{part['n']:,}",
        _number(part["recall"]),
        _ends(part.get("recall_ci95")),
        _number(part["fpr"]),
        _ends(part.get("fpr_ci95")),
        _number(part["f1"]),
        f"{part['unparsable']:,}",
    ]


def _category_word(benchmark: str) -> str:
    """Return what the categories of a benchmark are."""
    try:
        return find_benchmark(benchmark).category or "category"
    except UnknownBenchmark:
        return "category"


def _line(text: str) -> str:
    return visible(text, keep_newlines=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _ends(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
