"""How two evaluations read item by item in the comparison. Texts of cases are blurred until asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from app.safe_text import blurred, one_line
from engine.evaluation.benchmarks import TASK_WORDS
from engine.evaluation.statistics import Flip
from engine.jobs.paired import NO_LABEL, Paired, difference_words, item_of

MOST_FLIPS = 200
"""Flips that are listed of a benchmark."""

_TEXT = 300
_KEY = 12
_NAME = 24
_LABEL = 11


def paired_content(paired: Sequence[Paired], *, clear: bool) -> Iterator[Content]:
    """Yield the comparison on each benchmark, the flips at its end; ``clear`` shows the texts."""
    for each in paired:
        found = each.comparison
        yield Content.assemble(
            (one_line(each.benchmark, _TEXT), "bold $text-primary"),
            (f"  {TASK_WORDS[each.task]}, {each.n:,} items of both", "$text-muted"),
        )
        figures = (_f1(run.f1) for run in (found.a, found.b))
        yield _line("F1 of A and of B", "  ".join(figures))
        yield _line("B - A, 95 % interval", difference_words(each))
        yield _line("right in one only", f"A {found.only_a:,}  B {found.only_b:,}")
        yield _line("McNemar's exact test", f"p = {found.p_value:.3g}")
        yield _line("labelled otherwise", f"{len(found.flips):,} items")
        for (a, b), n in sorted(each.matrix.items()):
            yield _line("", f"{a} → {b}  {n:,}")
        for flip in found.flips[:MOST_FLIPS]:
            yield _flip(flip, clear)
        if len(found.flips) > MOST_FLIPS:
            yield Content.styled(f"  {len(found.flips) - MOST_FLIPS:,} more are not listed.", "$text-muted")
        yield Content("")


def _flip(flip: Flip, clear: bool) -> Content:
    item = item_of(flip)
    text = one_line(item.text, _TEXT)
    return Content.assemble(
        (f"  {one_line(item.case, _KEY + 1)[:_KEY]}  ", "$text-muted"),
        f"gold {flip.gold:{_LABEL}} A {flip.a or NO_LABEL:{_LABEL}} B {flip.b or NO_LABEL:{_LABEL}} ",
        text if clear else Content.styled(blurred(text), "$text-muted"),
    )


def _line(name: str, value: str) -> Content:
    return Content.assemble((f"  {name:{_NAME}} ", "$text-muted"), value)


def _f1(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
