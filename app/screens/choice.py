"""One of several: a list to choose from, narrowed down by typing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from app.actions import Where, actions, bindings
from app.safe_text import one_line
from app.widgets.bars import KeyBar
from app.widgets.pick_list import PickList
from app.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from app.wizard import WizardApp

_LONG = 300


class ChoiceScreen(ModalScreen[int | None]):
    """Gives the index of the option chosen, which may be any text, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CHOICE),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]
    HELP_PLACES = (Where.CHOICE, Where.EVERYWHERE)
    AUTO_FOCUS = "#words"

    def __init__(self, title: str, options: Sequence[str], present: int = 0) -> None:
        super().__init__()
        self._title = title
        self._options = options
        self._matching = list(range(len(options)))
        self._words = SafeInput(id="words", placeholder="Type to narrow it down")
        self._list = PickList(id="options")
        self._list.chosen = present
        self._key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            yield self._words
            yield self._list
            yield self._key_bar

    def on_mount(self) -> None:
        self._key_bar.show(actions(Where.CHOICE))
        self._list.styles.height = min(len(self._options), 16)
        self._show()
        self.call_after_refresh(self._list.move, 0)

    def _show(self) -> None:
        rows = [Content(one_line(self._options[index], _LONG)) for index in self._matching]
        self._list.show(rows, remark="None of them.")

    @on(SafeInput.Changed)
    def _typed(self) -> None:
        words = self._words.value.casefold().split()
        self._matching = [
            index
            for index, option in enumerate(self._options)
            if all(word in option.casefold() for word in words)
        ]
        self._list.chosen = 0
        self._show()

    def do_choose(self) -> None:
        self.dismiss(self._matching[self._list.chosen])

    def do_close(self) -> None:
        self.dismiss(None)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        return "There is nothing to choose." if name == "choose" and not self._matching else None

    def action_move(self, by: int) -> None:
        self._list.move(by)

    @on(SafeInput.Submitted)
    @on(PickList.Picked)
    def _picked(self) -> None:
        cast("WizardApp", self.app).act("choose")
