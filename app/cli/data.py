"""``wizard101 data``: benchmarks, getting them, and what training data has in common with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, exit_code_of, say, usage_error
from app.cli.options import JsonOption

if TYPE_CHECKING:
    from engine.data.overlap import Overlap

cli = typer.Typer(
    help="Data: benchmarks, and what training data has in common with them.", no_args_is_help=True
)

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="A folder of data, looked in first: benchmarks as their authors publish them, or as "
        "'data fetch' keeps them. Then: $WIZARD_DATA, or the platform's data folder.",
    ),
]
AcceptChangedOption = Annotated[
    bool,
    typer.Option(
        "--accept-changed",
        help="Take data whose size, labels or hash are not as published; figures will not compare.",
    ),
]


@cli.command("list")
def list_benchmarks(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show every benchmark: its task, size and licence, where its data is, and whether it is as published."""
    from app.cli.data_tables import state_json, state_lines, state_of
    from engine.evaluation.benchmarks import benchmarks

    if data_dir is not None and not data_dir.is_dir():
        raise usage_error(f"{data_dir} is no folder.")
    states = [state_of(benchmark, data_dir) for benchmark in benchmarks().values()]
    if as_json:
        print(json.dumps([state_json(state) for state in states]))
    else:
        print("\n".join(state_lines(states)))


@cli.command("fetch")
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Benchmarks; all and guardreasoner stand for groups."),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Take over the published files in DIR; nothing is downloaded."
        ),
    ] = None,
    accept_changed: AcceptChangedOption = False,
    as_json: JsonOption = False,
) -> int:
    """Get benchmarks from the Hugging Face hub, check them, and keep them in the data folder.

    Size and labels must be as published, or nothing is kept. One that cannot be had does not keep the others
    from coming.
    """
    from app.cli.data_tables import fetched_json, fetched_line
    from engine.evaluation.benchmark_errors import BenchmarkError
    from engine.evaluation.benchmark_hub import fetch_benchmark, import_benchmark
    from engine.evaluation.benchmarks import select_benchmarks

    chosen = select_benchmarks(",".join(names))
    if source is not None and not source.is_dir():
        raise usage_error(f"{source} is no folder.")
    fetched, failed = [], []
    for benchmark in chosen:
        try:
            if source is not None:
                loaded = import_benchmark(benchmark, source, accept_changed=accept_changed)
            else:
                loaded = fetch_benchmark(benchmark, accept_changed=accept_changed)
        except (BenchmarkError, OSError) as error:
            if len(chosen) == 1:
                raise
            say(f"{benchmark.name}: {error}")
            failed.append(exit_code_of(error) or Exit.FAILED)
            continue
        fetched.append(loaded)
        if not as_json:
            print(fetched_line(loaded))
        for note in loaded.notes:
            say(f"{benchmark.name}: {note}.")
    if as_json:
        print(json.dumps([fetched_json(loaded) for loaded in fetched]))
    return max(failed, default=Exit.DONE)


@cli.command("overlap")
def overlap(
    training_file: Annotated[
        Path,
        typer.Argument(
            metavar="TRAINING_FILE",
            help="JSON or JSON lines, plain or .gz: instruction and input, cases, or messages.",
        ),
    ],
    names: Annotated[
        str,
        typer.Option(
            "--benchmark",
            metavar="NAME,...",
            help="Which benchmarks; all and guardreasoner stand for groups.",
        ),
    ] = "all",
    data_dir: DataDirOption = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            min=0.1,
            max=1.0,
            help="From which similarity on prompts are nearly the same: the Jaccard index of their runs of "
            "five characters.",
        ),
    ] = 0.8,
    accept_changed: AcceptChangedOption = False,
    as_json: JsonOption = False,
) -> int:
    """Find prompts of benchmarks in a training file: a guard trained on them cannot be judged by them.

    Prompts count as the same if their letters and digits are, as nearly the same from a similarity on. Rows
    are told by number and hash, never by text.
    """
    from app.cli.data_tables import overlap_json, overlap_lines
    from engine.data.overlap import TrainingIndex
    from engine.data.training_files import TrainingFileError, read_prompts
    from engine.evaluation.benchmark_data import load_benchmark
    from engine.evaluation.benchmark_errors import BenchmarkMissing
    from engine.evaluation.benchmarks import names_a_group, select_benchmarks

    chosen = select_benchmarks(names)
    try:
        prompts = read_prompts(training_file)
    except TrainingFileError as error:
        raise usage_error(str(error)) from error
    index = TrainingIndex(prompts, threshold)
    found: list[Overlap] = []
    missing: list[str] = []
    for benchmark in chosen:
        try:
            loaded = load_benchmark(benchmark, data_dir, accept_changed=accept_changed)
        except BenchmarkMissing:
            if not names_a_group(names):
                raise
            missing.append(benchmark.name)
            continue
        found.append(index.compare(benchmark.name, loaded.items))
    if not found:
        raise usage_error(
            "No benchmark's data is here. Name its folder with --data-dir, or see 'data fetch'."
        )
    rows = len({prompt.row for prompt in prompts})
    if as_json:
        print(json.dumps(overlap_json(training_file, rows, threshold, found, missing)))
    else:
        print("\n".join(overlap_lines(rows, found)))
        if missing:
            say(f"Not compared, as their data is not here: {', '.join(missing)}.")
    return Exit.DONE
