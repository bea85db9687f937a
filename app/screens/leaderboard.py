"""The leaderboard: guards measured here beside the paper's, and the chosen one's figures in full."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.run_words import origin_sentence, origin_word
from app.safe_text import one_line
from app.screens.live import LiveScreen
from app.widgets.bars import KeyBar, TopBar
from app.widgets.columns import Column
from app.widgets.paged_table import PagedTable
from app.wording import short_heading
from engine.evaluation.leaderboard import (
    AVERAGE,
    NAME,
    ORIGIN,
    RUN,
    Board,
    Leaderboard,
    N,
    Standing,
    figure_word,
    read_leaderboard,
)
from engine.evaluation.leaderboard_export import average_words, leaderboard_markdown, words
from engine.tracker.run_records import Origin

_WITH_INTERVAL = 110
_TEXT = 200
_NAME = 22
_FIGURE = 22
_SORTS = {
    AVERAGE: "weighted average",
    NAME: "name",
    ORIGIN: "origin: measured or paper",
    N: "number of items",
    RUN: "number of the run",
}


class _Rows:
    """A source for the table: rows that are in memory."""

    def __init__(self, rows: Sequence[Standing]) -> None:
        self._rows = rows

    async def count(self) -> int:
        return len(self._rows)

    async def rows(self, first: int, limit: int) -> Sequence[Standing]:
        return self._rows[first : first + limit]

    async def find(self, key: Hashable) -> int | None:
        return next((index for index, row in enumerate(self._rows) if row.run_id == key), None)


class LeaderboardScreen(LiveScreen):
    """One task at a time. It stands before the list of runs, until one goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.LEADERBOARD)]
    AUTO_FOCUS = "#standings"
    HELP_PLACES = (Where.LEADERBOARD, Where.EVERYWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.board = Board.PROMPT
        self.read: Leaderboard | None = None
        self.sort = (AVERAGE, True)
        self.rows: tuple[Standing, ...] = ()
        self.top = TopBar("experiments")
        self.table: PagedTable[Standing] = PagedTable(
            (), key=lambda row: row.run_id, id="standings", empty="There is no row."
        )
        self.figures = Static(id="figures")
        self.key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        yield self.table
        yield self.figures
        yield self.key_bar

    def on_mount(self) -> None:
        self._show_settings()
        self.show_keys()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit_columns)

    def _fit_columns(self) -> None:
        if self.read is not None:
            self.table.columns = _columns(self.read, self.size.width)

    # --- reading -------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        board = self.board
        read = await self.records.ask(lambda store: read_leaderboard(store.runs, board))
        if board is self.board:
            self.read = read
            self._fit_columns()
            self._show()
            self.caught_up()

    def _show(self) -> None:
        if self.read is None:
            return
        by, descending = self.sort
        self.rows = self.read.sorted(by, descending=descending)
        self.table.sort = self.sort
        self.table.show(_Rows(self.rows), keep=True)
        self._show_settings()

    def _show_settings(self) -> None:
        by, descending = self.sort
        order = f"{_SORTS.get(by, by)} {'▾' if descending else '▴'}"
        self.top.show(("task", self.board.value, "next_task"), ("sort", order, "sort_rows"))

    @on(PagedTable.Moved)
    @on(PagedTable.Loaded)
    def _moved(self) -> None:
        row = self.table.row
        if self.read is not None and row is not None:
            self.figures.update(Content("\n").join(_figure_lines(self.read, row)))
        self.show_keys()

    @on(PagedTable.Failed)
    def _not_loaded(self, event: PagedTable.Failed) -> None:
        self.failed(event.error)

    # --- actions -------------------------------------------------------------------------------------

    def do_leave_leaderboard(self) -> None:
        self.dismiss()

    def do_next_task(self) -> None:
        boards = list(Board)
        self.board = boards[(boards.index(self.board) + 1) % len(boards)]
        if self.sort[0] not in _SORTS:
            self.sort = (AVERAGE, True)
        self._show_settings()
        self.look_anew()

    def do_sort_rows(self) -> None:
        self.begin_dialog(self._ask_for_sort())

    async def _ask_for_sort(self) -> None:
        from app.screens.choice import ChoiceScreen

        assert self.read is not None
        sorts = {**_SORTS, **{benchmark.name: benchmark.name for benchmark in self.read.benchmarks}}
        chosen = await self.app.push_screen_wait(
            ChoiceScreen("Sort by", list(sorts.values()), list(sorts).index(self.sort[0]))
        )
        if chosen is not None:
            self._sort_by(list(sorts)[chosen])

    def _sort_by(self, by: str) -> None:
        self.sort = (by, by not in (NAME, ORIGIN))
        self._show()

    def do_reverse_sort(self) -> None:
        by, descending = self.sort
        self.sort = (by, not descending)
        self._show()

    @on(PagedTable.SortAsked)
    def _title_clicked(self, event: PagedTable.SortAsked) -> None:
        if event.column == self.sort[0]:
            self.do_reverse_sort()
        else:
            self._sort_by(event.column)

    @on(PagedTable.Chosen)
    def _chosen(self) -> None:
        self.wizard.act("open_run")

    def do_open_run(self) -> None:
        assert self.table.row is not None
        self.wizard.show_run(self.table.row.run_id)

    def do_copy_table(self) -> None:
        assert self.read is not None
        self.app.copy_to_clipboard(leaderboard_markdown(self.read, self.rows))
        self.app.notify(f"The {self.board.value} leaderboard was copied as Markdown.")

    def do_export_runs(self) -> None:
        from app.screens.export import ExportScreen, Selected

        ids = tuple(row.run_id for row in self.rows)
        self.app.push_screen(ExportScreen([Selected(f"the {len(ids)} runs of the rows", ids, len(ids))]))

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name in ("sort_rows", "reverse_sort", "copy_table", "export_runs") and not self.rows:
            return "There is no row yet."
        if name == "open_run" and self.table.row is None:
            return "There is no row to open."
        return None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.LEADERBOARD, Where.EVERYWHERE)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)


