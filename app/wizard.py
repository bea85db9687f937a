"""The application: what all panes share.

Nothing is imported here that the first frame can do without: the panes, the vocabulary of events and
the tracker are loaded once it has been drawn.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from weakref import WeakSet

from textual._path import CSSPathType
from textual.app import App
from textual.binding import BindingType
from textual.command import CommandPalette, Provider
from textual.events import Event, InputEvent, Key
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen

from app.actions import Where, bindings
from app.garbage import LOOK_S, IdleCollector
from app.last_gate import LastGate
from app.panes import PANES, load_panes
from app.safe_text import visible
from app.screens.opening import OpeningScreen
from app.terminal import WizardDriver, leave_on_signals
from app.themes import THEMES

if TYPE_CHECKING:
    from app.guard_choice import GuardChoice
    from app.guard_thread import GuardThread
    from app.records import Records, Store
    from engine.guards.base import Guard
    from engine.models.discover import ModelOption
    from engine.workspace import Workspace


class GuardFactory(Protocol):
    """What `engine.guards.build.build_guard` is."""

    def __call__(
        self, kind: str, *, workspace: Workspace, model_spec: str | None, level: str, prompt_style: str
    ) -> Guard: ...


_PREPARE_S = 0.3

ModelFinder = Callable[[Path], Awaitable[Sequence["ModelOption"]]]
"""What `engine.models.discover.discover` is."""


def _build_guard(
    kind: str, *, workspace: Workspace, model_spec: str | None, level: str, prompt_style: str
) -> Guard:
    from engine.guards.build import build_guard

    return build_guard(
        kind, workspace=workspace, model_spec=model_spec, level=level, prompt_style=prompt_style
    )


def _open_tracker(path: Path) -> Store:
    from engine.tracker import open_tracker

    return open_tracker(path)


async def _discover(models_dir: Path) -> Sequence[ModelOption]:
    from engine.models.discover import discover

    return await discover(models_dir)


def _commands() -> type[Provider]:
    from app.commands import ActionCommands

    return ActionCommands


class WizardApp(App[None]):
    """The workbench. Everything it works with can be replaced, for tests."""

    # All of it at once: what is read later has everything parsed anew, while somebody waits for a pane.
    CSS_PATH: ClassVar[CSSPathType | None] = [
        f"styles/{name}.tcss"
        for name in ("wizard", "probe", "dialog", "experiments", "jobs", "policies", "cases", "workshop")
    ]
    TITLE = "Wizard101"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.EVERYWHERE)]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {pane.name: pane.load for pane in PANES}

    def __init__(
        self,
        workspace: Workspace,
        *,
        guard_factory: GuardFactory = _build_guard,
        open_store: Callable[[Path], Store] = _open_tracker,
        model_finder: ModelFinder = _discover,
    ) -> None:
        super().__init__(driver_class=WizardDriver)
        self.workspace = workspace
        self.animation_level = "none"
        self._guard_factory = guard_factory
        self._open_store = open_store
        self._model_finder = model_finder
        self._last_gate = LastGate()
        self._collector = IdleCollector()
        self._sent_on: WeakSet[Key] = WeakSet()
        self._undo_signals: Callable[[], None] | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    @cached_property
    def guards(self) -> GuardThread:
        """The thread that guards work on."""
        from app.guard_thread import GuardThread

        return GuardThread(self._make_guard, self._policies_stamp)

    @cached_property
    def records(self) -> Records:
        """The probes and runs of the past."""
        from app.records import Records

        return Records(self.workspace.db, self._open_store)

    # --- coming and going ----------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        return OpeningScreen()

    def on_mount(self) -> None:
        if not self.is_headless:
            self._undo_signals = leave_on_signals(self._leave)
            self._collector.begin()
            self.set_interval(LOOK_S, self._collector.look)
        self.screen.call_after_refresh(self._open_panes)

    async def _open_panes(self) -> None:
        opening = self.screen
        await self.switch_mode(PANES[0].name)
        focused = self.screen.focused
        if isinstance(opening, OpeningScreen) and focused is not None:
            for event in opening.typed:
                focused.post_message(event)
        self.set_timer(_PREPARE_S, lambda: self.run_worker(self._prepare(), group="prepare"))

    async def _prepare(self) -> None:
        """Do what the other panes need while nobody waits for it.

        What goes wrong here goes wrong again when it is needed, and is told then.
        """
        with suppress(Exception):
            await asyncio.to_thread(self._go_on_with_jobs)
        with suppress(Exception):
            await self.records.ask(lambda store: store.runs.page(limit=1))
        await asyncio.to_thread(load_panes)
        # What was loaded stays: to look through it for garbage takes longer than to draw a screen.
        gc.freeze()

    def _go_on_with_jobs(self) -> None:
        """Have somebody work off a queue that was left over. The jobs pane tells where that fails."""
        from engine.jobs.scheduler import anything_left, ensure

        if anything_left(self.workspace.db):
            ensure(self.workspace.db, self.workspace.runs)

    def _leave(self, code: int) -> None:
        """Leave from a signal handler, which may interrupt anything."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: self.exit(return_code=code))

    def on_unmount(self) -> None:
        if self._undo_signals is not None:
            self._undo_signals()
        self.guards.close()
        self.records.close()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._collector.touch()
        await super().on_event(event)

    def on_key(self, event: Key) -> None:
        """Have what was typed ahead, before a command gave the focus to an input, arrive there in order."""
        focused = self.screen.focused
        if focused is not None and focused.check_consume_key("a", "a") and event not in self._sent_on:
            event.prevent_default()
            again = Key(event.key, event.character)
            self._sent_on.add(again)
            focused._forward_event(again)

    # --- actions -------------------------------------------------------------------------------------

    def action_act(self, name: str) -> None:
        """Do an action of the registry, or say why it cannot be done."""
        self.act(name)

    def act(self, name: str, screen: Screen[Any] | None = None) -> None:
        """Do an action on ``screen`` (default: the present one), or say why it cannot be done."""
        screen = screen or self.screen
        why = self.why_not(name, screen)
        if why is not None:
            self.notify(why, timeout=3)
            return
        owner = screen if hasattr(screen, f"do_{name}") else self
        getattr(owner, f"do_{name}")()

    def why_not(self, name: str, screen: Screen[Any] | None = None) -> str | None:
        """Return why an action cannot be done on ``screen`` (default: the present one), or None if it can."""
        screen = screen or self.screen
        if hasattr(screen, f"do_{name}"):
            ask = getattr(screen, "why_not", None)
            return ask(name) if ask else None
        return None if hasattr(self, f"do_{name}") else "That works in another place."

    def do_show_probe(self) -> None:
        self.switch_mode("probe")

    def do_show_policies(self) -> None:
        self.switch_mode("policies")

    def do_show_jobs(self) -> None:
        self.switch_mode("jobs")

    def do_show_experiments(self) -> None:
        self.switch_mode("experiments")

    def do_next_pane(self) -> None:
        names = [pane.name for pane in PANES]
        self.switch_mode(names[(names.index(self.current_mode) + 1) % len(names)])

    def show_run(self, run_id: int) -> None:
        """Go to a run in the experiments pane."""
        self.run_worker(self._show_run(run_id), group="show", exclusive=True)

    async def _show_run(self, run_id: int) -> None:
        from app.screens.experiments import ExperimentsScreen

        await self.switch_mode("experiments")
        while not isinstance(self.screen, ExperimentsScreen | ModalScreen):
            await self.pop_screen()
        if isinstance(self.screen, ExperimentsScreen):
            self.screen.action_jump(run_id)

    def do_palette(self) -> None:
        self.push_screen(CommandPalette(placeholder="Find an action"))

    def do_help(self) -> None:
        from app.screens.help import HelpScreen

        self.push_screen(HelpScreen(getattr(self.screen, "HELP_PLACES", (Where.EVERYWHERE,))))

    def do_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(f"Theme: {self.theme}", timeout=2)

    def do_quit(self) -> None:
        """Leave. Where policies are not saved, ask first."""
        for pane in self._screen_stacks.get("policies", [])[:1]:
            if getattr(pane, "unsaved", None):
                self.run_worker(self._ask_and_quit(pane), group="quit", exclusive=True)
                return
        self.exit()

    async def _ask_and_quit(self, pane: Screen[Any]) -> None:
        from app.screens.leaving import leave_policies
        from app.screens.policies import PoliciesScreen

        assert isinstance(pane, PoliciesScreen)
        if await leave_policies(self, pane):
            self.exit()

    # --- untrusted text ------------------------------------------------------------------------------

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        super().notify(
            visible(message), title=visible(title), severity=severity, timeout=timeout, markup=False
        )

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text.encode("utf-8", "replace").decode("utf-8"))

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._last_gate]

    # --- what the panes ask for ----------------------------------------------------------------------

    def policy_names(self) -> tuple[str, ...]:
        """Return the names of the policies there are, none if that cannot be told."""
        from engine.policies.load import PolicyError, policy_names

        try:
            return policy_names(self.workspace.policies)
        except (PolicyError, OSError):
            return ()

    async def find_models(self) -> Sequence[ModelOption]:
        """Return the models there are; looked for on the guards' thread."""
        return await self.guards.run(self._model_finder(self.workspace.models))

    def _make_guard(self, choice: GuardChoice) -> Guard:
        return self._guard_factory(
            choice.kind,
            workspace=self.workspace,
            model_spec=choice.model_spec,
            level=choice.level,
            prompt_style=choice.prompt_style,
        )

    def _policies_stamp(self) -> object:
        """Return something that changes when a policy's file does."""
        statuses = ((path, path.stat()) for path in sorted(self.workspace.policies.glob("**/*")))
        return [(str(path), status.st_mtime_ns, status.st_size) for path, status in statuses]
