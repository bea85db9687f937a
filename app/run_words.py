"""How runs read: where they come from, how they stand, when and how long. Never by colour alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from textual.content import Content

from app.safe_text import one_line
from app.wording import STATUS_GLYPHS
from engine.tracker.figures import duration_words, value_and_interval
from engine.tracker.run_records import Origin, Result, RunSummary

_STATUS_STYLES = {
    "✔": "$text-success",
    "✖": "bold $text-error",
    "?": "bold $text-warning",
    "▶": "bold $text-primary",
    "‖": "bold $text-warning",
}
_ORIGIN_STYLES = {Origin.MEASURED: "", Origin.IMPORTED: "$text-warning", Origin.PAPER: "$text-accent"}
_ORIGIN_SENTENCES = {
    Origin.MEASURED: "measured by this program",
    Origin.IMPORTED: "imported: claimed elsewhere, not reproduced here",
    Origin.PAPER: "paper: published, not reproduced here",
}
_RESULT_NAME = 40
_PLAIN_ENDS = ("succeeded", "reported")
_AT_WORK = ("running", "paused", "cancelling")


def status_words(status: str) -> Content:
    """Return the glyph and word for how a run or job stands."""
    glyph = STATUS_GLYPHS.get(status, "·")
    return Content.styled(f"{glyph} {one_line(status, 20)}", _STATUS_STYLES.get(glyph, "$text-muted"))


def origin_word(origin: Origin) -> Content:
    """Return where a run's figures come from."""
    return Content.styled(origin.value, _ORIGIN_STYLES[origin])


def origin_sentence(origin: Origin) -> Content:
    """Return where a run's figures come from, and what that means."""
    return Content.styled(_ORIGIN_SENTENCES[origin], _ORIGIN_STYLES[origin])


def result_words(result: Result, style: str = "") -> Content:
    """Return a result: the figure, with its interval and n where they are known, before its name."""
    value, interval = value_and_interval(result)
    certainty = " ".join(filter(None, (interval, "" if result.n is None else f"n={result.n}")))
    return Content.assemble(
        (value, f"bold {style}"),
        (f" {certainty}" if certainty else "", style),
        (f"  {one_line(result.name, _RESULT_NAME)}", "$text-muted"),
    )


def headline_words(run: RunSummary) -> Content:
    """Return a run's most telling result; a dash where it has none."""
    if run.headline is None:
        return Content.styled("–", "$text-muted")
    return result_words(run.headline, _ORIGIN_STYLES[run.origin])


def outcome_words(run: RunSummary) -> Content:
    """Return, where there is one column for both, how a run stands if that is news, and its headline."""
    if run.status in _PLAIN_ENDS and run.headline is not None:
        return headline_words(run)
    standing = status_words(run.status)
    return standing if run.headline is None else Content.assemble(standing, "  ", headline_words(run))


def when_words(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, or its date once that says more; ten cells at most."""
    passed = now - moment
    if passed < timedelta(0) or passed >= timedelta(days=30):
        return moment.astimezone().strftime("%Y-%m-%d")
    seconds = int(passed.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def duration(run: RunSummary, now: datetime) -> str:
    """Return how long a run took, or has been at work; empty where that is not known."""
    seconds = run.seconds
    if seconds is None and run.started_at is not None and run.status in _AT_WORK:
        seconds = (now - run.started_at).total_seconds()
    return duration_words(seconds)


def cost_words(cost_usd: float | None) -> str:
    """Return a cost in dollars; empty where it is not known."""
    if cost_usd is None:
        return ""
    return f"${cost_usd:.2f}" if cost_usd >= 0.01 or cost_usd == 0 else f"${cost_usd:.4f}"
