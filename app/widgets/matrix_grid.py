"""A table of which one cell is chosen: rows and columns that are in memory, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from app.widgets.columns import GAP, Column, cell

_FIRST, _LEAST, _WIDEST = 24, 9, 40
_MARK = "▸"


class MatrixGrid(Widget, can_focus=True):
    """Texts must have passed the gate. Before the cell that is chosen stands a mark."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("home", "move(0, -1000000)", show=False),
        Binding("end", "move(0, 1000000)", show=False),
    ]

    class Moved(Message):
        """Another cell was chosen."""

    class Chosen(Message):
        """The cell that is chosen was clicked again."""

    def __init__(self, corner: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._corner = corner
        self._rows: Sequence[str] = ()
        self._columns: Sequence[str] = ()
        self._cells: Sequence[Sequence[str]] = ()
        self._top = self._left = 0
        self.row = self.column = 0

    def show(self, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        """Show ``cells`` by row and column. The place that is chosen stays."""
        self._rows, self._columns, self._cells = rows, columns, cells
        self.row = min(self.row, max(len(rows) - 1, 0))
        self.column = min(self.column, max(len(columns) - 1, 0))
        self.refresh(layout=True)

    def action_move(self, down: int, right: int) -> None:
        self.choose(self.row + down, self.column + right)

    def choose(self, row: int, column: int) -> None:
        """Choose a cell, or the nearest to that."""
        place = (_within(row, len(self._rows)), _within(column, len(self._columns)))
        if place != (self.row, self.column):
            self.row, self.column = place
            self.refresh()
            self.post_message(self.Moved())

    # --- drawing -------------------------------------------------------------------------------------

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows) + 1

    def render(self) -> Content:
        first, widths = self._widths()
        shown = self._fit(first, widths)
        self._top = _scrolled(self._top, self.row, max(self.size.height - 1, 1))
        heads = [
            Content.styled(_cut(f" {self._columns[place]}", widths[place]), "bold $text-muted")
            for place in shown
        ]
        corner = "".join(("◂ " if shown and shown[0] > 0 else "", self._corner, " ▴" if self._top else ""))
        more = " ▸" if shown and shown[-1] < len(self._columns) - 1 else ""
        lines = [_line([Content.styled(_cut(corner, first), "bold $text-muted"), *heads]) + more]
        below = range(self._top, min(len(self._rows), self._top + max(self.size.height - 1, 1)))
        for place in below:
            name = Content.styled(_cut(self._rows[place], first), "bold")
            lines.append(_line([name, *(self._cell(place, each, widths[each]) for each in shown)]))
        return Content("\n").join(lines)

    def _cell(self, row: int, column: int, width: int) -> Content:
        chosen = (row, column) == (self.row, self.column)
        text = _cut(f"{_MARK if chosen else ' '}{self._cells[row][column]}", width)
        if not chosen:
            return Content(text)
        return Content.styled(text, "bold reverse" if self.has_focus else "bold")

    def _widths(self) -> tuple[int, list[int]]:
        """Return the width of the rows' names, and that of each column, as wide as what is in it."""
        first = max((Content(each).cell_length for each in (self._corner, *self._rows)), default=0) + 4
        widths = []
        for place, head in enumerate(self._columns):
            texts = (head, *(row[place] for row in self._cells))
            widths.append(min(max(*(Content(text).cell_length + 1 for text in texts), _LEAST), _WIDEST))
        first = min(first, _FIRST)
        room = self.size.width - first - GAP * len(widths)
        widest = max(room // max(len(widths), 1), self._needed())
        return first, [min(width, widest) for width in widths]

    def _needed(self) -> int:
        """Return the width that no figure is cut at: heads may be."""
        texts = (text for row in self._cells for text in row)
        return max((Content(text).cell_length + 1 for text in texts), default=_LEAST)

    def _fit(self, first: int, widths: Sequence[int]) -> Sequence[int]:
        """Return the columns that are shown: as many as fit, the chosen one among them."""
        self._left = min(self._left, self.column)
        while True:
            shown: list[int] = []
            used = first
            for place in range(self._left, len(widths)):
                used += GAP + widths[place]
                if shown and used > self.size.width - GAP:
                    break
                shown.append(place)
            if self.column in shown or not shown:
                return shown
            self._left += 1

    # --- the mouse -----------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        first, widths = self._widths()
        row = self._top + event.y - 1
        left = first + GAP
        for place in self._fit(first, widths):
            if left <= event.x < left + widths[place] and 0 <= row < len(self._rows) and event.y > 0:
                if (row, place) == (self.row, self.column):
                    self.post_message(self.Chosen())
                self.choose(row, place)
                return
            left += widths[place] + GAP

    def on_mouse_scroll_down(self) -> None:
        self.action_move(1, 0)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-1, 0)


def _within(place: int, count: int) -> int:
    return min(max(place, 0), max(count - 1, 0))


def _scrolled(first: int, chosen: int, room: int) -> int:
    """Return the first row to show, so that the chosen one is among those that there is room for."""
    return min(max(first, chosen - room + 1), chosen)


def _cut(text: str, width: int) -> str:
    """Return a text of exactly this width; of what is too long, both ends."""
    column: Column[str] = Column("", "", width, str, ends=True)
    return cell(column, text, width).plain


def _line(cells: Sequence[Content]) -> Content:
    return Content(" " * GAP).join(cells)
