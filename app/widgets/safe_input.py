"""A one-line input that keeps what is typed and shows it through the gate."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.widgets import Input

from app.safe_text import visible

_MOST = 2_000
_LINE_ENDS = re.compile(r"[\r\n]+")


class SafeInput(Input):
    """An input for untrusted text: a pasted escape sequence is a row of glyphs, and pasted lines are one."""

    def __init__(self, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, compact=True, max_length=_MOST)
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(visible(self.value, keep_newlines=False), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(visible(self.value[:position], keep_newlines=False))

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self._paste(event.text)

    def action_paste(self) -> None:
        self._paste(self.app.clipboard)

    def _paste(self, pasted: str) -> None:
        """Insert lines with blanks between them, as far as there is room."""
        line = _LINE_ENDS.sub(" ", pasted.strip("\r\n"))
        room = _MOST - len(self.value) + len(self.selected_text)
        if len(line) > room:
            self.app.notify(f"What was pasted was cut: {_MOST:,} characters fit here.", severity="warning")
        self.replace(line[:room], *self.selection)
