"""The first and the last line of the screen: where one is and with what, and the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual.content import Content
from textual.style import Style
from textual.widget import Widget

from app.actions import Action
from app.safe_text import one_line

_SPEC = 40
_GAP = 2


def clickable(action: str) -> Style:
    """Return the style that makes a piece of text run an action when clicked."""
    return Style.from_meta({"@click": f"app.act('{action}')"})


class TopBar(Widget):
    """The pane's name on the left, what it is set to on the right."""

    auto_links = False

    def __init__(self, pane: str) -> None:
        super().__init__()
        self._pane = pane
        self._settings: tuple[tuple[str, str, str], ...] = ()

    def show(self, *settings: tuple[str, str, str]) -> None:
        """Show settings as (name, value, the action that changes it)."""
        self._settings = settings
        self.refresh()

    def render(self) -> Content:
        left = Content.assemble(("Wizard101", "bold $text-primary"), ("  " + self._pane, "bold"))
        right = Content("   ").join(_setting(*setting) for setting in self._settings)
        gap = max(2, self.size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)


class KeyBar(Widget):
    """The actions whose keys work now, as many as fit; some always do."""

    auto_links = False
    ALWAYS = ("palette", "help", "quit", "close")

    def __init__(self) -> None:
        super().__init__()
        self._actions: tuple[Action, ...] = ()

    def show(self, actions: Iterable[Action]) -> None:
        """Show these actions."""
        shown = tuple(action for action in actions if action.label)
        if shown != self._actions:
            self._actions = shown
            self.refresh()

    def render(self) -> Content:
        always = [action for action in self._actions if action.name in self.ALWAYS]
        others = [action for action in self._actions if action not in always]
        room = self.size.width - sum(map(_width, always)) + _GAP
        while others and sum(map(_width, others)) > room:
            others.pop()
        return Content(" " * _GAP).join(map(_hint, (*others, *always)))


def _setting(name: str, value: str, action: str) -> Content:
    setting = Content.assemble((f"{name} ", "$text-muted"), (one_line(value, _SPEC), "bold"))
    return setting.stylize(clickable(action))


def _width(action: Action) -> int:
    return cell_len(action.short_key) + 1 + cell_len(action.label) + _GAP


def _hint(action: Action) -> Content:
    hint = Content.assemble((action.short_key, "bold $text-accent"), (f" {action.label}", "$text-muted"))
    return hint.stylize(clickable(action.name))
