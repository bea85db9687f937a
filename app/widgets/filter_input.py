"""Words that narrow the list below them."""

from __future__ import annotations

from textual import on
from textual.message import Message
from textual.timer import Timer

from app.widgets.safe_input import SafeInput

_TYPING_S = 0.15


class FilterInput(SafeInput):
    """An input that is in sight only while it is typed in, or narrows the list."""

    class Asked(Message):
        """Other words are there, and typing rests."""

    class Left(Message):
        """Typing is over: the list has its turn again."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(id="filter", placeholder=placeholder)
        self._typing: Timer | None = None

    def on_mount(self) -> None:
        self.display = False

    def open(self) -> None:
        """Have words typed in."""
        self.display = True
        self.screen.set_focus(self)  # at once: what is typed right after is text, and no command

    def close(self) -> None:
        """Narrow nothing any more."""
        self.display = False
        self.value = ""
        self.post_message(self.Left())

    @on(SafeInput.Changed)
    def _typed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_TYPING_S, lambda: self.post_message(self.Asked()))

    @on(SafeInput.Submitted)
    def _entered(self) -> None:
        self.display = bool(self.value)
        self.post_message(self.Left())
