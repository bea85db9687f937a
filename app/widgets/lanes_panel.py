"""The lanes side by side where there is room, else a table of them and one in full."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from app.judgement import Judgement, Lane
from app.widgets.lane_card import LaneCard
from app.widgets.lane_table import LaneTable

_ROOM = (120, 20)


class LanesPanel(Widget):
    """Shows a judgement's lanes; one of them is the chosen one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LaneTable()
        self.chosen = 0
        self.zoomed = False
        self.untouched = True
        self._lanes: Sequence[Lane] = ()
        self._now_ms = 0.0
        self._cards: list[LaneCard] = []
        self._grid = Container(id="cards")

    def compose(self) -> ComposeResult:
        yield self.table
        yield self._grid

    @property
    def lane(self) -> Lane | None:
        """The chosen lane."""
        return self._lanes[self.chosen] if self.chosen < len(self._lanes) else None

    @property
    def one_at_a_time(self) -> bool:
        """Whether one lane is shown in full, beside the table."""
        return self.zoomed or self.size.width < _ROOM[0] or self.size.height < _ROOM[1]

    def show(self, judgement: Judgement) -> None:
        """Bring all lanes up to date."""
        self._lanes = list(judgement.lanes.values())
        self._now_ms = judgement.now_ms
        if len(self._cards) < len(self._lanes):
            new = [LaneCard(index) for index in range(len(self._cards), len(self._lanes))]
            self._cards += new
            self._grid.mount_all(new)
            self.call_after_refresh(self.show, judgement)
            self._arrange()
            return
        for card, lane in zip(self._cards, self._lanes, strict=False):
            card.show(lane, self._now_ms)
        self.table.show(self._lanes, self.chosen, self._now_ms)

    def choose(self, index: int) -> None:
        """Choose a lane, as a person does."""
        self.untouched = False
        self._choose(index)

    def choose_worst(self) -> None:
        """Choose the lane that decided, unless a person has chosen one since ``untouched`` was set."""
        if self.untouched and self._lanes:
            scores = [-1.0 if lane.score is None else lane.score for lane in self._lanes]
            self._choose(scores.index(max(scores)))

    def _choose(self, index: int) -> None:
        if not self._lanes:
            return
        self.chosen = index % len(self._lanes)
        self._arrange()

    def toggle_zoom(self) -> None:
        """Show one lane in full, or all where there is room."""
        self.zoomed = not self.zoomed
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        single = self.one_at_a_time
        self.set_class(single, "-single")
        for card in self._cards:
            card.display = card.index < len(self._lanes) and (not single or card.index == self.chosen)
            card.set_class(card.index == self.chosen, "-chosen")
        self.table.show(self._lanes, self.chosen, self._now_ms)

    @on(LaneTable.Moved)
    def _moved(self, event: LaneTable.Moved) -> None:
        event.stop()
        self.choose(event.index)

    @on(LaneCard.Chosen)
    def _clicked(self, event: LaneCard.Chosen) -> None:
        event.stop()
        if event.index != self.chosen:
            self.choose(event.index)
