"""How two evaluations on the same items read at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.cli.tables import Column, room, table
from app.safe_text import one_line
from engine.evaluation.benchmarks import TASK_WORDS
from engine.jobs.paired import NO_LABEL, Paired, difference_words, item_of

_KEY = 12
_TEXT = 500


def paired_lines(paired: Sequence[Paired], *, flips: int, texts: bool) -> Iterator[str]:
    """Yield the comparison on each benchmark: figures, flips by label, and the first ``flips`` of them."""
    columns = [
        Column("benchmark", least=10),
        Column("task", drop=2),
        Column("n", right=True),
        *(Column(f"F1 {run}", right=True) for run in "AB"),
        Column("B - A [95 %]"),
        *(Column(f"only {run} right", right=True, drop=1) for run in "AB"),
        Column("McNemar p", right=True),
    ]
    yield "Item by item"
    yield from table(columns, [_figures(each) for each in paired], room())
    for each in paired:
        found = each.comparison.flips
        yield ""
        yield f"{one_line(each.benchmark, _TEXT)}: {len(found):,} of {each.n:,} items are labelled otherwise"
        matrix = [[a, b, f"{n:,}"] for (a, b), n in sorted(each.matrix.items())]
        if matrix:
            yield from table(
                [Column("A says"), Column("B says"), Column("items", right=True)], matrix, room()
            )
        rows = []
        for flip in found[:flips]:
            item = item_of(flip)
            labels = [flip.gold, flip.a or NO_LABEL, flip.b or NO_LABEL]
            rows.append([item.case[:_KEY], item.id, *labels, *([item.text] if texts else [])])
        if rows:
            heads = ["case", "item", "gold", "A", "B", *(["text"] if texts else [])]
            yield ""
            yield from table(
                [Column(head, least=8 if head == "text" else None) for head in heads], rows, room()
            )
        if len(found) > len(rows):
            yield f"{len(found) - len(rows):,} more: --flips N shows more of them, --json all."


def _figures(paired: Paired) -> list[str]:
    found = paired.comparison
    return [
        paired.benchmark,
        TASK_WORDS[paired.task],
        f"{paired.n:,}",
        *("–" if run.f1 is None else f"{100 * run.f1:.2f}" for run in (found.a, found.b)),
        difference_words(paired),
        f"{found.only_a:,}",
        f"{found.only_b:,}",
        f"{found.p_value:.3g}",
    ]
