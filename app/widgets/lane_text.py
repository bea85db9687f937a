"""How a lane's pieces and numbers read."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from app.judgement import Lane
from app.safe_text import one_line, visible
from app.wording import REASONING, WAITING, score_words
from engine.events import Evidence, Span, StepFinished

_SPAN_TEXT = 60
_MOST_SPANS = 3

WORD_STYLES = {
    "✔": "bold $text-success",
    "✖": "bold $text-error",
    "?": "bold $text-warning",
    "!": "bold $text-warning",
}


def word_style(words: str) -> str:
    """Return the style of a state; its glyph and word say the same without colour."""
    if words == REASONING:
        return "$text-primary"
    return WORD_STYLES.get(words[:1], "$text-muted")


def step_paragraphs(step: StepFinished) -> Iterator[Content]:
    """Yield one reasoning step: what it looked for, what it found, how that moved the confidence."""
    moved = step.after != step.before
    change = f"{step.before:.2f} → {step.after:.2f}" if moved else f"{step.after:.2f}"
    looked_for = visible(step.looked_for, keep_newlines=False)
    yield Content.assemble(
        (f"{step.step} ", "$text-muted"),
        (visible(step.title, keep_newlines=False), "bold"),
        (f"  {change}", "bold $text-accent" if moved else "$text-muted"),
        ("" if step.found else f"  none: {looked_for}", "$text-muted"),
    )
    if step.found:
        yield Content.styled(f"  looked for {looked_for}", "$text-muted")
    for evidence in step.found:
        yield _evidence(evidence)
        spans = list({(span.part, span.start, span.end): span for span in evidence.spans}.values())
        for span in spans[:_MOST_SPANS]:
            yield _span(span)
        if len(spans) > _MOST_SPANS:
            yield Content.styled(f"      and {len(spans) - _MOST_SPANS} more", "$text-muted")


def _evidence(evidence: Evidence) -> Content:
    raises = evidence.effect > 0
    return Content.assemble(
        (
            "  ▲ " if raises else "  ▼ " if evidence.effect < 0 else "  · ",
            "$text-warning" if raises else "$text-success",
        ),
        (f"{evidence.effect:+.2f} ", "$text-muted"),
        visible(evidence.says, keep_newlines=False),
    )


def _span(span: Span) -> Content:
    return Content.assemble(
        ("      ", ""),
        (f"“{one_line(span.text, _SPAN_TEXT)}”", "italic $text-accent"),
        (f" {visible(span.part)} {span.start}–{span.end}", "$text-muted"),
    )


def milliseconds(value: float | None) -> str:
    """Return a duration in at most seven cells; a dash where there is none."""
    if value is None:
        return "–"
    if value < 0.1:
        return "<0.1 ms"
    if value < 10:
        return f"{value:.1f} ms"
    if value < 1_000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 100_000 else f"{value / 60_000:.0f} min"


def rate(lane: Lane, now_ms: float) -> str:
    """Return tokens per second; a dash where no model wrote any."""
    value = lane.tokens_per_second(now_ms)
    return "–" if value is None else f"{value:.0f}"


def lane_numbers(lane: Lane, now_ms: float) -> Content:
    """Return the line below a lane's name: what it took."""
    if lane.words == WAITING:
        return Content("")
    parts = []
    if lane.first_token_ms is not None and lane.deltas:
        parts.append(f"first token {milliseconds(lane.first_token_ms)}")
        parts.append(f"{rate(lane, now_ms)} tok/s")
    if lane.verdict_ms is not None:
        parts.append(f"verdict {milliseconds(lane.verdict_ms)}")
    return Content.styled(" · ".join(parts), "$text-muted")


def score(lane: Lane) -> str:
    return score_words(lane.score) if lane.score is not None else ""
