"""The keys of the pane one came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings

_KEY_WIDTH = 23


class HelpScreen(ModalScreen[None]):
    """A list of keys, by where they work."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.DIALOG)]

    def __init__(self, places: Sequence[Where]) -> None:
        super().__init__()
        self._places = places

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "esc closes"
            yield Static(Content("\n\n").join([_section(place) for place in self._places]))

    def do_close(self) -> None:
        self.dismiss()

    def do_help(self) -> None:
        self.dismiss()


def _section(place: Where) -> Content:
    rows = [Content.styled(str(place), "bold $text-primary")]
    rows += [
        Content.assemble((f"  {action.all_keys:{_KEY_WIDTH}}", "bold $text-accent"), action.does)
        for action in actions(place)
    ]
    return Content("\n").join(rows)
