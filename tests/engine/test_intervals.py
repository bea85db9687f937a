"""Confidence intervals: known values, their ends, and how often they cover the truth."""

from __future__ import annotations

import random

import pytest

from engine.evaluation.intervals import f1_interval, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=0.00005)


def test_98_percent_of_200_is_no_certainty() -> None:
    low, high = wilson(196, 200)
    assert (round(100 * low, 1), round(100 * high, 1)) == (95.0, 99.2)


def test_wilson_is_symmetric_and_ends_where_shares_end() -> None:
    for successes in range(11):
        low, high = wilson(successes, 10)
        mirrored = wilson(10 - successes, 10)
        assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))
        assert 0 <= low <= successes / 10 <= high <= 1
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    assert wilson(0, 0) == (0, 1)


def test_more_confidence_is_wider_and_more_items_are_narrower() -> None:
    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    assert width(wilson(30, 40, 0.99)) > width(wilson(30, 40)) > width(wilson(30, 40, 0.5))
    assert width(wilson(30, 40)) > width(wilson(300, 400))
    assert width(f1_interval(30, 5, 5, 0.99)) > width(f1_interval(30, 5, 5))


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, confidence)


@pytest.mark.parametrize("counts", [(-1, 2, 2), (1, -1, 1), (1, 1, -1), (3, -1, -1)])
def test_impossible_confusions_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        f1_interval(*counts)


def test_f1_lies_within_its_interval() -> None:
    low, high = f1_interval(71, 9, 11)
    assert low < 2 * 71 / (2 * 71 + 9 + 11) < high
    assert f1_interval(0, 3, 4)[0] == 0
    assert f1_interval(5, 0, 0)[1] == 1
    assert f1_interval(0, 0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("items", "tp", "fp", "fn"), [(200, 0.36, 0.05, 0.06), (400, 0.10, 0.10, 0.05), (100, 0.30, 0.02, 0.02)]
)
def test_the_interval_of_f1_covers_the_truth_as_often_as_it_says(
    items: int, tp: float, fp: float, fn: float
) -> None:
    """Whole samples are drawn, so that the number of items that count varies as it does in life."""
    chance = random.Random(11)
    truth = 2 * tp / (2 * tp + fp + fn)
    rounds = 1500
    covered = 0
    for _ in range(rounds):
        drawn = chance.choices(("tp", "fp", "fn", "tn"), (tp, fp, fn, 1 - tp - fp - fn), k=items)
        low, high = f1_interval(drawn.count("tp"), drawn.count("fp"), drawn.count("fn"))
        covered += low <= truth <= high
    assert 0.93 <= covered / rounds <= 0.97


def test_the_interval_of_f1_is_that_of_a_bootstrap() -> None:
    chance = random.Random(3)
    items = ["tp"] * 140 + ["fp"] * 20 + ["fn"] * 24 + ["tn"] * 216
    values = []
    for _ in range(2000):
        drawn = chance.choices(items, k=len(items))
        tp, wrong = drawn.count("tp"), drawn.count("fp") + drawn.count("fn")
        values.append(2 * tp / (2 * tp + wrong))
    values.sort()
    assert f1_interval(140, 20, 24) == pytest.approx((values[50], values[1949]), abs=0.01)
