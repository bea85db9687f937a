"""The experiments pane: every run there is, and one of them in full."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from app.actions import Where, actions, bindings
from app.run_list import RunList
from app.safe_text import one_line
from app.screens.live import LiveScreen
from app.widgets.bars import KeyBar, TopBar
from app.widgets.filter_input import FilterInput
from app.widgets.paged_table import PagedTable
from app.widgets.run_columns import SORTS, run_columns, sort_column
from app.widgets.run_details import RunDetails
from engine.tracker.run_records import RunQuery, RunSummary, Sort

_LETTERS = "ABCDEF"
_WIDE, _SHORT = 120, 30
_AGE_S = 30.0
_SORT_NAME = 24


class ExperimentsScreen(LiveScreen):
    """Lists the runs and shows the chosen one: beside the list where there is room, else in its place."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.EXPERIMENTS)]
    AUTO_FOCUS = "#runs"
    HELP_PLACES = (Where.EXPERIMENTS, Where.RUNS, Where.EVERYWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.top = TopBar("experiments")
        self.words = FilterInput("Words, a number, or kind: status: origin: exp: tag:")
        self.table: PagedTable[RunSummary] = PagedTable(
            run_columns(0), key=lambda run: run.id, id="runs", empty="No runs yet."
        )
        self.details = RunDetails()
        self.key_bar = KeyBar()
        self.runs_asked = RunQuery()
        self.marked: list[int] = []
        self.full = False
        self._former: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        yield self.words
        with Horizontal(id="body"):
            yield self.table
            yield self.details
        yield self.key_bar

    def on_mount(self) -> None:
        self.set_interval(_AGE_S, self._grow_older)
        self._show_settings()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        self.set_class(self.size.height < _SHORT, "-short")
        self.call_after_refresh(self._fit_columns)
        self._load_details()

    def _fit_columns(self) -> None:
        self.table.columns = run_columns(self.table.size.width)

    def _grow_older(self) -> None:
        if self.is_current:
            self.table.redraw()

    # --- the list ------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        self._list(keep=True)
        self._load_details()

    def _list(self, *, keep: bool = False, key: int | None = None) -> None:
        self.table.show(RunList(self.records, self.runs_asked), keep=keep, key=key)
        self.table.sort = (sort_column(self.runs_asked.sort), self.runs_asked.descending)
        by_result = self.runs_asked.sort.startswith("result:")
        none = "No run has the result that is sorted by. s sorts by another." if by_result else "No runs yet."
        self.table.empty = "No run matches. esc clears the filter." if self.words.value else none

    def _ask(self, text: str, sort: str, descending: bool, *, keep: bool = False) -> None:
        """List other runs, or the same in another order; ``keep`` the one chosen."""
        self.runs_asked = RunQuery.parse(text, sort=sort, descending=descending)
        self._list(keep=keep)
        self._show_settings()

    @on(PagedTable.Loaded)
    def _loaded(self) -> None:
        self.caught_up()
        self._show_settings()

    @on(PagedTable.Failed)
    def _not_loaded(self, event: PagedTable.Failed) -> None:
        self.failed(event.error)

    @on(PagedTable.Moved)
    def _moved(self) -> None:
        self._show_settings()
        self._load_details()
        self.show_keys()

    @on(PagedTable.Chosen)
    def _chosen(self) -> None:
        self.wizard.act("open_details")

    def do_next_run(self) -> None:
        self.table.choose(self.table.cursor + 1)

    def do_previous_run(self) -> None:
        self.table.choose(self.table.cursor - 1)

    # --- filter and order ----------------------------------------------------------------------------

    def do_filter_runs(self) -> None:
        self._leave_full()
        self.words.open()

    @on(FilterInput.Asked)
    def _filter(self) -> None:
        self._ask(self.words.value, self.runs_asked.sort, self.runs_asked.descending, keep=True)

    @on(FilterInput.Left)
    def _filtered(self) -> None:
        self.set_focus(self.table)

    def do_sort_runs(self) -> None:
        self.begin_dialog(self._ask_for_sort())

    async def _ask_for_sort(self) -> None:
        from app.screens.choice import ChoiceScreen

        names = await self.ask(lambda store: store.runs.result_names())
        if names is None:
            return
        sorts = {str(sort): said for sort, said in SORTS.items()}
        sorts |= {f"result:{name}": f"result {name}, of the runs that have it" for name in names}
        sorts.setdefault(self.runs_asked.sort, self.runs_asked.sort.removeprefix("result:"))
        chosen = await self.app.push_screen_wait(
            ChoiceScreen("Sort by", list(sorts.values()), list(sorts).index(self.runs_asked.sort))
        )
        if chosen is not None and (sort := list(sorts)[chosen]) != self.runs_asked.sort:
            self._sort_by(sort)

    def _sort_by(self, sort: str) -> None:
        self._ask(self.words.value, sort, sort not in (Sort.NAME, Sort.KIND, Sort.STATUS))

    def do_reverse_sort(self) -> None:
        self.runs_asked = replace(self.runs_asked, descending=not self.runs_asked.descending)
        self._list()
        self._show_settings()

    @on(PagedTable.SortAsked)
    def _title_clicked(self, event: PagedTable.SortAsked) -> None:
        if event.column == self.runs_asked.sort:
            self.do_reverse_sort()
        elif event.column in list(Sort):
            self._sort_by(event.column)
        else:
            self.do_sort_runs()

    # --- one run -------------------------------------------------------------------------------------

    @property
    def details_shown(self) -> bool:
        """Whether there is a place for one run."""
        return self.full or self.size.width >= _WIDE

    def _load_details(self) -> None:
        if not self.details_shown:
            return
        if self.table.row is not None:
            self.details.read(self.records, self.table.row.id)
        elif not self.table.count:
            self.details.show(None)

    @on(RunDetails.Shown)
    def _details_shown(self) -> None:
        self.show_keys()

    @on(RunDetails.Failed)
    def _details_failed(self, event: RunDetails.Failed) -> None:
        self.failed(event.error)

    def do_open_details(self) -> None:
        self.full = True
        self._arrange()
        self.details.facts.focus()

    def do_go_back(self) -> None:
        if self.details.zoomed:
            self.details.zoomed = False
        elif self.full:
            self._leave_full()
        else:
            self.words.close()

    def _leave_full(self) -> None:
        self.full = False
        self.details.zoomed = False
        self._arrange()
        self.set_focus(self.table)

    def _arrange(self) -> None:
        self.set_class(self.full, "-full")
        self._load_details()
        self.show_keys()

    def do_next_metric(self) -> None:
        self._move_metric(1)

    def do_previous_metric(self) -> None:
        self._move_metric(-1)

    def _move_metric(self, by: int) -> None:
        self.details.move_metric(by)
        self._load_details()

    def do_toggle_logarithmic(self) -> None:
        self.details.curve.logarithmic = not self.details.curve.logarithmic

    def do_zoom_curve(self) -> None:
        self.details.zoomed = not self.details.zoomed

    # --- lineage -------------------------------------------------------------------------------------

    def do_show_lineage(self) -> None:
        self.begin_dialog(self._ask_for_relative(self._row_id))

    async def _ask_for_relative(self, run_id: int) -> None:
        from app.screens.run_verbs import choose_relative

        relative = await choose_relative(self, run_id)
        if relative is not None:
            self.action_jump(relative)

    def action_jump(self, run_id: int) -> None:
        """Choose a run wherever it is in the list."""
        if self.table.row is not None:
            self._former.append(self.table.row.id)
        self.run_worker(self._jump(run_id), group="ask", exclusive=True)

    def do_go_to_former(self) -> None:
        self.run_worker(self._jump(self._former.pop()), group="ask", exclusive=True)

    async def _jump(self, run_id: int) -> None:
        try:
            index = await RunList(self.records, self.runs_asked).find(run_id)
        except Exception as error:
            self.failed(error)
            return
        if index is None:
            self.app.notify(f"Run {run_id} is not among those listed: all are listed now, by number.")
            with self.words.prevent(FilterInput.Changed):
                self.words.close()
            self.runs_asked = RunQuery()
        self._list(key=run_id)

    # --- marks ---------------------------------------------------------------------------------------

    def do_mark_run(self) -> None:
        row = self.table.row
        assert row is not None
        if row.id in self.marked:
            self.marked.remove(row.id)
        else:
            self.marked.append(row.id)
        self._show_marks()
        self.table.choose(self.table.cursor + 1)

    def do_unmark_runs(self) -> None:
        self.marked.clear()
        self._show_marks()

    def _show_marks(self) -> None:
        self.table.marks = dict(zip(self.marked, _LETTERS, strict=False))
        self._show_settings()
        self.show_keys()

    def do_compare_runs(self) -> None:
        from app.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(tuple(self.marked)))

    def do_show_leaderboard(self) -> None:
        from app.screens.leaderboard import LeaderboardScreen

        self.app.push_screen(LeaderboardScreen())

    def do_show_matrix(self) -> None:
        from app.screens.matrix import MatrixScreen

        self.app.push_screen(MatrixScreen(self._row_id))

    # --- writing -------------------------------------------------------------------------------------

    def do_edit_note(self) -> None:
        from app.screens.run_verbs import edit_note

        self.begin_dialog(edit_note(self, self._row_id))

    def do_edit_tags(self) -> None:
        from app.screens.run_verbs import edit_tags

        self.begin_dialog(edit_tags(self, self._row_id))

    def do_export_runs(self) -> None:
        from app.screens.export import ExportScreen, Selected

        row = self.table.row
        selections = [
            Selected(f"the {len(self.marked)} runs marked", tuple(self.marked), len(self.marked)),
            Selected(f"run {row.id}" if row else "", (row.id,) if row else (), 1 if row else 0),
            Selected(f"all {self.table.count:,} runs listed", self.runs_asked, self.table.count),
        ]
        self.app.push_screen(ExportScreen([each for each in selections if each.count]))

    def do_copy_id(self) -> None:
        self.app.copy_to_clipboard(str(self._row_id))
        self.app.notify(f"The number {self._row_id} was copied.")

    def do_copy_run(self) -> None:
        from app.screens.run_verbs import copy_run

        self.run_worker(copy_run(self, self._row_id), group="ask", exclusive=True)

    @property
    def _row_id(self) -> int:
        row = self.table.row
        assert row is not None
        return row.id

    # --- what works now ------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        row = self.table.row
        match name:
            case "export_runs" if not self.table.count and not self.marked:
                return "There is no run to export."
            case _ if row is None and name in _NEEDS_RUN:
                return "There is no run to do that with."
            case "open_details" if self.full:
                return "It is open already: esc goes back to the list."
            case "go_back" if not (self.full or self.details.zoomed or self.words.display):
                return "This is the list. ctrl+q leaves the program."
            case "show_matrix" if row and (row.kind, row.status) != ("matrix", "succeeded"):
                return "That is for finished runs of the kind matrix: 'wizard101 matrix' makes them."
            case "mark_run" if row and row.id not in self.marked and len(self.marked) == len(_LETTERS):
                return "Six runs are marked, and no more can be compared. u takes all marks away."
            case "unmark_runs" if not self.marked:
                return "No run is marked."
            case "compare_runs" if len(self.marked) < 2:
                return "Mark two to six runs first: space marks the one chosen."
            case "go_to_former" if not self._former:
                return "You came from no other run."
            case "edit_note" | "edit_tags" if self.records.read_only:
                return self.records.read_only
            case "next_metric" | "previous_metric" | "toggle_logarithmic" | "zoom_curve":
                if not self.details_shown:
                    return "Open a run first: enter opens the one chosen."
                return self.details.why_no_curve(several=name.endswith("metric"))
        return None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.EXPERIMENTS, Where.EVERYWHERE)
        if self.words.has_focus:
            candidates = (action for action in candidates if action.name in _WHILE_TYPING)
        elif self.full:
            candidates = iter(sorted(candidates, key=lambda action: action.name in _OF_THE_LIST))
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)

    def _show_settings(self) -> None:
        count, asked = self.table.count, self.runs_asked
        place = f"{self.table.cursor + 1:,} of {count:,}" if count else "none"
        order = "▾" if asked.descending else "▴"
        settings = [
            ("sort", f"{one_line(asked.sort.removeprefix('result:'), _SORT_NAME)} {order}", "sort_runs"),
            ("run", place, ""),
        ]
        if self.marked:
            settings.insert(0, ("marked", str(len(self.marked)), "compare_runs"))
        self.top.show(*settings)

    def on_descendant_focus(self) -> None:
        self.show_keys()


_WHILE_TYPING = ("go_back", "next_pane", "palette", "help", "quit")
_OF_THE_LIST = ("mark_run", "compare_runs", "filter_runs", "sort_runs")
_NEEDS_RUN = frozenset(
    (
        *("open_details", "mark_run", "show_lineage", "show_matrix", "edit_note", "edit_tags"),
        *("copy_id", "copy_run"),
    )
)
