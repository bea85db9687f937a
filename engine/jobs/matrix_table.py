"""The table that a ``matrix`` job makes: what was measured of each set of policies under each model.

Figures are in percent. A difference is of a set against the standard one, under the same model, on the items
that both have judged. Its p values are McNemar's, and what Holm's procedure makes of them for all differences
of a benchmark: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6 (2), 1979.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.cases import Decision
from engine.evaluation.intervals import wilson
from engine.evaluation.statistics import RESAMPLES, SEED, bca
from engine.jobs.evaluated import KeptCase
from engine.jobs.paired import Paired, pair_cases
from engine.policies.sets import STANDARD

if TYPE_CHECKING:
    from engine.evaluation.statistics import Counts, Floats

Headline = Literal["f1", "recall", "false positive rate"]
F1: Headline = "f1"
RECALL: Headline = "recall"
FPR: Headline = "false positive rate"
FIGURES = (F1, RECALL, FPR)
"""What a benchmark's headline may be: of one class alone, recall or the false-positive rate."""


class Figure(msgspec.Struct, frozen=True):
    """A figure of ``n`` items, with the ends of its 95 % interval."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


class Cell(msgspec.Struct, frozen=True):
    """What a run has measured. ``tokens`` are read and written a case, of which there are ``cases``.

    A figure that nothing defines is None. ``unparsable`` and ``escalated`` are shares of the ``n`` items.
    """

    set: str
    model: str
    run: int
    n: int
    positive: int
    cases: int
    tokens: float
    unparsable: Figure
    escalated: Figure
    f1: Figure | None = None
    recall: Figure | None = None
    precision: Figure | None = None
    fpr: Figure | None = None

    def figure(self, name: Headline) -> Figure | None:
        """Return one of `FIGURES`."""
        return {F1: self.f1, RECALL: self.recall, FPR: self.fpr}[name]


class Difference(msgspec.Struct, frozen=True):
    """A set's headline less that of the standard set, in points; None where one of them is undefined.

    ``n`` items were judged by both. ``only_standard`` and ``only_set`` are those that one of the sets alone
    has right; ``p`` is the chance of such a difference between these if both were right equally often, and
    ``p_holm`` the same for all differences of the benchmark together.
    """

    set: str
    model: str
    run: int
    against: int
    n: int
    value: float | None
    low: float | None
    high: float | None
    only_standard: int
    only_set: int
    p: float
    p_holm: float


class BenchmarkTable(msgspec.Struct, frozen=True):
    """The cells of a benchmark. ``figure`` is its headline, one of `FIGURES`."""

    benchmark: str
    task: str
    figure: Headline
    cells: list[Cell]
    differences: list[Difference]

    def cell(self, set_name: str, model: str) -> Cell | None:
        """Return what was measured of a set under a model, if it was."""
        found = (cell for cell in self.cells if (cell.set, cell.model) == (set_name, model))
        return next(found, None)

    def difference(self, set_name: str, model: str) -> Difference | None:
        """Return how a set differs from the standard one under a model, if that is known."""
        found = (each for each in self.differences if (each.set, each.model) == (set_name, model))
        return next(found, None)


class MatrixTable(msgspec.Struct, frozen=True):
    """A table for each benchmark. ``notes`` say what does not compare."""

    sets: list[str]
    models: list[str]
    tables: list[BenchmarkTable]
    notes: list[str] = []


class KeptScore(msgspec.Struct, frozen=True):
    """What an evaluation has kept of a benchmark: counts of items, and its figures by name."""

    benchmark: str
    task: str
    n: int
    positive: int
    unparsable: int
    decisions: dict[str, int]
    wrong: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Judged:
    """An evaluation of one set under one model: its scores, as it has kept them, and its cases."""

    run: int
    set: str
    model: str
    scores: Sequence[KeptScore]
    kept: Mapping[str, KeptCase]


def make_table(judged: Sequence[Judged], notes: Sequence[str] = ()) -> MatrixTable:
    """Return the table of evaluations, with sets and models in the order that they come in."""
    names = dict.fromkeys(score.benchmark for each in judged for score in each.scores)
    tables = [_benchmark(name, judged) for name in names]
    return MatrixTable(
        list(dict.fromkeys(each.set for each in judged)),
        list(dict.fromkeys(each.model for each in judged)),
        tables,
        [*notes, *(note for table in tables for note in _uneven(table))],
    )


def _benchmark(name: str, judged: Sequence[Judged]) -> BenchmarkTable:
    scored = {each.run: score for each in judged for score in each.scores if score.benchmark == name}
    members = [each for each in judged if each.run in scored]
    cells = [_cell(each, scored[each.run]) for each in members]
    figure = next((known for known in FIGURES if any(cell.figure(known) for cell in cells)), F1)
    differences = _differences(name, figure, members)
    return BenchmarkTable(name, scored[members[0].run].task, figure, cells, differences)


def _cell(judged: Judged, score: KeptScore) -> Cell:
    cases = [
        case for case in judged.kept.values() if any(item.benchmark == score.benchmark for item in case.items)
    ]
    tokens = sum(case.tokens for case in cases)
    return Cell(
        judged.set,
        judged.model,
        judged.run,
        score.n,
        score.positive,
        len(cases),
        tokens / len(cases) if cases else 0.0,
        _share(score.unparsable, score.n),
        _share(score.decisions.get(Decision.ESCALATE, 0), score.n),
        *(score.wrong.get(name) for name in (F1, RECALL, "precision", FPR)),
    )


def _share(part: int, n: int) -> Figure:
    low, high = wilson(part, n)
    return Figure(100 * part / n if n else 0.0, n, 100 * low, 100 * high)


def _uneven(table: BenchmarkTable) -> list[str]:
    """Say where the cells of a benchmark are not of the same number of items, or some are missing."""
    sizes = sorted({cell.n for cell in table.cells})
    if len(sizes) < 2:
        return []
    return [
        f"The cells of {table.benchmark} are not of the same items: they have {sizes[0]:,} to {sizes[-1]:,}. "
        "Differences are on those that both sets have judged."
    ]


# --- differences -------------------------------------------------------------------------------------


def _differences(benchmark: str, figure: Headline, members: Sequence[Judged]) -> list[Difference]:
    standards = {each.model: each for each in members if each.set == STANDARD}
    found = []
    for each in members:
        standard = standards.get(each.model)
        if standard is None or each is standard:
            continue
        pairs = pair_cases(standard.kept, each.kept)
        paired = next((one for one in pairs if one.benchmark == benchmark), None)
        if paired is not None:
            found.append(_difference(figure, standard, each, paired))
    corrected = holm([each.p for each in found])
    return [msgspec.structs.replace(each, p_holm=p) for each, p in zip(found, corrected, strict=True)]


def _difference(figure: Headline, standard: Judged, other: Judged, paired: Paired) -> Difference:
    compared = paired.comparison
    value, interval = compared.difference, compared.interval
    if figure != F1:
        value, interval = _of_one_class(figure, paired.n, compared.only_a, compared.only_b)
    return Difference(
        other.set,
        other.model,
        other.run,
        standard.run,
        paired.n,
        None if value is None else 100 * value,
        None if interval is None else 100 * interval[0],
        None if interval is None else 100 * interval[1],
        compared.only_a,
        compared.only_b,
        compared.p_value,
        compared.p_value,
    )


def _of_one_class(figure: str, n: int, only_a: int, only_b: int) -> tuple[float, tuple[float, float] | None]:
    """Return the difference of recall, or of the false-positive rate, where all items are of one class."""
    sign = 1 if figure == RECALL else -1

    def difference(drawn: Sequence[Counts]) -> Floats:
        (counts,) = drawn
        found: Floats = sign * (counts[:, 2] - counts[:, 1]) / n
        return found

    return sign * (only_b - only_a) / n, bca(
        [[n - only_a - only_b, only_a, only_b]], difference, 0.95, RESAMPLES, SEED
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
