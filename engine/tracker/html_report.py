"""Runs as one page of HTML that needs nothing else: no script, nothing fetched, curves as inline SVG.

One run gives that run's report, several a comparison. All text of a run is untrusted and passes `_text`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from engine.events import JsonValue
from engine.tracker.compare import AT_MOST, Comparison, compare_runs, load_all, value_words
from engine.tracker.figures import duration_words, value_and_interval
from engine.tracker.plain_text import plain, plain_line
from engine.tracker.run_records import Origin, Result, Run, RunSummary
from engine.tracker.svg_curve import DrawnCurve, curve_svg, curve_words
from engine.tracker.svg_interval import fits, fitting_scale, interval_svg, scale_svg, whole_scale

if TYPE_CHECKING:
    from engine.tracker.runs import Runs

_STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_COLOURS = 8
_DASHES = 5
_CURVES_AT_MOST = 40
_FINE, _COARSE = 400, 150
_FEW = 6

_ORIGINS = {
    Origin.MEASURED: "measured by Wizard101",
    Origin.IMPORTED: "claimed by a predecessor, not reproduced",
    Origin.PAPER: "published, not reproduced",
}


def html_report(runs: Runs, run_ids: Sequence[int], *, now: datetime | None = None) -> Iterator[str]:
    """Return the page in pieces.

    Raises:
        ValueError: if there are more than 100 runs.
        TrackerError: if there is no run by one of the ids, or the database cannot be read.
    """
    if len(run_ids) > AT_MOST:
        raise ValueError(f"A page holds at most {AT_MOST} runs, not {len(run_ids)}.")
    compared = compare_runs(load_all(runs, run_ids))
    title = _title(compared.summaries)
    exported = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield _head(title, exported)
    yield _summaries(compared.summaries)
    yield _results(compared)
    yield _parameters(compared)
    yield from _curves(runs, compared)
    for number, run in enumerate(compared.runs):
        yield _details(run, number, alone=len(compared.runs) == 1)
    yield (
        '<footer class="soft">Intervals are at 95 %. A dash stands for what is not known. '
        "What would act or hide in a text is shown as a visible character.</footer>\n</body>\n</html>\n"
    )


# --- text --------------------------------------------------------------------------------------------


def _text(untrusted: object) -> str:
    """Return text that HTML shows as it is, and that does not turn its surroundings around."""
    return f"<bdi>{escape(plain(str(untrusted)))}</bdi>"


def _short(name: str) -> str:
    """Return a run's name for where its beginning will do: the page has it in full elsewhere."""
    return f'<span class="short">{_text(plain_line(name))}</span>'


def _words(untrusted: str | None) -> str:
    return "–" if untrusted is None or untrusted == "" else _text(untrusted)


def _moment(moment: datetime | None) -> str:
    return "–" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _style(number: int) -> str:
    return f"s{number % _COLOURS} d{(number + number // _COLOURS) % _DASHES}"


def _key(number: int) -> str:
    line = f'<path class="line {_style(number)}" d="M1 5H33"/>'
    return f'<svg class="key" viewBox="0 0 34 10" aria-hidden="true">{line}</svg>'


def _run(summary: RunSummary, number: int) -> str:
    return f'<span class="run">{_key(number)}<a href="#run-{summary.id}">#{summary.id}</a></span>'


def _origin(origin: Origin) -> str:
    return f'<span class="origin {origin.value}" title="{_ORIGINS[origin]}">{origin.value}</span>'


def _table(about: str, caption: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    """Return a table; all but what it is ``about`` is markup."""
    name = escape(plain_line(about))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>'
        f"<caption>{caption}</caption><thead><tr>{''.join(heads)}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
    )


def _column(name: str, kind: str = "") -> str:
    return f'<th scope="col" class="{kind}">{name}</th>' if kind else f'<th scope="col">{name}</th>'


def _cell(content: str, kind: str = "") -> str:
    return f'<td class="{kind}">{content}</td>' if kind else f"<td>{content}</td>"


# --- the page's parts --------------------------------------------------------------------------------


def _title(summaries: Sequence[RunSummary]) -> str:
    if len(summaries) == 1:
        return f"Run {summaries[0].id}: {plain_line(summaries[0].name)}"
    return f"{len(summaries)} runs compared" if summaries else "No runs"


def _head(title: str, exported: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f'<body>\n<h1>{_text(title)}</h1>\n<p class="soft">Wizard101, exported {exported}</p>\n'
    )


