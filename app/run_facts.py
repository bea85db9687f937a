"""A run in full, as lines to show: what it is, and all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from textual.content import Content
from textual.style import Style

from app.records import Store
from app.run_words import cost_words, duration, origin_sentence, result_words, status_words, when_words
from app.safe_text import one_line, visible
from engine.tracker.compare import value_words
from engine.tracker.run_records import HEADLINES, Bucket, Lineage, Run

_NAME, _PADDED = 40, 16
_LONG = 300
_VALUE = 2_000
_NOTE = 20_000
_MOST = 200
_CHILDREN = 50


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, the names of the runs made from it, and the curve of one of its metrics."""

    run: Run
    children: Mapping[int, str]
    metric: str
    curve: Sequence[Bucket]


def read_view(store: Store, run_id: int, metric: str, buckets: int) -> RunView | None:
    """Read a run with the curve of ``metric``, or of the most telling one where it has none of that name.

    With no ``buckets``, no curve is read.
    """
    run = store.runs.run(run_id)
    if run is None:
        return None
    shown = metric if metric in run.metrics else most_telling(run.metrics)
    curve = store.runs.curve(run_id, shown, buckets) if shown and buckets else []
    children = store.runs.full(run.children[:_CHILDREN]) if run.children else {}
    return RunView(run, {each: child.summary.name for each, child in children.items()}, shown, curve)


def read_relatives(store: Store, run_id: int) -> dict[int, str]:
    """Read the runs that a run was made from, and those made from it: their ids, and what to call them."""
    run = store.runs.run(run_id)
    if run is None:
        return {}
    parents = [used.parent_id for used in run.lineage if used.parent_id is not None]
    found = store.runs.full([*parents, *run.children[:_CHILDREN]])
    return {
        each: f"{'made from' if each in parents else 'made into'}  #{each}  {relative.summary.name}"
        for each, relative in found.items()
    }


def most_telling(metrics: Sequence[str]) -> str:
    """Return the metric to show first; empty where there is none."""
    by_name = (name for name in HEADLINES if name in metrics)
    with_loss = (name for name in metrics if "loss" in name)
    return next(by_name, next(with_loss, next(iter(metrics), "")))


def head_lines(run: Run) -> list[Content]:
    """Return what a run is: its name, where its figures come from, how it stands."""
    summary = run.summary
    now = datetime.now(UTC)
    facts = [
        one_line(summary.kind, _NAME),
        when_words(summary.started_at or summary.created_at, now),
        duration(summary, now),
        cost_words(summary.cost_usd),
    ]
    lines = [
        Content.assemble(
            (f"#{summary.id} ", "$text-muted"),
            (one_line(summary.name, _LONG), "bold"),
        ),
        Content.assemble(
            status_words(summary.status), ("  " + " · ".join(fact for fact in facts if fact), "$text-muted")
        ),
        origin_sentence(summary.origin),
    ]
    if run.source:
        lines.append(Content.styled(one_line(run.source, _LONG), "$text-muted"))
    if summary.experiment:
        lines.append(Content.assemble(("in ", "$text-muted"), one_line(summary.experiment, _LONG)))
    if summary.tags:
        tags = "  ".join(f"#{one_line(tag, _NAME)}" for tag in summary.tags[:_MOST])
        lines.append(Content.styled(tags, "$text-accent"))
    return lines


def fact_lines(view: RunView) -> Iterator[Content]:
    """Yield everything else, section by section; empty ones are left out."""
    run = view.run
    for title, lines in (
        ("Results", (Content.assemble("  ", result_words(result)) for result in run.results)),
        ("Note", _note(run.note)),
        ("Note of the experiment", _note(run.experiment_note)),
        ("Parameters", (_pair(name, value_words(value)) for name, value in run.params.items())),
        ("Outcome", (_pair(name, value_words(value)) for name, value in run.told_besides.items())),
        ("Made from", map(_lineage, run.lineage)),
        ("Used by", (_run_link(each, view.children.get(each, "")) for each in run.children)),
        (
            "Artifacts",
            (_pair(made.role, f"{made.path}  sha256 {made.sha256[:12]}") for made in run.artifacts),
        ),
        ("Surroundings", _provenance(run)),
    ):
        yield from _section(title, lines)


def _section(title: str, lines: Iterator[Content]) -> Iterator[Content]:
    shown = 0
    for line in lines:
        if not shown:
            yield Content.styled(title, "bold $text-primary")
        shown += 1
        if shown <= _MOST:
            yield line
    if shown > _MOST:
        yield Content.styled(f"  and {shown - _MOST} more; the JSON copy has all", "$text-muted")
    if shown:
        yield Content("")


def _pair(name: str, value: str) -> Content:
    shown = f"  {one_line(name, _NAME):{_PADDED}}  "
    return Content.assemble((shown, "$text-muted"), visible(value[:_VALUE], keep_newlines=False))


def _note(note: str) -> Iterator[Content]:
    for line in visible(note[:_NOTE]).split("\n") if note else ():
        yield Content(f"  {line}")
    if len(note) > _NOTE:
        yield Content.styled(f"  and {len(note) - _NOTE:,} more characters", "$text-muted")


def _lineage(used: Lineage) -> Content:
    if used.parent_id is not None:
        return _run_link(used.parent_id, used.name)
    digest = f"  sha256 {used.sha256[:12]}" if used.sha256 else ""
    return _pair(used.role, f"{used.name}{digest}")


def _run_link(run_id: int, name: str) -> Content:
    link = Content.assemble(("  → ", "$text-muted"), (f"#{run_id} ", "$text-accent"), one_line(name, _LONG))
    return link.stylize(Style.from_meta({"@click": f"screen.jump({run_id})"}))


def _provenance(run: Run) -> Iterator[Content]:
    where = run.provenance
    if where.host:
        yield _pair("host", where.host)
    if where.git_revision:
        yield _pair("git revision", where.git_revision[:12] + (" with changes" if where.git_dirty else ""))
    for name, seed in where.seeds.items():
        yield _pair(f"seed {name}", str(seed))
    for name, version in where.packages.items():
        yield _pair(name, version)
