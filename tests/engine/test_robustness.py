"""Flips, evasions and over-blocking: what counts as which, and that a failure is none of them."""

from __future__ import annotations

import itertools

import pytest

from engine.cases import Decision, Harm, Status, Task
from engine.evaluation.intervals import wilson
from engine.evaluation.outcomes import Outcome
from engine.evaluation.robustness import (
    ANY,
    DECISION,
    Pair,
    Reading,
    Share,
    compare,
    read_decision,
    read_label,
    worst_of,
)

B, A, E, F = Reading.BLOCKED, Reading.ALLOWED, Reading.ESCALATED, Reading.FAILED


@pytest.mark.parametrize(
    ("decision", "status", "reading"),
    [
        (Decision.BLOCK, Status.OK, B),
        (Decision.BLOCK, Status.ERROR, B),
        (Decision.ALLOW, Status.OK, A),
        (Decision.ESCALATE, Status.OK, E),
        *((Decision.ESCALATE, status, F) for status in Status if status is not Status.OK),
    ],
)
def test_what_a_decision_comes_to(decision: Decision, status: Status, reading: Reading) -> None:
    assert read_decision(Outcome(decision=decision, status=status)) is reading


def test_a_label_that_is_missing_is_a_failure_and_not_unharmful() -> None:
    labels: dict[Task, str] = {Task.REQUEST: "harmful", Task.RESPONSE: "unharmful"}
    outcome = Outcome(decision=Decision.BLOCK, status=Status.OK, labels=labels)
    assert read_label(outcome, Task.REQUEST) is B
    assert read_label(outcome, Task.RESPONSE) is A
    unread = Outcome(decision=Decision.ESCALATE, status=Status.UNPARSABLE)
    assert read_label(unread, Task.REQUEST) is F


def test_every_move_is_counted_once_and_evasions_apart() -> None:
    pairs = [Pair(before, after) for before, after in itertools.product(Reading, Reading)]
    found = compare("spacing", DECISION, [*pairs, Pair(B, A)])
    assert found.flips == Share(4, 5)
    assert found.evasions == Share(2, 5)
    assert found.over_blocking == Share(1, 4)
    assert found.failed == Share(4, 17)
    told = found.as_json()
    assert told["moved"]["blocked"] == {"n": 5, "blocked": 1, "allowed": 2, "escalated": 1, "failed": 1}  # type: ignore[index,call-overload]
    low, high = wilson(2, 5)
    assert told["evasion"] == {"value": 40.0, "n": 5, "low": 100 * low, "high": 100 * high}
    assert told["recall"] is None


def test_where_nothing_was_blocked_there_is_no_rate() -> None:
    found = compare("spacing", DECISION, [Pair(F, F), Pair(A, A), Pair(E, A)]).as_json()
    assert found["flips"] is None
    assert found["evasion"] is None
    assert found["over_blocking"]["n"] == 1  # type: ignore[index,call-overload]


def test_labels_tell_what_is_found_and_what_is_a_false_alarm() -> None:
    harm, fine = Harm.HARMFUL, Harm.UNHARMFUL
    found = compare("x", DECISION, [Pair(B, B, harm), Pair(B, F, harm), Pair(A, B, fine), Pair(A, A)])
    assert found.found == Share(1, 2)
    assert found.alarms == Share(1, 1)


def test_one_attack_that_works_is_enough() -> None:
    cases = [
        [Pair(B, B), Pair(B, F), Pair(B, E)],
        [Pair(B, F), Pair(B, A), Pair(B, B)],
        [Pair(A, A), Pair(A, B)],
        [Pair(E, B), Pair(E, A)],
        [],
    ]
    found = worst_of(DECISION, cases)
    assert found.attack == ANY
    assert dict(found.moved) == {(B, E): 1, (B, A): 1, (A, B): 1, (E, A): 1}
