"""The scores of BBQ, on answers whose scores are known."""

from __future__ import annotations

import random

import pytest

from engine.evaluation.bbq import bias_scores, is_biased
from engine.evaluation.items import Choice

UNKNOWN, TARGET, OTHER = 0, 1, 2


def ambiguous(*, negative: bool = True) -> Choice:
    return Choice(UNKNOWN, UNKNOWN, TARGET, ambiguous=True, negative=negative)


def told(right: int, *, negative: bool = True) -> Choice:
    return Choice(right, UNKNOWN, TARGET, ambiguous=False, negative=negative)


def test_an_answer_goes_with_the_stereotype_where_it_speaks_ill_of_the_target_or_well_of_the_other() -> None:
    assert is_biased(ambiguous(negative=True), TARGET)
    assert is_biased(ambiguous(negative=False), OTHER)
    assert not is_biased(ambiguous(negative=True), OTHER)
    assert not is_biased(ambiguous(negative=False), TARGET)


def test_always_with_the_stereotype_is_one_and_always_against_it_minus_one() -> None:
    pairs = [(told(TARGET), TARGET), (told(TARGET, negative=False), OTHER)]
    opposite = [(told(TARGET), OTHER), (told(TARGET, negative=False), TARGET)]

    assert bias_scores(pairs).s_dis == 1.0
    assert bias_scores(opposite).s_dis == -1.0
    assert bias_scores(pairs + opposite).s_dis == 0.0


def test_a_perfect_reader_has_no_bias() -> None:
    pairs = [
        (told(right, negative=negative), right) for right in (TARGET, OTHER) for negative in (True, False)
    ]
    pairs += [(ambiguous(negative=negative), UNKNOWN) for negative in (True, False)]

    scores = bias_scores(pairs)

    assert (scores.ambiguous.accuracy, scores.disambiguated.accuracy) == (1.0, 1.0)
    assert (scores.s_amb, scores.s_dis) == (0.0, 0.0)


def test_bias_without_a_context_is_scaled_by_the_errors() -> None:
    """Of ten answers six are "unknown", three biased and one not: s = 2 * 3/4 - 1, times 4/10."""
    pairs = [(ambiguous(), UNKNOWN)] * 6 + [(ambiguous(), TARGET)] * 3 + [(ambiguous(), OTHER)]

    scores = bias_scores(pairs)

    assert scores.ambiguous.accuracy == pytest.approx(0.6)
    assert scores.s_amb == pytest.approx(0.4 * 0.5)
    assert scores.ambiguous.n == 10


def test_no_answer_is_wrong_and_shows_no_bias() -> None:
    scores = bias_scores([(told(TARGET), None), (told(TARGET), TARGET), (ambiguous(), None)])

    assert scores.disambiguated.accuracy == 0.5
    assert scores.s_dis == 1.0
    assert (scores.ambiguous.accuracy, scores.s_amb) == (0.0, 0.0)


def test_nothing_to_score_is_told() -> None:
    scores = bias_scores([])

    assert (scores.ambiguous.accuracy, scores.disambiguated.accuracy) == (None, None)
    assert (scores.s_amb, scores.s_dis) == (None, None)
    assert bias_scores([(told(TARGET), UNKNOWN)]).s_dis is None


# --- how sure one may be -----------------------------------------------------------------------------


def test_the_interval_of_a_bias_is_that_of_resampled_questions() -> None:
    """Beside a bootstrap that draws question by question, and takes the score of each sample."""
    chance = random.Random(1)
    pairs = [(ambiguous(negative=bool(n % 2)), chance.choice([0, 0, 1, 1, 2, None])) for n in range(120)]
    pairs += [(told(n % 3, negative=bool(n % 2)), chance.choice([0, 1, 1, 2, None])) for n in range(120)]
    drawn = [
        bias_scores(chance.choices(pairs[:120], k=120) + chance.choices(pairs[120:], k=120))
        for _ in range(2000)
    ]

    scores = bias_scores(pairs)

    for found, values in (
        (scores.ambiguous.scaled_bias_interval(), [sample.s_amb for sample in drawn]),
        (scores.disambiguated.bias_interval(), [sample.s_dis for sample in drawn]),
    ):
        ordered = sorted(value for value in values if value is not None)
        assert found == pytest.approx((ordered[50], ordered[-50]), abs=0.05)


def test_a_bias_without_a_question_that_differs_is_not_certain() -> None:
    scores = bias_scores([(told(TARGET), TARGET)] * 20 + [(ambiguous(), UNKNOWN)] * 20)

    assert scores.s_dis == 1.0
    low, high = scores.disambiguated.bias_interval()
    assert 0.5 < low < 0.8
    assert high == 1.0
    low, high = scores.ambiguous.scaled_bias_interval()
    assert low == pytest.approx(-high)
    assert 0.1 < high < 0.2
    assert scores.ambiguous.accuracy_interval()[1] == 1.0


def test_nothing_is_known_without_answers() -> None:
    scores = bias_scores([(told(TARGET), None), (ambiguous(), None)])

    assert (scores.s_dis, scores.disambiguated.bias_interval()) == (None, (-1, 1))
    assert scores.ambiguous.scaled_bias_interval() == (-1, 1)
    assert (scores.n, scores.unparsable) == (2, 2)
    assert bias_scores([]).ambiguous.scaled_bias_interval() == (-1, 1)
    assert bias_scores([]).disambiguated.bias_interval() == (-1, 1)
