"""The command palette's entries: the actions of the screen in front, and the themes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from app.actions import Where, actions
from app.themes import THEMES

if TYPE_CHECKING:
    from app.wizard import WizardApp


class ActionCommands(Provider):
    """Finds actions by what they do. One that cannot be used now says why, below those that can."""

    async def discover(self) -> Hits:
        for text, help_text, command, _ in self._entries():
            yield DiscoveryHit(text, command, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help_text, command, usable in self._entries():
            score = matcher.match(text)
            if score > 0:
                rank = score if usable else score / 2
                yield Hit(rank, matcher.highlight(text), command, text=text, help=help_text)

    def _entries(self) -> Iterator[tuple[str, str, partial[None], bool]]:
        wizard = cast("WizardApp", self.app)
        places = getattr(self.screen, "HELP_PLACES", (Where.EVERYWHERE,))
        for action in actions(*places):
            if action.native or action.name == "palette":
                continue
            why = wizard.why_not(action.name, self.screen)
            command = partial(wizard.act, action.name, self.screen)
            yield action.does, why or f"key: {action.all_keys}", command, not why
        for theme in THEMES:
            yield f"Theme: {theme.name}", "", partial(setattr, wizard, "theme", theme.name), True
