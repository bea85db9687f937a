"""One job, as lines to show: what it is and how it stands, and what it has told."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime

from textual.content import Content

from app.job_board import JobView
from app.job_figures import done_words, left_words, rate_words, took_words
from app.job_words import JobLine, remark, state_words
from app.run_facts import fact_lines
from app.run_words import cost_words
from app.safe_text import one_line, visible
from engine.events import JsonValue
from engine.jobs.records import JobSummary
from engine.jobs.told import Told
from engine.tracker.compare import value_words
from engine.tracker.figures import duration_words

_TEXT = 300
_MESSAGE = 4_000
_PADDED = 16
_LEVEL_STYLES = {
    "warning": "bold $text-warning",
    "error": "bold $text-error",
    "critical": "bold $text-error",
    "debug": "$text-muted",
}


def about_lines(line: JobLine, now: datetime) -> list[Content]:
    """Return two lines: what a job is, and what is to be said about it in full."""
    job = line.job
    facts = [
        one_line(job.kind, 20),
        f"group {one_line(job.group, 30)}",
        f"priority {job.priority}" if job.priority else "",
        f"{job.accelerators} accelerators" if job.accelerators else "",
        f"needs {', '.join(map(str, job.needs))}" if job.needs else "",
        f"attempt {job.attempt}" if job.attempt > 1 else "",
        f"anew of {job.retry_of}" if job.retry_of else "",
        took_words(job, now),
        rate_words(job, unit=True),
        f"{left_words(job)} left" if left_words(job) else "",
        cost_words(job.cost_usd),
    ]
    head = Content.assemble(
        (f"#{job.id} ", "$text-muted"),
        (one_line(job.name, _TEXT), "bold"),
        (f"  {' · '.join(filter(None, facts))}", "$text-muted"),
    )
    return [head, Content.assemble(state_words(job), "  ", remark(line))]


def job_lines(view: JobView, now: datetime) -> Iterator[Content]:
    """Yield all that is known of a job, section by section."""
    job = view.line.job
    yield Content.assemble((f"#{job.id} ", "$text-muted"), (one_line(job.name, _TEXT), "bold"))
    yield Content.assemble(state_words(job), "  ", remark(view.line))
    for failed in (told.body for told in view.told if told.body.get("event") == "failed"):
        for part in ("message", "kept", "hint"):
            if failed.get(part):
                yield Content(f"  {one_line(str(failed[part]), _MESSAGE)}")
    yield Content("")
    yield Content.styled("Job", "bold $text-primary")
    for name, value in _facts(job, view.run.run.params, now):
        if value:
            yield _pair(name, value)
    yield Content("")
    yield from fact_lines(view.run)


def _facts(job: JobSummary, params: Mapping[str, JsonValue], now: datetime) -> Iterator[tuple[str, str]]:
    yield "kind", job.kind
    yield "command", command_line(params) or ""
    yield "experiment", job.experiment or ""
    yield "group", job.group
    yield "priority", str(job.priority)
    yield "accelerators", str(job.accelerators or "")
    yield "needs", ", ".join(f"job {need}" for need in job.needs)
    yield "attempt", str(job.attempt)
    yield "anew of", f"job {job.retry_of}" if job.retry_of else ""
    yield "queued", _moment(job.created_at)
    yield "started", _moment(job.started_at)
    yield "ended", _moment(job.ended_at)
    yield "took", took_words(job, now)
    yield "done", done_words(job)
    yield "rate", rate_words(job, unit=True)
    yield "left", left_words(job)
    yield "cost", cost_words(job.cost_usd)
    yield "skipped lines", f"{job.skipped_lines:,} of its event file" if job.skipped_lines else ""


def _moment(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _pair(name: str, value: str) -> Content:
    shown = visible(value[:_MESSAGE], keep_newlines=False)
    return Content.assemble((f"  {name:{_PADDED}}  ", "$text-muted"), shown)


def command_line(params: Mapping[str, JsonValue]) -> str | None:
    """Return the command of a job that is one, as a shell would read it; None for other kinds."""
    command = params.get("command")
    return shlex.join(map(str, command)) if isinstance(command, list) else None


# --- what it has told --------------------------------------------------------------------------------


def told_line(told: Told) -> Content:
    """Return an event as a line: when, counted from the beginning of the attempt, and what."""
    body = told.body
    when = f"{duration_words(told.at_ms / 1000):>10}  " if told.at_ms else " " * 12
    text, style = _told(body)
    return Content.assemble((when, "$text-muted"), (visible(text[:_MESSAGE], keep_newlines=False), style))


def gap_line(job_id: int) -> Content:
    """Return a line in place of events that are not shown."""
    return Content.styled(f"… more was told here: wizard101 jobs logs {job_id} --events", "$text-muted")


def _told(body: Mapping[str, JsonValue]) -> tuple[str, str]:
    match body.get("event"):
        case "log":
            level = str(body.get("level"))
            lead = "" if level == "info" else f"{level}: "
            return f"{lead}{body.get('message')}", _LEVEL_STYLES.get(level.casefold(), "")
        case "launched":
            return f"began, as process {body.get('pid')}", "$text-muted"
        case "input":
            return f"made from {body.get('role')} {body.get('name')}{_hash(body)}", "$text-muted"
        case "artifact":
            return f"made {body.get('role')} {body.get('path')}{_hash(body)}", ""
        case "finished":
            return "finished", "$text-success"
        case "failed":
            parts = (body.get("message"), body.get("kept"), body.get("hint"))
            return " ".join(str(part) for part in parts if part), "bold $text-error"
    return value_words(dict(body)), "$text-muted"


def _hash(body: Mapping[str, JsonValue]) -> str:
    sha256 = body.get("sha256")
    return f"  sha256 {str(sha256)[:12]}" if sha256 else ""
