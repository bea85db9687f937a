"""How runs read at a terminal: lists, one run, a comparison, an answer of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from app.cli.tables import Column, room, table
from app.safe_text import visible
from engine.tracker.compare import Comparison, ParameterLine, compare_runs, value_words
from engine.tracker.figures import duration_words, figure_words, value_and_interval
from engine.tracker.run_records import Bucket, Result, Run, RunSummary

_LEAST_NAME = 12
_BYTES_SHOWN = 32
_BESIDE = 6
_OVERLAP = {True: "overlap", False: "apart", None: ""}


def list_lines(summaries: Sequence[RunSummary], *, by: str) -> list[str]:
    """Return a table of runs. Where there is little room, names are cut and lesser columns left out."""
    columns = [
        Column("id", right=True),
        Column("origin"),
        Column("kind", least=6, drop=2),
        Column("status", drop=1),
        Column("name", least=8, fair=20),
        Column("result", least=6, fair=8),
        Column("value [95 % interval] n"),
        Column("cost", right=True, drop=4) if by == "cost" else Column("when", drop=3),
    ]
    rows = [
        (
            *(str(run.id), run.origin.value, run.kind, run.status, run.name, *_headline(run.headline)),
            _cost(run.cost_usd) if by == "cost" else _when(run.started_at or run.created_at),
        )
        for run in summaries
    ]
    return table(columns, rows, room())


def run_lines(run: Run, curves: Mapping[str, Sequence[Bucket]], folder: Path | None = None) -> list[str]:
    """Return all that is known of a run, section by section; ``folder`` is where its artifacts are."""
    summary, made_with = run.summary, run.provenance
    changed = " with uncommitted changes" if made_with.git_dirty else ""
    facts = (
        ("origin", summary.origin.value),
        ("source", run.source),
        ("kind", summary.kind),
        ("status", summary.status),
        ("experiment", summary.experiment or ""),
        ("recorded", _when(summary.created_at)),
        ("started", _when(summary.started_at)),
        ("took", duration_words(summary.seconds)),
        ("cost", _cost(summary.cost_usd)),
        ("tags", ", ".join(summary.tags)),
        ("folder", str(folder) if folder else ""),
        ("host", made_with.host or ""),
        ("revision", f"{made_with.git_revision}{changed}" if made_with.git_revision else ""),
        ("packages", ", ".join(f"{name} {version}" for name, version in sorted(made_with.packages.items()))),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in sorted(made_with.seeds.items()))),
        ("used by", ", ".join(f"run {child}" for child in run.children)),
    )
    told = [(name, said) for name, said in facts if said]
    lines = [visible(f"Run {summary.id}: {summary.name}", keep_newlines=False)]
    lines += [visible(f"  {name:<10}  {said}", keep_newlines=False) for name, said in told]
    return [*lines, *run_sections(run, curves)]


def run_sections(run: Run, curves: Mapping[str, Sequence[Bucket]]) -> list[str]:
    """Return a run's results, parameters, curves, sources, artifacts, outcome and notes, those it has."""
    width = room()
    figures = [Column("result", least=_LEAST_NAME), Column("value", right=True), Column("95 % interval")]
    lines = _section(
        "Results", [*figures, Column("n", right=True)], [_figure(result) for result in run.results], width
    )
    lines += _section(
        "Parameters",
        [Column("name", least=_LEAST_NAME), Column("value", least=_LEAST_NAME)],
        [(line.name, value_words(line.values[0])) for line in compare_runs([run]).parameters],
        width,
    )
    lines += _section(
        "Curves",
        [Column("metric", least=_LEAST_NAME), *_CURVE],
        [(metric, *_curve(curve)) for metric, curve in curves.items()],
        width,
    )
    lines += _section(
        "Made from",
        [
            Column("role"),
            Column("name", least=_LEAST_NAME),
            Column("run", right=True),
            Column("sha-256", least=8),
        ],
        [(used.role, used.name, str(used.parent_id or ""), used.sha256 or "") for used in run.lineage],
        width,
    )
    lines += _section(
        "Artifacts",
        [Column("role"), Column("path", least=_LEAST_NAME), Column("sha-256", least=8)],
        [(made.role, made.path, made.sha256) for made in run.artifacts],
        width,
    )
    lines += _section(
        "Outcome",
        [Column("name", least=_LEAST_NAME), Column("value", least=_LEAST_NAME)],
        [(name, value_words(value)) for name, value in run.told_besides.items()],
        width,
    )
    for title, note in (("Note", run.note), ("Note of the experiment", run.experiment_note)):
        lines += ["", title, *visible(note).split("\n")] if note else []
    return lines


