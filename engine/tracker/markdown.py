"""Runs as Markdown: tables that no name or note can break out of. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from engine.tracker.compare import compare_runs, value_words
from engine.tracker.figures import duration_words, value_and_interval
from engine.tracker.plain_text import plain, plain_line
from engine.tracker.run_records import Result, Run, RunSummary

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~$^=-]")
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}

_HEAD = ("Id", "Run", "Origin", "Kind", "Status", "Experiment", "Started (UTC)")
_FIGURE = ("Result", "Value", "95 % interval", "n")


def markdown_head(now: datetime) -> str:
    """Return the title and the head of the table of runs."""
    exported = f"Exported {_moment(now)} UTC. Intervals are at 95 %; a dash stands for what is not known."
    return f"# Runs\n\n{exported}\n\n" + _table_head((*_HEAD, *_FIGURE))


def markdown_line(summary: RunSummary) -> str:
    """Return a run's line of the table."""
    facts = (
        *(str(summary.id), _text(summary.name), summary.origin.value, _text(summary.kind)),
        *(_text(summary.status), _text(summary.experiment or ""), _moment(summary.started_at)),
    )
    return _table_line((*facts, *_figure(summary.headline)))


def markdown_run(run: Run) -> str:
    """Return a run's own section."""
    summary, provenance = run.summary, run.provenance
    dirty = " with uncommitted changes" if provenance.git_dirty else ""
    revision = f"{provenance.git_revision}{dirty}" if provenance.git_revision else ""
    packages = ", ".join(f"{name} {version}" for name, version in sorted(provenance.packages.items()))
    seeds = ", ".join(f"{name} {seed}" for name, seed in sorted(provenance.seeds.items()))
    cost = "" if summary.cost_usd is None else f"{summary.cost_usd:.2f} USD"
    facts = (
        ("Origin", summary.origin.value),
        ("Source", run.source),
        ("Kind", summary.kind),
        ("Status", summary.status),
        ("Experiment", summary.experiment or ""),
        ("Started (UTC)", _moment(summary.started_at)),
        ("Took", duration_words(summary.seconds)),
        ("Cost", cost),
        ("Tags", ", ".join(summary.tags)),
        ("Host", provenance.host or ""),
        ("Revision", revision),
        ("Packages", packages),
        ("Seeds", seeds),
        ("Curves", ", ".join(run.metrics)),
        ("Note", run.note),
        ("Note of the experiment", run.experiment_note),
    )
    parameters = compare_runs([run]).parameters
    return "".join(
        (
            f"\n## Run {summary.id}: {_text(plain_line(summary.name))}\n",
            _table("", ("Fact", ""), ((name, _text(said)) for name, said in facts if said)),
            _table("Results", _FIGURE, map(_figure, run.results)),
            _table(
                "Parameters",
                ("Parameter", "Value"),
                ((_text(line.name), _text(value_words(line.values[0]))) for line in parameters),
            ),
            _table(
                "Outcome",
                ("Name", "Value"),
                ((_text(name), _text(value_words(value))) for name, value in run.told_besides.items()),
            ),
            _table(
                "Made from",
                ("Role", "Name", "SHA-256", "Run"),
                (
                    (
                        _text(used.role),
                        _text(used.name),
                        _text(used.sha256 or "–"),
                        str(used.parent_id or "–"),
                    )
                    for used in run.lineage
                ),
            ),
            _table(
                "Artifacts",
                ("Role", "Path", "SHA-256"),
                ((_text(made.role), _text(made.path), _text(made.sha256)) for made in run.artifacts),
            ),
        )
    )


def markdown_table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of plain texts, none of which Markdown takes for markup."""
    escaped = ([_text(cell) for cell in line] for line in lines)
    return _table_head([_text(head) for head in heads]) + "".join(map(_table_line, escaped))


def markdown_text(untrusted: str) -> str:
    """Return a text on one line, of which Markdown takes nothing for markup."""
    return _text(untrusted)


def _figure(result: Result | None) -> tuple[str, ...]:
    if result is None:
        return ("–",) * 4
    value, interval = value_and_interval(result)
    return (_text(result.name), _text(value), _text(interval) or "–", _count(result.n))


def _count(number: int | None) -> str:
    return "–" if number is None else str(number)


def _table(title: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    body = "".join(map(_table_line, lines))
    heading = f"\n### {title}\n" if title else ""
    return f"{heading}\n{_table_head(heads)}{body}" if body else ""


def _table_head(heads: Sequence[str]) -> str:
    return _table_line(heads) + _table_line(["---"] * len(heads))


def _table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _text(untrusted: str) -> str:
    """Return text that Markdown shows as it is, on one line of a table."""
    escaped = _MARKUP.sub(r"\\\g<0>", plain(untrusted)).translate(_ENTITIES)
    return escaped.replace("\t", " ").replace("\n", "<br>")


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
