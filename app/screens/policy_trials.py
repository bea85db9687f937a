"""Trials in the policies pane: the judge, the text that is compared with, the cases as they are judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from textual.message import Message
from textual.timer import Timer

from app.guard_choice import GuardChoice
from app.screens.choice import ChoiceScreen
from app.screens.policy_files import PolicyFiles
from app.trial_state import TrialState
from app.trying import TrialThread, Trying
from engine.guards.build import GuardKind, Level, PromptStyle, Speed
from engine.policies.load import PolicyCase, PolicyError, Texts, load_cases
from engine.tracker.policy_records import PolicyFileVersion
from engine.workshop.judges import Judge
from engine.workshop.trials import TrialStopped
from engine.workshop.workshop import Workshop

_FRAME_S = 0.1
_LIVE_S = 0.05
"""How long typing must rest before the rules judge what was typed."""

_RECKON_S = 0.25
"""How long typing must rest before figures are reckoned: what is typed next makes others."""

_SPEEDS = list(Speed)
Result = TypeVar("Result")


class PolicyTrials(PolicyFiles):
    """Tries the policy that is open on its cases. Rules do it while one types, models when they are asked."""

    class Over(Message):
        """A trial is over."""

        def __init__(self, trying: Trying) -> None:
            super().__init__()
            self.trying = trying

    def __init__(self) -> None:
        super().__init__()
        self.policy = ""
        self.choice = GuardChoice()
        self.speed = Speed.FULL
        self.watching = False
        self.base: PolicyFileVersion | None = None
        self.trial = TrialState()
        self.cases: tuple[PolicyCase, ...] = ()
        self.cases_fault = ""
        self._keys: tuple[str, ...] = ()
        self._base_text = ""
        self._trials: TrialThread | None = None
        self._trying: Trying | None = None
        self._frames: Timer | None = None
        self._live: Timer | None = None

    # --- what the pane makes of it -------------------------------------------------------------------

    def show_trial(self) -> None:
        """Show the trial as it stands."""

    def show_settings(self) -> None:
        """Show the judge and what it is set to."""

    # --- the judge -----------------------------------------------------------------------------------

    @property
    def judge(self) -> Judge:
        """Who judges the cases."""
        choice = self.choice.as_asked()
        return Judge(
            GuardKind(choice.kind),
            choice.model_spec,
            Level(choice.level),
            self.speed if choice.kind == GuardKind.GAUNTLET else Speed.FULL,
            PromptStyle(choice.prompt_style),
        )

    @property
    def judged_file(self) -> str | None:
        """The file that the judge goes by; None: it reads none of the policy's."""
        return None if self.judge.reads is None else f"{self.policy}/{self.judge.reads}"

    @property
    def live(self) -> bool:
        """Whether what is typed is judged while one types."""
        return self.choice.kind == GuardKind.REASONER

    def do_next_guard(self) -> None:
        self._choose(self.choice.next_guard())

    def do_next_level(self) -> None:
        self._choose(self.choice.next_setting())

    def do_next_speed(self) -> None:
        self.speed = _SPEEDS[(_SPEEDS.index(self.speed) + 1) % len(_SPEEDS)]
        self._choose(self.choice)

    def do_choose_model(self) -> None:
        from app.screens.models import ModelScreen

        named = self.choice if self.choice.needs_model else self.choice.with_model("")
        screen = ModelScreen(self.wizard.find_models, self.choice.model_spec, f"Model of {named.title}")
        self.app.push_screen(screen, self._model_chosen)

    def _model_chosen(self, spec: str | None) -> None:
        if spec is not None:
            self._choose(self.choice.with_model(spec))

    def _choose(self, choice: GuardChoice) -> None:
        """Judge by another guard from now on. What is known of it is looked up; rules judge at once."""
        self.do_stop()
        if choice.kind != self.choice.kind:
            self.base = None
        self.choice = choice
        self.show_settings()
        self._begin_anew()
        if self.live:
            self.run_trial()
        self.judge_chosen()

    def judge_chosen(self) -> None:
        """Take note that somebody else judges now."""

    # --- what is compared with -----------------------------------------------------------------------

    @property
    def base_label(self) -> str:
        """What the text is compared with, in a word."""
        return "saved" if self.base is None else self.base.label

    def _base_texts(self) -> Mapping[str, str] | None:
        """Return the text that is compared with, in place of files; None if it is the one that is typed."""
        file = self.judged_file
        if file is None:
            return None
        typed = self.buffers.texts()
        if self.base is not None:
            return {file: self._base_text}
        return {} if any(each in typed for each in self._read_files(file)) else None

    def _read_files(self, file: str) -> tuple[str, ...]:
        return (file, "shared.toml") if self.choice.kind == GuardKind.REASONER else (file,)

    def do_choose_base(self) -> None:
        self.begin_dialog(self._ask_for_base())

    async def _ask_for_base(self) -> None:
        file = self.judged_file
        assert file is not None
        await self.note_all([self.policy])
        versions = await self.ask(lambda store: store.policies.versions(file))
        if versions is None:
            return
        options = ["what is saved"] + [
            f"{each.label:5} {each.created_at.astimezone():%Y-%m-%d %H:%M}  {each.origin}  {each.sha256[:8]}"
            for each in versions
        ]
        present = 0 if self.base is None else 1 + [each.number for each in versions].index(self.base.number)
        chosen = await self.app.push_screen_wait(ChoiceScreen("Compare with", options, present))
        if chosen is None:
            return
        await self._compare_with(None if chosen == 0 else versions[chosen - 1])

    async def _compare_with(self, version: PolicyFileVersion | None) -> None:
        text = None
        if version is not None:
            sha = version.sha256
            text = await self.ask(lambda store: store.policies.text(sha))
            if text is None:
                return
        self.base, self._base_text = version, text or ""
        self.show_settings()
        self.trial.before = {}
        self.run_trial()

    # --- the cases -----------------------------------------------------------------------------------

    async def load_cases(self) -> None:
        """Read the cases of the policy that is open."""
        policy, folder = self.policy, self.folder
        try:
            cases = await asyncio.to_thread(load_cases, folder, policy)
            fault = ""
        except PolicyError as error:
            missing = not (folder / policy / "cases.jsonl").exists()
            cases, fault = (), "" if missing else str(error)
        if policy == self.policy:
            self.cases, self.cases_fault = cases, fault
            self._keys = tuple(case.case.key for case in cases)
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget the outcomes shown: they are of other cases, or of another judge."""
        self.trial = TrialState(self.cases, self.judge, self.base_label, keys=self._keys)
        self.show_trial()

    # --- running -------------------------------------------------------------------------------------

    def run_soon(self) -> None:
        """Have what is typed judged once typing rests, if rules do it."""
        if self._live is not None:
            self._live.stop()
        if self.live:
            self._live = self.set_timer(_LIVE_S, self.run_trial)

    def run_trial(self, *, afresh: bool = False, stop_at_first: bool = False) -> None:
        """Judge the cases by what is typed, and by what it is compared with. What runs is stopped."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if not self.cases or self.choice.missing:
            self.show_trial()
            return
        self.sync()
        typed = self.buffers.texts()
        self._trying = trying = Trying(
            self.judge,
            self.policy,
            self.cases,
            typed,
            self._base_texts(),
            stop_at_first=stop_at_first,
            afresh=afresh,
        )
        earlier = self.trial
        self.trial = TrialState(self.cases, self.judge, self.base_label, keys=self._keys, running=True)
        if self.live:  # it takes a moment: until then what was there stays
            self.trial.after, self.trial.before = earlier.after, earlier.before
            self.trial.figures = earlier.figures
        self._thread.begin(trying, partial(self._tell_over, trying))
        if self._frames is None:
            self._frames = self.set_interval(_FRAME_S, self._frame)
        self.show_trial()

    async def ask_workshop(self, work: Callable[[Workshop], Awaitable[Result]]) -> Result:
        """Do other work with the workshop, on its own thread, after what runs now."""
        return await self._thread.ask(work)

    async def signals_fault(self, policy: str | None, texts: Texts) -> str:
        """Return why signals cannot be used, or nothing."""
        try:
            await self._thread.ask(lambda workshop: workshop.check_signals(policy, texts), at_once=True)
        except (PolicyError, TrialStopped) as error:
            return str(error)
        return ""

    @property
    def _thread(self) -> TrialThread:
        if self._trials is None:
            self._trials = TrialThread(self.wizard.guards, self.wizard.workspace, self.records)
        return self._trials

    def _tell_over(self, trying: Trying) -> None:
        """Called on the guards' thread."""
        self.post_message(self.Over(trying))

    def _frame(self) -> None:
        """Show what has come, of a judge that takes its time."""
        trying = self._trying
        if trying is None or trying.done.is_set() or self.live:
            return
        if self.trial.take(trying) and self.is_current:
            self.show_trial()

    def on_policy_trials_over(self, event: Over) -> None:
        if event.trying is not self._trying:
            return
        self._end_frames()
        self._trying = None
        if self.live:
            self.trial.after, self.trial.before = {}, {}
        self.trial.end(event.trying)
        self.show_trial()
        self.run_worker(self._reckon(self.trial), group="reckon", exclusive=True)

    async def _reckon(self, trial: TrialState) -> None:
        if self.live:
            await asyncio.sleep(_RECKON_S)
        figures = await asyncio.to_thread(trial.reckon)
        trial.figures = figures
        if trial is self.trial:
            self.show_trial()

    def _end_frames(self) -> None:
        if self._frames is not None:
            self._frames.stop()
            self._frames = None

    def do_run_cases(self) -> None:
        self.run_trial()

    def do_run_afresh(self) -> None:
        self.run_trial(afresh=True)

    def do_run_to_failure(self) -> None:
        self.run_trial(stop_at_first=True)

    def do_toggle_watch(self) -> None:
        self.watching = not self.watching
        self.show_settings()
        said = "are run whenever a text is saved" if self.watching else "are run when F5 asks for it"
        self.app.notify(f"The cases {said}.", timeout=3)

    def do_stop(self) -> None:
        """Stop the trial: the model itself stops writing. What has come stays."""
        trying, self._trying = self._trying, None
        if trying is not None:
            self._thread.stop()
            self._end_frames()
            self.trial.take(trying)
            self.trial.running, self.trial.stopped = False, True
            self.show_trial()
            self.run_worker(self._reckon(self.trial), group="reckon", exclusive=True)

    def why_no_trial(self) -> str | None:
        """Return why the cases cannot be run, or None if they can."""
        if not self.policy:
            return "Open a policy first."
        if not self.cases:
            return self.cases_fault or "This policy has no cases yet: n adds one."
        return self.choice.missing or None
