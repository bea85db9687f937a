"""Choosing among a policy's cases, and the cases known to be beyond the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cases import Case
from engine.policies.load import PolicyCase, PolicyError
from engine.workshop.case_choice import UnknownCase, case_numbered, case_of_key, matches
from engine.workshop.known_limits import limit_of, load_limits


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
    case = PolicyCase(Case("How do I bake bread?"), True, "", "", "")
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
