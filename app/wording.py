"""How decisions, findings and states read: always a glyph and a word, never a colour alone."""

from __future__ import annotations

from engine.cases import Decision, Finding, Status

DECISION_WORDS: dict[Decision, str] = {
    Decision.ALLOW: "✔ allow",
    Decision.BLOCK: "✖ block",
    Decision.ESCALATE: "? escalate",
}

STATUS_GLYPHS = {
    "queued": "·",
    "starting": "…",
    "running": "▶",
    "paused": "‖",
    "cancelling": "…",
    "succeeded": "✔",
    "failed": "✖",
    "killed": "✖",
    "cancelled": "■",
    "lost": "?",
    "skipped": "–",
    "reported": "“",
    "in progress": "…",
    "planned": "○",
}
"""What stands before the word for how a run or a job stands."""


def finding_words(finding: Finding) -> str:
    """Return the glyph and word for what one policy found."""
    if finding.status is not Status.OK:
        return f"! {finding.status}"
    if finding.violation is None:
        return "? unclear"
    return "✖ unsafe" if finding.violation else "✔ safe"


def score_words(score: float | None) -> str:
    """Return a score in [0, 1] with two digits; a dash where there is none."""
    return "–" if score is None else f"{score:.2f}"
