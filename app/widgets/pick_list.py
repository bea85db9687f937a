"""A list to choose one line from: draws only the rows in sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


class PickList(ScrollView, can_focus=False):
    """Rows of one line each. The screen moves the choice, so that the focus stays in its input."""

    class NearEnd(Message):
        """The choice came near the end: there may be more to load."""

    class Picked(Message):
        """A row was clicked."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._count = 0
        self._row: Callable[[int], Content] = _no_row
        self.chosen = 0
        self.remark = ""

    @property
    def has_rows(self) -> bool:
        return self._count > 0

    def show(self, rows: Sequence[Content], *, remark: str = "") -> None:
        """Show these rows; ``remark`` is shown where there are none."""
        self.show_each(len(rows), list(rows).__getitem__, remark=remark)

    def show_each(self, count: int, row: Callable[[int], Content], *, remark: str = "") -> None:
        """Show ``count`` rows, each asked for by its place whenever it is drawn: there may be very many."""
        self._count, self._row = count, row
        self.remark = remark
        self.chosen = min(self.chosen, max(count - 1, 0))
        self.virtual_size = Size(self.size.width, count)
        self.refresh()

    def move(self, by: int) -> None:
        """Move the choice."""
        self.chosen = min(max(self.chosen + by, 0), max(self._count - 1, 0))
        self.scroll_to_region(Region(0, self.chosen, 1, 1), animate=False)
        self.refresh()
        if self.chosen >= self._count - self.size.height:
            self.post_message(self.NearEnd())

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        if not self._count and y == 0:
            row = Content.styled(self.remark, "$text-muted")
        elif index >= self._count:
            return Strip.blank(width, base.rich_style)
        else:
            row = self._row(index).truncate(width, ellipsis=True, pad=True)
            if index == self.chosen:
                row = row.stylize_before("on $primary 25%")
        return Strip(row.render_segments(base)).adjust_cell_length(width, base.rich_style)

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if index < self._count:
            self.chosen = index
            self.refresh()
            self.post_message(self.Picked())

    def on_mouse_scroll_down(self) -> None:
        if self.scroll_offset.y >= self.max_scroll_y - self.size.height:
            self.post_message(self.NearEnd())


def _no_row(index: int) -> Content:
    raise IndexError(index)
