"""``wizard101 score``: how good outputs made elsewhere are, and how sure one may be of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, say, usage_error
from app.cli.options import JsonOption
from engine.cases import Task
from engine.evaluation.predictions import Prediction, PredictionFileError, read_predictions
from engine.evaluation.scoring import (
    MismatchedRuns,
    Parser,
    Reading,
    compare_readings,
    comparison_json,
    read_prediction,
    score_json,
    score_readings,
)

if TYPE_CHECKING:
    from engine.evaluation.benchmarks import Benchmark


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS.jsonl[.gz]|-",
            help="JSON lines with label, predict and prompt, plain or compressed with gzip; - is standard "
            "input.",
        ),
    ],
    benchmark: Annotated[
        str,
        typer.Option("--benchmark", metavar="NAME", help="What was judged; it decides which task is scored."),
    ],
    parser: Annotated[
        Parser,
        typer.Option(
            "--parser",
            help="block: read the last complete block of answers. window: read the first match in the last "
            "300 characters, as the evaluation script released with GuardReasoner does.",
        ),
    ] = Parser.BLOCK,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="OTHER.jsonl[.gz]",
            help="Another guard's outputs for the same items: is the difference more than chance?",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Score a guard's outputs on a benchmark.

    F1 of the positive class (harmful, or refusal) with its 95 % interval. An output that cannot be read
    counts as an error; beside it stand the figures without such outputs, and as the released script reads
    and counts. Where all items are of one class, recall is all there is to tell.
    """
    from app.cli.score_tables import comparison_lines, score_lines

    scored_benchmark, task = _benchmark(benchmark)
    if compare is not None and str(predictions) == str(compare) == "-":
        raise usage_error("Standard input can be one of the two files, not both.")
    these = _read(predictions, task, parser)
    scored = score_readings(task, (reading for _, reading in these))
    compared = None
    if compare is not None:
        try:
            compared = compare_readings(task, these, _read(compare, task, parser))
        except MismatchedRuns as error:
            raise usage_error(f"{predictions} and {compare} cannot be compared: {error}.") from error
    _note_size(scored_benchmark, len(these))
    if as_json:
        figures = score_json(scored_benchmark.name, scored_benchmark.task_word, scored)
        if compared is not None:
            figures["comparison"] = comparison_json(compared)
        print(json.dumps(figures))
        return Exit.DONE
    lines = score_lines(f"{scored_benchmark.name}, {scored_benchmark.task_word}, read by {parser}", scored)
    if compared is not None:
        lines += comparison_lines(compared)
    print("\n".join(lines))
    return Exit.DONE


def _benchmark(name: str) -> tuple[Benchmark, Task]:
    from engine.evaluation.benchmark_errors import UnknownBenchmark
    from engine.evaluation.benchmarks import find_benchmark

    try:
        found = find_benchmark(name)
    except UnknownBenchmark as error:
        raise usage_error(str(error)) from error
    if found.task is None or found.positive is None:
        raise usage_error(f"{found.name} has no harmful or unharmful, refusal or compliance to score.")
    return found, found.task


def _read(file: Path, task: Task, parser: Parser) -> Sequence[tuple[str, Reading]]:
    """Return what tells the items apart, and what was read of their outputs; the texts are let go."""
    try:
        with open(0, "rb", closefd=False) if str(file) == "-" else file.open("rb") as stream:
            return [
                (_identity(prediction), read_prediction(prediction, task, parser))
                for prediction in read_predictions(stream, task)
            ]
    except PredictionFileError as error:
        raise usage_error(f"{file}: {error}. Nothing was scored.") from error
    except OSError as error:
        raise usage_error(f"{file} cannot be read: {error.strerror}.") from error


def _identity(prediction: Prediction) -> str:
    """Return what the item is told apart by: its prompt's hash or, without a prompt, its line."""
    if prediction.prompt is None:
        return f"line {prediction.line}"
    return hashlib.sha256(prediction.prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _note_size(benchmark: Benchmark, n: int) -> None:
    if benchmark.content_of_size(n) is None:
        say(f"Note: {benchmark.name} has {benchmark.contents[0].size:,} items; scored: {n:,}.")
