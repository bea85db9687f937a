"""The document behind the editors: keeps text exactly as it came, and shows it through the gate."""

from __future__ import annotations

from typing import overload

from rich.cells import cell_len
from textual.document._document import DocumentBase, EditResult, Location
from textual.geometry import Size

from app.safe_text import visible


class SafeDocument(DocumentBase):
    """Lines end at newlines only, so that no other character is lost or turned into one.

    Whatever asks for a line gets what may be shown, one glyph per code point; `text` and
    `get_text_range` give what was put in.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._shown = [_shown(line) for line in self._lines]
        self._text: str | None = text

    @property
    def text(self) -> str:
        if self._text is None:  # an editor asks for it with every row that it draws
            self._text = "\n".join(self._lines)
        return self._text

    @property
    def newline(self) -> str:  # type: ignore[override]
        return "\n"

    @property
    def lines(self) -> list[str]:
        return self._shown

    def get_line(self, index: int) -> str:
        return self._shown[index]

    def get_text_range(self, start: Location, end: Location) -> str:
        (top, left), (bottom, right) = sorted((start, end))
        if top == bottom:
            return self._lines[top][left:right]
        last = self._lines[bottom][:right] if bottom < len(self._lines) else ""
        return "\n".join([self._lines[top][left:], *self._lines[top + 1 : bottom], last])

    def get_size(self, indent_width: int) -> Size:
        width = max(cell_len(line.expandtabs(indent_width)) for line in self._shown)
        return Size(width, len(self._shown))

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        (top, left), (bottom, right) = sorted((start, end))
        replaced = self.get_text_range(start, end)
        self._text = None
        before = self._lines[top][:left] if top < len(self._lines) else ""
        after = self._lines[bottom][right:] if bottom < len(self._lines) else ""
        inserted = text.split("\n")
        inserted[0] = before + inserted[0]
        end_location = (top + len(inserted) - 1, len(inserted[-1]))
        inserted[-1] += after
        self._lines[top : bottom + 1] = inserted
        self._shown[top : bottom + 1] = [_shown(line) for line in inserted]
        return EditResult(end_location, replaced)

    @property
    def line_count(self) -> int:
        return len(self._lines)

    @property
    def start(self) -> Location:
        return (0, 0)

    @property
    def end(self) -> Location:
        return (len(self._lines) - 1, len(self._lines[-1]))

    @overload
    def __getitem__(self, line_index: int) -> str: ...

    @overload
    def __getitem__(self, line_index: slice) -> list[str]: ...

    def __getitem__(self, line_index: int | slice) -> str | list[str]:
        return self._shown[line_index]


def _shown(line: str) -> str:
    return visible(line, keep_tabs=True)
