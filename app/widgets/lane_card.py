"""One lane: its name and state, what it took, and its reasoning as it comes."""

from __future__ import annotations

from itertools import groupby

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from app.judgement import Answered, Concluded, Lane, Piece, Reasoned
from app.safe_text import visible
from app.widgets.lane_text import lane_numbers, score, step_paragraphs, word_style
from app.widgets.stream_view import StreamView
from engine.events import Notice, StepFinished


class LaneHead(Widget):
    """Two lines: name, state and score; then times."""

    def __init__(self) -> None:
        super().__init__()
        self.lane: Lane | None = None
        self.now_ms = 0.0

    def render(self) -> Content:
        lane = self.lane
        if lane is None:
            return Content("")
        name = visible(lane.title, keep_newlines=False)
        words = visible(lane.words, keep_newlines=False)
        figure = score(lane)
        right = f"{words}  {figure}" if figure else words
        room = self.size.width - cell_len(right) - 1
        name = name if len(name) <= room else name[: max(room - 1, 1)] + "…"
        gap = " " * max(1, self.size.width - cell_len(name) - cell_len(right))
        first = Content.assemble((name, "bold"), gap, (words, word_style(lane.words)), right[len(words) :])
        return Content("\n").join([first, lane_numbers(lane, self.now_ms)])


class LaneCard(Vertical):
    """A lane in full. `show` draws what is new since it was last called."""

    class Chosen(Message):
        """The lane was clicked, or got the focus."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.head = LaneHead()
        self.stream = StreamView()
        self._lane: Lane | None = None
        self._shown = 0

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.stream

    def show(self, lane: Lane, now_ms: float) -> None:
        """Bring the card up to date with ``lane``."""
        if lane is not self._lane:
            self._lane = lane
            self._shown = 0
            self.stream.clear()
        self.head.lane = lane
        self.head.now_ms = now_ms
        self.head.refresh()
        new = lane.pieces[self._shown :]
        self._shown += len(new)
        for kind, pieces in groupby(new, type):
            self._add(kind, list(pieces))

    def _add(self, kind: type[Piece], pieces: list[Piece]) -> None:
        if kind in (Reasoned, Answered):
            text = "".join(piece.text for piece in pieces if isinstance(piece, Reasoned | Answered))
            self.stream.write(text, "bold" if kind is Answered else "")
            return
        for piece in pieces:
            match piece:
                case StepFinished():
                    self.stream.add(step_paragraphs(piece))
                case Concluded(text):
                    self.stream.add([Content.styled("→ " + visible(text, keep_newlines=False), "bold")])
                case Notice():
                    self.stream.add([Content.styled("ⓘ " + visible(piece.message), "$text-warning")])
                case _:
                    pass

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        self.post_message(self.Chosen(self.index))

    def on_click(self) -> None:
        self.post_message(self.Chosen(self.index))
