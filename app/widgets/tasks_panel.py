"""A model's output on the three tasks: as a tree, or raw, exactly as it was written."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from app.judgement import Judgement
from app.outline import Branch, Outline
from app.safe_text import visible
from app.widgets.stream_view import StreamView
from app.widgets.task_text import output_line
from app.widgets.task_tree import TaskTree

_AT_FAULT = "underline $text-warning"


class TasksPanel(Vertical):
    """Shows a judgement that has an outline."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Static(id="output-head")
        self.steps = TaskTree()
        self.raw = StreamView(id="raw")
        self._outline: Outline | None = None
        self._raw_of: Outline | None = None

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.steps
        yield self.raw

    def on_mount(self) -> None:
        self.raw.display = False

    @property
    def shows_raw(self) -> bool:
        return bool(self.raw.display)

    @property
    def branch(self) -> Branch | None:
        """The task that was chosen, if the output is shown and one was."""
        return self.steps.branch if self._outline is not None and not self.steps.following else None

    def begin(self, *, following: bool) -> None:
        """Prepare for another output: one that is being written, or one that is there whole."""
        self.show_raw(False)
        self.steps.following = following

    def show(self, judgement: Judgement) -> None:
        """Bring the panel up to date."""
        outline = self._outline = judgement.outline
        if outline is None:
            return
        if outline.raw is None and self.shows_raw:
            self.show_raw(False)
        self.steps.show(outline)
        self.head.update(
            output_line(outline, judgement.now_ms, raw=self.shows_raw, following=self.steps.following)
        )

    def show_raw(self, raw: bool) -> None:
        """Show the raw output, or the tree."""
        focused = self.steps.has_focus or self.raw.has_focus
        outline = self._outline
        if raw and outline is not None and outline.raw is not None and self._raw_of is not outline:
            self._raw_of = outline
            self.raw.clear()
            self.raw.add(raw_paragraphs(outline, outline.raw))
        self.raw.display, self.steps.display = raw, not raw
        if focused:
            (self.raw if raw else self.steps).focus()


def raw_paragraphs(outline: Outline, raw: str) -> Iterator[Content]:
    """Yield every line of an output with its number; what is at fault is underlined, and its line marked."""
    spans = [(fault.start, fault.end) for fault in outline.faults if fault.text]
    lines = raw.split("\n")
    room = len(str(len(lines)))
    start = 0
    for number, line in enumerate(lines, 1):
        end = start + len(line)
        here = [(max(a, start), min(b, end)) for a, b in spans if a < end and b > start]
        text = Content(visible(line, keep_newlines=False))
        for a, b in here:
            text = text.stylize(_AT_FAULT, a - start, b - start)
        mark = ("! " if here else "  ", "bold $text-warning")
        yield Content.assemble(mark, (f"{number:{room}} ", "$text-muted"), text)
        start = end + 1
