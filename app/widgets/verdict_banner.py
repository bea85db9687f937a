"""What came of the case: the decision, and what it rests on; or what went wrong, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from app.judgement import Judgement
from app.safe_text import visible
from app.widgets.lane_text import milliseconds
from app.wording import DECISION_WORDS, score_words
from engine.cases import Decision, Status, Verdict

_STYLES = {
    Decision.ALLOW: "bold $text-success",
    Decision.BLOCK: "bold $text-error",
    Decision.ESCALATE: "bold $text-warning",
}
_MOST_NOTICES = 2

WELCOME = (
    (("Write a prompt", "bold"), (" above and press ", ""), ("enter", "bold $text-accent"), (": each policy judges it in a lane of its own.", "")),
    (("The ", ""), ("reasoner", "bold"), (" needs no model. For the ", ""), ("gauntlet", "bold"), (", choose one: ", ""), ("ctrl+o", "bold $text-accent"), (".", "")),
    (("ctrl+t", "bold $text-accent"), (" adds the assistant's response, ", ""), ("ctrl+r", "bold $text-accent"), (" opens past probes, ", ""), ("f1", "bold $text-accent"), (" shows all keys.", "")),
)  # fmt: skip


class VerdictBanner(Widget):
    """`show` a judgement, or a `problem` that kept one from beginning. ``remark`` is what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self._content = Content("\n").join([Content.assemble(*line) for line in WELCOME])

    def show(self, judgement: Judgement, guard: str, remark: str = "") -> None:
        """Show how the judgement stands. ``guard`` names the guard where the stream does not yet."""
        self._put(judgement_lines(judgement, guard, remark))

    def problem(self, title: str, detail: str) -> None:
        """Show why nothing was judged."""
        self._put(
            [
                Content.styled(f"! {visible(title, keep_newlines=False)}", "bold $text-warning"),
                Content(visible(detail)),
            ]
        )

    def welcome(self) -> None:
        """Show how to begin."""
        self._put([Content.assemble(*line) for line in WELCOME])

    def _put(self, lines: Sequence[Content]) -> None:
        content = Content("\n").join(lines)
        taller = content.plain.count("\n") != self._content.plain.count("\n")
        self._content = content
        self.refresh(layout=taller)

    def render(self) -> Content:
        return self._content


def judgement_lines(judgement: Judgement, guard: str, remark: str) -> list[Content]:
    """Return the banner's lines."""
    if judgement.verdict is not None:
        lines = _verdict(judgement, judgement.verdict, remark)
    elif judgement.stopped:
        lines = [
            Content.assemble(
                ("■ stopped", "bold"), ("  no verdict was reached. Nothing was saved.", "$text-muted")
            )
        ]
    else:
        lines = _running(judgement, guard)
    if judgement.failed is not None:
        failed = judgement.failed
        lines.insert(
            0,
            Content.assemble(
                ("! ", "bold $text-warning"), (visible(failed.message, keep_newlines=False), "bold")
            ),
        )
        advice = " ".join(part for part in (failed.kept, failed.hint) if part)
        if advice:
            lines.insert(1, Content.styled("  " + visible(advice, keep_newlines=False), "$text-muted"))
    lines += [
        Content.styled("ⓘ " + visible(notice, keep_newlines=False), "$text-warning")
        for notice in judgement.notices[:_MOST_NOTICES]
    ]
    if len(judgement.notices) > _MOST_NOTICES:
        lines.append(
            Content.styled(f"  and {len(judgement.notices) - _MOST_NOTICES} more notices", "$text-muted")
        )
    return lines


def _running(judgement: Judgement, guard: str) -> list[Content]:
    decided = sum(lane.finding is not None for lane in judgement.lanes.values())
    count = f"  {decided} of {len(judgement.lanes)} policies decided" if judgement.lanes else ""
    return [
        Content.assemble(("… judging", "bold $text-primary"), (count, "")),
        Content.styled(f"  {visible(guard, keep_newlines=False)}  esc stops it", "$text-muted"),
    ]


def _verdict(judgement: Judgement, verdict: Verdict, remark: str) -> list[Content]:
    words = DECISION_WORDS[verdict.decision].upper()
    labels = [
        f"{task} {label.value}"
        for task, label in (
            ("request", verdict.labels.request),
            ("completion", verdict.labels.completion),
            ("response", verdict.labels.response),
        )
        if label is not None
    ]
    status = [] if verdict.status is Status.OK else [verdict.status.value]
    violated = [finding.policy.replace("_", " ") for finding in verdict.policies if finding.violation]
    first = Content.assemble(
        (words, _STYLES[verdict.decision]),
        (f"  {score_words(verdict.score)}", "bold"),
        ("   " + " · ".join(visible(part, keep_newlines=False) for part in (*status, *violated)), ""),
    )
    level = (
        judgement.started.settings.get("level") or judgement.started.settings.get("effort")
        if judgement.started
        else None
    )
    tokens = verdict.usage.prompt_tokens + verdict.usage.completion_tokens
    facts = [
        *labels,
        verdict.guard,
        str(level) if level else "",
        verdict.model or "",
        milliseconds(verdict.latency_ms),
        f"{tokens:,} tokens" if tokens else "",
        remark,
    ]
    second = " · ".join(visible(fact, keep_newlines=False) for fact in facts if fact)
    return [first, Content.styled("  " + second, "$text-muted")]
