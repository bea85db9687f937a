"""A one-line input that keeps what is typed and shows it through the gate."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Input

from app.safe_text import visible

_MOST = 2_000


class SafeInput(Input):
    """An input for untrusted text: a pasted escape sequence is a row of glyphs."""

    def __init__(self, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, compact=True, max_length=_MOST)
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(visible(self.value, keep_newlines=False), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(visible(self.value[:position], keep_newlines=False))
