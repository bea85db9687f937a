"""How jobs read at a terminal: the queue, one job, groups, estimates."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from app.cli.run_tables import run_sections
from app.cli.tables import Column, room, table
from app.job_figures import bar, done_words, left_words, percent, rate_words, took_words
from app.safe_text import one_line, visible
from app.wording import STATUS_GLYPHS
from engine.jobs.folder import RunFolder
from engine.jobs.records import Estimate, Group, JobSummary
from engine.jobs.told import Told
from engine.tracker.figures import duration_words
from engine.tracker.run_records import Bucket, Run

_BAR = 10
_WIDE_BAR = 30
_LINE = 300


def queue_lines(jobs: Sequence[JobSummary], waits: Mapping[int, str]) -> list[str]:
    """Return a table of jobs; ``waits`` says why those that wait do so. What no job has is no column."""
    columns = [
        Column("id", right=True),
        Column("state"),
        Column("progress", drop=2),
        Column("rate", right=True, drop=4),
        Column("left", right=True, drop=3),
        Column("name", least=8, fair=20),
        Column("group", least=6, drop=5),
        Column("why", least=8, fair=12, drop=1),
    ]
    rows = [
        (
            *(str(job.id), outcome_words(job), _progress(job), rate_words(job), left_words(job)),
            *(job.name, job.group, waits.get(job.id, job.reason)),
        )
        for job in jobs
    ]
    filled = [place for place in range(len(columns)) if place < 2 or any(row[place] for row in rows)]
    return table(
        [columns[place] for place in filled], [[row[place] for place in filled] for row in rows], room()
    )


def job_lines(
    job: JobSummary,
    run: Run,
    curves: Mapping[str, Sequence[Bucket]],
    folder: RunFolder,
    failure: Told | None,
    why: str,
) -> list[str]:
    """Return all that is known of a job, section by section."""
    said = {} if failure is None else failure.body
    command = run.params.get("command")
    facts = (
        ("state", outcome_words(job)),
        ("because", why or job.reason),
        ("failure", said.get("message")),
        ("kept", said.get("kept")),
        ("hint", said.get("hint")),
        ("progress", _progress_in_full(job)),
        ("kind", job.kind),
        ("command", shlex.join(map(str, command)) if isinstance(command, list) else ""),
        ("experiment", job.experiment),
        ("group", job.group),
        ("priority", str(job.priority)),
        ("accelerators", str(job.accelerators or "")),
        ("needs", ", ".join(f"job {need}" for need in job.needs)),
        ("needed by", ", ".join(f"run {child}" for child in run.children)),
        ("attempt", str(job.attempt)),
        ("like", f"job {job.retry_of}" if job.retry_of else ""),
        ("queued", _moment(job.created_at)),
        ("started", _moment(job.started_at)),
        ("ended", _moment(job.ended_at)),
        ("took", took_words(job, datetime.now(UTC))),
        ("cost", "" if job.cost_usd is None else f"${job.cost_usd:.2f}"),
        ("tags", ", ".join(run.summary.tags)),
        (
            "skipped lines",
            f"{job.skipped_lines:,} lines of its event file are no events" * bool(job.skipped_lines),
        ),
        ("folder", str(folder.path)),
    )
    lines = [visible(f"Job {job.id}: {job.name}", keep_newlines=False)]
    lines += [visible(f"  {name:<13}  {value}", keep_newlines=False) for name, value in facts if value]
    return [*lines, *run_sections(run, curves)]


def group_lines(groups: Sequence[Group]) -> list[str]:
    """Return a table of groups."""
    columns = [
        *(Column("group", least=8), Column("at once", right=True)),
        *(Column("under way", right=True), Column("queued", right=True)),
    ]
    rows = [(group.name, str(group.at_once), str(group.active), str(group.queued)) for group in groups]
    return table(columns, rows, room())


def estimate_lines(estimate: Estimate) -> list[str]:
    """Return what is known of a job before it starts."""
    time = "" if estimate.seconds is None else f"about {duration_words(estimate.seconds)}"
    cost = "" if estimate.usd is None else f"about ${estimate.usd:.2f}"
    known = ", ".join(filter(None, (estimate.work, time, cost)))
    return [
        visible(line, keep_newlines=False)
        for line in (known, estimate.basis, *(f"Warning: {warning}" for warning in estimate.warnings))
        if line
    ]


def outcome_words(job: JobSummary) -> str:
    """Return the glyph and words for a job's state, with exit code or signal."""
    return f"{STATUS_GLYPHS[job.outcome.partition(' ')[0]]} {job.outcome}"


def standing(job: JobSummary, why: str) -> str:
    """Return how a job stands, and ``why`` it waits, on a line."""
    figures = (f"job {job.id} {job.state.name}", why, _progress(job), rate_words(job), left_words(job))
    return one_line("  ".join(part for part in figures if part), _LINE)


def _progress(job: JobSummary) -> str:
    """Return a bar and a percentage while it is at work, a number where the whole is not known."""
    fraction = job.fraction
    if fraction is None:
        return done_words(job)
    shown = f"{percent(fraction):>3} %"
    return shown if job.state.over else f"{bar(fraction, _BAR)} {shown}"


def _progress_in_full(job: JobSummary) -> str:
    fraction = job.fraction
    left = left_words(job)
    parts = (
        "" if fraction is None else f"{bar(fraction, _WIDE_BAR)} {percent(fraction)} %",
        *(done_words(job), rate_words(job, unit=True), f"{left} left" if left else "", job.phase),
    )
    return " · ".join(filter(None, parts))


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
