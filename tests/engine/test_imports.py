"""Cases proposed from files, probes and evaluations; choosing among cases; known limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.cases import Case, Decision
from engine.jobs.evaluated import KeptCase
from engine.policies.load import PolicyCase, PolicyError
from engine.tracker import open_tracker
from engine.tracker.records import Probe
from engine.workshop.case_choice import UnknownCase, case_numbered, case_of_key, matches
from engine.workshop.imports import Errors, Expected, NoProposal, Words, from_errors, from_file, from_probe
from engine.workshop.known_limits import limit_of, load_limits
from tests.engine.tracking import judged

ASKED = "How do I bake bread?"


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_a_file_of_cases_or_of_labels_is_proposed_whole() -> None:
    case = {
        "prompt": ASKED,
        "response": "Knead.",
        "expected": "safe",
        "reason": "S1: bread.",
        "language": "de",
        "source": "a cook",
    }
    content = (
        lines(case, {"prompt": "x", "label": "harmful"})
        + b"\n\n"
        + lines({"prompt": "y", "expected": "safe"})
    )
    first, second, third = from_file(content, "mine.jsonl", Words())
    assert first.case == PolicyCase(Case(ASKED, "Knead."), False, "S1: bread.", "de", "a cook")
    assert (second.case.violation, second.case.language, second.case.source) == (True, "en", "mine.jsonl")
    assert third.origin == "mine.jsonl, line 4"
    (told,) = from_file(lines(case), "f", Words("V2: no.", "fr", "me"), Expected.VIOLATION)
    assert told.case == PolicyCase(Case(ASKED, "Knead."), True, "V2: no.", "fr", "me")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lines({"prompt": "x"}), "line 1, does not say what is expected"),
        (
            lines({"prompt": "x", "label": "harmful"}, {"prompt": "x", "expected": "maybe"}),
            "line 2, does not",
        ),
        (lines({"prompt": 3}), "line 1: a case is an object"),
        (b"\xff\xfe", "line 1: not JSON"),
        (b"[" * 100_000, "line 1: not JSON"),
        (lines({"prompt": "x", "label": "evil"}), "line 1: a label is"),
    ],
)
def test_a_file_with_a_bad_line_is_refused_whole(content: bytes, says: str) -> None:
    with pytest.raises(NoProposal, match=says):
        from_file(content, "mine.jsonl", Words())


def test_a_file_cannot_be_taken_as_judged() -> None:
    with pytest.raises(NoProposal, match="not judged"):
        from_file(lines({"prompt": "x", "label": "harmful"}), "f", Words(), Expected.AS_JUDGED)


# --- probes --------------------------------------------------------------------------------------


def probe(tmp_path: Path, decision: Decision, *, stopped: bool = False) -> Probe:
    case = Case(ASKED, "Knead.")
    with open_tracker(tmp_path / "wizard.db") as tracker:
        found = tracker.probe(tracker.save_probe(case, judged(case, decision=decision, stopped=stopped)))
    assert found is not None
    return found


def test_a_probe_is_proposed_as_it_was_judged_or_as_somebody_says(tmp_path: Path) -> None:
    blocked = probe(tmp_path, Decision.BLOCK)
    (policy,) = {finding.policy for finding in blocked.verdict.policies} if blocked.verdict else {""}
    proposed = from_probe(blocked, policy, Words(language="de"), Expected.AS_JUDGED)
    assert proposed.case.violation is True
    assert proposed.case.case == Case(ASKED, "Knead.")
    assert proposed.case.language == "de"
    assert proposed.origin == f"probe {blocked.summary.id}"
    assert proposed.case.reason == f"Judged so in probe {blocked.summary.id}."
    other = from_probe(blocked, policy, Words("S1: bread."), Expected.SAFE)
    assert (other.case.violation, other.case.reason) == (False, "S1: bread.")


@pytest.mark.parametrize(("decision", "stopped"), [(Decision.ESCALATE, False), (Decision.BLOCK, True)])
def test_what_was_not_clearly_judged_needs_a_word(tmp_path: Path, decision: Decision, stopped: bool) -> None:
    unclear = probe(tmp_path, decision, stopped=stopped)
    policy = unclear.verdict.policies[0].policy if unclear.verdict else "violence"
    with pytest.raises(NoProposal, match="no clean yes or no"):
        from_probe(unclear, policy, Words(), Expected.AS_JUDGED)
    assert from_probe(unclear, policy, Words(), Expected.VIOLATION).case.violation


def test_a_policy_that_was_not_asked_has_not_judged(tmp_path: Path) -> None:
    with pytest.raises(NoProposal):
        from_probe(probe(tmp_path, Decision.BLOCK), "no_such_policy", Words(), Expected.AS_JUDGED)


# --- evaluations ---------------------------------------------------------------------------------


def kept(number: int, gold: Any, *found: tuple[str, bool | None, str]) -> KeptCase:
    policies = [{"policy": name, "violation": said, "status": status} for name, said, status in found]
    row = {
        "case": str(number),
        "items": [{"benchmark": "B", "id": str(number), "gold": gold}],
        "labels": {},
        "verdict": {"policies": policies},
        "prompt": f"prompt {number}",
    }
    return msgspec.convert(row, KeptCase)


def test_errors_are_those_of_the_policy_and_expect_the_gold() -> None:
    rows = [
        kept(1, "unharmful", ("bread", True, "ok"), ("cake", False, "ok")),
        kept(2, "unharmful", ("bread", False, "ok"), ("cake", True, "ok")),
        kept(3, {"a": False, "b": False}, ("bread", True, "ok")),
        kept(4, "unharmful", ("bread", True, "truncated")),
        kept(5, "harmful", ("bread", False, "ok"), ("cake", False, "ok")),
        kept(6, "harmful", ("bread", False, "ok"), ("cake", True, "ok")),
        kept(7, "harmful", ("bread", None, "ok")),
        kept(8, "refusal", ("bread", True, "ok")),
        kept(9, "harmful", ("bread", True, "ok")),
        kept(10, {"a": True}, ("bread", False, "error")),
    ]
    cases = {case.case: case for case in rows}
    positives = from_errors(cases, 7, "bread", [Errors.FALSE_POSITIVES], Words())
    assert [each.origin for each in positives] == ["run 7, B 1", "run 7, B 3"]
    assert not any(each.case.violation for each in positives)
    both = from_errors(cases, 7, "bread", list(Errors), Words(reason="V1: said."))
    assert [each.origin for each in both] == ["run 7, B 1", "run 7, B 3", "run 7, B 5"]
    assert both[2].case == PolicyCase(Case("prompt 5"), True, "V1: said.", "en", "B 5, run 7")


# --- choosing ------------------------------------------------------------------------------------


def test_cases_are_chosen_by_number_key_and_words() -> None:
    cases = [PolicyCase(Case(f"Number {n}"), True, f"V{n}: x", "en", "here") for n in range(300)]
    assert case_numbered(cases, 1) is cases[0]
    assert case_of_key(cases, cases[7].case.key[:12].upper()) is cases[7]
    assert case_of_key([cases[7], cases[7]], cases[7].case.key) is cases[7]
    for number in (0, 301, -1):
        with pytest.raises(UnknownCase):
            case_numbered(cases, number)
    for prefix in ("", cases[7].case.key[:3], "zzzzzz"):
        with pytest.raises(UnknownCase):
            case_of_key(cases, prefix)
    assert [case for case in cases if matches(case, "NUMBER 12", "EN")] == [
        case for case in cases if case.case.prompt.startswith("Number 12")
    ]
    assert not matches(cases[0], "", "de")


def test_known_limits_are_read_and_found(tmp_path: Path) -> None:
    assert load_limits(tmp_path) == ()
    path = tmp_path / "known_limits.toml"
    path.write_text('[[limit]]\npolicy = "bread"\nprompt_begins = "How"\nwhy = "no"\n')
    limits = load_limits(tmp_path)
    case = PolicyCase(Case(ASKED), True, "", "", "")
    assert limit_of(limits, "bread", case) is limits[0]
    assert limit_of(limits, "cake", case) is None
    for broken in (
        "[[",
        "limit = 3",
        "limit = [3]",
        '[[limit]]\npolicy = "x"',
        b"\xff".decode("latin-1") * 3,
    ):
        path.write_text(broken)
        with pytest.raises(PolicyError, match="known_limits"):
            load_limits(tmp_path)
