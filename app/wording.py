"""How decisions, findings and states read: always a glyph and a word, never a colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cases import Decision, Finding, Status, Task, TaskFinding

if TYPE_CHECKING:
    from engine.evaluation.benchmarks import Benchmark

GUARDREASONER = "guardreasoner"
"""The guard whose model does the three tasks."""

WAITING = "· waiting"
REASONING = "… reasoning"
STOPPED = "■ stopped"
UNFINISHED = "! no verdict"

DECISION_WORDS: dict[Decision, str] = {
    Decision.ALLOW: "✔ allow",
    Decision.BLOCK: "✖ block",
    Decision.ESCALATE: "? escalate",
}

TASK_TITLES: dict[Task, str] = {
    Task.REQUEST: "Request harmful?",
    Task.COMPLETION: "Completion refusal?",
    Task.RESPONSE: "Response harmful?",
}

OUTPUT_LANE = "output"
LANE_TITLES = {OUTPUT_LANE: "Before the tasks", "thinking": "Thinking, apart from the output"}
"""The lanes of GuardReasoner that belong to no task."""

POSITIVE_WORDS: dict[Task, str] = {
    Task.REQUEST: "harmful",
    Task.COMPLETION: "refusal",
    Task.RESPONSE: "harmful",
}
"""What a task's score is the probability of."""

_LABEL_GLYPHS = {"harmful": "✖", "unharmful": "✔", "refusal": "⊘", "compliance": "➜", "none": "–"}

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


def label_words(label: str) -> str:
    """Return the glyph and word for what a model states of a task."""
    return f"{_LABEL_GLYPHS.get(label, '?')} {label}"


def task_words(finding: TaskFinding) -> str:
    """Return the glyph and words for what is finally said of a task."""
    if finding.label is not None:
        words = label_words(finding.label)
        return words if finding.status is Status.OK else f"! {finding.label}, {finding.status}"
    if finding.status is Status.OK:
        return "– does not apply"
    return "? indeterminate" if finding.status is Status.UNPARSABLE else f"! {finding.status}"


def score_words(score: float | None) -> str:
    """Return a score in [0, 1] with two digits; a dash where there is none."""
    return "–" if score is None else f"{score:.2f}"


_SHORT = {
    "ToxicChat": "Toxic",
    "HarmBenchPrompt": "HarmB",
    "OpenAIModeration": "OpenAI",
    "AegisSafetyTest": "Aegis",
    "SimpleSafetyTests": "SST",
    "WildGuardTestPrompt": "WildG",
    "HarmBenchResponse": "HarmB",
    "SafeRLHF": "RLHF",
    "BeaverTails": "Beaver",
    "XSTestResponseHarmful": "XSTest",
    "WildGuardTestResponse": "WildG",
    "XSTestResponseRefusal": "XSTest",
    "WildGuardTestRefusal": "WildG",
}


def short_heading(benchmark: Benchmark) -> str:
    """Return the head of a benchmark's narrow column; R marks those of which recall is shown."""
    name = _SHORT.get(benchmark.name, benchmark.name)
    return f"{name} R" if benchmark.single_class else name
