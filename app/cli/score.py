"""``wizard101 score``: how good outputs made elsewhere are, and how sure one may be of it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
            help="JSON lines with label, predict and prompt (for BBQ predict, and id or prompt), plain or "
            "compressed with gzip; - is standard input.",
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
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Where the data of BBQ is, which has the right answers. Default: what 'wizard101 data "
            "fetch' has got.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Score a guard's outputs on a benchmark, or a model's answers to BBQ.

    F1 of the positive class (harmful, or refusal) with its 95 % interval. An output that cannot be read
    counts as an error; beside it stand the figures without such outputs, and as the released script reads
    and counts. Where all items are of one class, recall is all there is to tell. Of BBQ: accuracy, and bias
    as Parrish et al. (2022) define it, in ambiguous and in disambiguated contexts.
    """
    from app.cli.score_tables import comparison_lines, score_lines
    from engine.evaluation.items import Form

    scored_benchmark = _benchmark(benchmark)
    if scored_benchmark.form is Form.CHOICE:
        if compare is not None or parser is not Parser.BLOCK:
            raise usage_error(
                "--compare and --parser are for guards' outputs: a model's answers have no use for them."
            )
        return _score_answers(predictions, scored_benchmark, data_dir, as_json=as_json)
    task = scored_benchmark.task
    if task is None or scored_benchmark.positive is None:
        raise usage_error(
            f"{scored_benchmark.name} has no harmful or unharmful, refusal or compliance to score."
        )
    if data_dir is not None:
        raise usage_error("--data-dir is for BBQ: other outputs come with their labels.")
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


def _benchmark(name: str) -> Benchmark:
    from engine.evaluation.benchmark_errors import UnknownBenchmark
    from engine.evaluation.benchmarks import find_benchmark

    try:
        return find_benchmark(name)
    except UnknownBenchmark as error:
        raise usage_error(str(error)) from error


def _score_answers(file: Path, benchmark: Benchmark, data_dir: Path | None, *, as_json: bool) -> int:
    from app.cli.question_tables import question_lines
    from engine.evaluation.answer_files import read_answers
    from engine.evaluation.benchmark_data import load_benchmark
    from engine.evaluation.question_scores import score_questions

    if data_dir is not None and not data_dir.is_dir():
        raise usage_error(f"There is no data folder {data_dir}.")
    loaded = load_benchmark(benchmark, data_dir)
    with _opened(file) as stream:
        score = score_questions(benchmark, read_answers(stream, loaded.items)).as_json()
    for note in loaded.notes:
        say(f"Note: {benchmark.name}: {note}")
    if score["n"] != len(loaded.items):
        say(f"Note: {benchmark.name} has {len(loaded.items):,} items here; scored: {score['n']:,}.")
    if as_json:
        print(json.dumps(score))
        return Exit.DONE
    head = f"{benchmark.name}, {score['n']:,} questions, {score['unparsable']:,} of them without an answer"
    print("\n".join([head, "", *question_lines(score, categories=True)]))
    return Exit.DONE


def _read(file: Path, task: Task, parser: Parser) -> Sequence[tuple[str, Reading]]:
    """Return what tells the items apart, and what was read of their outputs; the texts are let go."""
    with _opened(file) as stream:
        return [
            (_identity(prediction), read_prediction(prediction, task, parser))
            for prediction in read_predictions(stream, task)
        ]


@contextmanager
def _opened(file: Path) -> Iterator[io.BufferedReader]:
    """Open a file of outputs, or standard input; one that cannot be scored is a mistake in the command."""
    try:
        with open(0, "rb", closefd=False) if str(file) == "-" else file.open("rb") as stream:
            yield stream
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
