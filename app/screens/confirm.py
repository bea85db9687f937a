"""A question before something is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line, visible
from app.widgets.bars import KeyBar
from app.widgets.pick_list import PickList

if TYPE_CHECKING:
    from app.wizard import WizardApp

_TITLE = 60
_SAYS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, the letter that gives it, and what it ``means`` in a sentence."""

    letter: str
    says: str
    means: str = ""


class ConfirmScreen(ModalScreen[str | None]):
    """Gives the letter of the answer chosen, or None: then nothing is to happen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CONFIRM),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    HELP_PLACES = (Where.CONFIRM, Where.EVERYWHERE)

    def __init__(self, question: str, told: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._question = question
        self._told = told
        self._answers = answers
        self._list = PickList(id="answers")
        self._key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(one_line(self._question, _TITLE))
            yield Static(Content(visible(self._told)), id="told-first")
            yield self._list
            yield self._key_bar

    def on_mount(self) -> None:
        self._key_bar.show(actions(Where.CONFIRM))
        self._list.styles.height = len(self._answers)
        self._list.show([_row(answer) for answer in self._answers])

    def on_key(self, event: events.Key) -> None:
        if any(answer.letter == event.key for answer in self._answers):
            event.stop()
            self.dismiss(event.key)

    def do_answer(self) -> None:
        self.dismiss(self._answers[self._list.chosen].letter)

    def do_close(self) -> None:
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        self._list.move(by)

    @on(PickList.Picked)
    def _picked(self) -> None:
        cast("WizardApp", self.app).act("answer")


def _row(answer: Answer) -> Content:
    return Content.assemble(
        (f" {answer.letter}  ", "bold $text-accent"),
        (one_line(answer.says, _SAYS), "bold"),
        (f"  {one_line(answer.means, _SAYS)}" if answer.means else "", "$text-muted"),
    )
