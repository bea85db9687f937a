"""A multi-line editor for untrusted text: kept to the letter, and shown through the gate."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from app.widgets.safe_document import SafeDocument

EDITABLE_TEXT = 100_000
EDITABLE_LINE = 20_000
_SHOWN_HEAD = 1_200
_SHOWN_TAIL = 400


class SafeEditor(TextArea):
    """A multi-line editor. `value` is the text as it came, whatever is on screen.

    A text too large for a comfortable editor is held: its beginning and end are shown, all of it is the
    value, and it can be replaced or cleared but not edited.
    """

    HELD_FATE = "kept in full"
    """What becomes of a text that is held."""

    MOST_TEXT: ClassVar[int] = EDITABLE_TEXT
    """The most characters that are edited here."""

    class Held(Message):
        """A key was pressed that would edit a held text."""

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        self._held: str | None = None
        self._title = title
        super().__init__(id=id, compact=True, highlight_cursor_line=False, placeholder=Content(placeholder))
        self.cursor_blink = False
        self.match_cursor_bracket = False
        self.border_title = title

    @property
    def value(self) -> str:
        return self.document.text if self._held is None else self._held

    @value.setter
    def value(self, text: str) -> None:
        self._held = text if self._too_large(text) else None
        self.read_only = self._held is not None
        size = "" if self._held is None else f" · {len(text):,} characters, shown in part, {self.HELD_FATE}"
        self.border_title = self._title + size
        self.load_text(text if self._held is None else _elided(text))

    @property
    def held(self) -> bool:
        """Whether the text is too large to edit."""
        return self._held is not None

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document("", None)
        self.document = SafeDocument(text)
        self.wrapped_document = type(self.wrapped_document)(self.document, tab_width=self.indent_width)
        self.navigator = type(self.navigator)(self.wrapped_document)
        self._rewrap_and_refresh_virtual_size()

    def _recompute_cursor_offset(self) -> None:
        # An edit is undone before the cursor is put back: it may be below the last line for that long.
        row, column = self.cursor_location
        self._cursor_offset = self.wrapped_document.location_to_offset(
            (row, column) if row < self.document.line_count else self.document.end
        )

    def insert_newline(self) -> None:
        """Add a line at the cursor."""
        if self.held:
            self.post_message(self.Held())
            return
        self._replace_via_keyboard("\n", *self.selection)

    async def _on_key(self, event: events.Key) -> None:
        if self.held:
            if event.key in ("backspace", "delete"):
                event.stop()
                event.prevent_default()
                self.value = ""
            elif event.is_printable:
                event.stop()
                event.prevent_default()
                self.post_message(self.Held())
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        pasted = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if self.held:
            self.post_message(self.Held())
            return
        if self._too_large(pasted) or len(pasted) + len(self.document.text) > self.MOST_TEXT:
            before = self.document.get_text_range(self.document.start, min(self.selection))
            after = self.document.get_text_range(max(self.selection), self.document.end)
            self.value = before + pasted + after
        else:
            result = self._replace_via_keyboard(pasted, *self.selection)
            if result is not None:
                self.move_cursor(result.end_location)
            if self._too_large(self.document.text):
                self.value = self.document.text
        self.focus()

    def _too_large(self, text: str) -> bool:
        if len(text) <= EDITABLE_LINE:
            return False
        return len(text) > self.MOST_TEXT or max(map(len, text.split("\n"))) > EDITABLE_LINE


def _elided(text: str) -> str:
    left_out = len(text) - _SHOWN_HEAD - _SHOWN_TAIL
    head, tail = text[:_SHOWN_HEAD], text[-_SHOWN_TAIL:]
    return f"{head}\n⋯ {left_out:,} characters are not shown ⋯\n{tail}"