def _summaries(summaries: Sequence[RunSummary]) -> str:
    heads = [
        *(_column("Run"), _column("Name"), _column("Origin"), _column("Kind"), _column("Status")),
        *(_column("Experiment"), _column("Started (UTC)"), _column("Took"), _column("Cost", "number")),
    ]
    lines = []
    for number, summary in enumerate(summaries):
        cost = "–" if summary.cost_usd is None else f"${summary.cost_usd:.2f}"
        lines.append(
            f'<tr><th scope="row">{_run(summary, number)}</th>'
            + _cell(_text(summary.name), "running")
            + _cell(_origin(summary.origin))
            + _cell(_text(summary.kind), "kind")
            + _cell(_text(summary.status), "whole")
            + _cell(_words(summary.experiment))
            + _cell(_moment(summary.started_at), "whole")
            + _cell(duration_words(summary.seconds) or "–", "whole")
            + _cell(cost, "number")
            + "</tr>"
        )
    origins = dict.fromkeys(summary.origin for summary in summaries)
    legend = " ".join(f"{_origin(origin)} {_ORIGINS[origin]}." for origin in origins)
    heading = "Run" if len(summaries) == 1 else "Runs"
    return f"<h2>{heading}</h2>\n{_table(heading, legend, heads, lines)}"


def _results(compared: Comparison) -> str:
    if not compared.results:
        return "<h2>Results</h2>\n<p>None was recorded.</p>\n"
    if len(compared.runs) == 1:
        return f"<h2>Results</h2>\n{_results_of_one(compared)}"
    tables = []
    for line in compared.results:
        marks = fitting_scale(line.results)
        rows = [
            _result_row([_run(summary, number), _short(summary.name)], summary.origin, result, marks, number)
            for number, (summary, result) in enumerate(zip(compared.summaries, line.results, strict=True))
            if result is not None
        ]
        without = [s.id for s, result in zip(compared.summaries, line.results, strict=True) if result is None]
        missing = f" Not known for {', '.join(f'#{run_id}' for run_id in without)}." if without else ""
        overlap = {True: " The two intervals overlap.", False: " The two intervals do not overlap.", None: ""}
        caption = f"{overlap[line.overlap]}{missing}".strip()
        tables.append(
            f"<h3>{_text(line.name)}</h3>\n"
            + _table(line.name, caption, _result_heads(["Run", "Name"], marks), rows)
        )
    return f"<h2>Results</h2>\n{''.join(tables)}"


def _results_of_one(compared: Comparison) -> str:
    (run,) = compared.summaries
    found = [result for line in compared.results for result in line.results if result is not None]
    marks = whole_scale(found)
    rows = [
        _result_row(
            [_text(result.name)], run.origin, result, marks if marks and fits(result, marks) else None, 0
        )
        for result in found
    ]
    return _table("Results", "", _result_heads(["Result"], marks), rows)


def _result_heads(first: Sequence[str], marks: list[float] | None) -> list[str]:
    scale = scale_svg(marks) if marks else ""
    return [
        *map(_column, first),
        *(_column("Origin"), _column("Value", "number")),
        *(_column("95 % interval", "whole"), _column("n", "number"), _column(scale, "drawing")),
    ]


def _result_row(
    first: Sequence[str], origin: Origin, result: Result, marks: list[float] | None, number: int
) -> str:
    value, interval = value_and_interval(result)
    drawn = interval_svg(result, marks, _style(number)) if marks else ""
    return (
        f'<tr><th scope="row">{first[0]}</th>'
        + "".join(map(_cell, first[1:]))
        + _cell(_origin(origin))
        + _cell(value, "number")
        + _cell(interval or "–", "whole")
        + _cell("–" if result.n is None else str(result.n), "number")
        + _cell(drawn, "drawing")
        + "</tr>"
    )


def _parameters(compared: Comparison) -> str:
    if not compared.parameters:
        return ""
    alone = len(compared.runs) == 1
    runs = [_column(_run(summary, number)) for number, summary in enumerate(compared.summaries)]
    heads = [_column("Parameter"), *([_column("Value")] if alone else runs)]
    lines = []
    for line in compared.parameters:
        mark = ' <span class="mark">≠ differs</span>' if line.differs else ""
        cells = "".join(_cell(_text(value_words(value))) for value in line.values)
        opening = '<tr class="differs">' if line.differs else "<tr>"
        lines.append(f'{opening}<th scope="row">{_text(line.name)}{mark}</th>{cells}</tr>')
    differing = sum(line.differs for line in compared.parameters)
    caption = "" if alone else f"{differing} of {len(compared.parameters)} differ."
    return f"<h2>Parameters</h2>\n{_table('Parameters', caption, heads, lines)}"


