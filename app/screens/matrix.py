"""A matrix run as a table: sets of policies down, models across, and the chosen cell's figures in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.safe_text import one_line
from app.screens.live import LiveScreen
from app.widgets.bars import KeyBar, TopBar
from app.widgets.interval import interval_line, scale_of
from app.widgets.matrix_grid import MatrixGrid
from engine.jobs.matrix import MATRIX
from engine.jobs.matrix_export import (
    FIGURE_WORDS,
    difference_words,
    matrix_markdown,
    model_words,
    p_words,
    read_matrix,
    words,
)
from engine.jobs.matrix_table import BenchmarkTable, Cell, Difference, Figure, MatrixTable
from engine.policies.sets import STANDARD
from engine.tracker.run_records import Result

_TEXT, _SHORT = 200, 40
_NAME, _FIGURE = 16, 24
_SETS, _SCALE, _TALL = 16, 50, 30

_FPR, _PRECISION, _RECALL = "false positives", "precision", "recall"
_UNPARSABLE, _ESCALATED, _TOKENS = "unparsable", "escalated", "tokens a case"
_HEADLINE, _DIFFERENCE = "headline", f"minus {STANDARD}"
FIGURES = (_HEADLINE, _DIFFERENCE, _FPR, _PRECISION, _RECALL, _UNPARSABLE, _ESCALATED, _TOKENS)
"""What the cells can show."""


class MatrixScreen(LiveScreen):
    """One benchmark at a time. It stands before the list of runs, until one goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MATRIX)]
    AUTO_FOCUS = "#grid"
    HELP_PLACES = (Where.MATRIX, Where.EVERYWHERE)

    def __init__(self, run_id: int) -> None:
        super().__init__()
        self.run_id = run_id
        self.read: MatrixTable | None = None
        self.shown = _HEADLINE
        self._benchmark = 0
        self.top = TopBar("experiments")
        self.grid = MatrixGrid("set", id="grid")
        self.facts = Static(id="cell-facts")
        self.key_bar = KeyBar()

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        yield self.grid
        with VerticalScroll(id="cell", can_focus=False):
            yield self.facts
        yield self.key_bar

    def on_mount(self) -> None:
        self._show_settings()
        self.show_keys()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    # --- reading -------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        path = self.wizard.workspace.runs / str(self.run_id) / MATRIX
        self.read = await self.records.ask(lambda _: read_matrix(path))
        self._show()
        self.caught_up()

    @property
    def table(self) -> BenchmarkTable | None:
        """The table of the benchmark that is shown, if there is one."""
        tables = self.read.tables if self.read is not None else []
        return tables[self._benchmark] if tables else None

    @property
    def cell(self) -> Cell | None:
        """The cell that is chosen, if anything was measured there."""
        if self.read is None or self.table is None:
            return None
        return self.table.cell(self.read.sets[self.grid.row], self.read.models[self.grid.column])

    def _show(self) -> None:
        read, table = self.read, self.table
        if read is None or table is None:
            return
        called = model_words(read)
        interval = self.size.width >= _SETS + _FIGURE * len(read.models)
        self.grid.show(
            [one_line(name, _TEXT) for name in read.sets],
            [one_line(called[model], _TEXT) for model in read.models],
            [
                [_said(table, self.shown, name, model, interval=interval) for model in read.models]
                for name in read.sets
            ],
        )
        self._show_cell()
        self._show_settings()

    def _show_cell(self) -> None:
        read, table = self.read, self.table
        if read is not None and table is not None:
            set_name, model = read.sets[self.grid.row], read.models[self.grid.column]
            lines = _cell_lines(read, table, set_name, model, self.size)
            self.facts.update(Content("\n").join(lines))
        self.show_keys()

    def _show_settings(self) -> None:
        table = self.table
        headline = "" if table is None else FIGURE_WORDS[table.figure]
        shown = headline if self.shown == _HEADLINE else self.shown.replace("minus", f"{headline} minus")
        benchmark = "" if table is None else one_line(table.benchmark, _SHORT)
        several = self.read is not None and len(self.read.tables) > 1
        self.top.show(
            ("benchmark", benchmark, "next_benchmark" if several else ""), ("shows", shown, "next_figure")
        )

    @on(MatrixGrid.Moved)
    def _moved(self) -> None:
        self._show_cell()

    @on(MatrixGrid.Chosen)
    def _chosen(self) -> None:
        self.wizard.act("open_run")

    # --- actions -------------------------------------------------------------------------------------

    def do_leave_matrix(self) -> None:
        self.dismiss()

    def do_open_run(self) -> None:
        assert self.cell is not None
        self.wizard.show_run(self.cell.run)

    def do_next_figure(self) -> None:
        self._move_figure(1)

    def do_previous_figure(self) -> None:
        self._move_figure(-1)

    def _move_figure(self, by: int) -> None:
        self.shown = FIGURES[(FIGURES.index(self.shown) + by) % len(FIGURES)]
        self._show()

    def do_next_benchmark(self) -> None:
        assert self.read is not None
        self._benchmark = (self._benchmark + 1) % len(self.read.tables)
        self._show()

    def do_copy_table(self) -> None:
        assert self.read is not None
        self.app.copy_to_clipboard(matrix_markdown(self.read))
        self.app.notify("The matrix was copied as Markdown.")

    def do_export_runs(self) -> None:
        from app.screens.export import ExportScreen, Selected

        assert self.read is not None
        cells = dict.fromkeys(cell.run for table in self.read.tables for cell in table.cells)
        ids = (self.run_id, *cells)
        self.app.push_screen(
            ExportScreen(
                [
                    Selected(f"the matrix and its {len(cells)} evaluations", ids, len(ids)),
                    Selected("the matrix alone", (self.run_id,), 1),
                ]
            )
        )

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name in ("next_figure", "previous_figure", "copy_table", "export_runs") and self.table is None:
            return "There is no table yet."
        if name == "open_run" and self.cell is None:
            return "Nothing was measured there."
        if name == "next_benchmark" and (self.read is None or len(self.read.tables) < 2):
            return "The matrix is of one benchmark alone."
        return None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.MATRIX, Where.EVERYWHERE)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)


