"""A matrix of sets of policies and models, as people read it at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from app.cli.tables import Column, room, table
from app.safe_text import one_line, visible
from engine.jobs.matrix_export import (
    DIFFERENCES,
    FIGURE_WORDS,
    INTERVALS,
    difference_words,
    model_words,
    words,
)
from engine.jobs.matrix_table import BenchmarkTable, Cell, MatrixTable
from engine.policies.sets import STANDARD

_TEXT = 200
_SET, _FIGURE = 12, 24
_ALONE = f"Right alone: the items that only {STANDARD} has right, and those that only the other set has."
_NONE = "–"


def matrix_lines(run_id: int, matrix: MatrixTable) -> list[str]:
    """Return the matrix of a run as lines: headlines by set and model, all figures, the differences."""
    lines = [f"Run {run_id}"]
    for each in matrix.tables:
        lines += ["", *_benchmark_lines(matrix, each)]
    compared = any(each.differences for each in matrix.tables)
    told = [INTERVALS, *((DIFFERENCES, _ALONE) if compared else ())]
    notes = [visible(f"Note: {note}", keep_newlines=False) for note in matrix.notes]
    return [*lines, "", *told, *notes, f"'wizard101 matrix --run {run_id} --format csv' has every figure."]


def _benchmark_lines(matrix: MatrixTable, each: BenchmarkTable) -> Iterator[str]:
    called = model_words(matrix)
    head = FIGURE_WORDS[each.figure]
    width = room()
    interval = width is None or _SET + _FIGURE * len(matrix.models) <= width
    yield f"{one_line(each.benchmark, _TEXT)}: {head} in percent"
    yield from table(
        [Column("set", least=8), *(Column(called[model], least=8) for model in matrix.models)],
        [
            [name, *(_headline(each, name, model, interval=interval) for model in matrix.models)]
            for name in matrix.sets
        ],
        width,
    )
    yield ""
    columns = [
        Column("set", least=8),
        Column("model", least=8, fair=12),
        *(
            Column(title, right=True, drop=drop)
            for title, drop in (("FPR", 0), ("precision", 5), ("recall", 4))
        ),
        *(Column(title, right=True, drop=drop) for title, drop in (("unparsable", 3), ("escalated", 0))),
        *(Column(title, right=True, drop=drop) for title, drop in (("tokens", 2), ("n", 1), ("run", 0))),
    ]
    yield from table(columns, [_row(cell, called[cell.model]) for cell in each.cells], width)
    if each.differences:
        yield ""
        compared = [
            Column("set", least=8),
            Column("model", least=8, fair=12),
            Column(f"{head} - {STANDARD}"),
            Column("p", right=True),
            Column("p (Holm)", right=True),
            Column("right alone", right=True, drop=1),
        ]
        rows = [
            [
                *(found.set, called[found.model], difference_words(found)),
                *(f"{found.p:.3g}", f"{found.p_holm:.3g}"),
                f"{found.only_standard:,} : {found.only_set:,}",
            ]
            for found in each.differences
        ]
        yield from table(compared, rows, width)


def _headline(each: BenchmarkTable, set_name: str, model: str, *, interval: bool) -> str:
    cell = each.cell(set_name, model)
    return _NONE if cell is None else words(cell.figure(each.figure), interval=interval)


def _row(cell: Cell, model: str) -> list[str]:
    figures = (cell.fpr, cell.precision, cell.recall, cell.unparsable, cell.escalated)
    return [
        *(cell.set, model),
        *(words(figure, interval=False) for figure in figures),
        *(f"{cell.tokens:,.0f}", f"{cell.n:,}", str(cell.run)),
    ]
