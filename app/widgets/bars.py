"""The first and the last line of the screen: where one is and with what, and the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.style import Style
from textual.widget import Widget

from app.actions import Action
from app.panes import PANES, Pane
from app.safe_text import one_line

_SPEC = 40
_GAP = 2

Setting = tuple[str, str, str]


def clickable(action: str) -> Style:
    """Return the style that makes a piece of text run an action when clicked."""
    return Style.from_meta({"@click": f"app.act('{action}')"})


class TopBar(Widget):
    """The panes on the left, the present one marked; what it is set to on the right."""

    auto_links = False

    def __init__(self, pane: str) -> None:
        super().__init__()
        self._pane = pane
        self._settings: tuple[Setting, ...] = ()

    def show(self, *settings: Setting) -> None:
        """Show settings as (name, value, the action that changes it, or nothing)."""
        self._settings = settings
        self.refresh()

    def render(self) -> Content:
        return top_line(self._pane, self._settings, self.size.width)


def top_line(pane: str, settings: Sequence[Setting], width: int) -> Content:
    """Return the line: where room is short, first the program's name goes, then those of the settings."""
    tabs = Content(" ").join(_tab(each, each.name == pane) for each in PANES)
    name = Content.styled("Wizard101 ", "bold $text-primary")
    for left, named in [(name + tabs, 0), *((tabs, skipped) for skipped in range(len(settings) + 1))]:
        right = _settings(settings, named)
        if left.cell_length + _GAP + right.cell_length <= width:
            break
    right = right.truncate(max(width - left.cell_length - _GAP, 0), ellipsis=True)
    return Content.assemble(left, " " * max(_GAP, width - left.cell_length - right.cell_length), right)


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


def _tab(pane: Pane, present: bool) -> Content:
    """Return a pane's tab; the present one is in brackets, so that colour is not all that tells it."""
    if present:
        return Content.styled(f"[{pane.digit} {pane.title}]", "bold $text-primary")
    tab = Content.assemble((f" {pane.digit}", "$text-accent"), (f" {pane.title} ", "$text-muted"))
    return tab.stylize(clickable(f"show_{pane.name}"))


def _settings(settings: Sequence[Setting], unnamed: int) -> Content:
    """Return the settings; the first ``unnamed`` without their names."""
    return Content("   ").join(
        _setting("" if index < unnamed else f"{name} ", value, action)
        for index, (name, value, action) in enumerate(settings)
    )


def _setting(name: str, value: str, action: str) -> Content:
    setting = Content.assemble((name, "$text-muted"), (one_line(value, _SPEC), "bold"))
    return setting.stylize(clickable(action)) if action else setting


def _width(action: Action) -> int:
    return cell_len(action.short_key) + 1 + cell_len(action.label) + _GAP


def _hint(action: Action) -> Content:
    hint = Content.assemble((action.short_key, "bold $text-accent"), (f" {action.label}", "$text-muted"))
    return hint.stylize(clickable(action.name))
