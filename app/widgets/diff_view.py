"""A view of what differs between two texts: side by side where there is room, else one below the other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual._wrap import compute_wrap_offsets
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.diffing import Columns, Diff, Fold, Row, Side, folded
from app.safe_text import one_line, visible
from app.widgets.part_styles import part_style

SIDE_BY_SIDE = 100
"""The width from which on texts are side by side, unless one has chosen."""

_LONGEST_LINE = 20_000
_LONGEST_NAME = 200
_LEAST_TEXT = 8
_MOST_STRIPS = 500
_SEPARATOR = "│"
_ABOVE = 2


class _Cell(NamedTuple):
    """A line of one text as it is shown, or of both where they are the same.

    ``kind`` names its style: removed, added, title, or none. ``numbers`` has a place for each column of
    numbers, where None leaves it blank.
    """

    kind: str
    sign: str
    numbers: tuple[int | None, ...]
    text: str
    changed: tuple[Columns, ...] = ()


_Line = tuple[_Cell, ...]
"""One cell, or two side by side."""


class DiffView(ScrollView, can_focus=True):
    """Lines with their numbers and signs: "-" was removed, "+" added. Changed words are underlined."""

    DEFAULT_CSS = "DiffView { overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("diff--removed", "diff--added", "diff--removed-word", "diff--added-word"),
        *("diff--number", "diff--fold", "diff--title", "diff--here"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_change", show=False),
        Binding("N", "previous_change", show=False),
        Binding("s", "toggle_sides", show=False),
        Binding("f", "toggle_folds", show=False),
    ]

    class Moved(Message):
        """Another change is the present one, or the texts are shown in another way."""

    def __init__(self, *, id: str, empty: str = "") -> None:
        super().__init__(id=id)
        self._empty = empty
        self._names = ("", "")
        self._rows: Sequence[Row] = ()
        self._chosen_sides: bool | None = None
        self._folds = True
        self._at = 0
        self._lines: list[_Line] = []
        self._wraps: list[tuple[Sequence[int], ...]] = []
        self._tops: list[int] = [0]
        self._changes: list[int] = []
        self._digits = 1
        self._rooms: tuple[int, ...] = (_LEAST_TEXT,)
        self._width = 0
        self._strips: dict[int, Strip] = {}

    # --- what is shown -------------------------------------------------------------------------------

    def show(self, difference: Diff, old_name: str, new_name: str) -> None:
        """Show a difference, from its beginning on. Of long texts, its rows have been made in a thread."""
        self._names = (one_line(old_name, _LONGEST_NAME), one_line(new_name, _LONGEST_NAME))
        self._rows = difference.rows if difference.changes else ()
        if not difference.changes:
            self._empty = difference.summary
        self._at = 0
        self._lay_out()
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def clear(self, remark: str) -> None:
        """Show nothing but a remark, which has been made visible."""
        self._rows, self._empty = (), remark
        self._lay_out()

    @property
    def side_by_side(self) -> bool:
        """Whether the texts are side by side now."""
        return self.size.width >= SIDE_BY_SIDE if self._chosen_sides is None else self._chosen_sides

    @property
    def place(self) -> tuple[int, int]:
        """Which change is the present one, from 1, or 0 without any, and how many there are."""
        return min(self._at + 1, len(self._changes)), len(self._changes)

    def next_change(self) -> None:
        """Go to the change after the present one, or to the first one further down."""
        self._go(self._at + 1 if self._in_sight(self._at) else self._first_below())

    def previous_change(self) -> None:
        """Go to the change before the present one, or to the first one further up."""
        self._go((self._at if self._in_sight(self._at) else self._first_below()) - 1)

    def toggle_sides(self) -> None:
        """Show the texts side by side, or one below the other."""
        self._chosen_sides = not self.side_by_side
        self._lay_out_again()

    def toggle_folds(self) -> None:
        """Show the lines that are the same, or leave them out but for those beside a change."""
        self._folds = not self._folds
        self._lay_out_again()

    def action_next_change(self) -> None:
        self.next_change()

    def action_previous_change(self) -> None:
        self.previous_change()

    def action_toggle_sides(self) -> None:
        self.toggle_sides()

    def action_toggle_folds(self) -> None:
        self.toggle_folds()

    # --- moving --------------------------------------------------------------------------------------

    def _top_of(self, change: int) -> int:
        return self._tops[self._changes[change]]

    def _in_sight(self, change: int) -> bool:
        y = self.scroll_offset.y
        return change < len(self._changes) and y <= self._top_of(change) < y + self.size.height

    def _first_below(self) -> int:
        """Return the first change that begins in sight, or below."""
        line = bisect_left(self._tops, self.scroll_offset.y)
        return bisect_left(self._changes, line)

    def _go(self, change: int) -> None:
        if self._changes:
            self._at = min(max(change, 0), len(self._changes) - 1)
            self._strips.clear()
            self.scroll_to(
                y=max(self._top_of(self._at) - _ABOVE, 0), animate=False, force=True, immediate=True
            )
            self.refresh()
        self.post_message(self.Moved())

    def _lay_out_again(self) -> None:
        """Lay out in another way, with the same line at the top."""
        top = bisect_right(self._tops, self.scroll_offset.y) - 1
        numbers = next((_numbers(line) for line in self._lines[top:] if any(_numbers(line))), (None, None))
        self._lay_out()
        same = (at for at, line in enumerate(self._lines) if _meet(_numbers(line), numbers))
        self.scroll_to(
            y=self._tops[next(same, 0)] if top > 0 else 0, animate=False, force=True, immediate=True
        )
        self.post_message(self.Moved())

    # --- laying out ----------------------------------------------------------------------------------

    def on_resize(self) -> None:
        if self.size.width != self._width:
            self._width = self.size.width
            self._lay_out_again()

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def _lay_out(self) -> None:
        numbers = [side.number for row in self._rows for side in (row.old, row.new) if side is not None]
        self._digits = len(str(max(numbers, default=1)))
        self._lines, self._changes = [], []
        if self._rows:
            self._lines += self._titles()
            for line, begins in self._changes_and_the_same():
                if begins:
                    self._changes.append(len(self._lines))
                self._lines.append(line)
        self._rooms = self._text_widths()
        self._wraps = [
            tuple(_wrap(cell.text, width) for cell, width in zip(line, self._rooms, strict=False))
            for line in self._lines
        ]
        heights = (max(map(len, wraps)) + 1 for wraps in self._wraps)
        self._tops = [0, *accumulate(heights)]
        self._strips.clear()
        self.virtual_size = Size(self.size.width, self._tops[-1])
        self.refresh()

    def _titles(self) -> Iterator[_Line]:
        old, new = self._names
        if self.side_by_side:
            yield _Cell("title", "-", (None,), old), _Cell("title", "+", (None,), new)
        else:
            yield (_Cell("title", "-", (None, None), old),)
            yield (_Cell("title", "+", (None, None), new),)

    def _changes_and_the_same(self) -> Iterator[tuple[_Line, bool]]:
        """Yield the lines, and whether a change begins with each."""
        sides = self.side_by_side
        shown = folded(self._rows) if self._folds else self._rows
        for changed, run in groupby(shown, key=lambda row: isinstance(row, Row) and not row.same):
            rows = list(run)
            if changed:
                lines = list(_beside(rows) if sides else _below(rows))
                yield from zip(lines, [True, *[False] * (len(lines) - 1)], strict=True)
                continue
            for row in rows:
                if isinstance(row, Fold):
                    yield (_Cell("fold", "", (), str(row)),), False
                elif row.old is not None and row.new is not None:
                    yield _same(row.old, row.new, sides), False

    def _text_widths(self) -> tuple[int, ...]:
        """Return the cells that there are for text, behind the numbers and signs."""
        width = self.scrollable_content_region.width
        if not self.side_by_side:
            return (max(width - self._lead(2), _LEAST_TEXT),)
        half = (width - len(_SEPARATOR)) // 2
        return (max(half - self._lead(1), _LEAST_TEXT),) * 2

    def _lead(self, numbers: int) -> int:
        """Return the cells before a text: a mark, the numbers, the sign and a blank."""
        return 1 + numbers * (self._digits + 1) + 2

    # --- drawing -------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        if place >= self._tops[-1]:
            remark = self._empty if y == 0 and not self._lines else ""
            muted = part_style(self, "diff--fold")
            return Strip([Segment(remark, muted)]).adjust_cell_length(width).apply_style(base)
        strip = self._strips.get(place)
        if strip is None:
            if len(self._strips) >= _MOST_STRIPS:
                self._strips.clear()
            strip = self._strips[place] = self._draw(place, width).apply_style(base)
        return strip

    def _draw(self, place: int, width: int) -> Strip:
        index = bisect_right(self._tops, place) - 1
        line, section = self._lines[index], place - self._tops[index]
        here = bool(self._changes) and index == self._changes[self._at] and section == 0
        if line[0].kind == "fold":
            fold = Segment(
                " " * self._lead(3 - len(self._rooms)) + line[0].text, part_style(self, "diff--fold")
            )
            return Strip([fold]).adjust_cell_length(width)
        drawn: list[Strip] = []
        for cell, offsets, room in zip(line, self._wraps[index], self._rooms, strict=True):
            mark = "▸" if here and not drawn else " "
            if drawn:
                drawn.append(Strip([Segment(_SEPARATOR, part_style(self, "diff--number"))]))
            drawn.append(self._draw_cell(cell, offsets, section, room, mark))
        return Strip.join(drawn).adjust_cell_length(width)

    def _draw_cell(self, cell: _Cell, offsets: Sequence[int], section: int, room: int, mark: str) -> Strip:
        style = part_style(self, f"diff--{cell.kind}") if cell.kind else Style()
        numbers = "".join(
            f"{'' if number is None or section else number:>{self._digits}} " for number in cell.numbers
        )
        sign = cell.sign if section == 0 else ""
        lead = [
            Segment(mark, part_style(self, "diff--here")),
            Segment(numbers, part_style(self, "diff--number")),
            Segment(f"{sign:1} ", style + Style(bold=True)),
        ]
        ends = [0, *offsets, len(cell.text)]
        first, last = (ends[section], ends[section + 1]) if section <= len(offsets) else (0, 0)
        text = Text(cell.text[first:last], end="", no_wrap=True)
        text.stylize(style)
        for start, end in cell.changed:
            if start < last and end > first:
                text.stylize(part_style(self, f"diff--{cell.kind}-word"), max(start - first, 0), end - first)
        strip = Strip(text.render(self.app.console), text.cell_len).adjust_cell_length(room, style)
        return Strip.join([Strip(lead), strip])


def _same(old: Side, new: Side, sides: bool) -> _Line:
    if sides:
        return _Cell("", " ", (old.number,), _shown(old)), _Cell("", " ", (new.number,), _shown(new))
    return (_Cell("", " ", (old.number, new.number), _shown(old)),)


def _beside(rows: Sequence[Row | Fold]) -> Iterator[_Line]:
    for row in rows:
        if isinstance(row, Row):
            yield _changed_cell(row.old, "removed", 1), _changed_cell(row.new, "added", 1)


def _below(rows: Sequence[Row | Fold]) -> Iterator[_Line]:
    changed = [row for row in rows if isinstance(row, Row)]
    yield from ((_changed_cell(row.old, "removed", 2),) for row in changed if row.old is not None)
    yield from ((_changed_cell(row.new, "added", 2),) for row in changed if row.new is not None)


def _changed_cell(side: Side | None, kind: str, columns: int) -> _Cell:
    if side is None:
        return _Cell("", " ", (None,) * columns, "")
    numbers = (
        (side.number,) if columns == 1 else (None, side.number) if kind == "added" else (side.number, None)
    )
    text = _shown(side) + ("" if side.ended else " ⋯ no newline at the end")
    return _Cell(kind, "+" if kind == "added" else "-", numbers, text, side.changed)


def _shown(side: Side) -> str:
    left_out = len(side.text) - _LONGEST_LINE
    text = visible(side.text[:_LONGEST_LINE], keep_newlines=False)
    return text if left_out <= 0 else f"{text} ⋯ {left_out:,} characters are not shown"


def _wrap(text: str, width: int) -> Sequence[int]:
    """Return the offsets at which a text goes on in another row."""
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return ()
    return compute_wrap_offsets(text, width, 1)


def _numbers(line: _Line) -> tuple[int | None, int | None]:
    """Return the numbers of a line in the old and in the new text."""
    old, new = ([number for cell in line for number in cell.numbers] + [None, None])[:2]
    return old, new


def _meet(numbers: tuple[int | None, ...], others: tuple[int | None, ...]) -> bool:
    return any(one is not None and one == other for one, other in zip(numbers, others, strict=True))