def comparison_lines(compared: Comparison, curves: Mapping[str, Mapping[int, Sequence[Bucket]]]) -> list[str]:
    """Return runs side by side: as columns of their parameters, and as rows of all else."""
    width = room()
    lines = table(
        [
            Column("run", right=True),
            Column("origin"),
            Column("kind", least=6, drop=1),
            Column("name", least=12),
        ],
        [(str(run.id), run.origin.value, run.kind, run.name) for run in compared.summaries],
        width,
    )
    lines += _section("Parameters", *_parameters(compared), width)
    for line in compared.results:
        overlap = "" if line.overlap is None else f" (intervals {_OVERLAP[line.overlap]})"
        lines += _section(
            f"Result: {line.name}{overlap}",
            [
                *(Column("run", right=True), Column("origin"), Column("value", right=True)),
                *(Column("95 % interval"), Column("n", right=True), Column("name", least=6, drop=1)),
            ],
            [
                (str(run.id), run.origin.value, *_figure(result)[1:], run.name)
                for run, result in zip(compared.summaries, line.results, strict=True)
                if result is not None
            ],
            width,
        )
    for metric, read in curves.items():
        lines += _section(
            f"Curve: {metric}",
            [Column("run", right=True), *_CURVE],
            [(str(run_id), *_curve(curve)) for run_id, curve in read.items() if curve],
            width,
        )
    return lines


def answer_lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return what the database answered, as a table."""
    numbers = [
        bool(rows) and all(isinstance(row[place], int | float | None) for row in rows)
        for place in range(len(columns))
    ]
    heads = [Column(name, right=number, least=6) for name, number in zip(columns, numbers, strict=True)]
    return table(heads, [[_answer(value) for value in row] for row in rows], room())


def _parameters(compared: Comparison) -> tuple[Sequence[Column], Sequence[Sequence[str]]]:
    """Return a column a run; of more runs than fit beside each other, a row for each value and who has it."""
    ids = [summary.id for summary in compared.summaries]
    columns = [Column(""), Column("name", least=_LEAST_NAME)]
    if len(ids) <= _BESIDE:
        beside = [(_mark(line), line.name, *map(value_words, line.values)) for line in compared.parameters]
        return [*columns, *(Column(f"run {run_id}", least=6) for run_id in ids)], beside
    rows = []
    for line in compared.parameters:
        having: dict[str, list[int]] = {}
        for run_id, value in zip(ids, line.values, strict=True):
            having.setdefault(value_words(value), []).append(run_id)
        for value, those in having.items():
            rows.append(
                (_mark(line), line.name, value, "all" if those == ids else ", ".join(map(str, those)))
            )
    return [*columns, Column("value", least=_LEAST_NAME), Column("runs", least=6)], rows


def _mark(line: ParameterLine) -> str:
    return "≠" if line.differs else ""


_CURVE = (
    *(Column("first", right=True), Column("last", right=True), Column("lowest", right=True)),
    *(Column("highest", right=True), Column("points", right=True), Column("steps")),
)


def _curve(buckets: Sequence[Bucket]) -> tuple[str, ...]:
    lows = [bucket.low for bucket in buckets if bucket.low is not None]
    highs = [bucket.high for bucket in buckets if bucket.high is not None]
    first, last = (buckets[0].mean, buckets[-1].mean) if buckets else (None, None)
    figures = (first, last, min(lows, default=None), max(highs, default=None))
    said = ("–" if figure is None else f"{figure:.4g}" for figure in figures)
    return (*said, str(sum(bucket.count for bucket in buckets)), f"to {buckets[-1].step}" if buckets else "")


def _section(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> list[str]:
    if not rows:
        return []
    inner = None if width is None else width - 2
    indented = [f"  {line}".rstrip() for line in table(columns, rows, inner)]
    return ["", *table([Column(title)], [], width), *indented]


def _figure(result: Result) -> tuple[str, str, str, str]:
    value, interval = value_and_interval(result)
    return result.name, value, interval or "–", "–" if result.n is None else str(result.n)


def _headline(result: Result | None) -> tuple[str, str]:
    return ("", "") if result is None else (result.name, figure_words(result))


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _cost(usd: float | None) -> str:
    return "" if usd is None else f"${usd:.2f}"


def _answer(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value[:_BYTES_SHOWN].hex()}'" + ("…" if len(value) > _BYTES_SHOWN else "")
    return str(value)
