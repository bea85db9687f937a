"""``wizard101 runs``: what was run, how it compares, and taking it elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import say, usage_error
from app.cli.options import LARGEST_ID, DbOption, JsonOption, RunId, tidy_tags
from app.cli.rebuild import rebuild_runs
from app.cli.run_scores import show_scores
from app.safe_text import visible

if TYPE_CHECKING:
    from engine.tracker.export import Format, Selection
    from engine.tracker.run_records import RunQuery, RunSummary
    from engine.tracker.runs import Runs

cli = typer.Typer(
    help="Runs: what was run, measured or claimed; comparing and exporting it.", no_args_is_help=True
)

_LARGEST_LIMIT = 1_000_000_000
_PAGE = 500
_LONGEST_NOTE = 1_000_000

FilterWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILTER]...",
        help="Words of name, kind, experiment or tags, or a number; or kind:, status:, origin:, exp:, tag: "
        "and a value, in which a hyphen stands for a blank.",
    ),
]


cli.command("rebuild")(rebuild_runs)
cli.command("scores")(show_scores)


@cli.command("list")
def list_runs(
    words: FilterWords = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="id, name, kind, status, started, cost, or result:NAME (only runs that have that result).",
        ),
    ] = "id",
    ascending: Annotated[bool, typer.Option("--ascending", help="The least first.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_LARGEST_LIMIT, metavar="N", help="How many at most.")
    ] = 50,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    from app.cli.run_tables import list_lines
    from engine.tracker.run_json import json_text, summary_json

    query = _query(" ".join(words or ()), sort=sort, ascending=ascending)
    with _runs(db) as runs:
        found = _first(runs, query, limit + 1)
        shown, more = found[:limit], len(found) > limit
        if as_json:
            print(json_text([summary_json(summary) for summary in shown]))
        else:
            _print_lines(list_lines(shown, by=query.sort) if shown else [])
        if more:
            say("More follow: --limit shows them, and a filter narrows the list.")
        elif not shown:
            say("No run matches." if words else "There is no run yet.")


@cli.command("show")
def show_run(run_id: RunId, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of a run."""
    from app.cli.run_tables import run_lines
    from engine.tracker.compare import load_all
    from engine.tracker.run_json import json_text, run_json
    from engine.workspace import find_workspace

    with _runs(db) as runs:
        (run,) = load_all(runs, [run_id])
        if as_json:
            print(json_text(run_json(run)))
        else:
            curves = {metric: runs.curve(run_id, metric) for metric in run.metrics}
            folder = find_workspace(db).runs / str(run_id)
            _print_lines(run_lines(run, curves, folder if folder.is_dir() else None))


