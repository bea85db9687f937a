"""Probabilities and rankings beside scikit-learn's figures and beside what they were made to be."""

from __future__ import annotations

import random

import pytest
from sklearn import calibration as sk_calibration
from sklearn import metrics

from engine.evaluation.calibration import Binning, brier, expected_calibration_error, reliability
from engine.evaluation.ranking import auprc, auroc, roc_curve


def drawn(n: int, seed: int, confidence: float = 1.0) -> tuple[list[bool], list[float]]:
    """Outcomes and probabilities; over 1, ``confidence`` pushes what is said away from what is true."""
    chance = random.Random(seed)
    true = [chance.random() for _ in range(n)]
    said = [min(max(0.5 + confidence * (share - 0.5), 0.0), 1.0) for share in true]
    return [chance.random() < share for share in true], said


@pytest.mark.parametrize(("binning", "strategy"), [(Binning.WIDTH, "uniform"), (Binning.MASS, "quantile")])
def test_the_reliability_curve_is_that_of_scikit_learn(binning: Binning, strategy: str) -> None:
    positive, said = drawn(700, seed=1, confidence=1.5)
    curve = reliability(positive, said, binning=binning)
    true, mean = sk_calibration.calibration_curve(positive, said, n_bins=10, strategy=strategy)
    assert [part.positive for part in curve] == pytest.approx(list(true))
    assert [part.mean for part in curve] == pytest.approx(list(mean))
    assert sum(part.n for part in curve) == 700
    assert all(part.low <= part.mean <= part.high for part in curve)
    assert all(part.interval[0] <= part.positive <= part.interval[1] for part in curve)


def test_the_error_is_small_where_probabilities_are_true_and_large_where_they_boast() -> None:
    for binning in Binning:
        honest = expected_calibration_error(*drawn(20_000, seed=2), binning=binning)
        boasting = expected_calibration_error(*drawn(20_000, seed=2, confidence=3), binning=binning)
        assert honest is not None
        assert boasting is not None
        assert honest < 0.015
        assert 0.15 < boasting < 0.25


def test_the_error_by_hand() -> None:
    positive, said = [True, False, True, True], [0.9, 0.9, 0.9, 0.2]
    assert expected_calibration_error(positive, said) == pytest.approx((3 * (0.9 - 2 / 3) + 0.8) / 4)
    assert brier(positive, said) == pytest.approx((0.01 + 0.81 + 0.01 + 0.64) / 4)


def test_bins_of_equal_mass_do_not_hide_others_behind_a_full_one() -> None:
    said = [0.001 * place for place in range(100)]
    positive = [place >= 90 for place in range(100)]
    assert len(reliability(positive, said)) == 1
    assert len(reliability(positive, said, binning=Binning.MASS)) == 10


def test_equal_probabilities_share_a_bin_whatever_the_order() -> None:
    positive, said = [True, False] * 50, [0.5] * 100
    (part,) = reliability(positive, said, binning=Binning.MASS)
    assert (part.n, part.positive) == (100, 0.5)
    assert reliability(positive[::-1], said, binning=Binning.MASS) == [part]


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    positive, said = drawn(300, seed=3)
    assert brier(positive, said) == pytest.approx(metrics.brier_score_loss(positive, said))


def test_without_items_there_is_no_figure() -> None:
    assert brier([], []) is None
    assert expected_calibration_error([], []) is None
    assert reliability([], []) == []
    assert auprc([False], [0.2]) is None
    assert auroc([True], [0.2]) is None


@pytest.mark.parametrize("said", [[0.5], [0.5, 1.1], [0.5, float("nan")]])
def test_what_is_no_probability_is_refused(said: list[float]) -> None:
    for figure in (brier, reliability, expected_calibration_error):
        with pytest.raises(ValueError, match="probabilit"):
            figure([True, False], said)
    with pytest.raises(ValueError, match="bin"):
        reliability([True], [0.5], bins=0)


def test_areas_by_hand() -> None:
    positive, scores = [True, False, True, False, False], [0.9, 0.8, 0.7, 0.3, 0.1]
    assert auprc(positive, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert auroc(positive, scores) == pytest.approx(5 / 6)
    assert auprc(positive, [0.5] * 5) == pytest.approx(0.4)
    assert auroc(positive, [0.5] * 5) == pytest.approx(0.5)


def test_the_roc_curve_goes_from_nothing_to_all() -> None:
    positive, scores = drawn(200, seed=4)
    curve = roc_curve(positive, scores)
    assert (curve[0].fpr, curve[0].recall) == (0, 0)
    assert (curve[-1].fpr, curve[-1].recall) == (1, 1)
    for point in curve:
        called = [score >= point.threshold for score in scores]
        hits = sum(p and c for p, c in zip(positive, called, strict=True))
        assert point.recall == pytest.approx(hits / sum(positive))
    with pytest.raises(ValueError, match="positives and negatives"):
        roc_curve([True], [0.1])


@pytest.mark.parametrize("scores", [[0.5], [0.5, float("inf")], [0.5, float("nan")]])
def test_what_is_no_score_is_refused(scores: list[float]) -> None:
    for figure in (auprc, auroc, roc_curve):
        with pytest.raises(ValueError, match="score"):
            figure([True, False], scores)
