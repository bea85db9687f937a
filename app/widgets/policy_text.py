"""The editor of one of a policy's files, in the policies pane."""

from __future__ import annotations

from textual import events
from textual.message import Message

from app.actions import Where, keys_of
from app.widgets.code_editor import CodeEditor

_KEYS = keys_of(Where.POLICIES)


class PolicyText(CodeEditor):
    """The editor of one file; the keys of the pane reach the pane."""

    HELD_FATE = "kept in full"

    class Asked(Message):
        """A key asks for an action of the registry."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    async def _on_key(self, event: events.Key) -> None:
        if event.key in _KEYS:
            event.stop()
            event.prevent_default()
            self.post_message(self.Asked(_KEYS[event.key]))
