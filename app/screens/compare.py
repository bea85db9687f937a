"""Runs side by side: results with their intervals, what they were given, and their curves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from app.actions import Where, actions, bindings
from app.records import Store
from app.run_facts import most_telling
from app.run_words import origin_word, status_words
from app.safe_text import one_line, visible
from app.screens.live import LiveScreen
from app.widgets.bars import KeyBar, TopBar
from app.widgets.braille import ACROSS
from app.widgets.curve import COLOURS, Curve, Series
from app.widgets.interval import interval_line, scale_of
from app.widgets.stream_view import StreamView
from engine.jobs.records import JobError
from engine.tracker import TrackerError
from engine.tracker.axes import Scale
from engine.tracker.compare import Comparison, ParameterLine, ResultLine, compare, value_words
from engine.tracker.figures import figure_words, number_words
from engine.tracker.run_records import Bucket, Origin, RunSummary

if TYPE_CHECKING:
    from engine.jobs.paired import Paired

LETTERS = "ABCDEF"
_WIDE, _SHORT = 120, 30
_NAME = 24
_LONG = 200
_VALUE = 500
_FIGURE, _ORIGIN = 27, 10
_BAR_AT = 4 + 1 + 2 + _FIGURE + 2 + _ORIGIN
_LEAST_BUCKETS = 100


class CompareScreen(LiveScreen):
    """Shows two to six runs over one another. It stands before the list, until one goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.COMPARISON)]
    AUTO_FOCUS = "#lines"
    HELP_PLACES = (Where.COMPARISON, Where.EVERYWHERE)

    def __init__(self, run_ids: tuple[int, ...]) -> None:
        super().__init__()
        self.run_ids = run_ids
        self.comparison: Comparison | None = None
        self.curves: Mapping[int, Sequence[Bucket]] = {}
        self.metric = ""
        self.top = TopBar("experiments")
        self.legend = Static(id="legend")
        self.lines = StreamView(id="lines", empty="Loading…")
        self.curve = Curve(id="curve", empty="None of these runs has metrics.")
        self.key_bar = KeyBar()
        self.paired: Sequence[Paired] | None = None
        self._clear_text = False
        self._shown_width = 0

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.trouble
        yield self.legend
        with Container(id="sides"):
            yield self.lines
            yield self.curve
        yield self.key_bar

    def on_mount(self) -> None:
        self.top.show(("comparing", f"{len(self.run_ids)} runs", ""))
        self.show_keys()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        self.set_class(self.size.height < _SHORT, "-short")
        self.call_after_refresh(self._show)

    # --- reading -------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        buckets = self._buckets
        self.comparison, self.metric, self.curves = await self.records.ask(
            lambda store: _read(store, self.run_ids, self.metric, buckets)
        )
        self._shown_width = 0
        self._show()
        self.caught_up()

    @property
    def _buckets(self) -> int:
        return max(ACROSS * self.curve.size.width, _LEAST_BUCKETS)

    def _show(self) -> None:
        comparison = self.comparison
        if comparison is None:
            return
        series = [
            Series(self.curves.get(run.id, ()), LETTERS[number])
            for number, run in enumerate(comparison.summaries)
        ]
        self.curve.show(series, title=self.metric)
        self.curve.display = bool(comparison.metrics)
        width = self.lines.size.width - 2
        if width != self._shown_width:
            self._shown_width = width
            self.legend.update(Content("\n").join(map(_legend, range(len(series)), comparison.summaries)))
            top = self.lines.scroll_offset.y
            self.lines.clear()
            if self.paired is None:
                self.lines.add(comparison_lines(comparison, width))
            else:
                from app.paired_words import paired_content

                self.lines.add(paired_content(self.paired, clear=self._clear_text))
            self.lines.scroll_to(y=top, animate=False)
        self.show_keys()

    # --- actions -------------------------------------------------------------------------------------

    def do_leave_comparison(self) -> None:
        if self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        else:
            self.dismiss()

    def do_next_metric(self) -> None:
        self._move_metric(1)

    def do_previous_metric(self) -> None:
        self._move_metric(-1)

    def _move_metric(self, by: int) -> None:
        assert self.comparison is not None
        names = self.comparison.metrics
        self.metric = names[(names.index(self.metric) + by) % len(names)]
        self.run_worker(self._read_curves(), group="curves", exclusive=True)

    async def _read_curves(self) -> None:
        ids, metric, buckets = self.run_ids, self.metric, self._buckets
        curves = await self.ask(lambda store: store.runs.curves(ids, metric, buckets))
        if curves is not None:
            self.curves = curves
            self._show()

    def do_toggle_logarithmic(self) -> None:
        self.curve.logarithmic = not self.curve.logarithmic

    def do_zoom_curve(self) -> None:
        self.toggle_class("-zoomed")

    def do_toggle_paired(self) -> None:
        if self.paired is None:
            self.begin_dialog(self._pair())
        else:
            self.paired = None
            self._show_anew()

    async def _pair(self) -> None:
        from engine.jobs.paired import pair

        store = await self.ask(lambda store: store)
        if store is None:
            return
        a, b = self.run_ids
        self.app.notify("The predictions of both runs are being read.", timeout=2)
        try:
            self.paired = await asyncio.to_thread(pair, store.runs, self.wizard.workspace.runs, a, b)
        except (JobError, TrackerError) as error:
            self.app.notify(str(error), severity="warning")
        else:
            self._clear_text = False
            self._show_anew()

    def do_toggle_blur(self) -> None:
        self._clear_text = not self._clear_text
        self._show_anew()

    def _show_anew(self) -> None:
        self._shown_width = 0
        self._show()

    def do_export_runs(self) -> None:
        from app.screens.export import ExportScreen, Selected

        ids = self.run_ids
        self.app.push_screen(ExportScreen([Selected(f"the {len(ids)} runs compared", ids, len(ids))]))

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name == "toggle_paired" and self.comparison is not None and self.paired is None:
            from engine.jobs.paired import can_be_paired

            return can_be_paired(self.comparison.summaries)
        if name == "toggle_blur" and self.paired is None:
            return "There are no texts here: i compares item by item."
        if name not in ("next_metric", "previous_metric", "toggle_logarithmic", "zoom_curve"):
            return None
        if self.comparison is None or not self.comparison.metrics:
            return "None of these runs has metrics."
        if name.endswith("metric") and len(self.comparison.metrics) == 1:
            return "There is one metric only."
        return None

    def show_keys(self) -> None:
        """Show the keys that work now."""
        candidates = actions(Where.COMPARISON, Where.EVERYWHERE)
        self.key_bar.show(action for action in candidates if self.wizard.why_not(action.name, self) is None)


