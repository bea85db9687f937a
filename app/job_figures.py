"""The figures of a job as plain text: how far it is, how fast it goes, how long it takes."""

from __future__ import annotations

from datetime import datetime

from app.safe_text import one_line
from engine.jobs.records import JobSummary
from engine.tracker.figures import duration_words, number_words

_EIGHTHS = " ▏▎▍▌▋▊▉"
_UNIT = 12
_PER_MINUTE, _PER_HOUR = 0.1, 1 / 600


def bar(fraction: float, width: int) -> str:
    """Return a progress bar of ``width`` cells."""
    eighths = int(min(max(fraction, 0.0), 1.0) * width * 8)
    whole, part = divmod(eighths, 8)
    shown = "█" * whole + (_EIGHTHS[part] if part else "")
    return shown + "░" * (width - len(shown))


def percent(fraction: float) -> int:
    """Return whole percents, and 100 only for what is whole."""
    return 100 if fraction >= 1 else min(int(fraction * 100), 99)


def done_words(job: JobSummary) -> str:
    """Return how much is done, of how much; empty where that is not known."""
    if job.done is None:
        return ""
    total = "" if job.total is None else f" of {job.total:,}"
    return f"{job.done:,}{total} {one_line(job.unit, _UNIT)}".rstrip()


def rate_words(job: JobSummary, *, unit: bool = False) -> str:
    """Return how fast it goes, with the unit or without; empty where that is not known, or it is over."""
    if job.rate is None or job.state.over:
        return ""
    what = f" {one_line(job.unit, _UNIT)}" if unit and job.unit else ""
    if job.rate >= _PER_MINUTE or job.rate <= 0:
        return f"{_short(job.rate)}{what}/s"
    if job.rate >= _PER_HOUR:
        return f"{_short(job.rate * 60)}{what}/min"
    return f"{_short(job.rate * 3600)}{what}/h"


def _short(value: float) -> str:
    """Return a number with about three digits: more only make it flicker."""
    return f"{value:,.0f}" if value >= 100 else number_words(float(f"{value:.3g}"))


def left_words(job: JobSummary) -> str:
    """Return how long it will take at the present rate; empty where that is not known."""
    return duration_words(None if job.eta_s is None else float(round(job.eta_s))).replace(".0 s", " s")


def took_words(job: JobSummary, now: datetime) -> str:
    """Return how long a job took, or has been at work."""
    if job.started_at is None:
        return ""
    seconds = ((job.ended_at or now) - job.started_at).total_seconds()
    return duration_words(seconds if job.state.over else float(round(seconds))).replace(".0 s", " s")