def _said(table: BenchmarkTable, shown: str, set_name: str, model: str, *, interval: bool) -> str:
    """Return what a cell of the grid says."""
    cell = table.cell(set_name, model)
    if cell is None:
        return "–"
    if shown == _TOKENS:
        return f"{cell.tokens:,.1f}"
    if shown == _DIFFERENCE:
        if set_name == STANDARD:
            return "·"
        return difference_words(table.difference(set_name, model), interval=interval)
    return words(_figures(table, cell)[shown], interval=interval)


def _figures(table: BenchmarkTable, cell: Cell) -> Mapping[str, Figure | None]:
    return {
        _HEADLINE: cell.figure(table.figure),
        _FPR: cell.fpr,
        _PRECISION: cell.precision,
        _RECALL: cell.recall,
        _UNPARSABLE: cell.unparsable,
        _ESCALATED: cell.escalated,
    }


# --- the chosen cell ---------------------------------------------------------------------------------


def _cell_lines(
    read: MatrixTable, table: BenchmarkTable, set_name: str, model: str, size: Size
) -> Iterator[Content]:
    """Yield the figures of a cell, how it differs, and where all sets stand: under its model, or all."""
    cell = table.cell(set_name, model)
    title = f"{one_line(set_name, _TEXT)} · {one_line(model_words(read)[model], _TEXT)}"
    run = "nothing was measured" if cell is None else f"run {cell.run}"
    yield Content.assemble((title, "bold"), (f"   {run}", "$text-muted"))
    if cell is not None:
        figures = dict(_figures(table, cell))
        headline = figures.pop(_HEADLINE)
        yield _fact(FIGURE_WORDS[table.figure], words(headline), headline, bold=True)
        for name, figure in figures.items():
            if figure is not None and (name != _RECALL or figure != headline):
                yield _fact(name, words(figure), figure)
        tokens = f"{cell.tokens:,.1f}"
        yield Content.assemble(
            (f"{_TOKENS:{_NAME}}  ", "$text-muted"), f"{tokens:{_FIGURE}} {cell.cases:,} cases"
        )
        if difference := table.difference(set_name, model):
            yield from _difference_lines(table, difference)
    others = [each for each in read.models if each != model] if size.height >= _TALL else []
    yield from _standing_lines(read, table, (set_name, model), [model, *others], size.width)
    for note in read.notes:
        yield Content.styled(f"! {one_line(note, _TEXT)}", "$text-warning")


def _fact(name: str, said: str, figure: Figure | None, *, bold: bool = False) -> Content:
    n = "" if figure is None else f"n={figure.n:,}"
    return Content.assemble(
        (f"{name:{_NAME}}  ", "$text-muted"), (f"{said:{_FIGURE}}", "bold" if bold else ""), f" {n}"
    )


def _difference_lines(table: BenchmarkTable, found: Difference) -> Iterator[Content]:
    said = f"{difference_words(found):{_FIGURE}}"
    yield Content.assemble(
        (f"{_DIFFERENCE:{_NAME}}  ", "$text-muted"), (said, "bold"), f" n={found.n:,}  p={p_words(found)}"
    )
    alone = f"{STANDARD} {found.only_standard:,}, this set {found.only_set:,}"
    yield Content.assemble((f"{'right alone':{_NAME}}  ", "$text-muted"), alone)


def _standing_lines(
    read: MatrixTable, table: BenchmarkTable, chosen: tuple[str, str], models: Sequence[str], width: int
) -> Iterator[Content]:
    """Yield the headline of every set under these models, all on one scale."""
    results = {(cell.set, cell.model): _result(table, cell) for cell in table.cells}
    longest = min(max(map(len, read.sets), default=0), _FIGURE)
    scale = scale_of((results.get((name, model)) for model in models for name in read.sets), _SCALE)
    if scale is None or width < longest + _SCALE:
        return
    called, ends = model_words(read), f"from {scale.low:.1f} to {scale.high:.1f}"
    for model in models:
        of = "this model" if model == chosen[1] else one_line(called[model], _TEXT)
        yield Content()
        yield Content.styled(f"{FIGURE_WORDS[table.figure]} of each set under {of}, {ends}", "$text-muted")
        for name in read.sets:
            result = results.get((name, model))
            line = "–" if result is None else interval_line(result, scale)
            here = (name, model) == chosen
            text = f"{'▸' if here else ' '}{one_line(name, longest):{longest}}  {line}"
            yield Content.styled(text, "bold" if here else "")


def _result(table: BenchmarkTable, cell: Cell | None) -> Result | None:
    figure = None if cell is None else cell.figure(table.figure)
    if figure is None:
        return None
    return Result(table.figure, figure.value, figure.n, figure.low, figure.high)