def _curves(runs: Runs, compared: Comparison) -> Iterator[str]:
    if not compared.metrics:
        return
    yield "<h2>Curves</h2>\n"
    buckets = _FINE if len(compared.runs) <= _FEW else _COARSE
    for number, metric in enumerate(compared.metrics[:_CURVES_AT_MOST]):
        having = [(place, run) for place, run in enumerate(compared.runs) if metric in run.metrics]
        read = runs.curves([run.summary.id for _, run in having], metric, buckets)
        drawn = [
            DrawnCurve(f"run {run.summary.id}", _style(place), read[run.summary.id]) for place, run in having
        ]
        legend = "".join(
            f"<li>{_run(run.summary, place)} {_short(run.summary.name)} "
            f'<span class="soft">{curve_words(read[run.summary.id])}</span></li>'
            for place, run in having
        )
        picture = curve_svg(metric, drawn, number) or '<p class="soft">No point of it is a number.</p>'
        yield (
            f"<figure><figcaption>{_text(metric)}<small>line: mean, band: lowest to highest</small>"
            "</figcaption>"
            f'{picture}<ul class="legend">{legend}</ul></figure>\n'
        )
    rest = compared.metrics[_CURVES_AT_MOST:]
    if rest:
        yield f"<p>{len(rest)} more are not drawn: {_text(', '.join(rest))}.</p>\n"


# --- one run's details -------------------------------------------------------------------------------


def _details(run: Run, number: int, *, alone: bool) -> str:
    summary, provenance = run.summary, run.provenance
    revision = "–"
    if provenance.git_revision:
        dirty = {True: " with uncommitted changes", False: ", nothing uncommitted", None: ""}
        revision = f"<code>{_text(provenance.git_revision)}</code>{dirty[provenance.git_dirty]}"
    facts = [
        ("Origin", f"{_origin(summary.origin)} {_ORIGINS[summary.origin]}"),
        ("Source", _words(run.source)),
        ("Tags", "".join(f'<span class="tag">{_text(tag)}</span>' for tag in summary.tags) or "–"),
        ("Recorded", f"{_moment(summary.created_at)} UTC"),
        ("Host", _words(provenance.host)),
        ("Revision", revision),
        ("Packages", _words(_listed(provenance.packages))),
        ("Seeds", _words(_listed(provenance.seeds))),
        ("Outcome", _words(_listed({name: value_words(value) for name, value in run.outcome.items()}))),
    ]
    if run.children:
        facts.append(("Used by", ", ".join(f"run {child}" for child in run.children)))
    listed = "".join(f"<dt>{name}</dt><dd>{said}</dd>" for name, said in facts)
    named = f"{_key(number)}Run {summary.id}: {_text(plain_line(summary.name))}"
    heading = f'<h2 id="run-{summary.id}">{"Where it comes from" if alone else named}</h2>'
    notes = _note("Note", run.note) + _note("Note of the experiment", run.experiment_note)
    return f"<article>\n{heading}\n<dl>{listed}</dl>\n{notes}{_lineage(run)}{_artifacts(run)}</article>\n"


def _note(title: str, note: str) -> str:
    return f'<h3>{title}</h3>\n<p class="note">{_text(note)}</p>\n' if note else ""


def _listed(named: Mapping[str, JsonValue] | Mapping[str, str] | Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(named.items()))


def _lineage(run: Run) -> str:
    if not run.lineage:
        return ""
    heads = [_column("Role"), _column("Name"), _column("SHA-256")]
    lines = [
        "<tr>"
        + _cell(_text(used.role))
        + f'<th scope="row">{_text(used.name)}'
        + (f" (run {used.parent_id})" if used.parent_id is not None else "")
        + "</th>"
        + _cell(f"<code>{_words(used.sha256)}</code>", "hash")
        + "</tr>"
        for used in run.lineage
    ]
    return f"<h3>Made from</h3>\n{_table('Made from', '', heads, lines)}"


def _artifacts(run: Run) -> str:
    if not run.artifacts:
        return ""
    heads = [_column("Role"), _column("Path"), _column("SHA-256")]
    lines = [
        f'<tr>{_cell(_text(made.role))}<th scope="row">{_text(made.path)}</th>'
        + _cell(f"<code>{_words(made.sha256)}</code>", "hash")
        + "</tr>"
        for made in run.artifacts
    ]
    return f"<h3>Artifacts</h3>\n{_table('Artifacts', '', heads, lines)}"
