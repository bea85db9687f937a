"""A verdict cannot allow what was not cleanly judged."""

from __future__ import annotations

import pytest

from engine.cases import Case, Decision, Finding, Status, Verdict

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


def test_key_tells_absent_from_empty_response_and_survives_surrogates() -> None:
    keys = {Case("a").key, Case("a", "").key, Case("", "a").key, Case("a\ud800").key}
    assert len(keys) == 4
