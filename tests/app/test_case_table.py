"""The table of a policy's cases: what became of each, and which are listed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.widgets.case_table import CaseTable
from engine.cases import Case, Finding, Status
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip
from engine.workshop.trials import Outcome
from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.app.test_probe import shown, until

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 48)])


def policy_case(
    prompt: str, *, violation: bool = True, reason: str = "V1: r", language: str = "en"
) -> PolicyCase:
    return PolicyCase(Case(prompt), violation, reason, language, "by hand")


def finding(violation: bool | None, *, status: Status = Status.OK) -> Finding:
    return Finding("glass", violation, 0.75, status, "because")


def outcome(case: PolicyCase, violation: bool | None, *signals: str, status: Status = Status.OK) -> Outcome:
    return Outcome(case, finding(violation, status=status), signals=signals)


class TableApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.table = CaseTable(id="cases")

    def compose(self) -> ComposeResult:
        yield self.table


@asynccontextmanager
async def table_of(
    cases: list[PolicyCase], size: tuple[int, int] = (160, 48)
) -> AsyncIterator[tuple[Pilot[None], CaseTable]]:
    app = TableApp()
    async with app.run_test(size=size) as pilot:
        app.table.focus()
        app.table.show_cases(cases)
        await pilot.pause()
        yield pilot, app.table


def lines(pilot: Pilot[None]) -> list[str]:
    return shown(pilot.app.screen).split("\n")


@SIZES
async def test_every_result_is_a_glyph_and_a_word(size: tuple[int, int]) -> None:
    cases = [policy_case(f"case {number}") for number in range(5)]
    passed, failed, undecided, broken, unrun = cases
    async with table_of(cases, size) as (pilot, table):
        found = {
            passed.case.key: outcome(passed, True),
            failed.case.key: outcome(failed, False),
            undecided.case.key: outcome(undecided, None),
            broken.case.key: outcome(broken, True, status=Status.TIMEOUT),
        }
        flips = {failed.case.key: Flip(failed, finding(True), finding(False))}
        table.show_outcomes(found, flips)
        await pilot.pause()
        rows = lines(pilot)[:5]
        results = ["✓ pass", "✗ fail", "? undecided", "? timeout", "· not run"]
        assert [result in row for result, row in zip(results, rows, strict=True)] == [True] * 5
        assert "↓ broke" in rows[1]
        assert "violation" in rows[4]
        assert "case" not in rows[0]
        assert "▒▒▒▒ ▒" in rows[0]
        table.clear_text = True
        table.refresh()
        await pilot.pause()
        assert "case 0" in lines(pilot)[0]
        assert unrun.case.key not in found


async def test_the_chosen_case_stays_chosen_whatever_is_filtered_or_added() -> None:
    cases = [policy_case(f"case {number}", language="de" if number % 2 else "en") for number in range(300)]
    async with table_of(cases) as (_, table):
        table.choose(151)
        table.filter("lang:de")
        assert (table.count, table.case) == (150, cases[151])
        table.show_cases([policy_case("new"), *cases[100:]])
        assert (table.count, table.case) == (100, cases[151])
        table.filter("")
        assert (table.count, table.case) == (201, cases[151])


async def test_equal_cases_of_a_file_are_rows_of_their_own() -> None:
    cases = [policy_case("same"), policy_case("other"), policy_case("same", reason="V2: again")]
    async with table_of(cases) as (_, table):
        table.choose(2)
        table.filter("same")
        assert (table.count, table.case) == (2, cases[2])
        table.filter("")
        assert table.case == cases[2]


async def test_a_filter_on_results_follows_them() -> None:
    cases = [policy_case(f"case {number}") for number in range(40)]
    async with table_of(cases) as (pilot, table):
        table.filter("fail")
        await until(pilot, lambda: "No case fits." in shown(pilot.app.screen))
        found = {}
        for number, case in enumerate(cases):
            found[case.case.key] = outcome(case, number % 4 != 0)
            table.show_outcomes(found, {})
        assert [row.case for row in table.rows] == cases[::4]
        table.show_outcomes({}, {})
        assert table.count == 0


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("", [0, 1, 2, 3]),
        ("fail", [1, 2]),
        ("pass", [0]),
        ("undecided", [2]),
        ("flip", [0, 1]),
        ("mended", [0]),
        ("broke", [1]),
        ("lang:DE", [1]),
        ("v2", [1]),
        ("signal:weap", [1]),
        ("safe", [3]),
        ("violation", [0, 1, 2]),
        ("response", []),
        ("changed", []),
        ("ÜBER fail", [1]),
        ("lang:", []),
        ("nothing:known", []),
    ],
)
async def test_words_find_what_is_in_a_case_and_what_became_of_it(words: str, numbers: list[int]) -> None:
    cases = [
        policy_case("a plain one"),
        policy_case("über die Mauer", reason="V2: grob", language="de"),
        policy_case("third"),
        policy_case("do not fail", violation=False, reason="S1: fine"),
    ]
    found = {
        cases[0].case.key: outcome(cases[0], True),
        cases[1].case.key: outcome(cases[1], False, "weapons"),
        cases[2].case.key: outcome(cases[2], True, status=Status.ERROR),
    }
    flips = {
        cases[0].case.key: Flip(cases[0], finding(False), finding(True)),
        cases[1].case.key: Flip(cases[1], finding(True), finding(False)),
    }
    async with table_of(cases) as (_, table):
        table.show_outcomes(found, flips)
        table.filter(words)
        assert [row.case for row in table.rows] == [cases[number] for number in numbers]


@SIZES
async def test_hostile_texts_stay_in_their_cells(size: tuple[int, int]) -> None:
    cases = [
        PolicyCase(Case(text, text), True, text, text, text) for text in (*HOSTILE.values(), "x" * 100_000)
    ]
    async with table_of(cases, size) as (pilot, table):
        for clear in (False, True):
            table.clear_text = clear
            table.refresh()
            await pilot.pause()
            text = shown(pilot.app.screen)
            assert not any(sequence in text for sequence in FORBIDDEN)
            assert all(cell_len(line) <= size[0] for line in text.split("\n"))


@pytest.mark.parametrize("words", ["", "fail", "something", "something fail"])
async def test_thousands_of_outcomes_stream_in_without_taking_the_frame(words: str) -> None:
    """Ten times a second, 2,000 cases: taking in a frame's outcomes costs a few milliseconds."""
    cases = [policy_case(f"case {number} of something " * 20) for number in range(2_000)]
    async with table_of(cases) as (_, table):
        table.filter(words)
        found = {}
        took = []
        for first in range(0, 2_000, 40):
            found |= {case.case.key: outcome(case, first % 80 == 0) for case in cases[first : first + 40]}
            begun = time.perf_counter()
            table.show_outcomes(found, {})
            took.append(time.perf_counter() - begun)
        assert table.count == (1_000 if "fail" in words else 2_000)
        assert sorted(took)[len(took) // 2] < 0.015
