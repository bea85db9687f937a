"""What came of the case: the decision, and what it rests on; or what went wrong, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from app.judgement import Judgement
from app.safe_text import visible
from app.widgets.lane_text import milliseconds
from app.wording import DECISION_WORDS, score_words, task_words
from engine.cases import Decision, Status, Verdict

_STYLES = {
    Decision.ALLOW: "bold $background on $success",
    Decision.BLOCK: "bold $background on $error",
    Decision.ESCALATE: "bold $background on $warning",
}
_MOST_NOTICES = 2


class VerdictBanner(Widget):
    """Shows a judgement, or a problem that kept one from beginning, or how to begin."""

    def __init__(self) -> None:
        super().__init__()
        self._content = Content("\n").join(_welcome())

    def show(self, judgement: Judgement, guard: str, remark: str = "") -> None:
        """Show how a judgement stands.

        ``guard`` names the guard where the stream does not yet; ``remark`` says what became of the record.
        """
        self._put(judgement_lines(judgement, guard, remark, self.size.width))

    def problem(self, title: str, detail: str) -> None:
        """Show why nothing was judged."""
        self._put([_styled(f"! {title}", "bold $text-warning"), Content(visible(detail))])

    def welcome(self) -> None:
        """Show how to begin."""
        self._put(_welcome())

    def _put(self, lines: Sequence[Content]) -> None:
        self._content = Content("\n").join(lines)
        self.refresh(layout=True)

    def render(self) -> Content:
        return self._content


def judgement_lines(judgement: Judgement, guard: str, remark: str, width: int) -> list[Content]:
    """Return the banner's lines."""
    lines = _problems(judgement)
    if judgement.verdict is not None:
        lines += _verdict(judgement, judgement.verdict, remark, width)
    elif judgement.stopped:
        nothing = "  Nothing was decided, and nothing was saved."
        lines.append(Content.assemble(("■ stopped", "bold"), (nothing, "$text-muted")))
    else:
        lines += _running(judgement, guard)
    notices = judgement.notices
    lines += [_styled(f"ⓘ {notice}", "$text-warning") for notice in notices[:_MOST_NOTICES]]
    if len(notices) > _MOST_NOTICES:
        lines.append(_styled(f"  and {len(notices) - _MOST_NOTICES} more notices", "$text-muted"))
    return lines


def _welcome() -> list[Content]:
    enter, guard, model, response, history, keys = (
        (key, "bold $text-accent") for key in ("enter", "ctrl+g", "ctrl+o", "ctrl+t", "ctrl+r", "f1")
    )
    return [
        Content.assemble(
            ("Write a prompt", "bold"), " above, press ", enter, ": the guard reasons as you watch."
        ),
        Content.assemble(
            "The reasoner needs no model. ", guard, " changes the guard, ", model, " chooses a model."
        ),
        Content.assemble(
            response, " adds a response, ", history, " opens past probes, ", keys, " shows all keys."
        ),
    ]


def _styled(text: str, style: str) -> Content:
    return Content.styled(visible(text, keep_newlines=False), style)


def _problems(judgement: Judgement) -> list[Content]:
    failed = judgement.failed
    if failed is None:
        return []
    advice = " ".join(part for part in (failed.kept, failed.hint) if part)
    lines = [_styled(f"! {failed.message}", "bold $text-warning")]
    return [*lines, _styled(f"  {advice}", "")] if advice else lines


def _running(judgement: Judgement, guard: str) -> list[Content]:
    decided = sum(lane.finding is not None for lane in judgement.lanes.values())
    count = f"   {decided} of {len(judgement.lanes)} policies decided" if judgement.lanes else ""
    if judgement.outline is not None:
        count = f"   {judgement.outline.labelled} of {len(judgement.outline.tasks)} labels so far"
    return [
        Content.assemble((" … JUDGING ", "bold $background on $primary"), count),
        _styled(f"  {guard} · esc stops it", "$text-muted"),
    ]


def _verdict(judgement: Judgement, verdict: Verdict, remark: str, width: int) -> list[Content]:
    words = DECISION_WORDS[verdict.decision].upper()
    labels = (
        ("request", verdict.labels.request),
        ("completion", verdict.labels.completion),
        ("response", verdict.labels.response),
    )
    reasons = [finding.policy.replace("_", " ") for finding in verdict.policies if finding.violation]
    if verdict.status is not Status.OK:
        reasons.insert(0, verdict.status.value)
    told = [f"{task} {label.value}" for task, label in labels if label is not None]
    if verdict.tasks:
        defined = [each for each in verdict.tasks if each.label is not None or each.status is not Status.OK]
        told = [f"{each.task} {task_words(each)[2:]}" for each in defined]
    first = Content.assemble(
        (f" {words} ", _STYLES[verdict.decision]),
        (f"  {score_words(verdict.score)}", "bold"),
        "   " + visible(" · ".join(reasons), keep_newlines=False),
    )
    remark = visible(remark, keep_newlines=False)
    first = first.truncate(max(width - len(remark) - 2, 20), ellipsis=True, pad=True)
    second = Content.assemble(
        "  ",
        _styled(" · ".join(told) + "   " if told else "", ""),
        _styled(" · ".join(_facts(judgement, verdict)), "$text-muted"),
    )
    return [
        Content.assemble(first, ("  " + remark, "$text-muted")),
        second.truncate(max(width, 20), ellipsis=True),
    ]


def _facts(judgement: Judgement, verdict: Verdict) -> list[str]:
    settings = judgement.started.settings if judgement.started else {}
    level = settings.get("level") or settings.get("effort")
    style = settings.get("prompt_style")
    tokens = verdict.usage.prompt_tokens + verdict.usage.completion_tokens
    facts = [
        verdict.guard,
        str(level) if level else "",
        f"{style} prompt" if style else "",
        verdict.model or "",
        milliseconds(verdict.latency_ms),
        f"{tokens:,} tokens" if tokens else "",
    ]
    return [fact for fact in facts if fact]
