"""How jobs read: state, progress, what is left, why one waits, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from textual.content import Content

from app.job_figures import bar, left_words, percent, rate_words, took_words
from app.run_words import status_words, when_words
from app.safe_text import one_line
from engine.jobs.records import JobSummary
from engine.jobs.states import Cancelling, Failed, Killed, Lost, Paused, Queued, Skipped

LOST = "lost: its supervisor vanished; nothing of it is left running; press r to retry"

_TEXT = 300
_UNIT = 12
_RATE = 13


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as it is listed: ``why`` it waits, and ``warnings`` about it."""

    job: JobSummary
    why: str = ""
    warnings: tuple[str, ...] = ()


def state_words(job: JobSummary) -> Content:
    """Return the glyph and word for a job's state."""
    return status_words(job.outcome.partition(" ")[0])


def progress_words(job: JobSummary, width: int) -> Content:
    """Return how much is done: a bar of ``width`` cells and a percentage, or the bare number."""
    fraction = job.fraction
    if fraction is None:
        done = "" if job.done is None else f"{job.done:,} {one_line(job.unit, _UNIT)}"
        return Content.styled(done, "$text-muted")
    style = "$primary" if job.state.active else "$text-muted"
    return Content.assemble((bar(fraction, width), style), f" {percent(fraction):>3} %")


def remark(line: JobLine) -> Content:
    """Return what is to be said about a job beyond its state and its figures, if anything."""
    return Content("  ").join(_remarks(line))


def _remarks(line: JobLine) -> Iterator[Content]:
    job = line.job
    for warning in line.warnings:
        yield Content.styled(f"! {one_line(warning, _TEXT)}", "bold $text-warning")
    match job.state:
        case Queued():
            yield Content.styled(one_line(line.why, _TEXT), "$text-muted")
        case Paused():
            yield Content.styled("p lets it go on", "$text-muted")
        case Cancelling(keep):
            told = "it may save what it has" if keep else "its checkpoint is discarded"
            yield Content.styled(told, "$text-muted")
        case Lost():
            yield Content.styled(LOST, "bold $text-warning")
        case Skipped(why):
            yield Content.styled(one_line(why, _TEXT), "$text-muted")
        case Failed(code):
            yield Content(f"exit code {code}{', cancelled' if job.cancel else ''}")
        case Killed():
            yield Content(one_line(job.outcome.partition(" ")[2].strip("()"), _TEXT))
        case _ if job.phase and not job.state.over:
            yield Content.styled(one_line(job.phase, _TEXT), "$text-muted")
    if job.state.over and job.reason and not isinstance(job.state, Lost | Skipped):
        yield Content(one_line(job.reason, _TEXT))
    if job.skipped_lines:
        yield Content.styled(
            f"! {job.skipped_lines:,} lines of its event file are no events", "$text-warning"
        )


def standing(line: JobLine, width: int, now: datetime, *, roomy: bool = False) -> Content:
    """Return, for one column, what tells most about a job; a bar has ``width`` cells.

    Where it is ``roomy``, with the unit of the rate, and without times, which then have columns.
    """
    job = line.job
    if job.state.name == "queued" or line.warnings:
        return remark(line)
    if job.state.active:
        if job.done is None:
            return _joined(Content(took_words(job, now)), *_remarks(line))
        left = left_words(job)
        rate = f"{rate_words(job, unit=roomy):>{_RATE if roomy else 0}}"
        return _joined(progress_words(job, width), rate, f"{left} left" if left else "", *_remarks(line))
    if roomy:
        return remark(line)
    told = [took_words(job, now), when_words(job.ended_at, now) if job.ended_at else ""]
    return _joined(*_remarks(line), Content.styled("  ".join(filter(None, told)), "$text-muted"))


def _joined(*parts: Content | str) -> Content:
    contents = (Content(part) if isinstance(part, str) else part for part in parts)
    return Content("  ").join(part for part in contents if part.plain.strip())


def bytes_words(size: int) -> str:
    """Return a size in the largest unit that it fills."""
    value = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
