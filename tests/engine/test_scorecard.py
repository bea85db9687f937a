"""The figures of each policy."""

from __future__ import annotations

import pytest

from engine.cases import Case, Decision, Harm, Status, Task
from engine.evaluation.benchmarks import find_benchmark
from engine.evaluation.items import Item
from engine.evaluation.outcomes import Outcome
from engine.evaluation.scorecard import score_benchmark


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
