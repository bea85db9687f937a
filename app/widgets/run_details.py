"""One run in full: what it is, a curve, and all that is known of it."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from app.records import Records
from app.run_facts import RunView, fact_lines, head_lines, read_view
from app.widgets.curve import Curve, Series
from app.widgets.stream_view import StreamView

_RESTING_S = 0.05
_LEAST_BUCKETS = 100


class RunDetails(Widget):
    """Reads a run and shows it; or, where it is ``zoomed``, its curve alone."""

    class Shown(Message):
        """A run is shown."""

    class Failed(Message):
        """A run could not be read."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__(id="details")
        self.view: RunView | None = None
        self.head = Static(id="head")
        self.curve = Curve(id="curve", empty="No metrics.")
        self.facts = StreamView(id="facts")
        self._metric = ""
        self._zoomed = False

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.curve
        yield self.facts

    # --- reading -------------------------------------------------------------------------------------

    def read(self, records: Records, run_id: int) -> None:
        """Read a run and show it. Of several asked for in a row, as by a key held down, the last is read."""
        self.run_worker(self._read(records, run_id), group="details", exclusive=True)

    async def _read(self, records: Records, run_id: int) -> None:
        await asyncio.sleep(_RESTING_S)
        metric, buckets = self._metric, max(2 * self.size.width, _LEAST_BUCKETS)
        try:
            view = await records.ask(lambda store: read_view(store, run_id, metric, buckets))
        except Exception as error:
            self.post_message(self.Failed(error))
            return
        self.show(view)
        self.post_message(self.Shown())

    def show(self, view: RunView | None) -> None:
        """Show a run, or nothing. What is the same as before stays where it was scrolled to."""
        former, self.view = self.view, view
        self._arrange()
        if view is None:
            self.head.update("")
            self.facts.clear()
            return
        self.curve.show([Series(view.curve)], title=view.metric)
        self.head.update(Content("\n").join(head_lines(view.run)))
        if former is not None and (former.run, former.children) == (view.run, view.children):
            return
        same = former is not None and former.run.summary.id == view.run.summary.id
        top = self.facts.scroll_offset.y if same else 0
        self.facts.clear()
        self.facts.add(fact_lines(view))
        self.facts.scroll_to(y=top, animate=False)

    # --- the curve -----------------------------------------------------------------------------------

    def move_metric(self, by: int) -> None:
        """Choose another metric. It is the one to show of other runs too, where they have it."""
        if self.view is not None and self.view.metric:
            names = self.view.run.metrics
            self._metric = names[(names.index(self.view.metric) + by) % len(names)]

    @property
    def zoomed(self) -> bool:
        """Whether the curve has all the room."""
        return self._zoomed

    @zoomed.setter
    def zoomed(self, zoomed: bool) -> None:
        self._zoomed = zoomed
        self._arrange()

    def why_no_curve(self, *, several: bool) -> str | None:
        """Return why there is no curve to do something with, or no ``several`` metrics; None if there are."""
        if self.view is None:
            return "Open a run first: enter opens the one chosen."
        if not self.view.metric:
            return "This run has no metrics."
        return "This run has one metric only." if several and len(self.view.run.metrics) == 1 else None

    def _arrange(self) -> None:
        drawable = self.view is not None and bool(self.view.metric)
        self.curve.display = drawable
        self.facts.display = not (self._zoomed and drawable)
        self.set_class(self._zoomed and drawable, "-zoomed")
