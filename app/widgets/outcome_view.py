"""One case in full: what a text makes of it, and beside it, where there is room, what the other one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from textual.app import ComposeResult
from textual.containers import Horizontal

from app.outcome_words import outcome_content, told_content
from app.widgets.stream_view import StreamView
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip
from engine.workshop.trials import Outcome

_ROOM_FOR_TWO = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """A case and what is known of it. ``base`` names the text that ``before`` is of."""

    case: PolicyCase
    after: Outcome | None
    before: Outcome | None
    flip: Flip | None
    base: str
    clear: bool


class OutcomeView(Horizontal):
    """Shows one case. While it stays the same case, what is being read stays in sight."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._main = StreamView(id="outcome-now", empty="Choose a case.")
        self._other = StreamView(id="outcome-before")
        self._seen: Seen | None = None

    def compose(self) -> ComposeResult:
        yield self._main
        yield self._other

    def on_mount(self) -> None:
        self._other.display = False

    def focus(self, scroll_visible: bool = True) -> Self:
        """Give the keys to what is read."""
        self._main.focus(scroll_visible)
        return self

    def show(self, seen: Seen | None) -> None:
        """Show this case, or none."""
        if seen == self._seen:
            return
        former, self._seen = self._seen, seen
        self._write(stay=former is not None and seen is not None and former.case.case == seen.case.case)

    def on_resize(self) -> None:
        if self._other.display != self._beside:
            self._write(stay=True)

    @property
    def _beside(self) -> bool:
        """Whether there is another text's outcome, and room for it."""
        return self._seen is not None and self._seen.before is not None and self.size.width >= _ROOM_FOR_TWO

    def _write(self, *, stay: bool) -> None:
        seen, beside = self._seen, self._beside
        top = self._main.scroll_offset.y
        self._main.clear()
        self._other.clear()
        self._other.display = beside
        if seen is not None:
            before = None if beside else seen.before
            self._main.add(
                outcome_content(seen.case, seen.after, before, seen.flip, seen.base, clear=seen.clear)
            )
            if beside:
                self._other.add(told_content(seen.base, seen.before))
        if stay:
            self._main.scroll_to(y=top, animate=False)
