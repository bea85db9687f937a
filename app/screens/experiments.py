"""The experiments pane: every run there is."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from app.actions import Where, actions
from app.widgets.bars import KeyBar, TopBar


class ExperimentsScreen(Screen[None]):
    """Shows the runs of the past."""

    HELP_PLACES = (Where.EVERYWHERE,)

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("experiments")
        self.body = Static(Content.styled("No runs yet.", "$text-muted"), id="body")
        self.key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.body
        yield self.key_bar

    def on_mount(self) -> None:
        self.body.styles.height = "1fr"
        self.key_bar.show(actions(Where.EVERYWHERE))
