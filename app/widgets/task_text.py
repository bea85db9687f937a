"""How a task, a step and a format fault read, each as one row of a tree."""

from __future__ import annotations

from textual.content import Content

from app.outline import Branch, Outline, Section, TaskBranch
from app.safe_text import visible
from app.widgets.flow import Flow
from app.widgets.lane_text import milliseconds, word_style
from app.wording import POSITIVE_WORDS, score_words
from engine.cases import Task
from engine.events import FormatFault

_NAME, _WORDS, _SCORE = 21, 22, 16
_LONGEST_TITLE = 50
_BADGES = {
    "✖": "bold $background on $error",
    "✔": "bold $background on $success",
    "⊘": "bold $background on $accent",
    "➜": "bold $background on $accent",
    "?": "bold $background on $warning",
    "!": "bold $background on $warning",
}
_LIT = {"harmful": "bold $text-error", "unharmful": "bold $text-success"}


def branch_row(branch: Branch, width: int) -> Content:
    """Return a task's row: its name, label, probability, and how much was written of it."""
    label: list[Content] = []
    if isinstance(branch, TaskBranch):
        label = [_label(branch), Content.styled(_score(branch), "$text-muted")]
    name = Content.styled(visible(branch.title, keep_newlines=False), "bold")
    left = Content.assemble(name.pad_right(max(_NAME - name.cell_length, 1)) if label else name, *label)
    told = [f"{len(branch.sections)} step{'s' * (len(branch.sections) != 1)}"] if branch.sections else []
    told += [f"! {branch.faults}"] if branch.faults else []
    right = Content.styled(" · ".join(told), "$text-warning" if branch.faults else "$text-muted")
    gap = width - left.cell_length - right.cell_length - 1
    return Content.assemble(left, " " * gap, right) if gap > 0 else left


def _label(task: TaskBranch) -> Content:
    words = visible(task.words, keep_newlines=False)
    if task.finding is not None:
        text = Content.styled(f" {words} ", _BADGES.get(words[:1], "$text-muted"))
    elif task.label is not None:
        text = Content.styled(f" {words} ", _LIT.get(task.label, "bold $text-accent"))
    else:
        text = Content.styled(f" {words} ", word_style(words))
    return text.pad_right(max(_WORDS - text.cell_length, 1))


def _score(task: TaskBranch) -> str:
    if task.finding is None or task.finding.score is None:
        return ""
    return f"{f'p({POSITIVE_WORDS[Task(task.name)]}) {score_words(task.finding.score)}':{_SCORE}}"


def faults_row(outline: Outline) -> Content:
    """Return the row above the format faults."""
    return Content.styled(f"! Format faults: {len(outline.faults)}", "bold $text-warning")


def section_sign(section: Section) -> str:
    """Return what stands before a section: its number, or a dot."""
    return "·" if section.step is None else str(section.step)


def write_title(flow: Flow, section: Section) -> None:
    """Write a step's heading. Some models put the whole step into it: that is no title."""
    if section.title:
        style = "bold" if len(section.title) <= _LONGEST_TITLE else ""
        flow.add(visible(section.title, keep_newlines=False), style)


def write_fault(flow: Flow, fault: FormatFault, place: str) -> None:
    """Write what is wrong, where, and the very span of the output."""
    flow.add(visible(fault.message, keep_newlines=False), "bold $text-warning")
    at = f"characters {fault.start:,}–{fault.end:,}" if fault.text else f"at character {fault.start:,}"
    flow.add(" · ".join(filter(None, [at, visible(place, keep_newlines=False)])), "$text-muted")
    if fault.text:
        flow.add(f"“{visible(fault.text, keep_newlines=False)}”", "italic $text-accent")


def output_line(outline: Outline, now_ms: float, *, raw: bool, following: bool) -> Content:
    """Return the line above the tree: what is shown, how the format was kept, and how fast it came."""
    name = "Raw output, as the model wrote it" if raw else "Output"
    parts = [Content.styled(name, "bold")]
    if outline.faults:
        count = len(outline.faults)
        parts.append(Content.styled(f"! {count} format fault{'s' * (count > 1)}", "bold $text-warning"))
    elif outline.raw is not None:
        parts.append(Content.styled("✔ format kept", "$text-success"))
    elif outline.first_ms is not None and not following and not outline.tasks[0].ended:
        parts.append(Content.styled("end resumes following", "$text-muted"))
    figures = []
    if outline.first_token_ms is not None:
        figures.append(f"first token {milliseconds(outline.first_token_ms)}")
    speed = outline.tokens_per_second(now_ms)
    if speed is not None:
        about = "" if outline.tokens else "about "
        figures.append(f"{about}{outline.tokens or outline.deltas:,} tokens · {speed:.0f} tok/s")
    parts += [Content.styled(" · ".join(figures), "$text-muted")] if figures else []
    return Content("   ").join(parts)
