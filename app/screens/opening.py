"""The first frame: drawn before anything that takes time to load, and gone as soon as that is there."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static


class OpeningScreen(Screen[None]):
    """Shows the name, and keeps what is typed meanwhile."""

    DEFAULT_CSS = """
    OpeningScreen Static { height: 1; padding: 0 1; background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.typed: list[events.Key | events.Paste] = []

    def compose(self) -> ComposeResult:
        yield Static(Content.styled("Wizard101", "bold $text-primary"))

    def on_key(self, event: events.Key) -> None:
        self.typed.append(event)

    def on_paste(self, event: events.Paste) -> None:
        self.typed.append(event)
