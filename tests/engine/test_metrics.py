"""Confusions beside scikit-learn's figures, the three countings, categories and averages."""

from __future__ import annotations

import random

import pytest
from sklearn import metrics

from engine.cases import Completion, Harm, Task
from engine.evaluation.metrics import (
    Confusion,
    Counting,
    by_category,
    classes,
    tally,
    weighted_average,
)
from engine.evaluation.parse import POSITIVE, Unlabelled

HARMFUL, UNHARMFUL = Harm.HARMFUL, Harm.UNHARMFUL
NONE, INDETERMINATE = Unlabelled


@pytest.mark.parametrize("task", Task)
def test_figures_are_those_of_scikit_learn(task: Task) -> None:
    chance = random.Random(task.value)
    positive, negative = classes(task)
    assert positive == POSITIVE[task]
    gold = chance.choices((positive, negative), (1, 3), k=500)
    said = [label if chance.random() < 0.8 else chance.choice((positive, negative)) for label in gold]
    found = tally(task, zip(gold, said, strict=True)).confusion()
    matrix = metrics.confusion_matrix(gold, said, labels=[negative, positive])
    assert [[found.tn, found.fp], [found.fn, found.tp]] == matrix.tolist()
    assert found.f1 == pytest.approx(metrics.f1_score(gold, said, pos_label=positive))
    assert found.precision == pytest.approx(metrics.precision_score(gold, said, pos_label=positive))
    assert found.recall == pytest.approx(metrics.recall_score(gold, said, pos_label=positive))
    assert found.fpr == pytest.approx(1 - metrics.recall_score(gold, said, pos_label=negative))
    assert found.n == 500


def test_the_false_positive_rate_is_of_the_negatives() -> None:
    assert Confusion(tp=90, fp=5, fn=0, tn=5).fpr == 0.5


def test_what_nothing_defines_is_not_zero() -> None:
    nothing = Confusion()
    assert (nothing.f1, nothing.precision, nothing.recall, nothing.fpr) == (None, None, None, None)
    assert Confusion(fn=3, tn=2).precision is None
    assert Confusion(fn=3, tn=2).f1 == 0
    assert Confusion(tp=3, fn=2).fpr is None
    assert Confusion(tn=3).f1 is None


def test_items_of_one_class_are_known_by_their_gold() -> None:
    assert Confusion(tp=3, fn=2).single_class
    assert Confusion(fp=3, tn=2).single_class
    assert not Confusion(tp=3, tn=2).single_class


def test_counts_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        Confusion(tp=-1)


def test_a_failure_is_one_error_or_left_out() -> None:
    pairs = [(HARMFUL, HARMFUL), (HARMFUL, NONE), (UNHARMFUL, None), (UNHARMFUL, UNHARMFUL)]
    counted = tally(Task.REQUEST, pairs)
    assert counted.confusion(Counting.WRONG) == Confusion(tp=1, fp=1, fn=1, tn=1)
    assert counted.confusion(Counting.DROPPED) == Confusion(tp=1, tn=1)
    assert (counted.n, counted.positive, counted.unparsable) == (4, 2, 2)


@pytest.mark.parametrize(
    ("task", "gold", "official"),
    [
        (Task.REQUEST, Harm.HARMFUL, Confusion()),
        (Task.RESPONSE, Harm.HARMFUL, Confusion()),
        (Task.REQUEST, Harm.UNHARMFUL, Confusion(fp=2)),
        (Task.RESPONSE, Harm.UNHARMFUL, Confusion(fp=2)),
        (Task.COMPLETION, Completion.REFUSAL, Confusion(fn=2)),
        (Task.COMPLETION, Completion.COMPLIANCE, Confusion(fp=2)),
    ],
)
def test_the_released_script_drops_harmful_failures_and_counts_others_twice(
    task: Task, gold: str, official: Confusion
) -> None:
    assert tally(task, [(gold, INDETERMINATE)]).confusion(Counting.OFFICIAL) == official


@pytest.mark.parametrize(
    "pair", [("safe", HARMFUL), (HARMFUL, "safe"), (HARMFUL, Completion.REFUSAL), ("none", None)]
)
def test_labels_of_no_class_are_refused(pair: tuple[str, str | None]) -> None:
    with pytest.raises(ValueError, match="labels of the request task"):
        tally(Task.REQUEST, [pair])


def test_an_item_counts_in_each_of_its_categories_once() -> None:
    items = [
        (["privacy", "fraud", "fraud"], HARMFUL, HARMFUL),
        (["fraud"], UNHARMFUL, HARMFUL),
        ([], UNHARMFUL, HARMFUL),
    ]
    found = by_category(Task.REQUEST, items)
    assert list(found) == ["fraud", "privacy"]
    assert found["fraud"].confusion() == Confusion(tp=1, fp=1)
    assert found["privacy"].confusion() == Confusion(tp=1)


@pytest.mark.parametrize(
    ("figures", "printed"),
    [
        # arXiv 2501.18492v2, tables 2, 5 and 8: GuardReasoner 1B on prompts, 3B on refusals
        (
            [(72.43, 2853), (96.31, 239), (70.06, 1680), (89.34, 359), (98.99, 100), (87.37, 1756)],
            77.68,
        ),
        ([(80.31, 499), (87.54, 1777)], 85.95),
    ],
)
def test_averages_are_those_of_the_paper(figures: list[tuple[float, int]], printed: float) -> None:
    assert weighted_average(figures) == pytest.approx(printed, abs=0.006)


def test_an_average_of_nothing_is_none() -> None:
    assert weighted_average([]) is None
    with pytest.raises(ValueError, match="negative"):
        weighted_average([(0.5, -1)])
