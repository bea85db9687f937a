"""The application: what all panes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from textual.app import App
from textual.binding import BindingType
from textual.command import CommandPalette, Provider
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen

from app.actions import Where, bindings
from app.commands import ActionCommands
from app.guard_thread import GuardChoice, GuardThread
from app.last_gate import LastGate
from app.records import Records, Store
from app.safe_text import visible
from app.screens.probe import ProbeScreen
from app.terminal import WizardDriver, leave_on_signals
from app.themes import THEMES
from engine.guards.base import Guard
from engine.policies.load import PolicyError, policy_names
from engine.tracker import open_tracker
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.models.discover import ModelOption


class GuardFactory(Protocol):
    """What `engine.guards.build.build_guard` is."""

    def __call__(self, kind: str, *, workspace: Workspace, model_spec: str | None, level: str) -> Guard: ...


class ModelFinder(Protocol):
    """What `engine.models.discover.discover` is."""

    def __call__(self, models_dir: Path) -> Awaitable[Sequence[ModelOption]]: ...


async def _discover(models_dir: Path) -> Sequence[ModelOption]:
    from engine.models.discover import discover

    return await discover(models_dir)


def _build_guard(kind: str, *, workspace: Workspace, model_spec: str | None, level: str) -> Guard:
    from engine.guards.build import build_guard

    return build_guard(kind, workspace=workspace, model_spec=model_spec, level=level)


class WizardApp(App[None]):
    """The workbench. Everything it works with can be replaced, for tests."""

    CSS_PATH = "styles/wizard.tcss"
    TITLE = "Wizard101"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.EVERYWHERE)]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {"probe": ProbeScreen}
    DEFAULT_MODE = "probe"

    def __init__(
        self,
        workspace: Workspace,
        *,
        guard_factory: GuardFactory = _build_guard,
        open_store: Callable[[Path], Store] = open_tracker,
        model_finder: ModelFinder = _discover,
    ) -> None:
        super().__init__(driver_class=WizardDriver)
        self.workspace = workspace
        self.animation_level = "none"
        self.records = Records(workspace.db, open_store)
        self.guards = GuardThread(
            lambda choice: self._make_guard(guard_factory, choice), self._policies_stamp
        )
        self._model_finder = model_finder
        self._last_gate = LastGate()
        self._undo_signals: Callable[[], None] | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_mount(self) -> None:
        if not self.is_headless:
            self._undo_signals = leave_on_signals(self._leave)

    def _leave(self, code: int) -> None:
        """Leave from a signal handler, which may interrupt anything."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: self.exit(return_code=code))

    def on_unmount(self) -> None:
        if self._undo_signals is not None:
            self._undo_signals()
        self.guards.close()
        self.records.close()

    # --- actions -------------------------------------------------------------------------------------

    def action_act(self, name: str) -> None:
        """Do an action of the registry, or say why it cannot be done."""
        self.act(name)

    def act(self, name: str) -> None:
        why = self.why_not(name)
        if why is not None:
            self.notify(why, timeout=3)
            return
        owner = self.screen if hasattr(self.screen, f"do_{name}") else self
        getattr(owner, f"do_{name}")()

    def why_not(self, name: str, screen: Screen[Any] | None = None) -> str | None:
        """Return why an action cannot be done on ``screen`` (default: the present one), or None if it can."""
        screen = screen or self.screen
        if hasattr(screen, f"do_{name}"):
            ask = getattr(screen, "why_not", None)
            return ask(name) if ask else None
        return None if hasattr(self, f"do_{name}") else "That works in another place."

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
        try:
            return policy_names(self.workspace.policies)
        except (PolicyError, OSError):
            return ()

    async def find_models(self) -> Sequence[ModelOption]:
        """Return the models there are; runs on the guards' thread, as it may import and wait."""
        return await self.guards.run(self._model_finder(self.workspace.models))

    def _make_guard(self, factory: GuardFactory, choice: GuardChoice) -> Guard:
        return factory(
            choice.kind, workspace=self.workspace, model_spec=choice.model_spec, level=choice.level
        )

    def _policies_stamp(self) -> object:
        """Return something that changes when a policy's file does."""
        stamp = []
        for path in sorted(self.workspace.policies.glob("*/*")):
            status = path.stat()
            stamp.append((path.name, status.st_mtime_ns, status.st_size))
        return stamp