def _read(
    store: Store, run_ids: tuple[int, ...], metric: str, buckets: int
) -> tuple[Comparison, str, Mapping[int, Sequence[Bucket]]]:
    comparison = compare(store.runs, run_ids)
    shown = metric if metric in comparison.metrics else most_telling(comparison.metrics)
    return comparison, shown, store.runs.curves(run_ids, shown, buckets) if shown else {}


# --- lines -------------------------------------------------------------------------------------------


def comparison_lines(comparison: Comparison, width: int) -> Iterator[Content]:
    """Yield results and parameters, for lines of ``width`` cells."""
    yield Content.styled("Results", "bold $text-primary")
    if not comparison.results:
        yield Content.styled("  None of these runs has results.", "$text-muted")
    for result in comparison.results:
        yield from _result_lines(result, comparison.summaries, width)
    yield Content("")
    differing = [line for line in comparison.parameters if line.differs]
    yield Content.styled("Parameters that differ", "bold $text-primary")
    if not differing:
        yield Content.styled("  None.", "$text-muted")
    for line in differing:
        yield _parameter(line)
    same = [line for line in comparison.parameters if not line.differs]
    if same:
        yield Content("")
        yield Content.styled("The same in all", "bold $text-primary")
        for line in same:
            yield _named(line.name, [Content(_value(value_words(line.values[0])))])


def _legend(number: int, run: RunSummary) -> Content:
    return Content.assemble(
        _letter(number),
        (f" #{run.id}  ", "$text-muted"),
        origin_word(run.origin),
        "  ",
        status_words(run.status),
        (f"  {one_line(run.name, _LONG)}", "bold"),
        (f"  {one_line(run.experiment, _LONG)}" if run.experiment else "", "$text-muted"),
    )


def _letter(number: int) -> Content:
    return Content.styled(LETTERS[number], f"bold {COLOURS[number % len(COLOURS)]}")


def _result_lines(line: ResultLine, runs: Sequence[RunSummary], width: int) -> Iterator[Content]:
    scale = scale_of(line.results, width - _BAR_AT)
    yield _result_head(line, scale)
    for number, result in enumerate(line.results):
        if result is None:
            yield Content.assemble("    ", _letter(number), ("  –", "$text-muted"))
            continue
        # Where all are measured, that goes without saying.
        claim = runs[number].origin if runs[number].origin is not Origin.MEASURED else None
        yield Content.assemble(
            "    ",
            _letter(number),
            (f"  {figure_words(result):{_FIGURE}}  ", "bold"),
            ("" if claim is None else origin_word(claim)),
            " " * (_ORIGIN - len(claim or "")),
            (interval_line(result, scale), COLOURS[number % len(COLOURS)]),
        )


def _result_head(line: ResultLine, scale: Scale | None) -> Content:
    """Return a result's name, whether two intervals overlap, and the ends of the scale below."""
    said = {True: "  intervals overlap", False: "  intervals are apart", None: ""}[line.overlap]
    name = Content.assemble(f"  {one_line(line.name, _NAME)}", (said, "$text-warning"))
    if scale is None:
        return name
    low, high = number_words(scale.low), number_words(scale.high)
    between = max(round(scale.end) + 1 - len(low) - len(high), 1)
    name = name.pad_right(max(_BAR_AT - name.cell_length, 1))
    return Content.assemble(name, (f"{low}{' ' * between}{high}", "$text-muted"))


def _parameter(line: ParameterLine) -> Content:
    """Return a parameter: each value once, after the letters of the runs that have it."""
    by_value: dict[str, list[int]] = {}
    for number, value in enumerate(line.values):
        by_value.setdefault(_value(value_words(value)), []).append(number)
    return _named(
        line.name,
        [
            Content.assemble(Content(" ").join(map(_letter, numbers)), f" {value}")
            for value, numbers in by_value.items()
        ],
    )


def _named(name: str, values: Sequence[Content]) -> Content:
    return Content.assemble(
        (f"  {one_line(name, _NAME):{_NAME}} ", "$text-muted"), Content("   ").join(values)
    )


def _value(text: str) -> str:
    return visible(text[:_VALUE], keep_newlines=False)
