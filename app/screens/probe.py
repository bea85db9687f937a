"""The probe pane: a case, a guard, and its reasoning as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from app.actions import Action, Where, actions, bindings
from app.case_keeping import LookedAt, keep_case
from app.guard_choice import GuardChoice
from app.guard_thread import Judging
from app.judgement import Judgement
from app.safe_text import visible
from app.widgets.bars import KeyBar, TopBar
from app.widgets.case_editor import HELD, CaseEditor
from app.widgets.lanes_panel import LanesPanel
from app.widgets.tasks_panel import TasksPanel
from app.widgets.verdict_banner import VerdictBanner
from app.wording import UNFINISHED
from engine.cases import Case
from engine.events import Event, to_jsonable

if TYPE_CHECKING:
    from app.wizard import WizardApp

_FRAME_S = 0.1
_SHORT = 30


class ProbeScreen(Screen[None]):
    """Judges what is in the editors and keeps what comes of it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.PROBE)]
    AUTO_FOCUS = "#prompt"

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("probe")
        self.prompt = CaseEditor("Prompt", id="prompt", placeholder="The prompt to judge")
        self.response = CaseEditor("Response", id="response", placeholder="What the assistant answered")
        self.banner = VerdictBanner()
        self.trouble = Static(id="trouble")
        self.lanes = LanesPanel()
        self.tasks = TasksPanel()
        self.key_bar = KeyBar()
        self.choice = GuardChoice()
        self.judgement = Judgement()
        self.judging: Judging | None = None
        self._events: list[Event] = []
        self._remark = ""
        self._looked_at: tuple[Case, int | None] = (Case(""), None)
        self._timer: Timer | None = None
        self._skipped = False

    @property
    def HELP_PLACES(self) -> tuple[Where, ...]:  # noqa: N802
        """Where the keys work that help and the palette tell of."""
        shown = Where.LANES if self.judgement.outline is None else Where.TREE
        return (Where.EDITOR, Where.PROBE, shown, Where.EVERYWHERE)

    @property
    def wizard(self) -> WizardApp:
        return cast("WizardApp", self.app)

    def compose(self) -> ComposeResult:
        yield self.top
        with Horizontal(id="editors"):
            yield self.prompt
            yield self.response
        yield self.banner
        yield self.trouble
        yield self.lanes
        yield self.tasks
        yield self.key_bar

    def on_mount(self) -> None:
        self.response.display = False
        self.trouble.display = False
        self.show_settings()
        self.judgement = self._waiting()
        self._show_judgement()

    def on_resize(self) -> None:
        self.set_class(self.size.height < _SHORT, "-short")

    def on_screen_resume(self) -> None:
        if self.judging is not None:
            self._draw()

    # --- judging -------------------------------------------------------------------------------------

    def do_judge(self) -> None:
        """Judge the case as it stands."""
        self._end_run()
        self.judgement = self._waiting()
        self._events = []
        self._remark = ""
        self.lanes.untouched = True
        self.tasks.begin(following=True)
        self._looked_at = (self.case, None)
        self.judging = self.wizard.guards.judge(self.case, self.choice.as_asked())
        self._timer = self.set_interval(_FRAME_S, self._frame)
        self._draw()

    def _waiting(self) -> Judgement:
        """Return a judgement that nothing has been heard of, by the guard that is chosen."""
        if self.choice.does_tasks:
            return Judgement.waiting_for_tasks()
        return Judgement.waiting_for(self.judgement.lanes or self.wizard.policy_names())

    @property
    def case(self) -> Case:
        """What is in the editors. A response that is hidden or empty does not count."""
        response = self.response.value if self.response.display else ""
        return Case(self.prompt.value, response or None)

    def do_stop(self) -> None:
        self._end_run()
        self.judgement.stop()
        self._draw()

    def _end_run(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.judging is not None:
            self.wizard.guards.stop(self.judging)
            self.judging = None

    def _frame(self) -> None:
        """Take in what has come. Every second frame is left out while another window has the focus."""
        self._skipped = not self.app.app_focus and not self._skipped
        judging = self.judging
        if judging is None or self._skipped:
            return
        done = judging.done.is_set()
        while judging.events:
            event = judging.events.popleft()
            self._events.append(event)
            self.judgement.apply(event)
        if not done:
            if self.is_current:
                self._draw()
            return
        self._end_run()
        if self.judgement.verdict is not None:
            self.run_worker(self._save(judging, self._events, self.judgement), group="save")
            self._draw()
            self.lanes.choose_worst()
        else:
            self._explain(judging.error)

    def _explain(self, error: Exception | None) -> None:
        """Say why a guard reached no verdict: most often, it could not be made."""
        self.judgement.stop(UNFINISHED)
        self._draw()
        detail = (
            f"{error} {getattr(error, 'hint', '')}".strip() if error else "The guard ended without a verdict."
        )
        detail = self.choice.missing or detail
        self.banner.problem("Nothing was judged, and nothing was saved.", detail)

    async def _save(self, judging: Judging, events: list[Event], judgement: Judgement) -> None:
        try:
            number = await self.wizard.records.save(judging.case, events, judging.policies)
        except Exception as error:
            self._show_trouble(f"! Not saved: {error}")
            return
        self._show_trouble("")
        if judgement is self.judgement:
            self._remark = f"saved #{number}"
            self._looked_at = (judging.case, number)
            self._draw()

    def _show_trouble(self, text: str) -> None:
        self.trouble.display = bool(text)
        self.trouble.update(Content(visible(text)))

    # --- the past ------------------------------------------------------------------------------------

    def do_history(self) -> None:
        from app.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen(self.wizard.records), self._chosen_from_history)

    def _chosen_from_history(self, probe_id: int | None) -> None:
        if probe_id is not None:
            self.run_worker(self._open_probe(probe_id), group="open", exclusive=True)

    async def _open_probe(self, probe_id: int) -> None:
        try:
            probe = await self.wizard.records.probe(probe_id)
        except Exception as error:
            self._show_trouble(f"! Probe #{probe_id} cannot be opened: {error}")
            return
        if probe is None:
            self._show_trouble(f"! Probe #{probe_id} is no longer there.")
            return
        self._end_run()
        self.prompt.value = probe.case.prompt
        self.response.value = probe.case.response or ""
        self.response.display = probe.case.response is not None
        self.judgement = Judgement()
        for event in probe.events:
            self.judgement.apply(event)
        if self.judgement.verdict is None:
            self.judgement.stop()
        self.tasks.begin(following=False)
        when = probe.summary.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        self._remark = f"#{probe_id} of {when}"
        self._looked_at = (probe.case, probe_id)
        self._draw()
        self.lanes.untouched = True
        self.lanes.choose_worst()
        self.prompt.focus()

    # --- settings ------------------------------------------------------------------------------------

    def do_next_guard(self) -> None:
        self._choose(self.choice.next_guard())

    def do_next_level(self) -> None:
        """Change what the chosen guard can be set to."""
        self._choose(self.choice.next_setting())

    def do_choose_model(self) -> None:
        from app.screens.models import ModelScreen

        named = self.choice if self.choice.needs_model else self.choice.with_model("")
        screen = ModelScreen(self.wizard.find_models, self.choice.model_spec, f"Model of {named.title}")
        self.app.push_screen(screen, self._model_chosen)

    def _model_chosen(self, spec: str | None) -> None:
        if spec is not None:
            self._choose(self.choice.with_model(spec))
            self.wizard.guards.prepare(self.choice)

    def _choose(self, choice: GuardChoice) -> None:
        self.choice = choice
        self.show_settings()
        if self.judging is None and self.judgement.started is None:
            self.judgement = self._waiting()
            self._show_judgement()
        self.show_keys()

    def show_settings(self) -> None:
        """Show the guard chosen, and what it can be set to."""
        choice = self.choice
        setting = ("prompt", choice.prompt_style) if choice.does_tasks else ("level", choice.level)
        settings = [("guard", choice.kind, "next_guard"), (*setting, "next_level")]
        if choice.needs_model:
            settings.append(("model", choice.model_spec or "no model", "choose_model"))
        self.top.show(*settings)

    # --- everything else -----------------------------------------------------------------------------

    def do_newline(self) -> None:
        if isinstance(self.focused, CaseEditor):
            self.focused.insert_newline()

    def do_toggle_response(self) -> None:
        show = not self.response.display
        self.response.display = show
        (self.response if show else self.prompt).focus()
        self.show_keys()

    def do_new_case(self) -> None:
        self._end_run()
        self.prompt.value = self.response.value = ""
        self.response.display = False
        self.judgement = self._waiting()
        self._draw()
        self.banner.welcome()
        self.prompt.focus()

    def do_keep_case(self) -> None:
        """Keep the case as a policy's; what was said of it counts unless the texts are others by now."""
        case, number = self._looked_at
        same = case == self.case
        looked_at = LookedAt(case, self.judgement.verdict, number) if same else LookedAt(self.case)
        self.run_worker(keep_case(self.wizard, looked_at), group="keep", exclusive=True)

    def do_copy_verdict(self) -> None:
        self.app.copy_to_clipboard(json.dumps(to_jsonable(self.judgement.verdict), indent=2))
        self.app.notify("The verdict was copied as JSON.")

    def do_copy_reasoning(self) -> None:
        """Copy what one looks at."""
        lane, outline, branch = self.lanes.lane, self.judgement.outline, self.tasks.branch
        if outline is None:
            assert lane is not None
            self._copy(lane.reasoning, f"The reasoning of {lane.title}")
        elif self.tasks.shows_raw:
            self._copy(outline.raw or "", "What the model wrote")
        elif branch is not None:
            self._copy(branch.reasoning, f"The reasoning on “{branch.title}”")
        else:
            self._copy(outline.reasoning, "The reasoning on all tasks")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.app.notify(f"{what} was copied.")

    def do_toggle_raw(self) -> None:
        self.tasks.show_raw(not self.tasks.shows_raw)
        self._draw()

    def do_fold(self) -> None:
        self.tasks.steps.fold()

    def do_toggle_zoom(self) -> None:
        self.lanes.toggle_zoom()

    def do_next_lane(self) -> None:
        self._choose_lane(1)

    def do_previous_lane(self) -> None:
        self._choose_lane(-1)

    def _choose_lane(self, by: int) -> None:
        if self.judgement.outline is not None:
            self.tasks.steps.choose_branch(by)
        else:
            self.lanes.choose(self.lanes.chosen + by)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        lane, outline = self.lanes.lane, self.judgement.outline
        match name:
            case "judge" if not self.prompt.value and not self.case.response:
                return "There is nothing to judge yet: write a prompt first."
            case "keep_case" if not self.prompt.value and not self.case.response:
                return "There is no case to keep yet: write a prompt first."
            case "stop" if self.judging is None:
                return "Nothing is running."
            case "copy_verdict" if self.judgement.verdict is None:
                return "There is no verdict to copy yet."
            case "copy_reasoning" if outline is None and (lane is None or not lane.pieces):
                return "This lane has no reasoning to copy yet."
            case "copy_reasoning" if outline is not None and outline.first_ms is None:
                return "There is no reasoning to copy yet."
            case "toggle_raw" | "fold" if outline is None:
                return "That is for the output of GuardReasoner. ctrl+g changes the guard."
            case "toggle_raw" if outline is not None and outline.raw is None:
                return "The raw output is there once the model has ended it."
            case "fold" if self.tasks.shows_raw or not self.tasks.steps.has_steps:
                return "There are no steps to close."
            case "toggle_zoom" if outline is not None:
                return "The tasks have all the room there is."
            case "toggle_zoom" if not self.lanes.zoomed and self.lanes.one_at_a_time:
                return "One lane is all there is room for. A larger terminal shows all side by side."
            case "newline" if not isinstance(self.focused, CaseEditor):
                return "Lines are added in an editor."
        return None

    def _draw(self) -> None:
        self.banner.show(self.judgement, self.choice.summary, self._remark)
        self._show_judgement()
        self.show_keys()

    def _show_judgement(self) -> None:
        tasks = self.judgement.outline is not None
        self.lanes.display, self.tasks.display = not tasks, tasks
        (self.tasks if tasks else self.lanes).show(self.judgement)

    def show_keys(self) -> None:
        """Show the keys that work now, those of where one is first."""
        places = [Where.PROBE, Where.EVERYWHERE]
        first: tuple[str, ...] = ()
        if isinstance(self.focused, CaseEditor):
            places.append(Where.EDITOR)
        elif self.tasks.has_focus_within:
            places.append(Where.TREE)
            first = ("fold", "toggle_raw", "copy_reasoning")
        available = self._available(actions(*places))
        self.key_bar.show(sorted(available, key=lambda action: action.name not in first))

    def _available(self, candidates: Iterable[Action]) -> Iterable[Action]:
        """Yield the actions that can be done now, with labels that fit the guard."""
        for action in candidates:
            if self.why_not(action.name) is None:
                style = action.name == "next_level" and self.choice.does_tasks
                yield replace(action, label="Style") if style else action

    def on_descendant_focus(self) -> None:
        self.show_keys()

    @on(TextArea.Changed)
    def _edited(self) -> None:
        self.show_keys()

    @on(CaseEditor.Asked)
    def _asked(self, event: CaseEditor.Asked) -> None:
        self.wizard.act(event.action)

    @on(CaseEditor.Held)
    def _held(self) -> None:
        self.app.notify(HELD)
