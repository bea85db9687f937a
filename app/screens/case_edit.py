"""One case of a policy: written anew, or changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line
from app.widgets.bars import KeyBar
from app.widgets.form_fields import FormField
from app.widgets.safe_editor import SafeEditor
from app.widgets.safe_input import SafeInput
from engine.cases import Case
from engine.policies.load import PolicyCase

if TYPE_CHECKING:
    from app.wizard import WizardApp

VERDICTS = ("violation", "safe")
WRITTEN_HERE = "written in the workbench"
"""The source of a case that says none."""

_TITLE = 70
_LANGUAGE = re.compile(r"[a-z]{2}")
_TEXTS = "A prompt, a response to it, or both. They are kept to the letter."


class CaseEditScreen(ModalScreen[PolicyCase | None]):
    """Gives the case as it was left, or None. Whether the policy has it already is for the caller to see."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CASE),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    HELP_PLACES = (Where.CASE, Where.EVERYWHERE)
    AUTO_FOCUS = "#case-prompt"

    def __init__(self, like: PolicyCase | None, *, title: str) -> None:
        super().__init__()
        self._title = title
        self._like = like
        self._prompt = SafeEditor("Prompt", id="case-prompt", placeholder="What the user asks")
        self._response = SafeEditor("Response", id="case-response", placeholder="None: only a prompt")
        self._told = Static(id="case-told")
        self._verdict = FormField(
            "expected",
            "Expected",
            "What the policy should say of it",
            value=VERDICTS[0 if like is None or like.violation else 1],
            choices=VERDICTS,
        )
        self._reason = self._line(
            "reason", "Reason", "Why, in a sentence: V1: names the target.", required=True
        )
        self._language = self._line("language", "Language", "Two letters, as en or de", required=True)
        self._source = self._line("source", "Source", f"Where it is from; if nowhere: {WRITTEN_HERE}")
        self._key_bar = KeyBar()
        self._begun: tuple[str, ...] = ()
        self._warned = False

    def _line(self, key: str, title: str, description: str, *, required: bool = False) -> FormField:
        value = "en" if key == "language" else ""
        if self._like is not None:
            value = getattr(self._like, key)
        return FormField(key, title, description, value=value, required=required)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog case") as dialog:
            dialog.border_title = Content(one_line(self._title, _TITLE))
            with VerticalScroll(id="case-form", can_focus=False):
                yield self._prompt
                yield self._response
                yield self._told
                yield self._verdict
                yield self._reason
                yield self._language
                yield self._source
            yield self._key_bar

    def on_mount(self) -> None:
        if self._like is not None:
            self._prompt.value = self._like.case.prompt
            self._response.value = self._like.case.response or ""
        self._begun = self._answers
        self._tell("")
        self._key_bar.show(actions(Where.CASE))

    @property
    def _answers(self) -> tuple[str, ...]:
        fields = (self._verdict, self._reason, self._language, self._source)
        return (self._prompt.value, self._response.value, *(field.value for field in fields))

    @property
    def _case(self) -> Case:
        """What is in the editors. An empty response is none, unless it was one already."""
        response = self._response.value
        was_empty = self._like is not None and self._like.case.response == ""
        return Case(self._prompt.value, response if response or was_empty else None)

    def do_save_case(self) -> None:
        """Give the case back; where something is missing, go there."""
        language = self._language.value.strip().lower()
        no_text = not (self._prompt.value.strip() or self._response.value.strip())
        no_reason = not self._reason.value.strip()
        no_language = _LANGUAGE.fullmatch(language) is None
        self._tell("There is no text yet: write a prompt, or a response." if no_text else "")
        self._reason.tell("is missing: why should the policy say so?" if no_reason else "")
        self._language.tell("is no language: two letters, as en or de" if no_language else "")
        if no_text:
            self._prompt.focus()
        elif no_reason:
            self._reason.asked.focus()
        elif no_language:
            self._language.asked.focus()
        else:
            source = self._source.value.strip() or WRITTEN_HERE
            violation = self._verdict.value == VERDICTS[0]
            self.dismiss(PolicyCase(self._case, violation, self._reason.value.strip(), language, source))

    def do_close(self) -> None:
        """Leave; where that loses something, only when asked twice."""
        if self._warned or self._answers == self._begun:
            self.dismiss(None)
            return
        self._warned = True
        self.app.notify(
            "What you wrote is not saved. esc again drops it, ctrl+s saves it.", severity="warning"
        )

    def _tell(self, fault: str) -> None:
        said = (
            Content.styled(f"! {fault}", "$text-warning") if fault else Content.styled(_TEXTS, "$text-muted")
        )
        self._told.update(said)

    @on(SafeEditor.Changed)
    @on(FormField.Changed)
    def _written(self) -> None:
        self._warned = False

    @on(SafeEditor.Held)
    def _held(self) -> None:
        self.app.notify("Too large to edit here. Backspace clears it.")

    @on(SafeInput.Submitted)
    def _entered(self, event: SafeInput.Submitted) -> None:
        event.stop()
        cast("WizardApp", self.app).act("save_case")
