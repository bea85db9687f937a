"""The leaderboard as JSON, Markdown or CSV. Figures are in percent, and each has its n and interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.evaluation.leaderboard import Leaderboard, Standing, figure_word
from engine.tracker.export import csv_row
from engine.tracker.markdown import markdown_table
from engine.tracker.run_records import Origin, Result

RECALL_NOTE = (
    "Benchmarks that hold one class only show recall; of the paper's rows that is computed from the F1 "
    "printed, R = F1 / (2 - F1), which is exact where all items are positive."
)
AVERAGE_NOTE = (
    "Averages are of F1, weighted with the sizes that the paper prints. "
    "*: a sample, not the whole of some benchmark."
)


def heading(board: Leaderboard) -> list[str]:
    """Return the names of the benchmarks' columns."""
    return [f"{benchmark.name} {figure_word(benchmark)}" for benchmark in board.benchmarks]


def words(result: Result | None) -> str:
    """Return a figure with two decimals, and its interval where there is one; a dash for none."""
    if result is None:
        return "–"
    if result.low is None or result.high is None:
        return f"{result.value:.2f}"
    return f"{result.value:.2f} [{result.low:.2f}, {result.high:.2f}]"


def notes(board: Leaderboard) -> list[str]:
    """Return what a reader of the figures should know."""
    recall = any(benchmark.single_class for benchmark in board.benchmarks)
    return [AVERAGE_NOTE, *([RECALL_NOTE] if recall else [])]


def average_words(row: Standing, *, interval: bool = True) -> str:
    """Return the average, or how many of the benchmarks there are; with an asterisk for a sample."""
    average = row.average
    if average is not None and not interval:
        average = Result(average.name, average.value)
    coverage = row.coverage if interval else row.coverage.removesuffix(" benchmarks")
    said = words(average) if average else coverage
    return f"{said}*" if row.sample else said


def leaderboard_json(board: Leaderboard, rows: Sequence[Standing]) -> dict[str, Any]:
    return {
        "task": board.board.value,
        "benchmarks": [
            {
                "name": benchmark.name,
                "figure": figure_word(benchmark).lower(),
                "weight": benchmark.published,
            }
            for benchmark in board.benchmarks
        ],
        "rows": [_row_json(row) for row in rows],
        "notes": notes(board),
    }


def _row_json(row: Standing) -> dict[str, Any]:
    return {
        "name": row.name,
        "origin": row.origin.value,
        "run": row.run_id,
        "n": row.n,
        "sample": row.sample,
        "covered": len(row.figures),
        "average": _figure_json(row.average),
        "figures": {name: _figure_json(figure) for name, figure in row.figures.items()},
    }


def _figure_json(figure: Result | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"value": figure.value, "n": figure.n, "low": figure.low, "high": figure.high}


def leaderboard_markdown(board: Leaderboard, rows: Sequence[Standing]) -> str:
    heads = ["Guard", "Origin", *heading(board), "Weighted average F1", "n", "Run"]
    lines = (
        (
            *(row.name, row.origin.value),
            *(words(row.figures.get(benchmark.name)) for benchmark in board.benchmarks),
            *(average_words(row), f"{row.n:,}", str(row.run_id)),
        )
        for row in rows
    )
    return "\n".join((markdown_table(heads, lines), *notes(board))) + "\n"


def leaderboard_csv(board: Leaderboard, rows: Sequence[Standing]) -> str:
    """Return a row a guard: four columns a figure, as other exports have."""
    names = [*heading(board), "average F1"]
    heads = [head for name in names for head in (name, f"{name} n", f"{name} low", f"{name} high")]
    lines = [csv_row(["run", "name", "origin", "task", "sample", *heads])]
    for row in rows:
        figures = [*(row.figures.get(benchmark.name) for benchmark in board.benchmarks), row.average]
        cells = [cell for figure in figures for cell in _cells(figure)]
        sample = "" if row.origin is Origin.PAPER else "true" if row.sample else "false"
        lines.append(csv_row([row.run_id, row.name, row.origin.value, board.board.value, sample, *cells]))
    return "".join(lines)


def _cells(figure: Result | None) -> tuple[float | int | None, ...]:
    return (None,) * 4 if figure is None else (figure.value, figure.n, figure.low, figure.high)
