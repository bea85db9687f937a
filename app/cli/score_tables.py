"""Scores as people read them: the figure with its interval first, then what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.cli.tables import Column, room, table
from app.safe_text import visible
from engine.evaluation.intervals import Interval
from engine.evaluation.metrics import Confusion, Counting, classes
from engine.evaluation.scoring import Score, Unread
from engine.evaluation.statistics import (
    Comparison,
    Flip,
    f1_bootstrap,
    fpr_interval,
    precision_interval,
    recall_interval,
)

_FIGURES: Mapping[str, tuple[Callable[[Confusion], float | None], Callable[[Confusion], Interval]]] = {
    "F1": (lambda confusion: confusion.f1, f1_bootstrap),
    "precision": (lambda confusion: confusion.precision, precision_interval),
    "recall": (lambda confusion: confusion.recall, recall_interval),
    "FPR": (lambda confusion: confusion.fpr, fpr_interval),
}
_COUNTINGS = {
    Counting.WRONG: "is one error",
    Counting.DROPPED: "is left out",
    Counting.OFFICIAL: "as the released script reads and counts",
}
_FLIPS_SHOWN = 20


def score_lines(head: str, scored: Score) -> list[str]:
    """Return a score as lines. Of items of one class only recall is told or, of negatives, the FPR."""
    counts, wrong = scored.tally, scored.confusion(Counting.WRONG)
    positive, negative = classes(counts.task)
    told = _told(wrong)
    lines = [
        visible(head, keep_newlines=False),
        f"{counts.n:,} items: {counts.positive:,} {positive}, {counts.n - counts.positive:,} {negative}",
        "",
        *_table(
            [Column(""), Column("", right=True), Column("95 % interval")],
            [_figure_row(figure, wrong) for figure in told],
        ),
    ]
    if wrong.single_class:
        lines += ["", f"All items are of one class: nothing but {told[0]} can be told of them."]
    columns = [
        Column("counting"),
        *(Column(head, right=True) for head in (told[0], "TP", "FP", "FN", "TN")),
        Column("an unparsable output", least=12, drop=1),
    ]
    rows = [_counting_row(counting, scored, told[0]) for counting in _COUNTINGS]
    return [*lines, "", *_table(columns, rows), "", *_unread_lines(scored, positive, negative)]


def comparison_lines(compared: Comparison) -> list[str]:
    """Return how this run differs from another, as lines."""
    lines = ["", "Compared with the other file", ""]
    if not compared.b.single_class and compared.difference is not None:
        alike = "all resamples are alike"
        ends = alike if compared.interval is None else _ends(compared.interval, signed=True)
        lines.append(f"F1, this less the other  {100 * compared.difference:+.2f}  {ends}")
    lines += [
        f"right in this alone      {compared.only_b:,}",
        f"right in the other alone {compared.only_a:,}",
        f"McNemar's exact test     p = {compared.p_value:.2g}",
    ]
    return [*lines, *_flip_lines(compared.flips)]


def _told(confusion: Confusion) -> Sequence[str]:
    if not confusion.single_class:
        return tuple(_FIGURES)
    return ("recall",) if confusion.positive else ("FPR",)


def _figure_row(figure: str, confusion: Confusion) -> tuple[str, str, str]:
    value, interval = _FIGURES[figure]
    return figure, _percent(value(confusion)), _ends(interval(confusion))


def _counting_row(counting: Counting, scored: Score, figure: str) -> tuple[str, ...]:
    confusion = scored.confusion(counting)
    value, _ = _FIGURES[figure]
    cells = (confusion.tp, confusion.fp, confusion.fn, confusion.tn)
    return (
        counting.value,
        _percent(value(confusion)),
        *(f"{count:,}" for count in cells),
        _COUNTINGS[counting],
    )


def _unread_lines(scored: Score, positive: str, negative: str) -> list[str]:
    if not scored.unread:
        return ["Every output could be read."]
    whys = [why for why in Unread if scored.unread.get((why, positive)) or scored.unread.get((why, negative))]
    rows = [
        (why.value, *(f"{scored.unread.get((why, gold), 0):,}" for gold in (positive, negative)))
        for why in whys
    ]
    columns = [
        Column("unparsable, by gold", least=12),
        Column(positive, right=True),
        Column(negative, right=True),
    ]
    return _table(columns, rows)


def _flip_lines(flips: Sequence[Flip]) -> list[str]:
    if not flips:
        return ["", "No item has another label."]
    rows = [
        (str(flip.key), flip.gold, flip.b or "unparsable", flip.a or "unparsable")
        for flip in flips[:_FLIPS_SHOWN]
    ]
    columns = [Column("line", right=True), Column("gold"), Column("this"), Column("the other")]
    more = len(flips) - len(rows)
    return [
        "",
        f"{len(flips):,} items have another label",
        *_table(columns, rows),
        *([f"and {more:,} more, which --json lists."] if more else []),
    ]


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    return table(columns, rows, room())


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"


def _ends(interval: Interval, *, signed: bool = False) -> str:
    low, high = (f"{100 * end:{'+' if signed else ''}.2f}" for end in interval)
    return f"[{low}, {high}]"
