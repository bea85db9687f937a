"""One job beside the queue: its log, what it has told, its details, and a curve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget

from app.job_board import JobView
from app.job_facts import gap_line, job_lines, told_line
from app.job_words import JobLine, state_words
from app.safe_text import one_line
from app.widgets.curve import Curve, Series
from app.widgets.log_tail import LogTail
from app.widgets.stream_view import StreamView
from engine.jobs.told import Told

TOLD_KEPT = 2_000
"""The most of what a job has told that is shown: the last of it."""

VIEWS = {"log": "Log", "told": "Told", "details": "Details", "curve": "Curve"}


class _Tabs(Widget):
    """The views, the present one in brackets, and what is to be said about it on the right."""

    auto_links = False

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._views: Sequence[str] = ()
        self._present = ""
        self._job = Content("")
        self._status = ""

    def show(self, views: Sequence[str], present: str, job: Content, status: str) -> None:
        """Show these views; ``job`` is cut where there is too little room for it."""
        if (views, present, job, status) != (self._views, self._present, self._job, self._status):
            self._views, self._present, self._job, self._status = views, present, job, status
            self.refresh()

    def render(self) -> Content:
        left = Content(" ").join(self._tab(view) for view in self._views)
        status = Content.styled(f"  {self._status}" if self._status else "", "$text-muted")
        room = max(self.size.width - left.cell_length - 2, 0)
        job = self._job.truncate(max(room - status.cell_length, 0), ellipsis=True)
        right = Content.assemble(job, status).truncate(room, ellipsis=True)
        return Content.assemble(left, " " * (room + 2 - right.cell_length), right)

    def _tab(self, view: str) -> Content:
        if view == self._present:
            return Content.styled(f"[{VIEWS[view]}]", "bold $text-primary")
        tab = Content.styled(f" {VIEWS[view]} ", "$text-muted")
        return tab.stylize(Style.from_meta({"@click": f"app.act('show_{view}')"}))


class JobPanel(Widget):
    """Shows one view of a job; where it is ``beside``, a curve stands to the right of each of the others."""

    class Changed(Message):
        """What can be done here may have changed."""

    def __init__(self) -> None:
        super().__init__(id="panel")
        self.view: JobView | None = None
        self.present = "log"
        self.metric = ""
        self._beside = False
        self._named = False
        self._line: JobLine | None = None
        self._told: tuple[Told, ...] = ()
        self._told_followed = True
        self.tabs = _Tabs()
        self.output = LogTail(id="log")
        self.told = StreamView(id="told", empty="It has told nothing yet.")
        self.details = StreamView(id="job-details", empty="Loading…")
        self.curve = Curve(id="job-curve", empty="It has no curve yet.")

    def compose(self) -> ComposeResult:
        yield self.tabs
        with Horizontal(id="views"):
            yield self.output
            yield self.told
            yield self.details
            yield self.curve

    def on_mount(self) -> None:
        self.choose(self.present)

    # --- which view ----------------------------------------------------------------------------------

    @property
    def views(self) -> tuple[str, ...]:
        """The views one can go to."""
        return tuple(view for view in VIEWS if not (self._beside and view == "curve"))

    @property
    def beside(self) -> bool:
        """Whether there is room for a curve beside each of the other views."""
        return self._beside

    @beside.setter
    def beside(self, beside: bool) -> None:
        self._beside = beside
        self.choose("log" if beside and self.present == "curve" else self.present)

    @property
    def named(self) -> bool:
        """Whether the job's name and state are told: they are where the queue is not in sight."""
        return self._named

    @named.setter
    def named(self, named: bool) -> None:
        self._named = named
        self._show_tabs()

    @property
    def curve_shown(self) -> bool:
        return self._beside or self.present == "curve"

    def choose(self, view: str) -> None:
        """Show a view."""
        self._see_whether_told_is_followed()
        self.present = view
        for name, widget in (("log", self.output), ("told", self.told), ("details", self.details)):
            widget.display = name == view
        self.curve.display = self.curve_shown
        self._follow_told()
        self._show_tabs()

    def focus_view(self) -> None:
        """Give the keys to the view, where it takes any."""
        focused: dict[str, Widget] = {"log": self.output, "told": self.told, "details": self.details}
        self.screen.set_focus(focused.get(self.present))

    # --- what is shown -------------------------------------------------------------------------------

    def show_line(self, line: JobLine | None, output: Path | None) -> None:
        """Show another job, or how this one stands now. Its view is to follow."""
        former, self._line = self._line, line
        if line is None or former is None or former.job.id != line.job.id:
            self._clear()
        if line is None:
            self.output.show(None, live=False, remark="")
        else:
            self.output.show(output, live=line.job.state.active, remark=_log_remark(line))
        self._show_tabs()

    def _clear(self) -> None:
        self.view = None
        self._told = ()
        self._told_followed = True
        self.told.clear()
        self.details.clear()
        self.curve.show([])

    def show_view(self, view: JobView) -> None:
        """Show a job in full, if it is still the one to show."""
        if self._line is None or view.line.job.id != self._line.job.id:
            return
        self.view = view
        self._show_told(view)
        if self.details.display:
            self.show_details()
        if self.curve_shown:
            self.curve.show([Series(view.run.curve)] if view.run.curve else [], title=view.run.metric)
        self._show_tabs()
        self.post_message(self.Changed())

    def show_details(self) -> None:
        """Write the details anew, as of now; where one has scrolled to stays."""
        if self.view is not None:
            top = self.details.scroll_offset.y
            self.details.clear()
            self.details.add(job_lines(self.view, datetime.now(UTC)))
            self.details.scroll_to(y=top, animate=False)

    def _show_told(self, view: JobView) -> None:
        told = view.told
        if told == self._told:
            return
        self._see_whether_told_is_followed()
        known = {event.seq: event for event in self._told}
        new = [event for event in told if known.get(event.seq) != event]
        if new and self._told and new[0].seq < self._told[-1].seq:
            self.told.clear()  # its event file was replaced
            self._told, new = (), list(told)
        gap = gap_line(view.line.job.id)
        if view.told_before > (self._told[-1].seq if self._told else -1):
            self.told.add([gap])
        self.told.add(map(told_line, new))
        self.told.keep_last(TOLD_KEPT, gap)
        self._told = told
        self._follow_told()

    def _see_whether_told_is_followed(self) -> None:
        """See whether one is at the end. Out of sight, it is followed if it was."""
        if self.told.size:
            self._told_followed = self.told.scroll_offset.y >= self.told.max_scroll_y - 1

    def _follow_told(self) -> None:
        if self._told_followed:
            self.told.scroll_end(animate=False)

    # --- the curve -----------------------------------------------------------------------------------

    def move_metric(self, by: int) -> None:
        """Choose another metric; it is the one to show of other jobs too, where they have it."""
        if self.view is not None and (names := self.view.run.run.metrics):
            present = self.view.run.metric or names[0]
            self.metric = names[(names.index(present) + by) % len(names)]

    def why_no_curve(self, *, several: bool) -> str | None:
        """Return why there is no curve to do something with, or no ``several`` metrics; None if there are."""
        if not self.curve_shown:
            return "No curve is shown: c shows one."
        metrics = self.view.run.run.metrics if self.view is not None else ()
        if not metrics:
            return "This job has no curve yet."
        return "This job has one metric only." if several and len(metrics) == 1 else None

    # --- what the first line says --------------------------------------------------------------------

    @on(LogTail.Changed)
    def _log_changed(self, event: LogTail.Changed) -> None:
        event.stop()
        self._show_tabs()
        self.post_message(self.Changed())

    def _show_tabs(self) -> None:
        job = self._line.job if self._line is not None else None
        named = Content("")
        if job is not None:
            named = Content.styled(f"#{job.id}", "$text-muted")
            if self._named:
                named = Content.assemble(state_words(job), "  ", named, f" {one_line(job.name, 200)}")
        self.tabs.show(self.views, self.present, named, self._status())

    def _status(self) -> str:
        if self.present == "log":
            return self.output.status
        run = self.view.run if self.view is not None else None
        if self.present == "curve" and run is not None and len(run.run.metrics) > 1:
            number = run.run.metrics.index(run.metric) + 1 if run.metric in run.run.metrics else 1
            return f"{number} of {len(run.run.metrics)}: m"
        return ""


def _log_remark(line: JobLine) -> str:
    """Return what is said where nothing was printed."""
    job = line.job
    if job.state.name == "queued":
        return f"It has not started. {line.why}"
    if job.state.name == "skipped":
        return "It never ran."
    told = "" if job.kind == "shell" else " t shows what it has told."
    return f"It printed nothing.{told}" if job.state.over else f"It has printed nothing yet.{told}"