def _columns(read: Leaderboard, width: int) -> Sequence[Column[Standing]]:
    interval = width >= _WITH_INTERVAL

    def figure_of(name: str) -> Column[Standing]:
        benchmark = next(each for each in read.benchmarks if each.name == name)

        def draw(row: Standing) -> str:
            figure = row.figures.get(name)
            return "–" if figure is None else f"{figure.value:.2f}"

        heading = short_heading(benchmark)
        return Column(name, heading, max(len(heading), 6), draw)

    return (
        Column(RUN, "Run", 6, lambda row: str(row.run_id), right=True, drop=2),
        Column(ORIGIN, "Origin", 8, lambda row: origin_word(row.origin)),
        Column(NAME, "Guard", 8, lambda row: one_line(row.name, _TEXT), flexible=1, ends=True),
        Column(
            AVERAGE,
            "Average" if interval else "Avg",
            22 if interval else 7,
            lambda row: average_words(row, interval=interval),
        ),
        Column(N, "n", 7, lambda row: f"{row.n:,}", right=True, drop=1),
        *(figure_of(benchmark.name) for benchmark in read.benchmarks),
    )


def _figure_lines(read: Leaderboard, row: Standing) -> Iterator[Content]:
    """Yield the chosen row's figures, each with its interval and how many items it is of."""
    yield Content.assemble(origin_sentence(row.origin), (f"  {one_line(row.name, _TEXT)}", "bold"))
    average = Content.styled(f"{average_words(row)}", "bold")
    yield Content.assemble((f"{'weighted average F1':{_NAME}} ", "$text-muted"), average, f"  n={row.n:,}")
    for benchmark in read.benchmarks:
        figure = row.figures.get(benchmark.name)
        n = "" if figure is None or figure.n is None else f"n={figure.n:,}"
        from_f1 = benchmark.single_class and row.origin is Origin.PAPER
        computed = ", computed from the F1 printed" if from_f1 else ""
        yield Content.assemble(
            (f"{benchmark.name:{_NAME}} ", "$text-muted"),
            f"{words(figure):{_FIGURE}} {n}",
            (f"  {figure_word(benchmark)}{computed}", "$text-muted"),
        )
