"""A view that text is appended to: only what is new is wrapped, and only what is in sight is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual._wrap import compute_wrap_offsets
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from app.safe_text import visible

_SPLIT_AFTER = 4_000
_TAB = 4
_LEAD = re.compile(r"!? *(?:(?:\d+|[▲▼·→ⓘ]) )?")


class StreamView(ScrollView, can_focus=True):
    """Paragraphs, appended to. What is written is followed to its end, unless one has scrolled away.

    Every paragraph is kept twice: as it was given, for another width, and as rows of the present one.
    """

    def __init__(self, *, id: str | None = None, empty: str = "") -> None:
        super().__init__(id=id)
        self._empty = empty
        self._paragraphs: list[Content] = []
        self._indents: list[int] = []
        self._rows: list[Content] = []
        self._last_row_at = 0
        self._open: str | None = None
        self._width = 0
        self._strips: dict[int, Strip] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._paragraphs.clear()
        self._indents.clear()
        self._rows.clear()
        self._open = None
        self._strips.clear()
        self._show(to_end=False)
        self.scroll_to(y=0, animate=False)

    def add(self, paragraphs: Iterable[Content]) -> None:
        """Append finished paragraphs, whose text has been made visible. Their rows keep their indent."""
        self._open = None
        for paragraph in paragraphs:
            self._paragraphs.append(paragraph)
            self._indents.append(_indent(paragraph.plain))
            self._rows += self._wrapped(paragraph, self._indents[-1])[0]
        self._show(to_end=False)

    def keep_last(self, most: int, instead: Content) -> None:
        """Let go of all but the last paragraphs, with ``instead`` before them. What is in sight stays."""
        gone = len(self._paragraphs) - most
        if gone <= 0:
            return
        paragraphs = zip(self._paragraphs[:gone], self._indents[:gone], strict=True)
        rows = sum(len(self._wrapped(paragraph, indent)[0]) for paragraph, indent in paragraphs)
        lead = self._wrapped(instead)[0]
        self._paragraphs[:gone], self._indents[:gone], self._rows[:rows] = [instead], [0], lead
        self._strips.clear()
        top = self.scroll_offset.y - rows + len(lead)
        self._show(to_end=False)
        self.scroll_to(y=max(top, 0), animate=False)

    def write(self, text: str, style: str = "") -> None:
        """Append untrusted text to the paragraph that is being written in this style, or to a new one."""
        following = self._follows()
        first, *others = visible(text).split("\n")
        if self._open != style:
            self._open = style
            self._begin(first, style)
        else:
            self._extend(first, style)
        for line in others:
            self._begin(line, style)
        self._show(following)

    def _begin(self, text: str, style: str) -> None:
        self._paragraphs.append(Content.styled(text, style))
        self._indents.append(0)
        self._last_row_at = 0
        self._rows.append(Content(""))
        self._wrap_last(style)

    def _extend(self, text: str, style: str) -> None:
        whole = self._paragraphs[-1].plain
        if len(whole) > _SPLIT_AFTER:
            self._begin(text, style)
        elif text:
            self._paragraphs[-1] = Content.styled(whole + text, style)
            self._wrap_last(style)

    def _wrap_last(self, style: str) -> None:
        """Wrap the last paragraph from its last row on: greedy wrapping leaves the rows above as they are."""
        tail = Content.styled(self._paragraphs[-1].plain[self._last_row_at :], style)
        rows, last_row_at = self._wrapped(tail)
        self._strips.pop(len(self._rows) - 1, None)
        self._rows[-1:] = rows
        self._last_row_at += last_row_at

    def _wrapped(self, content: Content, indent: int = 0) -> tuple[list[Content], int]:
        """Return the rows of ``content``, and the offset at which the last one begins."""
        if not self._width or indent >= self._width // 2:
            return [content], 0
        offsets = compute_wrap_offsets(content.plain[indent:], self._width - indent, _TAB)
        if not offsets:
            return [content], 0
        first, *others = content.divide([indent + offset for offset in offsets])
        return [first, *(row.pad_left(indent) for row in others)], indent + offsets[-1]

    def _follows(self) -> bool:
        return self.scroll_offset.y >= self.max_scroll_y - 1

    def _show(self, to_end: bool) -> None:
        self.virtual_size = Size(self._width, len(self._rows))
        if to_end:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        self.refresh()

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if width == self._width:
            return
        following = self._follows()
        self._width = width
        self._strips.clear()
        self._rows = []
        for paragraph, indent in zip(self._paragraphs, self._indents, strict=True):
            rows, self._last_row_at = self._wrapped(paragraph, indent)
            self._rows += rows
        self._show(following)

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        if not self._rows and self._empty and y == 0:
            return self._strip(Content.styled(self._empty, "$text-muted"), base, width)
        if index >= len(self._rows):
            return Strip.blank(width, base.rich_style)
        if (strip := self._strips.get(index)) is None:
            strip = self._strips[index] = self._strip(self._rows[index], base, width)
        return strip

    def _strip(self, row: Content, base: Style, width: int) -> Strip:
        segments = row.truncate(width).render_segments(base)
        return Strip(segments).adjust_cell_length(width, base.rich_style)


def _indent(text: str) -> int:
    """Return where the rows after a paragraph's first begin: below its text, past its number or sign."""
    lead = _LEAD.match(text)
    return lead.end() if lead else 0
