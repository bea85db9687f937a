"""The probes of the past, newest first, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer

from app.actions import Where, actions, bindings
from app.records import Records
from app.safe_text import blurred, one_line, visible
from app.widgets.bars import KeyBar
from app.widgets.lane_text import word_style
from app.widgets.pick_list import PickList
from app.widgets.safe_input import SafeInput
from app.wording import DECISION_WORDS, score_words
from engine.tracker import ProbeSummary
from engine.tracker.records import DAMAGED

if TYPE_CHECKING:
    from app.wizard import WizardApp

_PAGE = 60
_ROOM_FOR_GUARD = 100
_TYPING_S = 0.15
_EXCERPT = 200


class HistoryScreen(ModalScreen[int | None]):
    """Gives the number of the probe that was chosen, or None. Prompts are blurred until asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.HISTORY),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]
    HELP_PLACES = (Where.HISTORY, Where.EVERYWHERE)
    AUTO_FOCUS = "#filter"

    def __init__(self, records: Records) -> None:
        super().__init__()
        self._records = records
        self._filter = SafeInput(id="filter", placeholder="Type to filter by words of the prompt or response")
        self._list = PickList(id="probes")
        self._key_bar = KeyBar()
        self._probes: list[ProbeSummary] = []
        self._complete = False
        self._loading = False
        self._clear_text = False
        self._typing: Timer | None = None
        self._open_first = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide") as dialog:
            dialog.border_title = "History"
            yield self._filter
            yield self._list
            yield self._key_bar

    def on_mount(self) -> None:
        self._list.remark = "Loading…"
        self._key_bar.show(actions(Where.HISTORY))
        self._load()

    def on_resize(self) -> None:
        self._show()

    def _load(self, *, more: bool = False) -> None:
        if more and (self._loading or self._complete):
            return
        self._loading = True
        self.run_worker(self._load_page(more), group="history", exclusive=True)

    async def _load_page(self, more: bool) -> None:
        self._typing = None
        before = self._probes[-1].id if more and self._probes else None
        try:
            page = await self._records.page(before, _PAGE, self._filter.value)
        except Exception as error:
            self._probes = []
            self._list.show([], remark=visible(f"! The history cannot be read: {error}", keep_newlines=False))
            return
        finally:
            self._loading = False
        self._probes = [*self._probes, *page] if more else page
        self._complete = len(page) < _PAGE
        if not more:
            self._list.chosen = 0
            self._list.scroll_to(y=0, animate=False)
        self._show()
        if self._open_first:
            self._open_first = False
            self.do_open_probe()

    def _show(self) -> None:
        width = self._list.size.width
        if not width or self._loading:
            return
        remark = "No probe matches." if self._filter.value else "Nothing was judged yet."
        self._list.show([self._row(probe, width) for probe in self._probes], remark=remark)

    def _row(self, probe: ProbeSummary, width: int) -> Content:
        words = DECISION_WORDS[probe.decision] if probe.decision is not None else f"■ {probe.status}"
        when = "" if probe.status == DAMAGED else probe.created_at.astimezone().strftime("%m-%d %H:%M")
        excerpt = one_line(probe.excerpt, _EXCERPT)
        row = Content.assemble(
            (f"{probe.id:>5} ", "$text-muted"),
            (f"{when:11}  ", "$text-muted"),
            (f"{one_line(words, 11):11} ", word_style(words)),
            f"{score_words(probe.score):>5}  ",
            excerpt if self._clear_text else Content.styled(blurred(excerpt), "$text-muted"),
        )
        if width < _ROOM_FOR_GUARD:
            return row
        guard = one_line(probe.model or probe.guard, 24)
        room = width - len(guard) - 2
        return Content.assemble(row.truncate(room, ellipsis=True, pad=True), (f"  {guard}", "$text-muted"))

    def do_open_probe(self) -> None:
        """Open the chosen probe; where a filter was just typed, the first that matches it."""
        if self._typing is not None or self._loading:
            self._open_first = True
        elif self._probes:
            self.dismiss(self._probes[self._list.chosen].id)

    def do_toggle_blur(self) -> None:
        self._clear_text = not self._clear_text
        self._show()

    def do_close(self) -> None:
        self.dismiss(None)

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        waiting = self._typing is not None or self._loading
        empty = name == "open_probe" and not self._probes and not waiting
        return "There is no probe to open." if empty else None

    def action_move(self, by: int) -> None:
        self._list.move(by)

    @on(SafeInput.Changed)
    def _typed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_TYPING_S, self._load)

    @on(SafeInput.Submitted)
    def _entered(self) -> None:
        cast("WizardApp", self.app).act("open_probe")

    @on(PickList.NearEnd)
    def _near_end(self) -> None:
        self._load(more=True)

    @on(PickList.Picked)
    def _picked(self) -> None:
        self.do_open_probe()
