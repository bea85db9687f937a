"""Text that grows, as rows of one width: what was wrapped stays, only the last row is wrapped anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from textual._wrap import compute_wrap_offsets

_TAB = 4
_NARROWEST = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``style`` is Textual markup's, "" for none."""

    text: str
    style: str = ""


@dataclass(slots=True)
class _Paragraph:
    style: str
    pieces: list[str] = field(default_factory=list)


class Flow:
    """Paragraphs, written one after the other. The text must have been made visible.

    Blank lines are left out. Every paragraph is kept twice: as it was given, for another width, and as rows
    of the present one.
    """

    def __init__(self, width: int) -> None:
        self.rows: list[Row] = []
        self._width = max(width, _NARROWEST)
        self._paragraphs: list[_Paragraph] = []
        self._open = False
        self._lead = ""

    def write(self, text: str, style: str = "") -> None:
        """Append to the paragraph that is being written; a newline ends it."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self._end()
            self._add(line, style)

    def add(self, text: str, style: str = "") -> None:
        """Append whole paragraphs."""
        self._end()
        self.write(text, style)
        self._end()

    def fit(self, width: int) -> None:
        """Wrap everything anew if ``width`` is another one."""
        width = max(width, _NARROWEST)
        if width == self._width:
            return
        self._width = width
        self.rows = []
        for paragraph in self._paragraphs:
            self._wrap("".join(paragraph.pieces), paragraph.style)

    def _end(self) -> None:
        self._open = False
        self._lead = ""

    def _add(self, text: str, style: str) -> None:
        if self._open and text:
            # Greedy wrapping leaves the rows above the last one as they are.
            paragraph = self._paragraphs[-1]
            paragraph.pieces.append(text)
            self._wrap(self.rows.pop().text + text, paragraph.style)
        elif text.strip():
            self._open = True
            self._paragraphs.append(_Paragraph(style, [self._lead + text]))
            self._wrap(self._lead + text, style)
        else:
            self._lead += text

    def _wrap(self, text: str, style: str) -> None:
        bounds = [0, *compute_wrap_offsets(text, self._width, _TAB), len(text)]
        self.rows += [Row(text[a:b], style) for a, b in pairwise(bounds)]
