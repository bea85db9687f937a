"""Averages over benchmarks, and the figures of each policy."""

from __future__ import annotations

import pytest

from engine.cases import Case, Decision, Harm, Status, Task
from engine.evaluation.benchmarks import find_benchmark
from engine.evaluation.items import Item
from engine.evaluation.outcomes import Outcome
from engine.evaluation.scorecard import Scorecard, averages, score_benchmark


@pytest.mark.parametrize(("status", "unparsable"), [(Status.OK, 0), (Status.ERROR, 1)])
def test_a_policy_that_may_have_failed_found_nothing_safe(status: Status, unparsable: int) -> None:
    """That another policy blocks the case gives it a label, but says nothing of this one."""
    item = Item(Case("hello"), {"H": True, "V": False}, None, "1")
    outcome = Outcome(
        decision=Decision.BLOCK,
        status=status,
        labels={Task.REQUEST: Harm.HARMFUL},
        violated=("hate_speech",),
    )
    benchmark = find_benchmark("OpenAIModerationCategories")
    card = score_benchmark(benchmark, [(item, outcome)], ["hate_speech", "violence"])
    assert (card.policies["hate_speech"].read.tp, card.policies["hate_speech"].unparsable) == (1, 0)
    assert card.policies["violence"].unparsable == unparsable


def card(gold: Harm, *labels: Harm) -> Scorecard:
    outcomes = (
        Outcome(decision=Decision.ALLOW, status=Status.OK, labels={Task.REQUEST: label}) for label in labels
    )
    items = (Item(Case(str(place)), gold, None, str(place)) for place in range(len(labels)))
    return score_benchmark(find_benchmark("ToxicChat"), zip(items, outcomes, strict=False))


@pytest.mark.parametrize("label", list(Harm))
def test_benchmarks_without_positives_have_no_part_in_an_average(label: Harm) -> None:
    found = card(Harm.HARMFUL, Harm.HARMFUL, Harm.HARMFUL)
    assert averages([found, card(Harm.UNHARMFUL, label)]) == {}
    average = averages([found, found, card(Harm.UNHARMFUL, label)])["f1 prompt average"]
    assert isinstance(average, dict)
    assert (average["value"], average["n"]) == (100.0, 4)
