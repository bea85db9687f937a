"""A verdict cannot allow what was not cleanly judged."""

from __future__ import annotations

import pytest

from engine.cases import Case, Completion, Decision, Finding, Harm, Status, Task, TaskFinding, Verdict

CLEAN = Finding("violence", violation=False, score=0.1)


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        (Status.ERROR, CLEAN),
        (Status.UNPARSABLE, CLEAN),
        (Status.OK, Finding("violence", violation=True, score=0.9)),
        (Status.OK, Finding("violence", violation=None)),
        (Status.OK, Finding("violence", violation=False, status=Status.TRUNCATED)),
    ],
)
def test_allow_needs_a_clean_judgement(status: Status, finding: Finding) -> None:
    with pytest.raises(ValueError, match="may allow only"):
        Verdict(Decision.ALLOW, "gauntlet", status=status, policies=(CLEAN, finding))


def test_a_clean_judgement_may_allow() -> None:
    assert Verdict(Decision.ALLOW, "gauntlet", policies=(CLEAN,)).status is Status.OK


REQUEST, COMPLETION, RESPONSE = Task


@pytest.mark.parametrize(
    ("request_label", "response_label", "allowed"),
    [
        (Harm.UNHARMFUL, None, True),
        (Harm.HARMFUL, Harm.UNHARMFUL, True),
        (Harm.HARMFUL, None, False),
        (Harm.UNHARMFUL, Harm.HARMFUL, False),
        (None, None, False),
    ],
)
def test_tasks_allow_where_the_one_that_decides_is_unharmful(
    request_label: Harm | None, response_label: Harm | None, allowed: bool
) -> None:
    tasks = (
        TaskFinding(REQUEST, request_label),
        TaskFinding(COMPLETION, Completion.REFUSAL if response_label else None),
        TaskFinding(RESPONSE, response_label),
    )
    if allowed:
        assert Verdict(Decision.ALLOW, "guardreasoner", tasks=tasks).tasks == tasks
    else:
        with pytest.raises(ValueError, match="may allow only"):
            Verdict(Decision.ALLOW, "guardreasoner", tasks=tasks)


def test_key_tells_absent_from_empty_response_and_survives_surrogates() -> None:
    keys = {Case("a").key, Case("a", "").key, Case("", "a").key, Case("a\ud800").key}
    assert len(keys) == 4
