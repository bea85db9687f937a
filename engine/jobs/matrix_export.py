"""A matrix as CSV or Markdown, and its figures as they read. Figures are in percent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.jobs.guard_params import short_model
from engine.jobs.matrix_table import F1, FPR, RECALL, BenchmarkTable, Cell, Difference, Figure, MatrixTable
from engine.jobs.records import JobError
from engine.policies.sets import STANDARD
from engine.tracker.export import csv_row
from engine.tracker.markdown import markdown_table, markdown_text

FIGURE_WORDS = {F1: "F1", RECALL: "recall", FPR: "FPR"}
"""A headline as the head of a column says it."""

INTERVALS = "Figures are in percent, with 95 % intervals."
DIFFERENCES = (
    "Differences are in points, on the items that both sets have judged; p is McNemar's exact one, Holm's is "
    "corrected for all differences of the benchmark."
)
_NONE = "–"


def read_matrix(path: Path) -> MatrixTable:
    """Return the matrix that a job has made.

    Raises:
        JobError: if there is none, or the file holds something else.
    """
    try:
        told = json.loads(path.read_bytes(), parse_constant=_no_number)
        return _whole(msgspec.convert(told, MatrixTable))
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path} does not hold a matrix: {error}.", "Retry the job that made it.") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _whole(matrix: MatrixTable) -> MatrixTable:
    """Return a matrix of which every part belongs to one of its sets and models.

    Raises:
        ValueError: if it has none, or a part belongs to others.
    """
    if not (matrix.sets and matrix.models and matrix.tables):
        raise ValueError("there is no set, no model or no table in it")
    for table in matrix.tables:
        parts: list[Cell | Difference] = [*table.cells, *table.differences]
        for part in parts:
            if part.set not in matrix.sets or part.model not in matrix.models:
                raise ValueError(f"run {part.run} is of a set or a model that it does not have")
    return matrix


def matrix_json(matrix: MatrixTable) -> str:
    """Return what `read_matrix` reads: ASCII, whatever is in the names."""
    return json.dumps(msgspec.to_builtins(matrix), indent=2) + "\n"


def model_words(matrix: MatrixTable) -> dict[str, str]:
    """Return what each model is called: without its file's folder, where that tells it from the others."""
    short = {model: short_model(model) for model in matrix.models}
    names = list(short.values())
    return {model: name if names.count(name) == 1 else model for model, name in short.items()}


def words(figure: Figure | None, *, interval: bool = True) -> str:
    """Return a figure with two decimals, and its interval where there is one; a dash for none."""
    if figure is None:
        return _NONE
    if not interval or figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def difference_words(found: Difference | None, *, interval: bool = True) -> str:
    """Return a difference with its sign, and its interval where there is one; a dash for none."""
    if found is None or found.value is None:
        return _NONE
    if not interval or found.low is None or found.high is None:
        return f"{found.value:+.2f}"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def p_words(found: Difference | None) -> str:
    """Return the two p values of a difference."""
    if found is None:
        return _NONE
    return f"{found.p:.3g}, Holm {found.p_holm:.3g}"


def matrix_markdown(matrix: MatrixTable) -> str:
    """Return the matrix as Markdown: of each benchmark the headline, every figure, and the differences."""
    called = model_words(matrix)
    parts = [part for table in matrix.tables for part in _sections(matrix, table, called)]
    return "\n".join([*parts, INTERVALS, DIFFERENCES, *map(markdown_text, matrix.notes)]) + "\n"


def _sections(matrix: MatrixTable, table: BenchmarkTable, called: dict[str, str]) -> list[str]:
    head = FIGURE_WORDS[table.figure]
    grid = [
        [name, *(words(cell.figure(table.figure) if cell else None) for cell in _row(matrix, table, name))]
        for name in matrix.sets
    ]
    columns = ["Set", "Model", head, "95 %", "FPR", "Precision", "Recall"]
    columns += ["Unparsable", "Escalated", "Tokens a case", "n", "Run"]
    lines = [_line(table, cell, called) for cell in table.cells]
    found = [
        (
            *(each.set, called[each.model], difference_words(each), f"{each.p:.3g}", f"{each.p_holm:.3g}"),
            *(str(each.only_standard), str(each.only_set), str(each.n)),
        )
        for each in table.differences
    ]
    sections = [
        f"{markdown_text(table.benchmark)}: {head} by set and model\n",
        markdown_table(["Set", *(called[model] for model in matrix.models)], grid),
        markdown_table(columns, lines),
    ]
    if found:
        heads = ["Set", "Model", f"{head} less that of {STANDARD}", "p", "p (Holm)"]
        heads += [f"only {STANDARD} right", "only this right", "n"]
        sections.append(markdown_table(heads, found))
    return sections


def _row(matrix: MatrixTable, table: BenchmarkTable, set_name: str) -> list[Cell | None]:
    return [table.cell(set_name, model) for model in matrix.models]


def _line(table: BenchmarkTable, cell: Cell, called: dict[str, str]) -> list[str]:
    value, _, interval = words(cell.figure(table.figure)).partition(" ")
    others = (cell.fpr, cell.precision, cell.recall, cell.unparsable, cell.escalated)
    return [
        *(cell.set, called[cell.model], value, interval or _NONE),
        *(words(other, interval=False) for other in others),
        *(f"{cell.tokens:.1f}", str(cell.n), str(cell.run)),
    ]


def matrix_csv(matrix: MatrixTable) -> str:
    """Return a row a cell (RFC 4180): four columns a figure, as other exports have, then its difference."""
    figures = ("f1", "recall", "precision", "fpr", "unparsable", "escalated")
    heads = ["benchmark", "task", "set", "model", "run", "n", "positive", "cases", "tokens a case"]
    heads += [head for name in figures for head in (name, f"{name} n", f"{name} low", f"{name} high")]
    heads += ["against run", "difference of", "difference", "difference low", "difference high"]
    heads += ["difference n", "only standard right", "only set right", "p", "p holm"]
    lines = [csv_row(heads)]
    for table in matrix.tables:
        for cell in table.cells:
            facts = [table.benchmark, table.task, cell.set, cell.model, cell.run]
            counts = [cell.n, cell.positive, cell.cases, cell.tokens]
            measured = [part for name in figures for part in _four(getattr(cell, name))]
            found = table.difference(cell.set, cell.model)
            lines.append(csv_row([*facts, *counts, *measured, *_compared(table, found)]))
    return "".join(lines)


def _four(figure: Figure | None) -> Sequence[float | int | None]:
    return (None,) * 4 if figure is None else (figure.value, figure.n, figure.low, figure.high)


def _compared(table: BenchmarkTable, found: Difference | None) -> Sequence[object]:
    if found is None:
        return (None,) * 10
    return (
        *(found.against, table.figure, found.value, found.low, found.high, found.n),
        *(found.only_standard, found.only_set, found.p, found.p_holm),
    )
