"""Bootstrap intervals and paired comparisons, beside scipy's and beside resampling item by item."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from scipy import stats

from engine.cases import Task
from engine.evaluation.intervals import f1_interval, wilson
from engine.evaluation.metrics import Confusion
from engine.evaluation.statistics import (
    average_bootstrap,
    compare,
    f1_bootstrap,
    fpr_interval,
    mcnemar,
    precision_interval,
    recall_interval,
)

REFUSALS = Confusion(tp=157, fp=33, fn=21, tn=238)


def items_of(confusion: Confusion) -> tuple[Any, Any]:
    """Gold and prediction of each item, 1 for positive."""
    gold = np.repeat([1, 0, 1, 0], [confusion.tp, confusion.fp, confusion.fn, confusion.tn])
    said = np.repeat([1, 1, 0, 0], [confusion.tp, confusion.fp, confusion.fn, confusion.tn])
    return gold, said


def f1(gold: Any, said: Any, axis: int = -1) -> Any:
    return 2 * (gold * said).sum(axis) / (gold.sum(axis) + said.sum(axis))


@pytest.mark.parametrize(
    "confusion",
    [REFUSALS, Confusion(tp=73, fp=10, fn=5, tn=358), Confusion(tp=98, fn=2), Confusion(20, 5, 9, 30)],
)
def test_the_interval_is_that_of_scipys_bootstrap_over_items(confusion: Confusion) -> None:
    expected = stats.bootstrap(
        items_of(confusion), f1, paired=True, vectorized=True, n_resamples=10_000, batch=500, rng=3
    ).confidence_interval
    assert f1_bootstrap(confusion) == pytest.approx(tuple(expected), abs=0.01)


def test_the_interval_of_many_items_is_that_of_resampling_them_one_by_one() -> None:
    gold, said = items_of(REFUSALS)
    chance = np.random.default_rng(4)
    drawn = [f1(gold[rows], said[rows]) for rows in chance.integers(0, len(gold), (4000, len(gold)))]
    assert f1_bootstrap(REFUSALS) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_a_seed_gives_the_same_interval_and_another_nearly_so() -> None:
    assert f1_bootstrap(REFUSALS, seed=5) == f1_bootstrap(REFUSALS, seed=5)
    assert f1_bootstrap(REFUSALS, seed=5) != f1_bootstrap(REFUSALS, seed=6)
    assert f1_bootstrap(REFUSALS, seed=5) == pytest.approx(f1_bootstrap(REFUSALS, seed=6), abs=0.005)


def test_more_confidence_is_wider() -> None:
    narrow, wide = f1_bootstrap(REFUSALS, confidence=0.5), f1_bootstrap(REFUSALS, confidence=0.99)
    assert wide[0] < narrow[0] < 2 * 157 / (2 * 157 + 54) < narrow[1] < wide[1]
    with pytest.raises(ValueError, match="between 0 and 1"):
        f1_bootstrap(REFUSALS, confidence=95)


@pytest.mark.parametrize(
    ("tp", "fp", "fn"),
    [(100, 0, 0), (0, 3, 4), (0, 3, 0), (1, 0, 0)],
    ids=["right", "wrong", "alarms", "one"],
)
def test_where_no_resample_differs_wilsons_interval_stands_in(tp: int, fp: int, fn: int) -> None:
    assert f1_bootstrap(Confusion(tp, fp, fn, 20)) == pytest.approx(f1_interval(tp, fp, fn))


def test_of_an_f1_that_nothing_defines_nothing_is_known() -> None:
    assert f1_bootstrap(Confusion()) == (0, 1)
    assert f1_bootstrap(Confusion(tn=50)) == (0, 1)


@pytest.mark.parametrize("cells", [(1, 1, 0, 0), (1, 0, 1, 900), (2, 0, 1, 0), (1, 1, 1, 1), (0, 1, 0, 5)])
def test_few_items_give_wide_intervals_within_0_and_1(cells: tuple[int, int, int, int]) -> None:
    confusion = Confusion(*cells)
    low, high = f1_bootstrap(confusion)
    assert confusion.f1 is not None
    assert 0 <= low <= confusion.f1 <= high <= 1
    assert high - low > 0.4


@pytest.mark.parametrize("shares", [(0.5, 0.02, 0.02, 0.46), (0.163, 0.025, 0.011, 0.801)])
def test_the_interval_covers_the_truth_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    tp, fp, fn, _ = shares
    truth = 2 * tp / (2 * tp + fp + fn)
    samples = np.random.default_rng(1).multinomial(200, shares, size=600)
    covered = 0
    for cells in samples:
        low, high = f1_bootstrap(Confusion(*cells.tolist()), resamples=2000)
        covered += low <= truth <= high
    assert 0.925 <= covered / len(samples) <= 0.985


def test_time_does_not_grow_with_the_items() -> None:
    f1_bootstrap(REFUSALS)
    start = time.perf_counter()
    f1_bootstrap(Confusion(2_000_000, 100_000, 200_000, 5_000_000))
    assert time.perf_counter() - start < 0.5


def test_shares_have_wilsons_interval() -> None:
    assert recall_interval(REFUSALS) == wilson(157, 178)
    assert precision_interval(REFUSALS) == wilson(157, 190)
    assert fpr_interval(REFUSALS) == wilson(33, 271)
    assert fpr_interval(Confusion(tp=3)) == (0, 1)


# --- averages ----------------------------------------------------------------------------------------


def test_an_average_is_resampled_benchmark_by_benchmark() -> None:
    parts = [(REFUSALS, 449), (Confusion(73, 10, 5, 358), 446), (Confusion(98, 0, 2, 0), 100)]
    chance = np.random.default_rng(2)
    sums: Any = 0.0
    for confusion, weight in parts:
        gold, said = items_of(confusion)
        rows = chance.integers(0, len(gold), (4000, len(gold)))
        sums = sums + weight * f1(gold[rows], said[rows])
    expected = np.quantile(sums / 995, [0.025, 0.975])
    assert average_bootstrap(parts) == pytest.approx(expected, abs=0.005)


def test_an_average_of_several_is_that_of_scipy() -> None:
    parts = [REFUSALS, Confusion(73, 10, 5, 358)]
    # scipy pairs samples or none: each item is one number that holds its gold and its prediction.
    samples = [10 * gold + said for gold, said in map(items_of, parts)]

    def average(*drawn: Any, axis: int = -1) -> Any:
        return sum(f1(part // 10, part % 10, axis) for part in drawn) / len(drawn)

    expected = stats.bootstrap(
        samples, average, vectorized=True, n_resamples=10_000, batch=500, rng=1
    ).confidence_interval
    assert average_bootstrap([(part, 1) for part in parts]) == pytest.approx(tuple(expected), abs=0.004)


def test_an_average_without_errors_is_not_certain() -> None:
    low, high = average_bootstrap([(Confusion(tp=100), 100), (Confusion(tp=50, tn=50), 300)])
    assert low == pytest.approx((f1_interval(100, 0, 0)[0] + 3 * f1_interval(50, 0, 0)[0]) / 4)
    assert high == 1
    assert average_bootstrap([(REFUSALS, 1), (Confusion(tn=4), 1)]) == (0, 1)


@pytest.mark.parametrize("weights", [[], [0], [-1, 3]])
def test_an_average_needs_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        average_bootstrap([(REFUSALS, weight) for weight in weights])


# --- comparison --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("only_a", "only_b"), [(7, 6), (0, 5), (5, 0), (1, 30), (400, 460)])
def test_mcnemars_test_is_exact(only_a: int, only_b: int) -> None:
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(only_a, only_b) == pytest.approx(min(1, 2 * tail))


def test_without_differences_nothing_speaks_against_equality() -> None:
    assert mcnemar(0, 0) == 1


def runs(n: int, seed: int) -> list[tuple[int, str, str | None, str | None]]:
    """Items that both runs find hard or easy together, and that ``b`` has right a little more often."""
    chance = np.random.default_rng(seed)
    rows: list[tuple[int, str, str | None, str | None]] = []
    for key in range(n):
        gold, other = ("refusal", "compliance") if chance.random() < 0.4 else ("compliance", "refusal")
        a = gold if chance.random() < 0.85 else other
        b = a if chance.random() < 0.9 else gold if chance.random() < 0.8 else None
        rows.append((key, gold, a, b))
    return rows


def test_a_comparison_is_paired() -> None:
    rows = runs(450, seed=8)
    found = compare(Task.COMPLETION, rows)
    gold, a, b = (np.array([row[place] == "refusal" for row in rows], dtype=int) for place in (1, 2, 3))
    # What cannot be read is wrong, so an unparsable compliance is a refusal said in error.
    b = np.where([row[3] is None for row in rows], 1 - gold, b)
    assert found.a.f1 == pytest.approx(f1(gold, a))
    assert found.b.f1 == pytest.approx(f1(gold, b))
    assert found.difference == pytest.approx(f1(gold, b) - f1(gold, a))
    drawn = np.random.default_rng(5).integers(0, len(rows), (4000, len(rows)))
    differences = f1(gold[drawn], b[drawn]) - f1(gold[drawn], a[drawn])
    assert found.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.005)
    alone = [f1_bootstrap(found.a), f1_bootstrap(found.b)]
    assert found.interval is not None
    assert found.interval[1] - found.interval[0] < 0.8 * max(high - low for low, high in alone)
    right_a, right_b = a == gold, b == gold
    assert found.only_a == int((right_a & ~right_b).sum())
    assert found.only_b == int((right_b & ~right_a).sum())
    assert found.p_value == mcnemar(found.only_a, found.only_b)


def test_flips_are_the_items_that_are_labelled_otherwise() -> None:
    rows = [
        ("first", "harmful", "harmful", "harmful"),
        ("second", "harmful", "unharmful", "harmful"),
        ("third", "unharmful", None, "none"),
        ("fourth", "unharmful", "harmful", None),
    ]
    found = compare(Task.REQUEST, rows)
    assert [(flip.index, flip.key, flip.gold, flip.a, flip.b) for flip in found.flips] == [
        (1, "second", "harmful", "unharmful", "harmful"),
        (3, "fourth", "unharmful", "harmful", None),
    ]
    assert (found.only_a, found.only_b) == (0, 1)


def test_runs_that_never_differ_have_no_interval() -> None:
    found = compare(
        Task.REQUEST, [(1, "harmful", "harmful", "harmful"), (2, "unharmful", "harmful", "harmful")]
    )
    assert (found.difference, found.interval, found.p_value, found.flips) == (0, None, 1, ())
    empty = compare(Task.REQUEST, [])
    assert (empty.difference, empty.interval) == (None, None)


def test_a_comparison_refuses_labels_of_another_task() -> None:
    with pytest.raises(ValueError, match="labels of the request task"):
        compare(Task.REQUEST, [(1, "harmful", "harmful", "refusal")])


def test_a_difference_that_is_not_there_is_rarely_found() -> None:
    """Under equality the interval leaves out 0, and the exact test is below 0.05, in at most 1 of 20."""
    chance = np.random.default_rng(7)
    outside = below = 0
    for _ in range(200):
        rows = []
        for key in range(200):
            gold, other = ("harmful", "unharmful") if chance.random() < 0.5 else ("unharmful", "harmful")
            a, b = (gold if chance.random() < 0.85 else other for _ in "ab")
            rows.append((key, gold, a, b))
        found = compare(Task.REQUEST, rows, resamples=1000)
        assert found.interval is not None
        outside += not found.interval[0] <= 0 <= found.interval[1]
        below += found.p_value < 0.05
    assert outside <= 20
    assert below <= 16
