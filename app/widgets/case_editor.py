"""The editors of the case: a text editor whose enter judges."""

from __future__ import annotations

from textual import events
from textual.message import Message

from app.actions import Where, keys_of
from app.widgets.safe_editor import SafeEditor

_KEYS = keys_of(Where.EDITOR)

HELD = "Too large to edit here: all of it will be judged. Backspace clears it."


class CaseEditor(SafeEditor):
    """The prompt, or the response."""

    HELD_FATE = "judged in full"

    class Asked(Message):
        """A key of this editor asks for an action of the registry."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    async def _on_key(self, event: events.Key) -> None:
        if event.key not in _KEYS:
            return
        event.stop()
        event.prevent_default()
        if _KEYS[event.key] == "newline":
            self.insert_newline()
        else:
            self.post_message(self.Asked(_KEYS[event.key]))