@cli.command("compare")
def compare_runs(
    run_ids: Annotated[
        list[int],
        typer.Argument(metavar="ID ID...", min=1, max=LARGEST_ID, help="The runs' numbers, 2 to 100."),
    ],
    paired: Annotated[
        bool,
        typer.Option(
            "--paired",
            help="Two evaluations, item by item: is a difference more than chance, and which items flipped?",
        ),
    ] = False,
    flips: Annotated[
        int,
        typer.Option("--flips", min=0, max=_LARGEST_LIMIT, metavar="N", help="How many flips to list."),
    ] = 20,
    texts: Annotated[bool, typer.Option("--texts", help="List them with the texts of their cases.")] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put runs side by side: parameters that differ, results with their intervals, curves in a line each."""
    from app.cli.run_tables import comparison_lines
    from engine.tracker.compare import compare
    from engine.tracker.run_json import comparison_json, json_text

    if paired:
        _compare_paired(run_ids, flips, texts, db, as_json)
        return
    with _runs(db) as runs:
        try:
            compared = compare(runs, run_ids)
        except ValueError as error:
            raise usage_error(str(error)) from error
        if as_json:
            print(json_text(comparison_json(compared)))
        else:
            _print_lines(
                comparison_lines(
                    compared, {metric: runs.curves(run_ids, metric) for metric in compared.metrics}
                )
            )


def _compare_paired(run_ids: Sequence[int], flips: int, texts: bool, db: Path | None, as_json: bool) -> None:
    from app.cli.paired import paired_lines
    from engine.jobs.paired import pair, paired_json
    from engine.tracker.run_json import json_text
    from engine.workspace import find_workspace

    if len(set(run_ids)) != 2 or len(run_ids) != 2:
        raise usage_error("--paired compares two runs.")
    with _runs(db) as runs:
        found = pair(runs, find_workspace(db).runs, *run_ids)
    if as_json:
        print(json_text({"runs": list(run_ids), "paired": [paired_json(each) for each in found]}))
    else:
        _print_lines(paired_lines(found, flips=flips, texts=texts))


@cli.command("export")
def export_runs(
    run_ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="[ID]...", min=1, max=LARGEST_ID, help="The runs' numbers; without: all."),
    ] = None,
    words: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="Those that 'runs list FILTER' lists.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|json|markdown|html",
            help="Default: what the output file's name ends in, else csv.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Default: standard output.")
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="JSON: with the curves. HTML always draws them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
    db: DbOption = None,
) -> None:
    """Export runs. Every figure stands beside its n and interval, every run beside its origin."""
    from engine.tracker.export import Format, TooManyRuns, export
    from engine.tracker.export_file import NoTarget, write_file

    chosen = _format(form, output)
    if curves and chosen not in (Format.JSON, Format.HTML):
        raise usage_error("--curves goes with --format json; html draws them anyway.")
    if run_ids and words is not None:
        raise usage_error("Give the runs' numbers or --filter, not both.")
    selection: Selection = list(dict.fromkeys(run_ids)) if run_ids else _query(words or "")
    with _runs(db) as runs:
        try:
            pieces = export(runs, selection, chosen, curves=curves)
        except TooManyRuns as error:
            raise usage_error(str(error)) from error
        if output is None:
            _print_pieces(pieces)
            return
        try:
            write_file(output, pieces, database=runs.path, force=force)
        except NoTarget as error:
            raise usage_error(str(error)) from error
        say(f"Written: {output}")


@cli.command("tag")
def tag_run(
    run_id: RunId,
    tags: Annotated[
        list[str], typer.Argument(metavar="TAG...", help="What to file the run under; in quotes with blanks.")
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags off the run.")] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """File a run under tags, or take tags off it."""
    from engine.tracker.compare import load_all
    from engine.tracker.run_json import json_text

    tidy = tidy_tags(tags)
    with _runs(db, to_write=True) as runs:
        if remove:
            runs.untag(run_id, *tags, *tidy)
        else:
            runs.tag(run_id, *tidy)
        (run,) = load_all(runs, [run_id])
        kept = run.summary.tags
        if as_json:
            print(json_text({"id": run_id, "tags": list(kept)}))
        else:
            print(visible(f"Run {run_id}: {', '.join(kept) or 'no tags'}", keep_newlines=False))


@cli.command("note")
def note_run(
    run_id: RunId,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT|-]", help="The new note; - reads it from standard input; without: print it."
        ),
    ] = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a run's note, or replace it."""
    from engine.tracker.compare import load_all
    from engine.tracker.run_json import json_text

    note = _read_note() if text == "-" else text
    with _runs(db, to_write=note is not None) as runs:
        if note is not None:
            runs.note(run_id, note)
        (run,) = load_all(runs, [run_id])
        if as_json:
            print(json_text({"id": run_id, "note": run.note}))
        elif note is None and run.note:
            print(visible(run.note))


@cli.command("sql")
def query_database(
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="One statement that reads.")],
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_LARGEST_LIMIT, metavar="N", help="How many rows at most.")
    ] = 1000,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=86_400, metavar="S", help="How long it may take.")
    ] = 30.0,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the database anything; nothing can be changed. --json prints one object a row."""
    from app.cli.run_tables import answer_lines
    from engine.tracker.run_json import json_text

    if math.isnan(seconds):
        raise usage_error("--seconds takes a number.")
    with _runs(db) as runs:
        columns, rows, more = runs.sql(statement, limit=limit, seconds=seconds)
    if as_json:
        names = _told_apart(columns)
        for row in rows:
            print(json_text(dict(zip(names, map(_json_value, row), strict=True))))
    elif columns:
        _print_lines(answer_lines(columns, rows))
    if more:
        say("More rows follow: --limit shows them.")
    elif not rows:
        say("No row.")


# --- what is asked for -------------------------------------------------------------------------------


@contextmanager
def _runs(db: Path | None, *, to_write: bool = False) -> Iterator[Runs]:
    """Open the tracker; a run that does not exist, or no statement, is a mistake in the command.

    Whoever wants ``to_write`` learns by that itself that the database can only be read.
    """
    from engine.tracker import open_tracker
    from engine.tracker.records import StatementRefused, UnknownRun
    from engine.workspace import find_workspace

    with open_tracker(find_workspace(db).db) as tracker:
        if tracker.read_only and not to_write:
            say(f"Note: {tracker.read_only}")
        if tracker.notice:
            say(tracker.notice)
        try:
            yield tracker.runs
        except (StatementRefused, UnknownRun) as error:
            raise usage_error(str(error)) from error


def _query(text: str, *, sort: str = "id", ascending: bool = False) -> RunQuery:
    from engine.tracker.run_records import STATUSES, Origin, RunQuery, Sort

    by_result = sort.startswith("result:") and sort != "result:"
    if not by_result and sort not in list(Sort):
        raise usage_error(f"Runs cannot be sorted by {sort!r}. Choose {', '.join(Sort)} or result:NAME.")
    known = {
        "origin": [origin.value for origin in Origin],
        "status": [status.replace(" ", "-") for status in STATUSES],
    }
    for word in text.split():
        name, _, value = word.partition(":")
        if value and name in known and value not in known[name]:
            raise usage_error(f"There is no {name} {value!r}. Choose {', '.join(known[name])}.")
    return RunQuery.parse(text, sort=sort, descending=not ascending)


def _format(form: str | None, output: Path | None) -> Format:
    from engine.tracker.export import SUFFIXES, Format

    if form is None:
        suffix = output.suffix.lower() if output else ""
        return next((known for known, ending in SUFFIXES.items() if ending == suffix), Format.CSV)
    if form not in list(Format):
        raise usage_error(f"There is no format {form!r}. Choose {', '.join(Format)}.")
    return Format(form)


def _first(runs: Runs, query: RunQuery, number: int) -> list[RunSummary]:
    found: list[RunSummary] = []
    after = None
    while len(found) < number:
        page = runs.page(query, after=after, limit=min(_PAGE, number - len(found)))
        if not page:
            break
        found += [summary for _, summary in page]
        after = page[-1][0]
    return found


def _read_note() -> str:
    note = sys.stdin.buffer.read(_LONGEST_NOTE + 1)
    if len(note) > _LONGEST_NOTE:
        raise usage_error(f"A note holds at most {_LONGEST_NOTE} bytes.")
    return note.decode("utf-8", "replace").removesuffix("\n")


# --- what is printed ---------------------------------------------------------------------------------


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _print_pieces(pieces: Iterable[str]) -> None:
    """Print an export byte for byte; on a terminal, as it can be shown there."""
    if sys.stdout.isatty():
        for piece in pieces:
            print(visible(piece.replace("\r\n", "\n")), end="")
        return
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode("utf-8"))
    sys.stdout.buffer.flush()


def _told_apart(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


def _json_value(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value
