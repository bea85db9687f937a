"""All lanes at a glance, one line each: the layout for small terminals, and beside one lane in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from app.judgement import Lane
from app.safe_text import one_line
from app.widgets.lane_text import milliseconds, rate, score, word_style

_NAME, _STATE, _SCORE, _FIGURE = 24, 13, 7, 10


class LaneTable(Widget, can_focus=True):
    """A header and a line for each lane; up and down choose one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]

    class Moved(Message):
        """Another lane was chosen."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__()
        self._lanes: Sequence[Lane] = ()
        self._now_ms = 0.0
        self._chosen = 0

    def show(self, lanes: Sequence[Lane], chosen: int, now_ms: float) -> None:
        """Draw these lanes."""
        self._lanes, self._chosen, self._now_ms = lanes, chosen, now_ms
        self.refresh(layout=len(lanes) + 1 != self.size.height)

    def get_content_height(self, *_: object) -> int:
        return len(self._lanes) + 1

    def render(self) -> Content:
        head = f"  {'Policy':{_NAME}}{'State':{_STATE}}{'Score':>{_SCORE}}"
        head += f"{'1st token':>{_FIGURE + 1}}{'tok/s':>{_FIGURE - 2}}{'Verdict':>{_FIGURE}}"
        rows = [Content.styled(head, "$text-muted")]
        rows += [self._row(index, lane) for index, lane in enumerate(self._lanes)]
        return Content("\n").join(rows)

    def _row(self, index: int, lane: Lane) -> Content:
        chosen = index == self._chosen
        first = milliseconds(lane.first_token_ms) if lane.deltas else "–"
        numbers = f"{first:>{_FIGURE + 1}}{rate(lane, self._now_ms):>{_FIGURE - 2}}"
        numbers += f"{milliseconds(lane.verdict_ms):>{_FIGURE}}"
        row = Content.assemble(
            ("▌ " if chosen else "  ", "$text-primary"),
            (f"{one_line(lane.title, _NAME - 1):{_NAME}}", "bold" if chosen else ""),
            (f"{one_line(lane.words, _STATE):{_STATE}}", word_style(lane.words)),
            (f"{score(lane) or '–':>{_SCORE}}", ""),
            (numbers, "$text-muted"),
        )
        row = row.pad_right(max(0, self.size.width - row.cell_length))
        return row.stylize("on $boost") if chosen and self.has_focus else row

    def action_move(self, by: int) -> None:
        if self._lanes:
            self.post_message(self.Moved((self._chosen + by) % len(self._lanes)))

    def on_click(self, event: events.Click) -> None:
        if 0 < event.y <= len(self._lanes):
            self.post_message(self.Moved(event.y - 1))
