"""What a person adds to a run: its note and its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line
from app.widgets.bars import KeyBar
from app.widgets.safe_editor import SafeEditor
from app.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from app.wizard import WizardApp

_NAME = 50


class NoteScreen(ModalScreen[str | None]):
    """Gives the note as it was left, or None if it is to stay as it was."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.NOTE)]
    HELP_PLACES = (Where.NOTE, Where.EVERYWHERE)
    AUTO_FOCUS = "#note"

    def __init__(self, run: str, note: str) -> None:
        super().__init__()
        self._run = run
        self._note = note
        self._editor = SafeEditor("", id="note", placeholder="What is worth remembering about this run")
        self._key_bar = KeyBar()
        self._warned = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog note") as dialog:
            dialog.border_title = Content(f"Note of {one_line(self._run, _NAME)}")
            yield self._editor
            yield self._key_bar

    def on_mount(self) -> None:
        self._editor.value = self._note
        self._editor.move_cursor(self._editor.document.end)
        self._key_bar.show(actions(Where.NOTE))

    def do_save_note(self) -> None:
        self.dismiss(self._editor.value)

    def do_close(self) -> None:
        """Leave the note as it was; where that loses something, only when asked twice."""
        if self._editor.value == self._note or self._warned:
            self.dismiss(None)
            return
        self._warned = True
        self.app.notify(
            "What you wrote is not saved. esc again drops it, ctrl+s saves it.", severity="warning"
        )

    @on(SafeEditor.Changed)
    def _written(self) -> None:
        self._warned = False

    @on(SafeEditor.Held)
    def _held(self) -> None:
        self.app.notify("Too large to edit here. Backspace clears it.")


class TagsScreen(ModalScreen[list[str] | None]):
    """Gives the tags as they were left, or None if they are to stay as they were."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.TAGS)]
    HELP_PLACES = (Where.TAGS, Where.EVERYWHERE)
    AUTO_FOCUS = "#tags"

    def __init__(self, run: str, tags: tuple[str, ...]) -> None:
        super().__init__()
        self._run = run
        self._input = SafeInput(id="tags", placeholder="Tags, with commas between them")
        self._input.select_on_focus = False  # what is typed is a tag more
        self._former = ", ".join(tags)
        self._input.value = self._former
        self._key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(f"Tags of {one_line(self._run, _NAME)}")
            yield self._input
            yield Static(
                Content.styled(
                    "Commas between them. A filter finds them: tag:NAME, with - for blanks", "$text-muted"
                )
            )
            yield self._key_bar

    def on_mount(self) -> None:
        self._input.cursor_position = len(self._former)
        self._key_bar.show(actions(Where.TAGS))

    def do_save_tags(self) -> None:
        if self._input.value == self._former:  # a tag may have a comma in it
            self.dismiss(None)
            return
        tags = (tag.strip() for tag in self._input.value.split(","))
        self.dismiss(list(dict.fromkeys(tag for tag in tags if tag)))

    def do_close(self) -> None:
        self.dismiss(None)

    @on(SafeInput.Submitted)
    def _entered(self) -> None:
        cast("WizardApp", self.app).act("save_tags")
