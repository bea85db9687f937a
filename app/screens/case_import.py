"""Cases for a policy from elsewhere: the history of probes, an evaluation's errors, a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.case_checks import Candidate, Checks
from app.case_sources import CaseSource, ProbeSource, RunErrors, file_source, finished_evaluations
from app.paths import PathSuggester
from app.safe_text import one_line, visible
from app.widgets.bars import KeyBar
from app.widgets.case_rows import case_row, run_row
from app.widgets.pick_list import PickList
from app.widgets.safe_input import SafeInput
from engine.policies.load import PolicyCase
from engine.tracker.run_records import RunSummary
from engine.workshop.imports import Errors
from engine.workspace import of_home

if TYPE_CHECKING:
    from app.wizard import WizardApp

_TYPING_S = 0.15
_TITLE = 60
_EXCERPT = 300
_PLACES = (
    ("History", "probes, newest first, expected as they were judged"),
    ("Evaluation", "errors of a run: what was found that is none, or missed"),
    ("File", "lines of a policy's cases, or with a prompt, a response and a label"),
)


class Step(Enum):
    """What is asked now."""

    PLACE = auto()
    RUN = auto()
    PATH = auto()
    CASES = auto()


class CaseImportScreen(ModalScreen[list[PolicyCase] | None]):
    """Gives the cases that were checked, or None. Texts are blurred until asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CASE_IMPORT),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]
    HELP_PLACES = (Where.CASE_IMPORT, Where.EVERYWHERE)
    AUTO_FOCUS = ""

    def __init__(self, policy: str, present: Sequence[PolicyCase]) -> None:
        super().__init__()
        self._policy = policy
        self._checks = Checks({case.case.key for case in present})
        self._words = SafeInput(id="import-words", placeholder="")
        self._list = PickList(id="import-list")
        self._about = Static(id="import-about")
        self._key_bar = KeyBar()
        self._step = Step.PLACE
        self._runs: list[RunSummary] = []
        self._run: RunErrors | None = None
        self._errors = Errors.FALSE_POSITIVES
        self._source: CaseSource | None = None
        self._path = ""
        self._fault = ""
        self._loading = False
        self._clear_text = False
        self._typing: Timer | None = None
        self._warned = False

    @property
    def wizard(self) -> WizardApp:
        return cast("WizardApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield self._words
            yield self._list
            yield self._about
            yield self._key_bar

    def on_mount(self) -> None:
        self._ask_place()

    def on_resize(self) -> None:
        if self._step is Step.CASES:
            self._show_cases()

    # --- where to look -------------------------------------------------------------------------------

    def _begin(self, step: Step, title: str, *, typed: str | None = None) -> None:
        """Ask another question; ``typed``: in an input that says this."""
        self._step = step
        self._warned = False
        self.workers.cancel_group(self, "load")
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._loading = False
        dialog = self.query_one(".dialog")
        policy, asks = one_line(self._policy, _TITLE), one_line(title, _TITLE)
        dialog.border_title = Content(f"Cases for {policy}: {asks}")
        dialog.border_subtitle = ""
        self._list.show([])
        self._list.chosen = 0
        self._list.scroll_to(y=0, animate=False)
        self._about.update("")
        self._fault = ""
        self._words.suggester = PathSuggester(lambda: str(Path.cwd())) if step is Step.PATH else None
        with self.prevent(SafeInput.Changed):
            self._words.value = self._path if step is Step.PATH else ""
        self._words.display = typed is not None
        self._words.placeholder = typed or ""
        self.set_focus(self._words if typed is not None else None)
        self._show_keys()

    def _ask_place(self) -> None:
        self._checks.forget()
        self._run = self._source = None
        self._path = ""
        self._begin(Step.PLACE, "where from?")
        self._list.show(
            [Content.assemble((f" {name:12}", "bold"), (says, "$text-muted")) for name, says in _PLACES]
        )
        self._show_keys()

    def _ask_run(self) -> None:
        self._begin(Step.RUN, "of which evaluation?")
        self._list.show([], remark="Loading…")
        self.run_worker(self._load_runs(), group="load", exclusive=True)

    async def _load_runs(self) -> None:
        try:
            self._runs = await finished_evaluations(self.wizard.records)
        except Exception as error:
            self._runs = []
            self._list.show([], remark=visible(f"! The runs cannot be read: {error}", keep_newlines=False))
        else:
            self._list.show([run_row(run) for run in self._runs], remark="No evaluation has finished yet.")
        self._show_keys()

    def _ask_path(self) -> None:
        self._begin(Step.PATH, "of which file?", typed="The file's path; right takes what is proposed")
        self._list.show([], remark="Lines with a prompt and, optionally, a response, and what is expected.")

    # --- the cases -----------------------------------------------------------------------------------

    def _list_cases(self, source: CaseSource) -> None:
        """List the cases of a place."""
        self._source = source
        self._begin(Step.CASES, source.name)
        self._load()

    def _load(self, *, more: bool = False) -> None:
        if more and (self._loading or self._source is None or self._source.complete):
            return
        self._typing = None
        self._loading = True
        if not more:
            self._list.show([], remark="Loading…")
        self.run_worker(self._load_page(more), group="load", exclusive=True)

    async def _load_page(self, more: bool) -> None:
        source, words = self._source, self._words.value
        assert source is not None
        try:
            page = await (source.more() if more else source.first(words))
        except Exception as error:
            self._loading = False
            self._fault = visible(f"! {error}", keep_newlines=False)
            self._checks.list_anew([])
            self._show_cases()
            return
        self._fault = ""
        self._loading = False
        if more:
            self._checks.list_more(page)
        else:
            self._checks.list_anew(page)
            self._list.chosen = 0
            self._list.scroll_to(y=0, animate=False)
        self._show_cases()
        if not source.complete and len(self._checks.listed) <= self._list.size.height:
            self._load(more=True)

    def _show_cases(self) -> None:
        if self._loading:
            return
        remark = self._fault or ("No case matches." if self._words.value else "There are no cases here.")
        listed = self._checks.listed
        self._list.show_each(len(listed), lambda index: self._row(listed[index]), remark=remark)
        self._show_chosen()

    def _row(self, candidate: Candidate) -> Content:
        return case_row(candidate, self._list.size.width, clear_text=self._clear_text)

    def _show_chosen(self) -> None:
        """Show how many are checked, and where the chosen one is from."""
        candidate = self._candidate
        if candidate is None:
            self._about.update("")
        else:
            there = "in the policy already · " if candidate.there else ""
            about = f"{there}{candidate.case.source} · {candidate.case.language} · {candidate.reason}"
            self._about.update(Content(one_line(about, _EXCERPT)))
        number, listed = len(self._checks.checked), len(self._checks.listed)
        more = "" if self._source is None or self._source.complete else "+"
        self.query_one(".dialog").border_subtitle = Content(f"{number:,} checked · {listed:,}{more} listed")
        self._show_keys()

    @property
    def _candidate(self) -> Candidate | None:
        listed = self._checks.listed if self._step is Step.CASES and not self._loading else []
        return listed[self._list.chosen] if self._list.chosen < len(listed) else None

    # --- actions -------------------------------------------------------------------------------------

    def do_take(self) -> None:
        """Go on to what was chosen, in the end with the cases that are checked."""
        match self._step:
            case Step.PLACE:
                (self._take_history, self._ask_run, self._ask_path)[self._list.chosen]()
            case Step.RUN:
                run = self._runs[self._list.chosen]
                records, policy = self.wizard.records, self._policy
                self._errors = Errors.FALSE_POSITIVES
                self._run = RunErrors(records, self.wizard.workspace.runs, run.id, policy)
                self._list_cases(self._run.source(self._errors))
            case Step.PATH:
                self._take_file()
            case Step.CASES:
                self.dismiss(self._checks.checked)

    def _take_history(self) -> None:
        self._list_cases(ProbeSource(self.wizard.records, self._policy))

    def _take_file(self) -> None:
        self._path = self._words.value.strip()
        self._list_cases(file_source(of_home(self._path)))

    def do_check(self) -> None:
        candidate = self._candidate
        assert candidate is not None
        candidate.toggle()
        self._changed()

    def do_check_all(self) -> None:
        self._warned = False
        self._checks.toggle_all()
        self._changed()

    def do_switch_verdict(self) -> None:
        candidate = self._candidate
        assert candidate is not None
        candidate.switch()
        self._changed()

    def _changed(self) -> None:
        self._warned = False
        self._list.refresh()
        self._show_chosen()

    def do_toggle_blur(self) -> None:
        self._clear_text = not self._clear_text
        self._show_cases()

    def do_filter_cases(self) -> None:
        self._words.placeholder = "Type to filter by words of the prompt or response"
        self._words.display = True
        self._words.focus()

    def do_other_errors(self) -> None:
        assert self._run is not None
        positives = self._errors is Errors.FALSE_POSITIVES
        self._errors = Errors.FALSE_NEGATIVES if positives else Errors.FALSE_POSITIVES
        self._list_cases(self._run.source(self._errors))

    def do_close(self) -> None:
        """Take the filter away, or go a question back; where checks are lost, only when asked twice."""
        if self._step is Step.CASES and self._words.display:
            self._words.display = False
            self.set_focus(None)
            if self._words.value:
                self._words.value = ""
        elif self._step is Step.PLACE:
            self.dismiss(None)
        elif self._checks.checked and not self._warned:
            self._warned = True
            self.app.notify(
                "What you checked is not taken over. esc again drops it, enter takes it.", severity="warning"
            )
        elif self._run is not None and self._step is Step.CASES:
            self._run = None
            self._checks.forget()
            self._ask_run()
        elif self._step is Step.CASES and self._path:
            self._checks.forget()
            self._ask_path()
        else:
            self._ask_place()

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        cases = self._step is Step.CASES
        candidate = self._candidate
        match name:
            case "take" if self._step is Step.RUN and not self._list.has_rows:
                return "There is no evaluation to choose."
            case "take" if self._step is Step.PATH and not self._words.value.strip():
                return "Type the path of a file first."
            case "take" if cases and not self._checks.checked:
                return "No case is checked: space checks one."
            case "check" | "check_all" | "switch_verdict" if candidate is None:
                return "There is no case to check."
            case "check" if candidate is not None and not candidate.checked:
                return candidate.why_not
            case "switch_verdict" if candidate is not None and candidate.there:
                return candidate.why_not
            case "other_errors" if not cases or self._run is None:
                return "That is for the errors of an evaluation."
            case "toggle_blur" | "filter_cases" if not cases:
                return "There are no cases yet."
        return None

    def _show_keys(self) -> None:
        """Show the keys that work now; letters are text where one types."""
        known = (action for action in actions(Where.CASE_IMPORT) if self.why_not(action.name) is None)
        if self._step is not Step.CASES:
            known = (replace(each, label="Choose") if each.name == "take" else each for each in known)
        elif self._words.has_focus:
            known = (each for each in known if each.name in ("toggle_blur", "close"))
        self._key_bar.show(known)

    def on_descendant_focus(self) -> None:
        self._show_keys()

    def on_descendant_blur(self) -> None:
        self._show_keys()

    def action_move(self, by: int) -> None:
        self._list.move(by)
        if self._step is Step.CASES:
            self._show_chosen()

    @on(SafeInput.Changed)
    def _typed(self) -> None:
        if self._step is not Step.CASES:
            self._show_keys()
            return
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_TYPING_S, self._load)

    @on(SafeInput.Submitted)
    def _entered(self, event: SafeInput.Submitted) -> None:
        """Go on with a path; from a filter, back to the list."""
        event.stop()
        if self._step is Step.CASES:
            self.set_focus(None)
        else:
            self.wizard.act("take")

    @on(PickList.NearEnd)
    def _near_end(self) -> None:
        if self._step is Step.CASES:
            self._load(more=True)

    @on(PickList.Picked)
    def _picked(self) -> None:
        self.wizard.act("check" if self._step is Step.CASES else "take")
