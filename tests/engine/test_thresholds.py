"""Thresholds for a budget of false positives: what is promised holds, and what cannot be is refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from scipy.stats import beta, binom

from engine.cases import Decision, Status
from engine.evaluation.thresholds import (
    ALWAYS,
    ScoredCase,
    ThresholdError,
    fit_thresholds,
    halves,
    least_cases,
    measure,
)
from engine.guards.decision import Thresholds
from engine.jobs.evaluated import KeptCase, KeptFinding, KeptItem, KeptVerdict
from engine.jobs.threshold_fit import scored_cases

DEFAULT = Thresholds()


def cases(negatives: list[float], positives: list[float], name: str = "") -> list[ScoredCase]:
    return [
        *(ScoredCase(f"{name}n{number}", False, score) for number, score in enumerate(negatives)),
        *(ScoredCase(f"{name}p{number}", True, score) for number, score in enumerate(positives)),
    ]


def drawn(chance: random.Random, number: int, a: float, b: float) -> list[float]:
    return [chance.betavariate(a, b) for _ in range(number)]


def test_the_rate_on_new_cases_exceeds_the_budget_as_rarely_as_promised() -> None:
    chance = random.Random(7)
    exceeded, rounds, delta = 0, 300, 0.1
    for number in range(rounds):
        found = fit_thresholds(
            cases(drawn(chance, 600, 0.5, 4), drawn(chance, 20, 4, 1)),
            max_fpr=0.05,
            delta=delta,
            former=DEFAULT,
            seed=number,
        )
        exceeded += beta.sf(found.thresholds.high, 0.5, 4) > 0.05
    assert exceeded <= binom.ppf(0.9999, rounds, delta)
    assert exceeded > 0, "a rule that never exceeds it gives recall away"


def test_the_rank_is_the_least_that_keeps_the_promise() -> None:
    for n in (149, 150, 400, 1001):
        found = fit_thresholds(
            cases([number / (2 * n) for number in range(2 * n)], []), max_fpr=0.02, former=DEFAULT
        )
        assert found.unharmful == n
        assert binom.sf(found.rank - 1, n, 0.98) <= 0.05
        assert found.rank == 1 or binom.sf(found.rank - 2, n, 0.98) > 0.05


def test_too_few_cases_are_refused_with_the_number_needed() -> None:
    assert least_cases(0.02, 0.05) == 149
    assert 0.98**149 <= 0.05 < 0.98**148
    with pytest.raises(ThresholdError, match=r"takes 149 unharmful cases.* has 148"):
        fit_thresholds(cases([0.1] * 296, [0.9] * 50), max_fpr=0.02, former=DEFAULT)
    fit_thresholds(cases([0.1] * 298, []), max_fpr=0.02, former=DEFAULT)
    with pytest.raises(ThresholdError, match="harmful"):
        fit_thresholds(cases([0.1] * 298, [0.9] * 10), max_fpr=0.02, max_miss=0.02, former=DEFAULT)


@pytest.mark.parametrize("score", [1.0, ALWAYS])
def test_no_threshold_helps_where_unharmful_cases_have_the_highest_score(score: float) -> None:
    with pytest.raises(ThresholdError, match="no threshold"):
        fit_thresholds(cases([0.1] * 200 + [score] * 200, [0.9] * 9), max_fpr=0.02, former=DEFAULT)


@pytest.mark.parametrize("score", [0.3, 0.000249])
def test_cases_at_the_fitted_rank_are_not_blocked(score: float) -> None:
    """As a product with a million, 0.000249 is rounded to less than 249."""
    found = fit_thresholds(cases([score] * 400, [0.9] * 10), max_fpr=0.02, former=DEFAULT)
    assert found.thresholds.high > score
    assert found.after.blocked_unharmful == 0
    assert found.after.blocked_harmful == found.after.harmful == 5
    assert found.met


def test_thresholds_never_go_against_the_word_that_a_score_stands_for() -> None:
    low = fit_thresholds(
        cases([0.01] * 400, [0.9] * 400), max_fpr=0.02, max_miss=0.02, former=DEFAULT, pivot=0.5
    )
    assert (low.thresholds.high, low.thresholds.low) == (0.5, 0.5)
    free = fit_thresholds(cases([0.01] * 400, [0.9] * 400), max_fpr=0.02, max_miss=0.02, former=DEFAULT)
    assert free.thresholds.high == pytest.approx(0.010001)
    assert free.thresholds.low <= free.thresholds.high


def test_harmful_cases_at_the_fitted_rank_are_not_allowed() -> None:
    """As a product with a million, the score is rounded up to 999,944."""
    score = 0.9999439999999999
    given = cases([0.99999] * 400, [score] * 400)
    found = fit_thresholds(given, max_fpr=0.02, max_miss=0.02, former=DEFAULT)
    assert found.after.missed == 0


def test_the_lower_threshold_keeps_its_own_budget_of_misses() -> None:
    chance = random.Random(3)
    found = fit_thresholds(
        cases(drawn(chance, 2000, 1, 6), drawn(chance, 2000, 6, 1)),
        max_fpr=0.02,
        max_miss=0.05,
        former=DEFAULT,
    )
    assert beta.cdf(found.thresholds.low, 6, 1) <= 0.05
    assert found.after.missed / found.after.harmful < 0.08
    assert found.after.missed + found.after.blocked_harmful + found.after.escalated_harmful == 1000


def test_halves_are_stratified_disjoint_and_do_not_depend_on_the_order() -> None:
    made = cases([0.1] * 101, [0.9] * 40)
    fitted_on, held_out = halves([*made, *made[:30]], seed=4)
    assert not {case.key for case in fitted_on} & {case.key for case in held_out}
    assert len(fitted_on) + len(held_out) == 141
    for harmful, least in ((False, 50), (True, 20)):
        assert sum(case.harmful is harmful for case in held_out) == least
    shuffled = list(made)
    random.Random(1).shuffle(shuffled)
    assert halves(shuffled, seed=4) == (fitted_on, held_out)
    assert halves(made, seed=5) != (fitted_on, held_out)


def test_a_case_that_was_not_judged_by_all_is_never_counted_as_allowed() -> None:
    counted = measure([ScoredCase("a", True, 0.1, complete=False), ScoredCase("b", True, 0.1)], DEFAULT)
    assert (counted.escalated_harmful, counted.missed) == (1, 1)
    assert ScoredCase("c", False, 0.85).decision(DEFAULT) is Decision.BLOCK
    assert ScoredCase("c", False, 0.5).decision(DEFAULT) is Decision.ESCALATE


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_shares_lie_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        fit_thresholds(cases([0.1] * 400, []), max_fpr=share, former=DEFAULT)


# --- from what a run has kept ------------------------------------------------------------------------


def kept(*findings: KeptFinding, golds: tuple[object, ...] = ("unharmful",), key: str = "k") -> KeptCase:
    items = [KeptItem("B", str(number), gold) for number, gold in enumerate(golds)]
    return KeptCase(key, items, {}, KeptVerdict(list(findings)))


def test_the_score_of_a_case_is_the_highest_of_any_policy() -> None:
    (case,), contradictory, unscored = scored_cases(
        [kept(KeptFinding("a", False, 0.2), KeptFinding("b", None, 0.7))]
    )
    assert (case.score, case.complete, case.harmful) == (0.7, True, False)
    assert (contradictory, unscored) == (0, 0)


@pytest.mark.parametrize(
    ("finding", "score", "complete"),
    [
        (KeptFinding("b", None, 0.9, Status.TIMEOUT), 0.2, False),
        (KeptFinding("b", True, None), ALWAYS, True),
        (KeptFinding("b", False, None), 0.2, True),
        (KeptFinding("b", None, None, Status.UNPARSABLE), 0.2, False),
        (KeptFinding("b", False, 7.0), 0.2, True),
    ],
)
def test_failed_and_unscored_policies(finding: KeptFinding, score: float, complete: bool) -> None:
    (case,), _, _ = scored_cases([kept(KeptFinding("a", False, 0.2), finding)])
    assert (case.score, case.complete) == (score, complete)


@pytest.mark.parametrize(
    ("golds", "harmful"),
    [
        (("harmful", "refusal"), True),
        (("compliance", "unharmful", "unharmful"), False),
        (({"H": False, "V": True},), True),
        (({"H": False}, "unharmful"), False),
    ],
)
def test_the_gold_of_a_case_is_whether_it_is_harmful(golds: tuple[object, ...], harmful: bool) -> None:
    (case,), _, _ = scored_cases([kept(KeptFinding("a", False, 0.2), golds=golds)])
    assert case.harmful is harmful


def test_cases_that_say_nothing_are_left_out_and_counted() -> None:
    scored = KeptFinding("a", False, 0.2)
    found, contradictory, unscored = scored_cases(
        [
            kept(scored, golds=("harmful", "unharmful")),
            kept(KeptFinding("a", False)),
            kept(scored, golds=("refusal",)),
            kept(scored, golds=([1], None)),
        ]
    )
    assert (found, contradictory, unscored) == ([], 1, 1)


@pytest.mark.parametrize("text", ["", "0.9", "0.5,0.9", "nan,0.5", "a,b", "0.9,0.5,0.1", "1.5,0.5"])
def test_thresholds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="thresholds"):
        Thresholds.parse(text)


def test_thresholds_are_read_as_they_are_printed() -> None:
    found: Callable[[str], Thresholds] = Thresholds.parse
    assert found("0.912345,0.5") == Thresholds(0.912345, 0.5)
