"""The form for a new job, made from what its kind takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.job_board import JobBoard
from app.job_form import Question, answers_of, does, fill, kind_question, missing, questions
from app.paths import PathSuggester
from app.safe_text import one_line
from app.widgets.bars import KeyBar
from app.widgets.form_fields import FormField
from app.widgets.safe_input import SafeInput
from engine.jobs.records import Estimate, JobError, JobSpec
from engine.tracker.figures import duration_words

if TYPE_CHECKING:
    from app.wizard import WizardApp

_TYPING_S = 0.3
_SAYS = 300


class _Form(VerticalScroll, inherit_bindings=False):
    """The fields: "down" goes to the next one, where a container would scroll."""


class NewJobScreen(ModalScreen[int | None]):
    """Gives the number of the job that was queued, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.NEW_JOB),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    HELP_PLACES = (Where.NEW_JOB, Where.EVERYWHERE)
    AUTO_FOCUS = ""

    def __init__(self, reader: JobBoard, like: JobSpec | None = None, like_id: int | None = None) -> None:
        super().__init__()
        self._reader = reader
        self._like_id = like_id
        defaults = {"cwd": str(Path.cwd())}
        self._answers: dict[str, str] = answers_of(like) if like is not None else defaults
        self._begun = dict(self._answers)
        self._fields: dict[str, FormField] = {}
        self._spec: JobSpec | None = None
        self._faults: Mapping[str, str] = {}
        self._touched: set[str] = set()
        self._form = _Form(id="form", can_focus=False)
        self._outlook = Static(id="outlook")
        self._key_bar = KeyBar()
        self._typing: Timer | None = None
        self._warned = False
        self._queueing = False

    @property
    def wizard(self) -> WizardApp:
        return cast("WizardApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog form") as dialog:
            anew = f": {self._like_id} anew, changed" if self._like_id is not None else ""
            dialog.border_title = f"New job{anew}"
            yield self._form
            yield self._outlook
            yield self._key_bar

    async def on_mount(self) -> None:
        await self._ask(kind_question(), first=True)
        await self._ask_about_kind()
        first = "kind" if self._like_id is None else next(iter(questions(self._kind))).key
        self._fields[first].asked.focus()

    # --- the fields ----------------------------------------------------------------------------------

    @property
    def _kind(self) -> str:
        return self._fields["kind"].value

    async def _ask(self, question: Question, *, first: bool = False) -> None:
        field = FormField(
            question.key,
            question.title,
            question.description,
            value=self._answers.get(question.key, question.default),
            required=question.required and not first,
            choices=question.choices,
        )
        if question.sort in ("file", "folder") and field.input is not None:
            here = question.key == "cwd"
            field.input.suggester = PathSuggester(lambda: "/" if here else self._answer("cwd"))
        self._fields[question.key] = field
        await self._form.mount(field)
        self._begun.setdefault(question.key, field.value)

    def _answer(self, key: str) -> str:
        return self._fields[key].value if key in self._fields else ""

    async def _ask_about_kind(self) -> None:
        """Have the fields of the kind chosen, in place of those of another; answers in common are kept."""
        self._keep_answers()
        gone = [key for key in self._fields if key != "kind"]
        async with self.batch():
            for key in gone:
                await self._fields.pop(key).remove()
            for question in questions(self._kind):
                await self._ask(question)
        self._fields["kind"].describe(does(self._kind))
        self._show_keys()
        self._check()

    def _keep_answers(self) -> None:
        self._answers |= {key: field.value for key, field in self._fields.items()}

    @on(FormField.Changed)
    async def _changed(self, event: FormField.Changed) -> None:
        self._warned = False
        self._touched.add(event.field.key)
        if event.field.key == "kind":
            await self._ask_about_kind()
        else:
            self._check()

    # --- checking ------------------------------------------------------------------------------------

    def _check(self) -> None:
        """See what the answers make, and say what is wrong; ask what it would take once one pauses."""
        filled = fill(self._kind, {key: field.value for key, field in self._fields.items()})
        self._spec = filled.spec
        self._tell(filled.faults)
        if self._typing is not None:
            self._typing.stop()
        if filled.spec is None:
            said = filled.faults.get("") or "Fill in what is marked to see what it would take."
            self._say(f"! {said}" if "" in filled.faults else said, bad="" in filled.faults)
        else:
            self._say("…")
            self._typing = self.set_timer(_TYPING_S, self._look_ahead)

    def _tell(self, faults: Mapping[str, str], *, all_of_them: bool = False) -> None:
        """Say at each field what is wrong; that one is missing, only once one was there."""
        self._faults = faults
        for key, field in self._fields.items():
            fault = faults.get(key, "")
            early = fault == "is missing" and key not in self._touched and not all_of_them
            field.tell("" if early else fault)

    def _say(self, text: str, *, bad: bool = False) -> None:
        style = "bold $text-warning" if bad else "$text-muted"
        self._outlook.update(Content.styled(one_line(text, _SAYS), style))

    def _look_ahead(self) -> None:
        spec = self._spec
        if spec is not None:
            self.run_worker(self._estimate(spec), group="estimate", exclusive=True)

    async def _estimate(self, spec: JobSpec) -> None:
        """Look for files, and ask what the job would take."""
        reader = self._reader
        try:
            gone = await self.wizard.records.ask(lambda _: missing(spec))
            if not gone:
                estimate = await self.wizard.records.ask(lambda store: reader.estimate(store, spec))
        except Exception as error:
            self._say(f"! {error}", bad=True)
            return
        if spec is not self._spec:
            return
        if gone:
            self._tell(gone)
            self._say(
                "! " + "; ".join(f"{self._fields[key].title}: {what}" for key, what in gone.items()), bad=True
            )
        elif isinstance(estimate, JobError):
            self._say(f"! {estimate}", bad=True)
        else:
            self._say(" · ".join(_outlook(estimate)), bad=bool(estimate.warnings))

    # --- queueing ------------------------------------------------------------------------------------

    def do_queue_job(self) -> None:
        """Queue it; where something is wrong, go there."""
        spec = self._spec
        if spec is None:
            self._tell(self._faults, all_of_them=True)
            wrong = next((key for key in self._fields if key in self._faults), None)
            if wrong is not None:
                self._fields[wrong].asked.focus()
                self._say(f"! {self._fields[wrong].title}: {self._faults[wrong]}", bad=True)
        elif not self._queueing:
            self._queueing = True
            self.run_worker(self._queue(spec))

    async def _queue(self, spec: JobSpec) -> None:
        reader, like = self._reader, self._like_id
        try:
            done = await self.wizard.records.ask(
                lambda store: reader.do(store, lambda jobs: jobs.add(spec, retry_of=like))
            )
        except Exception as error:
            self._say(f"! {error}", bad=True)
        else:
            if isinstance(done, JobError):
                self._say(f"! {done}", bad=True)
            else:
                self.dismiss(done)
        finally:
            self._queueing = False

    @on(SafeInput.Submitted)
    def _entered(self, event: SafeInput.Submitted) -> None:
        event.stop()
        self.wizard.act("queue_job")

    def do_close(self) -> None:
        """Leave; where that loses something, only when asked twice."""
        self._keep_answers()
        written = {key: value for key, value in self._answers.items() if key in self._touched}
        if self._warned or all(value == self._begun.get(key, "") for key, value in written.items()):
            self.dismiss(None)
            return
        self._warned = True
        self.app.notify("What you filled in is not queued. esc again drops it.", severity="warning")

    # --- models --------------------------------------------------------------------------------------

    def do_find_model(self) -> None:
        self.run_worker(self._find_model(), group="ask", exclusive=True)

    async def _find_model(self) -> None:
        from app.screens.models import ModelScreen

        field = self._model_field
        assert field is not None
        spec = await self.app.push_screen_wait(ModelScreen(self.wizard.find_models, field.value or None))
        if spec is not None:
            field.value = spec
            field.asked.focus()

    @property
    def _model_field(self) -> FormField | None:
        """The field for a model, if the kind has one."""
        asked = (question for question in questions(self._kind) if question.sort == "model")
        return next((self._fields[question.key] for question in asked if question.key in self._fields), None)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name == "find_model" and self._model_field is None:
            return "Jobs of this kind work without a model."
        return None

    def on_descendant_focus(self) -> None:
        self._show_keys()

    def _show_keys(self) -> None:
        known = (action for action in actions(Where.NEW_JOB) if self.why_not(action.name) is None)
        self._key_bar.show(known)


def _outlook(estimate: Estimate) -> list[str]:
    """Return what a job would take, piece by piece."""
    parts = [
        estimate.work,
        f"about {duration_words(estimate.seconds)}" if estimate.seconds is not None else "",
        f"${estimate.usd:,.2f}" if estimate.usd is not None else "",
        estimate.basis,
        *(f"! {warning}" for warning in estimate.warnings),
    ]
    return [part for part in parts if part]
