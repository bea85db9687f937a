"""Exporting runs as CSV, JSON, Markdown or HTML: a page at a time, however many there are.

Every figure stands beside its n and its 95 % interval, and every run beside its origin: measured, imported
or paper. JSON is faithful; the other forms show what would act or hide as a visible character.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.tracker.compare import AT_MOST, load_all
from engine.tracker.markdown import markdown_head, markdown_line, markdown_run
from engine.tracker.plain_text import plain
from engine.tracker.records import TrackerError
from engine.tracker.run_json import INTERVAL, json_text, run_json
from engine.tracker.run_records import Cursor, Result, Run, RunQuery, RunSummary

if TYPE_CHECKING:
    from engine.tracker.runs import Runs

Selection = Sequence[int] | RunQuery
"""Runs by their ids, in that order, or all that a query finds."""

_PAGE = 200


class Format(StrEnum):
    """What runs can be exported as."""

    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


class TooManyRuns(TrackerError):
    """The selection is more than this form can hold."""


SUFFIXES = {Format.CSV: ".csv", Format.JSON: ".json", Format.MARKDOWN: ".md", Format.HTML: ".html"}


def export(
    runs: Runs,
    selection: Selection,
    form: Format,
    *,
    curves: bool = False,
    now: datetime | None = None,
) -> Iterator[str]:
    """Return the export in pieces. ``curves`` adds them to JSON; HTML always draws them.

    Raises:
        UnknownRun: if there is no run by one of the ids.
        TooManyRuns: if a page of HTML would have more than 100 runs.
        TrackerError: if the database cannot be read; this may come between the pieces.
    """
    _require_all(runs, selection)
    moment = now or datetime.now(UTC)
    if form is Format.CSV:
        return export_csv(runs, selection)
    if form is Format.JSON:
        return export_json(runs, selection, curves=curves, now=moment)
    if form is Format.MARKDOWN:
        return export_markdown(runs, selection, now=moment)
    from engine.tracker.html_report import html_report

    return html_report(runs, _few(runs, selection), now=moment)


# --- what is exported --------------------------------------------------------------------------------


def selected_summaries(runs: Runs, selection: Selection) -> Iterator[RunSummary]:
    """Return the selected runs' lines in order, read a page at a time."""
    if isinstance(selection, RunQuery):
        after: Cursor | None = None
        while page := runs.page(selection, after=after, limit=_PAGE):
            yield from (summary for _, summary in page)
            after = page[-1][0]
    else:
        yield from (run.summary for run in selected_runs(runs, selection))


def selected_runs(runs: Runs, selection: Selection) -> Iterator[Run]:
    """Return the selected runs in full and in order, read a page at a time."""
    for ids in _pages_of_ids(runs, selection):
        yield from load_all(runs, ids)


def _pages_of_ids(runs: Runs, selection: Selection) -> Iterator[Sequence[int]]:
    if isinstance(selection, RunQuery):
        after: Cursor | None = None
        while page := runs.page(selection, after=after, limit=_PAGE):
            yield [summary.id for _, summary in page]
            after = page[-1][0]
    else:
        yield from (selection[first : first + _PAGE] for first in range(0, len(selection), _PAGE))


def _require_all(runs: Runs, selection: Selection) -> None:
    if not isinstance(selection, RunQuery):
        for _ in selected_runs(runs, selection):
            pass


def _few(runs: Runs, selection: Selection) -> Sequence[int]:
    ids = selection
    if isinstance(selection, RunQuery):
        ids = [summary.id for _, summary in runs.page(selection, limit=AT_MOST + 1)]
    assert not isinstance(ids, RunQuery)
    if len(ids) > AT_MOST:
        raise TooManyRuns(
            f"A page of HTML holds at most {AT_MOST} runs.",
            kept="Nothing was written.",
            hint="Narrow the filter, or export CSV or JSON, which have no limit.",
        )
    return ids


