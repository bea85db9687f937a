"""``wizard101 leaderboard``: guards measured here beside the rows of the GuardReasoner paper."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import say, usage_error
from app.cli.options import DbOption, JsonOption
from app.cli.tables import Column, room, table
from app.safe_text import visible
from app.wording import short_heading

if TYPE_CHECKING:
    from engine.evaluation.leaderboard import Board, Leaderboard, Standing

_WITH_ITS_INTERVAL, _WITH_INTERVALS = 110, 170


class _Form(StrEnum):
    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"


def leaderboard(
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="prompt|response|refusal", help="One task; without: all three."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="KEY", help="average, name, origin, n, run, or a benchmark's name."),
    ] = "average",
    ascending: Annotated[bool, typer.Option("--ascending", help="The least first.")] = False,
    form: Annotated[
        _Form, typer.Option("--format", help="Markdown and CSV have every figure with its interval.")
    ] = _Form.TABLE,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show measured evaluations beside the paper's rows, which are marked: a task's benchmarks in its order.

    A row is a guard with its model and settings; of each benchmark it has the latest evaluation. Intervals
    are at 95 %; what was evaluated with --limit is marked as a sample. The average is there only where all
    of the paper's benchmarks are.
    """
    from engine.evaluation.leaderboard import Board, read_leaderboard
    from engine.evaluation.leaderboard_export import (
        leaderboard_csv,
        leaderboard_json,
        leaderboard_markdown,
    )
    from engine.tracker import open_tracker
    from engine.tracker.run_json import json_text
    from engine.workspace import find_workspace

    if task is not None and task not in list(Board):
        raise usage_error(f"There is no task {task!r}. Choose {', '.join(Board)}.")
    if as_json and form is not _Form.TABLE:
        raise usage_error("--json and --format exclude each other.")
    boards = [Board(task)] if task else list(Board)
    by = _column(sort, boards)
    with open_tracker(find_workspace(db).db) as tracker:
        if tracker.notice:
            say(tracker.notice)
        read = [read_leaderboard(tracker.runs, board) for board in boards]
    shown = [(board, board.sorted(by, descending=not ascending)) for board in read]
    if as_json:
        told = [leaderboard_json(board, rows) for board, rows in shown]
        print(json_text(told[0] if task else told))
    elif form is _Form.TABLE:
        print("\n\n".join("\n".join(_lines(board, rows)) for board, rows in shown))
    else:
        write = leaderboard_markdown if form is _Form.MARKDOWN else leaderboard_csv
        print("\n".join(visible(write(board, rows).replace("\r\n", "\n")) for board, rows in shown), end="")


def _column(sort: str, boards: Sequence[Board]) -> str:
    """Return the column to sort by: whatever its case, and a benchmark by any of its names."""
    from engine.evaluation.benchmark_errors import BenchmarkError
    from engine.evaluation.benchmarks import find_benchmark
    from engine.evaluation.leaderboard import FACTS, boards_benchmarks

    if sort in FACTS:
        return sort
    columns = [benchmark.name for board in boards for benchmark in boards_benchmarks(board)]
    try:
        name = find_benchmark(sort).name
    except BenchmarkError:
        name = ""
    if name not in columns or len(boards) > 1:
        known = columns if len(boards) == 1 else ["with --task a benchmark's name"]
        raise usage_error(f"Rows cannot be sorted by {sort!r}. Choose {', '.join((*FACTS, *known))}.")
    return name


def _lines(board: Leaderboard, rows: Sequence[Standing]) -> list[str]:
    from engine.evaluation.leaderboard_export import average_words, heading, notes, words

    width = room()
    full = width is None or width >= _WITH_INTERVALS
    heads = heading(board) if full else list(map(short_heading, board.benchmarks))
    columns = [
        Column("run", right=True, drop=2),
        Column("origin"),
        Column("guard", least=10),
        Column("average"),
        Column("n", right=True, drop=1),
        *(Column(head) for head in heads),
    ]
    body = []
    for row in rows:
        figures = [row.figures.get(benchmark.name) for benchmark in board.benchmarks]
        cells = [words(each) if full else "–" if each is None else f"{each.value:.2f}" for each in figures]
        average = average_words(row, interval=width is None or width >= _WITH_ITS_INTERVAL)
        body.append([str(row.run_id), row.origin.value, row.name, average, f"{row.n:,}", *cells])
    title = f"{board.board.value.capitalize()}: F1 in percent{'' if full else '; R: recall'}"
    told = notes(board)
    if not full:
        told.append("A wider terminal, --json and --format show every interval.")
    return [title, "", *table(columns, body, width), "", *told]
