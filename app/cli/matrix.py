"""``wizard101 matrix``: sets of policies by models over a benchmark, as jobs that are waited for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import Exit, say, usage_error
from app.cli.job_ends import tell_ends, wait_for
from app.cli.job_queue import open_queue
from app.cli.options import LARGEST_ID, DbOption, JsonOption, PoliciesOption, tidy_tags
from app.safe_text import visible
from engine.guards.build import Level, Speed
from engine.jobs.records import DEFAULT_GROUP

if TYPE_CHECKING:
    from engine.jobs.matrix_queue import MatrixPlan, QueuedMatrix
    from engine.jobs.queue import Jobs
    from engine.jobs.records import JobSummary


class _Form(StrEnum):
    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"


def matrix(
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            metavar="NAME",
            help="Names with commas between them, or a file of labelled cases (.jsonl).",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME|DIR", help="A set of policies; repeatable. Default: all there are."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="SPEC", help="A model of the gauntlet; repeatable."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Only so many items, drawn by the seed."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Draws the items.")] = 0,
    speed: Annotated[
        Speed, typer.Option("--speed", help="How much the gauntlet asks for: full, two, one token.")
    ] = Speed.FULL,
    level: Annotated[Level, typer.Option("--level", help="How thoroughly a model thinks.")] = Level.MEDIUM,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME", help="Only this policy of each set; repeatable."),
    ] = None,
    serial: Annotated[bool, typer.Option("--serial", help="One policy after the other.")] = False,
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", metavar="HIGH,LOW", help="The gauntlet's.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the benchmarks' files are.")
    ] = None,
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="Take data that is not what was published.")
    ] = False,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="What all runs belong to. Default: by benchmark."),
    ] = None,
    group: Annotated[
        str, typer.Option("--group", metavar="NAME", help="The group of jobs that all are in.")
    ] = DEFAULT_GROUP,
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="The higher, the earlier.")] = 0,
    accelerators: Annotated[
        int, typer.Option("--accelerators", metavar="N", help="How many each evaluation needs to itself.")
    ] = 0,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="What to file all under; repeatable.")
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What there is to say of it.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Queue the jobs, and do not wait.")] = False,
    run: Annotated[
        int | None,
        typer.Option(
            "--run", metavar="ID", min=1, max=LARGEST_ID, help="Show the table of a finished matrix again."
        ),
    ] = None,
    form: Annotated[
        _Form, typer.Option("--format", help="Markdown and CSV have every figure with its interval.")
    ] = _Form.TABLE,
    as_json: JsonOption = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
) -> int:
    """Compare sets of policies over models: evaluate each pair, and print a table with their differences.

    Each evaluation is a job, and so is the table, which needs them all. An interrupt leaves them running;
    what fails can be retried, and the table follows. --run ID shows a table again.
    """
    if as_json and form is not _Form.TABLE:
        raise usage_error("--json and --format exclude each other.")
    if run is not None:
        if benchmark is not None or set_ or model or detach:
            raise usage_error("--run shows a table that was made: it takes no benchmark, set or model.")
        return _show(run, _runs_folder(db), form, as_json=as_json)
    if benchmark is None or not model:
        raise usage_error(
            "A matrix needs a --benchmark and at least one --model; or --run, to show one again."
        )
    if detach and form is not _Form.TABLE:
        raise usage_error("--detach does not wait for a table that could have a --format.")
    settings: dict[str, Any] = {
        "benchmark": benchmark,
        "limit": limit,
        "seed": seed,
        "speed": speed.value,
        "level": level.value,
        "policies": policy or [],
        "serial": serial,
        "thresholds": thresholds,
        "data_dir": None if data_dir is None else str(data_dir),
        "accept_changed": accept_changed,
    }
    from engine.jobs.matrix_queue import MatrixPlan

    with open_queue(db, policies) as jobs:
        plan = MatrixPlan(
            sets=set_ or _all_sets(jobs),
            models=model,
            settings=settings,
            cwd=str(Path.cwd()),
            experiment=experiment,
            group=group,
            priority=priority,
            accelerators=accelerators,
            tags=tidy_tags(tag or ()),
            note=note,
        )
        queued = _queue(jobs, plan)
        if detach:
            _print_queued(queued, as_json=as_json)
            return Exit.DONE
        ended = _wait(jobs, queued)
        if ended[-1].state.name != "succeeded":
            return _tell_failure(jobs, ended)
        return _show(queued.matrix, jobs.runs_folder, form, as_json=as_json)


def _runs_folder(db: Path | None) -> Path:
    from engine.workspace import find_workspace

    return find_workspace(db).runs


def _all_sets(jobs: Jobs) -> list[str]:
    from engine.policies.sets import policy_sets

    assert jobs.policies is not None
    return [each.name for each in policy_sets(jobs.policies)]


def _queue(jobs: Jobs, plan: MatrixPlan) -> QueuedMatrix:
    from engine.jobs.matrix_queue import queue_matrix
    from engine.jobs.scheduler import attend

    attend(jobs)
    queued = queue_matrix(jobs, plan)
    attend(jobs)
    return queued


def _print_queued(queued: QueuedMatrix, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"evaluations": list(queued.evaluations), "matrix": queued.matrix}))
        return
    print(queued.matrix)
    say(f"{_told(queued)} 'wizard101 matrix --run {queued.matrix}' shows it then.")


def _told(queued: QueuedMatrix) -> str:
    numbers = ", ".join(map(str, queued.evaluations))
    jobs = "Job" if len(queued.evaluations) == 1 else "Jobs"
    return f"{jobs} {numbers} evaluate, and job {queued.matrix} makes the table of that."


def _wait(jobs: Jobs, queued: QueuedMatrix) -> list[JobSummary]:
    say(_told(queued))
    numbers = [*queued.evaluations, queued.matrix]
    try:
        return wait_for(jobs, numbers)
    except KeyboardInterrupt:
        say(f"\nThe jobs go on. 'wizard101 jobs cancel {' '.join(map(str, numbers))}' ends them.")
        raise


def _tell_failure(jobs: Jobs, ended: Sequence[JobSummary]) -> int:
    """Say what hinders the table; return the exit code of that."""
    *evaluations, table = ended
    failed = [job for job in evaluations if job.state.name != "succeeded"] or [table]
    code = tell_ends(jobs, failed)
    numbers = " ".join(str(job.id) for job in failed)
    say(
        f"What is judged is kept: 'wizard101 jobs retry {numbers}' goes on from there, and the table follows."
    )
    return code


def _show(run_id: int, runs_folder: Path, form: _Form, *, as_json: bool) -> int:
    """Print the table that a run has made."""
    from engine.jobs.matrix import MATRIX
    from engine.jobs.matrix_export import matrix_csv, matrix_markdown, read_matrix

    path = runs_folder / str(run_id) / MATRIX
    if not path.is_file():
        raise usage_error(
            f"Run {run_id} has made no matrix: there is no {path}. 'wizard101 runs list kind:matrix' shows "
            "which there are, and how far they are."
        )
    found = read_matrix(path)
    if as_json:
        import msgspec

        print(json.dumps({"run": run_id, **msgspec.to_builtins(found)}))
    elif form is _Form.TABLE:
        from app.cli.matrix_tables import matrix_lines

        print("\n".join(matrix_lines(run_id, found)))
    else:
        write = matrix_markdown if form is _Form.MARKDOWN else matrix_csv
        print(visible(write(found).replace("\r\n", "\n")), end="")
    return Exit.DONE
