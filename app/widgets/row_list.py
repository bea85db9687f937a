"""A short list of rows, one line each, with one of them chosen: the widget has the focus and the keys."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

RowT = TypeVar("RowT")


class RowList(ScrollView, Generic[RowT], can_focus=True):
    """Rows that fit into memory. The choice stays on the row with its key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter,right", "open", show=False),
    ]

    class _Told(Message):
        def __init__(self, rows: RowList[Any]) -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> RowList[Any]:
            return self.rows

    class Opened(_Told):
        """A row was chosen with enter, or clicked."""

    class Moved(_Told):
        """The choice is on another row."""

    def __init__(self, *, id: str, empty: str = "") -> None:
        super().__init__(id=id)
        self.empty = empty
        self._rows: tuple[RowT, ...] = ()
        self.chosen = 0

    @abstractmethod
    def key_of(self, row: RowT) -> Hashable:
        """Return what a row is known by."""

    @abstractmethod
    def draw(self, row: RowT, width: int) -> Content:
        """Return a row of ``width`` cells; what is too long is cut."""

    @property
    def row(self) -> RowT | None:
        """The row chosen."""
        return self._rows[self.chosen] if self._rows else None

    @property
    def rows(self) -> tuple[RowT, ...]:
        """All rows."""
        return self._rows

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def show(self, rows: Sequence[RowT], *, choose: Hashable = None) -> None:
        """Show these rows; ``choose`` one by its key, else what was chosen stays so."""
        if tuple(rows) == self._rows and choose is None:
            return
        wanted = choose if choose is not None or self.row is None else self.key_of(self.row)
        self._rows = tuple(rows)
        places = (place for place, row in enumerate(self._rows) if self.key_of(row) == wanted)
        self.chosen = next(places, min(self.chosen, max(len(self._rows) - 1, 0)))
        self.virtual_size = Size(self.size.width, len(self._rows))
        self._reveal()
        self.refresh()

    def choose(self, place: int) -> None:
        """Choose a row by its place."""
        place = min(max(place, 0), max(len(self._rows) - 1, 0))
        if place != self.chosen:
            self.chosen = place
            self._reveal()
            self.refresh()
            self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        self.choose(self.chosen + by)

    def action_open(self) -> None:
        if self.row is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if place < len(self._rows):
            self.choose(place)
            self.action_open()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self.chosen, 1, 1), animate=False)

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        if not self._rows and y == 0:
            drawn = Content.styled(self.empty, "$text-muted").truncate(width, ellipsis=True, pad=True)
        elif place >= len(self._rows):
            return Strip.blank(width, base.rich_style)
        else:
            drawn = self.draw(self._rows[place], width)
            if place == self.chosen:
                drawn = drawn.stylize_before("on $primary 35%" if self.has_focus else "on $primary 15%")
        return Strip(drawn.render_segments(base)).adjust_cell_length(width, base.rich_style)
