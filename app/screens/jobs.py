"""The jobs pane: the queue as it moves, and one job in full."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual.worker import WorkType

from app import job_verbs
from app.actions import Where, actions, bindings
from app.job_board import Board, JobView
from app.job_facts import about_lines
from app.job_words import JobLine
from app.records import Store
from app.screens.job_verbs import JobVerbs
from app.widgets.bars import KeyBar, TopBar
from app.widgets.filter_input import FilterInput
from app.widgets.job_columns import job_columns
from app.widgets.job_panel import VIEWS, JobPanel
from app.widgets.paged_table import PagedTable

_TALL, _WIDE = 32, 120
_PAGE = 200
_REST = 10
"""Reading rests so many times as long as it took: a long queue costs no more than a tenth of a core."""

_EMPTY = "No jobs yet. n queues one."
_SECOND_S, _AGE_S = 1.0, 30.0


class _Rows:
    """A source for the table: the lines of a board."""

    def __init__(self, lines: Sequence[JobLine]) -> None:
        self._lines = lines

    async def count(self) -> int:
        return len(self._lines)

    async def rows(self, first: int, limit: int) -> Sequence[JobLine]:
        return self._lines[first : first + limit]

    async def find(self, key: Hashable) -> int | None:
        return next((index for index, line in enumerate(self._lines) if line.job.id == key), None)


class JobsScreen(JobVerbs):
    """Lists the jobs and shows the chosen one: below the list where there is room, else in its place."""

    LOOK_S = 0.5
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.JOBS)]
    AUTO_FOCUS = "#jobs"
    HELP_PLACES = (Where.JOBS, Where.JOB_PARTS, Where.EVERYWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("jobs")
        self.words = FilterInput("A number, or words of name, kind, state or group")
        self.table: PagedTable[JobLine] = PagedTable(
            job_columns(0), key=lambda line: line.job.id, id="jobs", empty=_EMPTY
        )
        self.about = Static(id="about")
        self.panel = JobPanel()
        self.key_bar = KeyBar()
        self.board = Board()
        self.part = "queue"
        self.zoomed = False
        self._most = _PAGE
        self._chosen: int | None = None
        self._wanted: int | None = None
        self._hindrance: str | None = None
        self._silent: dict[int, str] = {}
        self._attended = self._listed = False
        self._rest_until = self._view_rest_until = 0.0
        self._view_due = False

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        yield self.words
        with Vertical(id="queue"):
            yield self.table
            yield self.about
        yield self.panel
        yield self.key_bar

    def on_mount(self) -> None:
        self.about.display = False
        self.set_interval(_SECOND_S, self._tick)
        self.set_interval(_AGE_S, self.table.redraw)
        self.watch(self.table, "scroll_y", self._scrolled, init=False)
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()
        self.call_after_refresh(self._fit_columns)

    def _fit_columns(self) -> None:
        self.table.columns = job_columns(self.table.size.width)

    def on_screen_resume(self) -> None:
        self.panel.output.pause(False)

    def on_screen_suspend(self) -> None:
        self.panel.output.pause(True)

    # --- keeping up ----------------------------------------------------------------------------------

    def look(self) -> None:
        if time.monotonic() >= self._rest_until:
            super().look()

    async def prepare(self) -> None:
        """Attend to the queue while anything is left in it; see to the disks, and who has fallen silent."""
        reader, active = self.reader, self.board.active
        left = self._anything_left or not self._attended

        def work(store: Store) -> tuple[str | None, dict[int, str]]:
            trouble = reader.attend(store) if left else None
            return reader.disk_trouble() or trouble, reader.silent(store, active)

        found = await self.records.ask(work)
        self._attended = True
        if found != (self._hindrance, self._silent):
            self._hindrance, self._silent = found
            self._seen = None

    @property
    def _anything_left(self) -> bool:
        over = ("succeeded", "failed", "killed", "lost", "skipped")
        return any(number for state, number in self.board.counts.items() if state not in over)

    async def catch_up(self) -> None:
        words, most, silent = self.words.value.split(), self._most, self._silent
        began = time.monotonic()
        board = await self.records.ask(lambda store: self.reader.read(store, words, most, silent))
        self._rest_until = time.monotonic() + (time.monotonic() - began) * _REST
        self.caught_up()
        if not self._listed or board != self.board or self._wanted is not None:
            self.board = board
            self._list()
        else:
            self._load_view()

    def caught_up(self) -> None:
        super().caught_up()
        if self._hindrance:
            self._tell(f"! {self._hindrance}")

    def _list(self) -> None:
        self._listed = True
        wanted, self._wanted = self._wanted, None
        self.table.show(_Rows(self.board.lines), keep=True, key=wanted)
        filtered = bool(self.words.value)
        self.table.empty = "No job matches. esc clears the filter." if filtered else _EMPTY
        self._show_counts()

    def _show_counts(self) -> None:
        counts = self.board.counts
        waiting = counts.get("queued", 0)
        over = sum(counts.values()) - waiting - len(self.board.active)
        held = [group.name for group in self.board.groups if group.at_once == 0 and group.queued]
        settings = [
            ("under way", f"{sum(counts.values()) - waiting - over:,}", ""),
            ("waiting", f"{waiting:,}", ""),
        ]
        if held:
            settings.append(("held", held[0] if len(held) == 1 else f"{len(held)} groups", "limit_groups"))
        self.top.show(*settings)

    @on(PagedTable.Failed)
    def _not_listed(self, event: PagedTable.Failed) -> None:
        self.failed(event.error)

    def _scrolled(self) -> None:
        near = self.table.scroll_y + 2 * self.table.size.height >= self.table.count
        if near and self.board.more and self._most <= len(self.board.lines):
            self._most = len(self.board.lines) + _PAGE
            self.look_anew()

    def _tick(self) -> None:
        """Have durations go on, and read what was left while reading rested."""
        if self.is_current and self.board.active:
            self.table.redraw()
            self._show_about()
            if self.panel.display and self.panel.details.display:
                self.panel.show_details()
        if self.is_current and self._view_due:
            self._load_view()

    # --- the chosen job ------------------------------------------------------------------------------

    @property
    def line(self) -> JobLine | None:
        """The chosen job."""
        return self.table.row

    def choose_job(self, job_id: int) -> None:
        """Choose a job, as soon as it is listed."""
        self._wanted = job_id
        self.look_anew()

    @on(PagedTable.Moved)
    def _moved(self) -> None:
        line = self.line
        job_id = line.job.id if line is not None else None
        if job_id != self._chosen:
            self._chosen = job_id
            self._view_rest_until = 0.0
        output = self.reader.output(job_id) if job_id is not None else None
        self.panel.show_line(line, output)
        self._show_about()
        self._load_view()
        self.show_keys()

    def _show_about(self) -> None:
        line = self.line
        self.about.display = line is not None
        if line is not None:
            self.about.update(Content("\n").join(about_lines(line, datetime.now(UTC))))

    def _load_view(self) -> None:
        line = self.line
        self._view_due = time.monotonic() < self._view_rest_until
        if line is not None and self.panel.display and not self._view_due:
            reading: WorkType[None] = partial(self._read_view, line)
            self.run_worker(reading, group="view", exclusive=True)

    async def _read_view(self, line: JobLine) -> None:
        metric = self.panel.metric
        buckets = 2 * self.panel.curve.size.width or 2 * _WIDE if self.panel.curve_shown else 0
        began = time.monotonic()
        view = await self.ask(lambda store: self.reader.view(store, line, metric, buckets))
        self._view_rest_until = time.monotonic() + (time.monotonic() - began) * _REST
        if isinstance(view, JobView):
            self.panel.show_view(view)

    @on(JobPanel.Changed)
    def _panel_changed(self) -> None:
        self.show_keys()

    # --- the parts of the pane -----------------------------------------------------------------------

    def _arrange(self) -> None:
        tall, wide = self.size.height >= _TALL, self.size.width >= _WIDE
        if self.panel.beside != (tall and wide):
            self.panel.beside = tall and wide
        if self.part == "curve" and self.panel.beside:
            self.part = "log"
            self.panel.focus_view()
        self.query_one("#queue").display = self.part == "queue" or (tall and not self.zoomed)
        self.panel.display = tall or self.part != "queue"
        self.panel.named = not self.query_one("#queue").display
        self._load_view()
        self.show_keys()

    def go_to(self, part: str) -> None:
        """Go to the queue, or to a view of the chosen job."""
        self.part = part
        self.zoomed = self.zoomed and part != "queue"
        if part != "queue":
            self.panel.choose(part)
        self._view_rest_until = 0.0
        self._arrange()
        if part == "queue":
            self.set_focus(self.table)
        else:
            self.panel.focus_view()

    def _move_part(self, by: int) -> None:
        parts = ("queue", *self.panel.views)
        present = self.part if self.part in parts else "queue"
        self.go_to(parts[(parts.index(present) + by) % len(parts)])

    def do_next_part(self) -> None:
        self._move_part(1)

    def do_previous_part(self) -> None:
        self._move_part(-1)

    def do_show_log(self) -> None:
        self.go_to("log")

    def do_show_told(self) -> None:
        self.go_to("told")

    def do_show_details(self) -> None:
        self.go_to("details")

    def do_show_curve(self) -> None:
        self.go_to("curve")

    def do_zoom_job(self) -> None:
        self.zoomed = not self.zoomed
        self.go_to(self.panel.present if self.part == "queue" else self.part)

    def do_back(self) -> None:
        if self.part != "queue":
            self.go_to("queue")
        else:
            self.words.close()

    def do_next_job(self) -> None:
        self.table.choose(self.table.cursor + 1)

    def do_previous_job(self) -> None:
        self.table.choose(self.table.cursor - 1)

    @on(PagedTable.Chosen)
    def _opened(self) -> None:
        self.wizard.act("show_log")

    def do_follow_log(self) -> None:
        self.panel.output.follow(not self.panel.output.following)

    def do_next_metric(self) -> None:
        self._move_metric(1)

    def do_previous_metric(self) -> None:
        self._move_metric(-1)

    def _move_metric(self, by: int) -> None:
        self.panel.move_metric(by)
        self._view_rest_until = 0.0
        self._load_view()

    def do_toggle_logarithmic(self) -> None:
        self.panel.curve.logarithmic = not self.panel.curve.logarithmic

    # --- the filter ----------------------------------------------------------------------------------

    def do_filter_jobs(self) -> None:
        self.go_to("queue")
        self.words.open()

    @on(FilterInput.Asked)
    def _asked(self) -> None:
        self.look_anew()

    @on(FilterInput.Left)
    def _filtered(self) -> None:
        self.set_focus(self.table)

    # --- what works now ------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        line = self.line
        if line is None and name in _NEEDS_JOB:
            return "There is no job to do that with."
        if name in _WRITES and self.records.read_only:
            return self.records.read_only
        match name:
            case "back" if self.part == "queue" and not self.words.display:
                return "This is the queue. ctrl+q leaves the program; jobs go on."
            case "show_log" | "show_told" | "show_details" | "show_curve":
                view = name.removeprefix("show_")
                if view == "curve" and self.panel.beside:
                    return "The curve is beside the log."
                return f"{VIEWS[view]} is shown already." if self.part == view else None
            case "follow_log" if self.panel.present != "log" or not self.panel.display:
                return "The log is not shown: l shows it."
            case "zoom_job" if self.size.height < _TALL:
                return "There is no room for more than one part anyway."
            case "next_metric" | "previous_metric" | "toggle_logarithmic":
                return self.panel.why_no_curve(several=name.endswith("metric"))
        return job_verbs.why_not(name, line.job) if line is not None else None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.JOBS, Where.EVERYWHERE)
        if self.words.has_focus:
            candidates = (action for action in candidates if action.name in _WHILE_TYPING)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)

    def on_descendant_focus(self) -> None:
        if self.table.has_focus and self.part != "queue":
            self.part = "queue"
        self.show_keys()


_WHILE_TYPING = ("back", "next_pane", "palette", "help", "quit")
_NEEDS_JOB = frozenset(
    (
        *("toggle_pause", "cancel_job", "retry_job", "run_anew", "change_job", "raise_priority"),
        *("lower_priority", "show_log", "show_told", "show_details", "show_curve", "follow_log"),
        *("open_run", "copy_id", "copy_command", "zoom_job", "next_part", "previous_part"),
    )
)
_WRITES = frozenset(
    (
        *("new_job", "toggle_pause", "cancel_job", "retry_job", "run_anew", "change_job"),
        *("raise_priority", "lower_priority", "limit_groups"),
    )
)