def _result_names(runs: Runs, selection: Selection) -> list[str]:
    if isinstance(selection, RunQuery):
        return runs.result_names(selection)
    return sorted({result.name for run in selected_runs(runs, selection) for result in run.results})


# --- JSON --------------------------------------------------------------------------------------------


def export_json(runs: Runs, selection: Selection, *, curves: bool, now: datetime) -> Iterator[str]:
    """Return one JSON document with whole runs, and their curves if asked."""
    head = json_text({"exported_at": now.isoformat(), "interval": INTERVAL})
    yield head.removesuffix("}") + ', "runs": ['
    comma = "\n"
    for run in selected_runs(runs, selection):
        drawn = None
        if curves:
            drawn = {metric: runs.curve(run.summary.id, metric) for metric in run.metrics}
        yield comma + json_text(run_json(run, drawn))
        comma = ",\n"
    yield "\n]}\n"


# --- CSV ---------------------------------------------------------------------------------------------

_FIXED = (
    *("id", "name", "origin", "kind", "status", "experiment", "created_at", "started_at", "ended_at"),
    *("seconds", "cost_usd", "tags", "source", "note", "experiment_note", "host", "git_revision"),
    *("git_dirty", "packages", "seeds", "parameters", "outcome"),
)

# What spreadsheets take for the beginning of a formula, in its wide forms too.
_FORMULA = "=+@＝＋－＠-"
# Where a spreadsheet that separates cells by semicolons or tabs, and knows no quotes within them, begins one.
_CELL_WITHIN = re.compile(f'([;\t\n][ "]*)(?=[{_FORMULA}])')


def export_csv(runs: Runs, selection: Selection) -> Iterator[str]:
    """Return one row a run (RFC 4180, UTF-8, texts in quotes): its facts, and four columns a result."""
    names = _result_names(runs, selection)
    heads = [head for name in names for head in (name, f"{name} n", f"{name} low", f"{name} high")]
    yield csv_row([*_FIXED, *heads])
    for run in selected_runs(runs, selection):
        results = {result.name: result for result in run.results}
        figures = [figure for name in names for figure in _figures(results.get(name))]
        yield csv_row([*_facts(run), *figures])


def _facts(run: Run) -> list[object]:
    summary, provenance = run.summary, run.provenance
    return [
        *(summary.id, summary.name, summary.origin.value, summary.kind, summary.status, summary.experiment),
        *(_time(summary.created_at), _time(summary.started_at), _time(summary.ended_at)),
        *(summary.seconds, summary.cost_usd, "; ".join(summary.tags), run.source, run.note),
        *(run.experiment_note, provenance.host, provenance.git_revision, _yes_no(provenance.git_dirty)),
        *map(json_text, (provenance.packages, provenance.seeds, run.params, run.outcome)),
    ]


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"


def _figures(result: Result | None) -> tuple[object, ...]:
    return (None,) * 4 if result is None else (result.value, result.n, result.low, result.high)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def csv_row(cells: Sequence[object]) -> str:
    """Return a line of CSV (RFC 4180) that no spreadsheet reads as a formula."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([_cell(cell) for cell in cells])
    return line.getvalue()


def _cell(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: what looks like one gets an apostrophe first."""
    if not isinstance(cell, str):
        return cell
    shown = _CELL_WITHIN.sub(r"\1'", plain(cell))
    return f"'{shown}" if shown.lstrip(" ").startswith((*_FORMULA, "\t", "\n")) else shown


# --- Markdown ----------------------------------------------------------------------------------------


def export_markdown(runs: Runs, selection: Selection, *, now: datetime) -> Iterator[str]:
    """Return a table of the runs, and then a section with tables for each."""
    yield markdown_head(now)
    for summary in selected_summaries(runs, selection):
        yield markdown_line(summary)
    for run in selected_runs(runs, selection):
        yield markdown_run(run)
