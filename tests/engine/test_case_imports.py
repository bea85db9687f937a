"""Cases are proposed from what is known of them, and nothing is made up: a failure proposes no verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cases import Case, Decision, Finding, Status, Verdict
from engine.events import Event, Started, VerdictReached
from engine.jobs.evaluated import KeptCase, KeptFinding, KeptItem, KeptVerdict
from engine.policies.load import PolicyError
from engine.tracker import open_tracker
from engine.tracker.probes import Tracker
from engine.workshop.imports import Errors, of_errors, of_file, of_probe

POLICY = "violence"


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker


def probed(tracker: Tracker, *findings: Finding) -> int:
    verdict = Verdict(Decision.ESCALATE, "scripted", policies=findings)
    events: list[Event] = [
        Started(seq=0, at_ms=0.0, guard="scripted", model=None, case_key="k"),
        VerdictReached(seq=1, at_ms=1.0, verdict=verdict),
    ]
    return tracker.save_probe(Case("a prompt", "an answer"), events)


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (Finding(POLICY, True), True),
        (Finding(POLICY, False), False),
        (Finding(POLICY, None), None),
        (Finding(POLICY, True, status=Status.TRUNCATED), None),
        (Finding("illegal", True), None),
    ],
)
def test_a_probe_proposes_what_the_policy_itself_found_cleanly(
    tracker: Tracker, finding: Finding, expected: bool | None
) -> None:
    number = probed(tracker, finding)
    probe = tracker.probe(number)
    assert probe is not None
    proposal = of_probe(probe, POLICY)
    assert proposal.violation is expected
    assert proposal.case == Case("a prompt", "an answer")
    assert proposal.source == f"probe #{number}"
    assert proposal.expecting(True).violation


def kept(key: str, gold: object, *findings: KeptFinding, **labels: str) -> KeptCase:
    golds = gold if isinstance(gold, list) else [gold]
    items = [KeptItem("ToxicChat", f"{key}-{place}", each) for place, each in enumerate(golds)]
    return KeptCase(key, items, labels, KeptVerdict(list(findings)), prompt=key)


def test_errors_are_what_gold_and_a_clean_judgement_disagree_on() -> None:
    yes, no = KeptFinding(POLICY, True), KeptFinding(POLICY, False)
    failed = KeptFinding(POLICY, True, status=Status.TIMEOUT)
    failed_safe = KeptFinding(POLICY, False, status=Status.TIMEOUT)
    other = KeptFinding("illegal", True)
    cases = [
        kept("false alarm", "unharmful", yes),
        kept("false alarm of flags", {"H": False, "V": False}, yes),
        kept("right", "harmful", yes),
        kept("alarm of another", "unharmful", no, other),
        kept("failed alarm", "unharmful", failed),
        kept("disputed", ["harmful", "unharmful"], yes),
        kept("no harm label", "refusal", yes),
        kept("missed", "harmful", no),
        kept("missed of flags", {"H": True}, no),
        kept("found by another", "harmful", no, other),
        kept("failed", "harmful", failed_safe),
        kept("missed by labels", "harmful", response="unharmful", request="harmful"),
        kept("no labels", "harmful"),
    ]
    alarms = of_errors(cases, 7, POLICY, Errors.FALSE_POSITIVES)
    assert [each.case.prompt for each in alarms] == ["false alarm", "false alarm of flags"]
    assert {each.violation for each in alarms} == {False}
    assert alarms[0].source == "run #7, ToxicChat false alarm-0"
    missed = of_errors(cases, 7, POLICY, Errors.FALSE_NEGATIVES)
    assert [each.case.prompt for each in missed] == ["missed", "missed of flags", "missed by labels"]
    assert {each.violation for each in missed} == {True}


def test_a_file_is_of_a_policys_cases_or_of_labelled_ones() -> None:
    row = {"prompt": "a", "expected": "safe", "reason": "S1: plain.", "language": "de", "source": "me"}
    (one,) = of_file(f"{json.dumps(row)}\n\n{json.dumps(row)}\n".encode(), "cases.jsonl")
    assert (one.violation, one.reason, one.language, one.source) == (False, "S1: plain.", "de", "me")
    lines = [{"prompt": "b", "label": "harmful"}, {"prompt": "c", "response": "d"}]
    labelled = of_file("\n".join(map(json.dumps, lines)).encode(), "x/mine.jsonl", language="fr")
    assert [each.violation for each in labelled] == [True, None]
    assert labelled[1].case == Case("c", "d")
    assert {(each.language, each.source) for each in labelled} == {("fr", "mine.jsonl")}
    assert of_file(b"", "empty") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"prompt": "a"}\nnothing', "mine, line 2: not JSON"),
        (b'{"prompt": "a", "expected": "safe"}', "mine, line 1, is not a case"),
        (b'{"prompt": "a", "label": "bad"}', "mine, line 1: a label is"),
        (b'{"prompt": 1}', "mine, line 1"),
        (b"\xff\xfe", "mine is not UTF-8"),
        (b"[" * 100_000, "mine, line 1"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_at_its_line(content: bytes, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        of_file(content, "mine")
