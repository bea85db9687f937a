"""An editor for files with a grammar: line numbers, colours, marks beside the lines, and what was found."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.document._document import Location, Selection
from textual.document._edit import Edit
from textual.document._history import EditHistory
from textual.expand_tabs import expand_text_tabs_from_widths
from textual.reactive import reactive
from textual.strip import Strip

from app.widgets.colouring import STYLES, Colouring, LineColours
from app.widgets.part_styles import part_style
from app.widgets.safe_editor import SafeEditor
from app.widgets.text_places import Move, location, nearest, shared

_MOST_UNDONE = 500
_MOST_STRIPS = 1_000
_TOO_LARGE = "What was pasted would make this text too large to edit here: nothing was changed."

Columns = tuple[int, int]
"""The first code point of a stretch of a line, and the one behind its last."""

_Styled = tuple[int, int, Style]


class Severity(StrEnum):
    """How grave it is what was found in a line. The value is the glyph beside the line."""

    ERROR = "!"
    WARNING = "~"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is marked of a line: how grave, and the stretches that are underlined, if it is not all of it."""

    severity: Severity
    spans: tuple[Columns, ...] = ()


class CodeEditor(SafeEditor):
    """An editor with line numbers. `Changed` is posted once for every change, and holds no text.

    Lines are counted from 1 where people read them: in the gutter, in marks and in `go_to`. Locations are
    Textual's: a row and a column, from 0. Marks and what was found move with their lines while one types,
    until they are shown anew. A text too large to edit is shown in part and without all this.
    """

    MOST_TEXT = 400_000
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"code--{style}" for style in STYLES),
        *("code--number", "code--here", "code--changed", "code--error", "code--warning", "code--found"),
    }

    revision: reactive[int] = reactive(0, init=False, repaint=False)
    """Grows with every change of the text, for who watches it."""

    def __init__(
        self, title: str, *, id: str, placeholder: str = "", colouring: Colouring | None = None
    ) -> None:
        self._colours = None if colouring is None else LineColours(colouring)
        self._marks: Mapping[int, Mark] = {}
        self._changed: Collection[int] = frozenset()
        self._found: Mapping[int, Sequence[Columns]] = {}
        self._placed: Sequence[str] = ()
        self._sections: dict[int, list[list[_Styled]]] = {}
        self._strips: dict[tuple[int, int], Strip] = {}
        super().__init__(title, id=id, placeholder=placeholder)
        self.history = EditHistory(
            max_checkpoints=_MOST_UNDONE, checkpoint_timer=2.0, checkpoint_max_characters=100
        )
        self.show_line_numbers = True

    # --- the text ------------------------------------------------------------------------------------

    @property
    def colouring(self) -> Colouring | None:
        """What the lines are coloured by."""
        return None if self._colours is None else self._colours.colouring

    @colouring.setter
    def colouring(self, colouring: Colouring | None) -> None:
        self._colours = None if colouring is None else LineColours(colouring)
        self._redraw()

    @property
    def cursor(self) -> Location:
        """Where the cursor is: row and column, from 0."""
        return self.selection.end

    def replace_text(self, text: str) -> None:
        """Replace all of the text by one edit that can be undone. The cursor stays at its line.

        Where the text before or the new one is too large to edit, nothing can be undone any more.
        """
        before = self.value
        if text == before:
            return
        if self.held or self._too_large(text):
            self.value = text
            return
        first = shared(before, text)
        kept = shared(before[first:][::-1], text[first:][::-1])
        top, bottom = location(before, first), location(before, len(before) - kept)
        row, column = self.cursor
        line = self.document.get_line(row)
        self.history.checkpoint()
        self.edit(Edit(text[first : len(text) - kept], top, bottom, maintain_selection_offset=True))
        self.history.checkpoint()
        if top <= (row, column) < bottom:
            self.selection = Selection.cursor(
                self._visitable(nearest(self.document.lines, line, row), column)
            )

    def replace_range(self, start: Location, end: Location, text: str) -> None:
        """Replace a stretch of the text by one edit that is undone by itself, and go behind it."""
        self.history.checkpoint()
        self.replace(text, start, end, maintain_selection_offset=False)
        self.history.checkpoint()

    def move_lines(self, by: int) -> None:
        """Move the lines that the selection touches one down (1) or up (-1), by one edit."""
        top, bottom = self._touched()
        first, last = min(top, top + by), max(bottom, bottom + by)
        if self.read_only or first < 0 or last >= self.document.line_count:
            return
        block, other = (
            self._text_of(top, bottom),
            self._text_of(*((last, last) if by > 0 else (first, first))),
        )
        self._replace_lines(first, last, f"{other}\n{block}" if by > 0 else f"{block}\n{other}", by)

    def duplicate_lines(self) -> None:
        """Put a copy of the lines that the selection touches above them, by one edit."""
        top, bottom = self._touched()
        if not self.read_only:
            block = self._text_of(top, bottom)
            self._replace_lines(top, bottom, f"{block}\n{block}", bottom - top + 1)

    def _touched(self) -> tuple[int, int]:
        """Return the first and the last row that the selection touches, not the one that it ends before."""
        (top, _), (bottom, column) = sorted(self.selection)
        return top, bottom - 1 if bottom > top and column == 0 else bottom

    def _text_of(self, top: int, bottom: int) -> str:
        return self.document.get_text_range((top, 0), (bottom, len(self.document.get_line(bottom))))

    def _replace_lines(self, top: int, bottom: int, text: str, moved: int) -> None:
        places = [(row + moved, column) for row, column in self.selection]
        self.replace_range((top, 0), (bottom, len(self.document.get_line(bottom))), text)
        self.selection = Selection(*(min(place, self.document.end) for place in places))

    def fits(self, text: str) -> bool:
        """Return whether a text is small enough to be edited here."""
        return not self._too_large(text)

    def go_to(self, line: int, column: int = 0) -> None:
        """Put the cursor at a line, counted from 1, and a column, from 0, and that in the middle."""
        self.move_cursor(self._visitable(line - 1, column))
        self.call_after_refresh(self.scroll_cursor_visible, center=True)

    def _visitable(self, row: int, column: int) -> Location:
        row = min(max(row, 0), self.document.line_count - 1)
        return row, min(max(column, 0), len(self.document.get_line(row)))

    def select(self, row: int, columns: Columns) -> None:
        """Select a stretch of a line, and bring it into sight."""
        self.selection = Selection((row, columns[0]), (row, columns[1]))
        self.record_cursor_width()
        self.history.checkpoint()

    def insert_newline(self) -> None:
        """Add a line at the cursor that is indented as the present one."""
        if self.held:
            self.post_message(self.Held())
            return
        row, column = min(self.selection)
        before = self.document.get_text_range((row, 0), (row, column))
        indent = before[: len(before) - len(before.lstrip(" \t"))]
        self._replace_via_keyboard("\n" + indent, *self.selection)

    async def _on_key(self, event: events.Key) -> None:
        if self.held and (event.is_printable or event.key in ("backspace", "delete", "enter")):
            event.stop()
            event.prevent_default()
            self.post_message(self.Held())
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.insert_newline()
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self._paste(event.text)
        self.focus()

    def action_paste(self) -> None:
        self._paste(self.app.clipboard)

    def _paste(self, pasted: str) -> None:
        """Put a text in the place of the selection, unless that would make all of it too large to edit."""
        pasted = pasted.replace("\r\n", "\n").replace("\r", "\n")
        start, end = sorted(self.selection)
        document = self.document
        whole = document.get_text_range(document.start, start) + pasted
        if self.held:
            self.post_message(self.Held())
        elif not self.fits(whole + document.get_text_range(end, document.end)):
            self.app.notify(_TOO_LARGE, severity="warning")
        elif not self.read_only:
            self.replace_range(start, end, pasted)

    # --- what is shown beside and over it ------------------------------------------------------------

    def show_marks(self, marks: Mapping[int, Mark]) -> None:
        """Show what was found in lines, by their numbers from 1, in place of what was shown before."""
        self._marks = {line - 1: mark for line, mark in marks.items()}
        self._redraw()

    def show_changed(self, lines: Collection[int]) -> None:
        """Show which lines, by their numbers from 1, are others than in the file."""
        self._changed = frozenset(line - 1 for line in lines)
        self._redraw()

    def show_found(self, found: Mapping[int, Sequence[Columns]]) -> None:
        """Show stretches of lines, by their rows from 0, as those that are looked for."""
        self._found = dict(found)
        self._redraw()

    def _redraw(self) -> None:
        self._line_cache.clear()
        self._forget_drawn()
        self.refresh()

    def _forget_drawn(self) -> None:
        self._sections.clear()
        self._strips.clear()

    def notify_style_update(self) -> None:
        self._forget_drawn()
        super().notify_style_update()

    def _rewrap_and_refresh_virtual_size(self) -> None:
        self._forget_drawn()
        super()._rewrap_and_refresh_virtual_size()

    # --- following changes ---------------------------------------------------------------------------

    def _set_document(self, text: str, language: str | None) -> None:
        self._marks, self._changed, self._found = {}, frozenset(), {}
        super()._set_document(text, language)
        self.show_line_numbers = not self.held
        self._follow()

    def _build_highlight_map(self) -> None:
        # The base class calls this once the text has changed, in whichever way.
        super()._build_highlight_map()
        self._follow()

    def _follow(self) -> None:
        """Move what is shown of the lines to where they are now."""
        self._forget_drawn()
        if self._colours is not None:
            self._colours.forget_places()
        before, after = self._placed, self.document.lines
        if self._marks or self._found or self._changed:
            move = Move(before, after)
            self._marks = {
                row: mark if kept else replace(mark, spans=()) for row, mark, kept in move.of(self._marks)
            }
            self._found = {row: spans for row, spans, kept in move.of(self._found) if kept}
            self._changed = {row for row, _, _ in move.of(dict.fromkeys(self._changed))}
        self._placed = list(after)
        self.revision += 1

    # --- drawing -------------------------------------------------------------------------------------

    @property
    def gutter_width(self) -> int:
        """A glyph, the number, another glyph, a blank."""
        return super().gutter_width + 1 if self.show_line_numbers else 0

    def _render_line(self, y: int) -> Strip:
        # In place of the base class's, which styles all of a line for each row that a long line has.
        place = y + self.scroll_offset.y
        places = self.wrapped_document._offset_to_line_info
        width = self.scrollable_content_region.width
        if place >= len(places):
            return Strip.blank(width, self._theme.base_style)
        row, section = places[place]
        (top, _), (bottom, _) = sorted(self.selection)
        if top <= row <= bottom:
            return self._draw(row, section, width)
        # The base class forgets all rows with every step of the cursor; those without it stay the same.
        strip = self._strips.get((row, section))
        if strip is None:
            if len(self._strips) >= _MOST_STRIPS:
                self._strips.clear()
            strip = self._strips[row, section] = self._draw(row, section, width)
        return strip

    def _draw(self, row: int, section: int, width: int) -> Strip:
        base = self._theme.base_style or self.rich_style  # the latter costs more than the rest of a row
        text = self._section(row, section)
        strip = Strip(text.render(self.app.console), text.cell_len)
        if self.show_line_numbers:
            gutter = self._gutter(row) if section == 0 else [("", " " * self.gutter_width)]
            strip = Strip.join([Strip(self._segments(gutter), self.gutter_width), strip])
        return strip.adjust_cell_length(width, base).apply_style(base)

    def _section(self, row: int, section: int) -> Text:
        """Return what one row on the screen shows of a line: its text, the selection and the cursor."""
        line = self.document.get_line(row)
        offsets = [0, *self.wrapped_document.get_offsets(row), len(line)]
        first, last = offsets[section], offsets[section + 1]
        spans: list[tuple[int, int, Style | None]] = [*self._styled(row, offsets)[section]]
        if (selected := self._selected(row, len(line))) is not None:
            spans.append((*selected, self._theme.selection_style))
        if row == self.cursor[0] and self._draw_cursor:
            spans.append((self.cursor[1], self.cursor[1] + 1, self._theme.cursor_style))
        shown = line[first:last] + (" " if last == len(line) else "")  # a place for the cursor
        text = Text(shown, end="", no_wrap=True)
        for start, end, style in spans:
            if style is not None and start < last + 1 and end > first:
                text.stylize(style, max(start - first, 0), end - first)
        if "\t" not in shown:
            return text
        tabs_before = line.count("\t", 0, first)
        return expand_text_tabs_from_widths(text, self.wrapped_document.get_tab_widths(row)[tabs_before:])

    def _styled(self, row: int, offsets: Sequence[int]) -> list[list[_Styled]]:
        """Return the styles of a line for each row on the screen that it takes."""
        known = self._sections.get(row)
        if known is None:
            known = self._sections[row] = [[] for _ in offsets[1:]]
            for span in self._line_styles(row):
                first = bisect_right(offsets, span[0], 1, len(offsets) - 1) - 1
                last = bisect_left(offsets, span[1], 1, len(offsets) - 1)
                for section in known[first:last]:
                    section.append(span)
        return known

    def _line_styles(self, row: int) -> list[_Styled]:
        if self.held:
            return []
        coloured = () if self._colours is None else self._colours.spans(self.document.lines, row)
        spans = [(first, last, self._style(name)) for first, last, name in coloured]
        if (mark := self._marks.get(row)) is not None:
            style = self._style(mark.severity.name.lower()) + Style(underline=True)
            spans += [(*columns, style) for columns in mark.spans]
        return spans + [(*columns, self._style("found")) for columns in self._found.get(row, ())]

    def _selected(self, row: int, length: int) -> Columns | None:
        """Return the stretch of a line that is selected; one behind its last letter where its end is, too."""
        (top, left), (bottom, right) = sorted(self.selection)
        if not top <= row <= bottom or (top, left) == (bottom, right):
            return None
        return (left if row == top else 0), (right if row == bottom else length + 1)

    def _style(self, name: str) -> Style:
        return part_style(self, f"code--{name}")

    def _segments(self, gutter: list[tuple[str, str]]) -> list[Segment]:
        return [Segment(text, self._style(name) if name else None) for name, text in gutter]

    def _gutter(self, row: int) -> list[tuple[str, str]]:
        """Return the styles and texts of a line's gutter."""
        mark = self._marks.get(row)
        number = f"{row + 1:>{self.gutter_width - 3}}"
        return [
            ("", " ") if mark is None else (mark.severity.name.lower(), mark.severity.value),
            ("here" if row == self.cursor[0] else "number", number),
            ("changed", "·") if row in self._changed else ("", " "),
            ("", " "),
        ]
