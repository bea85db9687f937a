"""A table over any number of rows: it holds the pages around what is in sight, and no key waits for them.

The rows come from a `Source`, by their place in its order. What has not come yet is drawn as a placeholder.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.widgets.columns import GAP, Column, cell, fit

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)

PAGE = 100
_MOST_PAGES = 12
_MOST_STRIPS = 600
_GUTTER = 2


class Source(Protocol[Row_co]):
    """Rows in an order, as they are at one time. Where they have changed, a new source is shown."""

    async def count(self) -> int: ...

    async def rows(self, first: int, limit: int) -> Sequence[Row_co]:
        """Return up to ``limit`` rows from the index ``first`` on."""
        ...

    async def find(self, key: Hashable) -> int | None:
        """Return the index of the row with this key, or None if it is not among them."""
        ...


class PagedTable(ScrollView, Generic[Row], can_focus=True):
    """Rows below a header; one is the chosen one, and some may bear marks."""

    DEFAULT_CSS = "PagedTable { overflow-x: hidden; overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("home", "go(0)", show=False),
        Binding("end", "go(-1)", show=False),
    ]

    class Moved(Message):
        """Another row is the chosen one, or the chosen one has come."""

    class Chosen(Message):
        """The chosen row was clicked twice."""

    class Loaded(Message):
        """Rows have come."""

    class SortAsked(Message):
        """A column's title was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class Failed(Message):
        """Rows could not be had. They are asked for again by the next key, or the next `show`."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(
        self, columns: Sequence[Column[Row]], *, key: Callable[[Row], Hashable], id: str, empty: str
    ) -> None:
        super().__init__(id=id)
        self.count = 0
        self.cursor = 0
        self._columns = columns
        self._key = key
        self._empty = empty
        self._sort: tuple[str, bool] = ("", True)
        self._marks: Mapping[Hashable, str] = {}
        self._opened = False
        self._asked: Source[Row] | None = None
        self._source: Source[Row] | None = None
        self._filling: Source[Row] | None = None
        self._pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._chosen_key: Hashable = None  # while the chosen row has not come, it goes by its index
        self._fitted: list[tuple[Column[Row], int]] = []
        self._strips: dict[int, Strip] = {}

    # --- what is shown -------------------------------------------------------------------------------

    def show(self, source: Source[Row], *, keep: bool = False, key: Hashable = None) -> None:
        """Show other rows once they have come.

        The first is the chosen one then, or with ``keep`` that which is now, or the one with ``key``.
        """
        self._asked = source
        if key is not None:
            self._chosen_key = key
        self.run_worker(self._open(source, keep or key is not None))

    def redraw(self) -> None:
        """Draw everything in sight anew: what cells are made from has changed."""
        self._strips.clear()
        self.refresh()

    @property
    def columns(self) -> Sequence[Column[Row]]:
        """The columns, before those are left out that there is no room for."""
        return self._columns

    @columns.setter
    def columns(self, columns: Sequence[Column[Row]]) -> None:
        self._columns = columns
        self._fitted = []
        self.redraw()

    @property
    def sort(self) -> tuple[str, bool]:
        """The name of the column that the rows are sorted by, and whether descending."""
        return self._sort

    @sort.setter
    def sort(self, sort: tuple[str, bool]) -> None:
        self._sort = sort
        self.refresh()

    @property
    def marks(self) -> Mapping[Hashable, str]:
        """A glyph for each row that is marked, by key."""
        return self._marks

    @marks.setter
    def marks(self, marks: Mapping[Hashable, str]) -> None:
        self._marks = marks
        self.redraw()

    @property
    def row(self) -> Row | None:
        """The chosen row; None if there is none, or it has not come yet."""
        return self._row(self.cursor)

    @property
    def empty(self) -> str:
        """What is said where there are no rows."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        self._empty = text
        self.refresh()

    # --- moving --------------------------------------------------------------------------------------

    def choose(self, index: int) -> None:
        """Make a row the chosen one and bring it into sight."""
        former, self.cursor = self.cursor, min(max(index, 0), max(self.count - 1, 0))
        self._strips.pop(former, None)
        self._strips.pop(self.cursor, None)
        self._refresh_row(former)
        self._refresh_row(self.cursor)
        self._into_sight()
        self._ensure()
        if self.cursor != former:
            self._chosen_key = None
            self._moved()

    def action_move(self, by: int) -> None:
        self.choose(self.cursor + by)

    def action_move_page(self, by: int) -> None:
        self.choose(self.cursor + by * max(self._visible - 1, 1))

    def action_go(self, index: int) -> None:
        self.choose(index if index >= 0 else self.count - 1)

    def _into_sight(self) -> None:
        """Have the chosen row in sight, or, while the table is hidden, leave that until it is shown."""
        top = int(self.scroll_target_y)
        if not self._visible:
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self._visible:
            self.scroll_to(y=self.cursor - self._visible + 1, animate=False)

    def _moved(self) -> None:
        row = self.row
        if row is not None and self._chosen_key is None:
            self._chosen_key = self._key(row)
        self.post_message(self.Moved())

    # --- loading -------------------------------------------------------------------------------------

    async def _open(self, source: Source[Row], keep: bool) -> None:
        """Ask for the chosen row and for what is to be in sight; change over once all of it is there.

        Where one has moved meanwhile, what is to be in sight has changed, and it is asked for anew.
        """
        try:
            while True:
                place = self._place
                count = await source.count()
                found = await source.find(self._chosen_key) if keep and self._chosen_key is not None else None
                cursor = (self.cursor if keep else 0) if found is None else found
                cursor = min(cursor, max(count - 1, 0))
                top = self._top_for(cursor, count) if keep else 0
                pages = OrderedDict()
                bottom = min(top + max(self._visible, 1), count - 1)
                for page in {cursor // PAGE, *range(top // PAGE, bottom // PAGE + 1)}:
                    pages[page] = await source.rows(page * PAGE, PAGE)
                if source is not self._asked:
                    return
                if not keep or place == self._place:
                    break
        except Exception as error:
            if source is self._asked:
                self.post_message(self.Failed(error))
            return
        if found is None:
            self._chosen_key = None
        left = keep and self._scrolled_away
        self._source, self._pages = source, pages
        self.count, self.cursor, self._opened = count, cursor, True
        self._resize_rows()
        self.scroll_to(y=top, animate=False)
        if not left:
            self._into_sight()
        self.post_message(self.Loaded())
        self._moved()
        self._ensure()

    @property
    def _place(self) -> tuple[Hashable, int, float]:
        """What is chosen and what is in sight."""
        return self._chosen_key, self.cursor, self.scroll_target_y

    @property
    def _scrolled_away(self) -> bool:
        """Whether one has left the chosen row out of sight; not where another one is to be chosen."""
        row, top = self.row, int(self.scroll_target_y)
        stays = row is not None and self._key(row) == self._chosen_key
        return stays and not top <= self.cursor < top + self._visible

    def _top_for(self, cursor: int, count: int) -> int:
        """Return where to scroll to so that the chosen row stays where it is on the screen."""
        top = int(self.scroll_target_y)
        if top and self.cursor != cursor:
            top += cursor - self.cursor
        return min(max(top, 0), max(count - self._visible, 0))

    def _ensure(self) -> None:
        """Have the rows in sight loaded, if they are not."""
        source = self._source
        if source is not None and self._filling is not source and self._missing():
            self._filling = source
            self.run_worker(self._fill(source))

    def _missing(self) -> list[int]:
        """Return the pages in sight that are not there; if all are, those that one key leads to."""
        if not self.count:
            return []
        top = int(self.scroll_target_y)
        reach = max(self._visible, 1)
        last = self.count - 1
        in_sight = (self.cursor, top, top + reach - 1)
        near = (top + 2 * reach, top - reach, last, last - reach + 1, 0)
        return self._absent(in_sight) or self._absent(near)

    def _absent(self, rows: Iterable[int]) -> list[int]:
        pages = dict.fromkeys(min(max(row, 0), self.count - 1) // PAGE for row in rows)
        return [page for page in pages if page not in self._pages]

    async def _fill(self, source: Source[Row]) -> None:
        """Load what is missing; as what is in sight changes meanwhile, what was passed by is left out."""
        try:
            while source is self._source and (missing := self._missing()):
                pages = {page: await source.rows(page * PAGE, PAGE) for page in missing}
                if source is self._source:
                    self._take(pages)
        except Exception as error:
            self.post_message(self.Failed(error))
        finally:
            if self._filling is source:
                self._filling = None

    def _take(self, pages: Mapping[int, Sequence[Row]]) -> None:
        """Show pages that have come: those in sight all at once, as each time takes longer than reading."""
        self._pages.update(pages)
        while len(self._pages) > _MOST_PAGES:
            self._pages.popitem(last=False)
        for page in pages:
            for index in range(page * PAGE, (page + 1) * PAGE):
                self._strips.pop(index, None)
        self.refresh()
        self.post_message(self.Loaded())
        if self.cursor // PAGE in pages:
            self._moved()

    def _row(self, index: int) -> Row | None:
        page = self._pages.get(index // PAGE, ())
        return page[index % PAGE] if index % PAGE < len(page) else None

    # --- drawing -------------------------------------------------------------------------------------

    @property
    def _visible(self) -> int:
        """How many rows there is room for below the header."""
        return max(self.scrollable_content_region.height - 1, 0)

    def on_resize(self) -> None:
        self._resize_rows()
        self._into_sight()
        self._ensure()

    def _resize_rows(self) -> None:
        self.virtual_size = Size(self.size.width, self.count + 1)
        self._fitted = []
        self.redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._ensure()

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def on_focus(self) -> None:
        self._redraw_cursor()

    def on_blur(self) -> None:
        self._redraw_cursor()

    def _redraw_cursor(self) -> None:
        self._strips.pop(self.cursor, None)
        self._refresh_row(self.cursor)

    def _refresh_row(self, index: int) -> None:
        y = index - self.scroll_offset.y
        if 0 <= y < self._visible:
            self.refresh(Region(0, y + 1, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if not self._fitted:
            self._fitted = fit(self._columns, width - _GUTTER)
        if y == 0:
            return self._strip(self._header(), width)
        index = y - 1 + self.scroll_offset.y
        if index >= self.count:
            word = self._empty if self._opened else "Loading…"
            remark = Content.styled(f"  {word}", "$text-muted") if not self.count and y == 1 else Content("")
            return self._strip(remark, width)
        if (strip := self._strips.get(index)) is None:
            if len(self._strips) > _MOST_STRIPS:
                self._strips.clear()
            strip = self._strips[index] = self._strip(self._line(index), width)
        return strip

    def _strip(self, line: Content, width: int) -> Strip:
        base = self.visual_style
        return Strip(line.render_segments(base)).adjust_cell_length(width, base.rich_style)

    def _header(self) -> Content:
        name, descending = self._sort
        mark = " ▾" if descending else " ▴"
        titles = [
            cell(column, column.title + (mark if column.name == name else ""), width)
            for column, width in self._fitted
        ]
        line = Content.assemble(" " * _GUTTER, Content(" " * GAP).join(titles))
        return line.stylize_before("bold $text-muted")

    def _line(self, index: int) -> Content:
        row = self._row(index)
        chosen = index == self.cursor
        if row is None:
            return self._coloured(Content.styled("▌ ⋯" if chosen else "  ⋯", "$text-muted"), chosen)
        cells = [cell(column, column.draw(row), width) for column, width in self._fitted]
        mark = self._marks.get(self._key(row), " ")
        line = Content.assemble(
            ("▌" if chosen else " ", "$text-primary"),
            (mark, "bold $text-accent"),
            Content(" " * GAP).join(cells),
        )
        return self._coloured(line, chosen)

    def _coloured(self, line: Content, chosen: bool) -> Content:
        if not chosen:
            return line
        line = line.pad_right(max(self.size.width - line.cell_length, 0))
        return line.stylize_before("on $primary 25%" if self.has_focus else "on $boost")

    # --- the mouse -----------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            column = self._column_at(event.x - _GUTTER)
            if column is not None:
                self.post_message(self.SortAsked(column.name))
            return
        index = event.y - 1 + self.scroll_offset.y
        if index >= self.count:
            return
        if event.chain > 1 and index == self.cursor:
            self.post_message(self.Chosen())
        self.choose(index)

    def _column_at(self, x: int) -> Column[Row] | None:
        for column, width in self._fitted:
            if 0 <= x < width + GAP:
                return column
            x -= width + GAP
        return None
