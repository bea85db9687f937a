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
from app.guard_thread import GuardChoice, Judging
from app.judgement import UNFINISHED, Judgement
from app.safe_text import visible
from app.widgets.bars import KeyBar, TopBar
from app.widgets.case_editor import HELD, CaseEditor
from app.widgets.lanes_panel import LanesPanel
from app.widgets.verdict_banner import VerdictBanner
from engine.cases import Case
from engine.events import Event, to_jsonable

if TYPE_CHECKING:
    from app.wizard import WizardApp

_FRAME_S = 0.1
_SHORT = 30
_KINDS = ("reasoner", "gauntlet")
_LEVELS = ("low", "medium", "high")


class ProbeScreen(Screen[None]):
    """Judges what is in the editors and keeps what comes of it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.PROBE)]
    AUTO_FOCUS = "#prompt"
    HELP_PLACES = (Where.EDITOR, Where.PROBE, Where.LANES, Where.EVERYWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("probe")
        self.prompt = CaseEditor("Prompt", id="prompt", placeholder="The prompt to judge")
        self.response = CaseEditor("Response", id="response", placeholder="What the assistant answered")
        self.banner = VerdictBanner()
        self.trouble = Static(id="trouble")
        self.lanes = LanesPanel()
        self.key_bar = KeyBar()
        self.choice = GuardChoice()
        self.judgement = Judgement()
        self.judging: Judging | None = None
        self._events: list[Event] = []
        self._remark = ""
        self._timer: Timer | None = None
        self._skipped = False

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
        yield self.key_bar

    def on_mount(self) -> None:
        self.response.display = False
        self.trouble.display = False
        self.show_settings()
        self.judgement = Judgement.waiting_for(self.wizard.policy_names())
        self.lanes.show(self.judgement)

    def on_resize(self) -> None:
        self.set_class(self.size.height < _SHORT, "-short")

    def on_screen_resume(self) -> None:
        if self.judging is not None:
            self._draw()

    # --- judging -------------------------------------------------------------------------------------

    def do_judge(self) -> None:
        """Judge the case as it stands."""
        self._end_run()
        self.judgement = Judgement.waiting_for(self.judgement.lanes)
        self._events = []
        self._remark = ""
        self.lanes.untouched = True
        choice = self.choice if self.choice.kind == "gauntlet" else replace(self.choice, model_spec=None)
        self.judging = self.wizard.guards.judge(self.case, choice)
        self._timer = self.set_interval(_FRAME_S, self._frame)
        self._draw()

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
        if self.choice.kind == "gauntlet" and self.choice.model_spec is None:
            detail = "The gauntlet needs a model. ctrl+o shows which can be reached, and how to get one."
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
        when = probe.summary.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        self._remark = f"#{probe_id} of {when}"
        self._draw()
        self.lanes.untouched = True
        self.lanes.choose_worst()
        self.prompt.focus()

    # --- settings ------------------------------------------------------------------------------------

    def do_next_guard(self) -> None:
        kind = _KINDS[(_KINDS.index(self.choice.kind) + 1) % len(_KINDS)]
        self._choose(replace(self.choice, kind=kind))

    def do_next_level(self) -> None:
        level = _LEVELS[(_LEVELS.index(self.choice.level) + 1) % len(_LEVELS)]
        self._choose(replace(self.choice, level=level))

    def do_choose_model(self) -> None:
        from app.screens.models import ModelScreen

        self.app.push_screen(ModelScreen(self.wizard.find_models, self.choice.model_spec), self._model_chosen)

    def _model_chosen(self, spec: str | None) -> None:
        if spec is not None:
            self._choose(replace(self.choice, kind="gauntlet", model_spec=spec))
            self.wizard.guards.prepare(self.choice)

    def _choose(self, choice: GuardChoice) -> None:
        self.choice = choice
        self.show_settings()

    def show_settings(self) -> None:
        """Show the guard chosen."""
        settings = [("guard", self.choice.kind, "next_guard"), ("level", self.choice.level, "next_level")]
        if self.choice.kind == "gauntlet":
            settings.append(("model", self.choice.model_spec or "none yet", "choose_model"))
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
        self.judgement = Judgement.waiting_for(self.judgement.lanes)
        self._draw()
        self.banner.welcome()
        self.prompt.focus()

    def do_copy_verdict(self) -> None:
        self.app.copy_to_clipboard(json.dumps(to_jsonable(self.judgement.verdict), indent=2))
        self.app.notify("The verdict was copied as JSON.")

    def do_copy_reasoning(self) -> None:
        lane = self.lanes.lane
        if lane is not None:
            self.app.copy_to_clipboard(lane.reasoning)
            self.app.notify(f"The reasoning of {lane.title} was copied.")

    def do_toggle_zoom(self) -> None:
        self.lanes.toggle_zoom()

    def do_next_lane(self) -> None:
        self.lanes.choose(self.lanes.chosen + 1)

    def do_previous_lane(self) -> None:
        self.lanes.choose(self.lanes.chosen - 1)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        lane = self.lanes.lane
        match name:
            case "judge" if not self.prompt.value and not self.case.response:
                return "There is nothing to judge yet: write a prompt first."
            case "stop" if self.judging is None:
                return "Nothing is running."
            case "copy_verdict" if self.judgement.verdict is None:
                return "There is no verdict to copy yet."
            case "copy_reasoning" if lane is None or not lane.pieces:
                return "This lane has no reasoning to copy yet."
            case "toggle_zoom" if not self.lanes.zoomed and self.lanes.one_at_a_time:
                return "One lane is all there is room for. A larger terminal shows all side by side."
            case "newline" if not isinstance(self.focused, CaseEditor):
                return "Lines are added in an editor."
        return None

    def _draw(self) -> None:
        choice = self.choice
        self.banner.show(self.judgement, " · ".join(filter(None, (choice.kind, choice.level))), self._remark)
        self.lanes.show(self.judgement)
        self.show_keys()

    def show_keys(self) -> None:
        """Show the keys that work now."""
        places = [Where.PROBE, Where.EVERYWHERE]
        if isinstance(self.focused, CaseEditor):
            places.insert(0, Where.EDITOR)
        self.key_bar.show(self._available(actions(*places)))

    def _available(self, candidates: Iterable[Action]) -> Iterable[Action]:
        return (action for action in candidates if self.why_not(action.name) is None)

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
