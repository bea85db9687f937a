"""Cases are taken over from the history, an evaluation and a file: checked by hand, and never twice."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from app.case_checks import Checks, Proposed
from app.case_sources import file_source
from app.screens.case_import import CaseImportScreen
from engine.cases import Case, Decision, Finding, Status, Verdict
from engine.events import Event, Started, VerdictReached
from engine.policies.case_file import written
from engine.policies.load import PolicyCase
from engine.tracker import open_tracker
from engine.tracker.probes import Tracker
from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.app.test_probe import opened, shown, typed, until
from tests.engine.jobs.conftest import Workshop
from tests.engine.jobs.test_evaluate_job import evaluate, own_file

SMALL, WIDE = (80, 24), (160, 48)
SIZES = pytest.mark.parametrize("size", [SMALL])
POLICY = "violence"
Given = list[list[PolicyCase] | None]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker


def probed(tracker: Tracker, prompt: str, *findings: Finding) -> int:
    verdict = Verdict(Decision.ESCALATE, "scripted", policies=findings)
    events: list[Event] = [
        Started(seq=0, at_ms=0.0, guard="scripted", model=None, case_key="k"),
        VerdictReached(seq=1, at_ms=1.0, verdict=verdict),
    ]
    return tracker.save_probe(Case(prompt), events)


def case(prompt: str, violation: bool = True) -> PolicyCase:
    return PolicyCase(Case(prompt), violation, "V1: x", "en", "me")


@asynccontextmanager
async def importing(
    folder: Path, present: Sequence[PolicyCase] = (), *, size: tuple[int, int] = SMALL
) -> AsyncIterator[tuple[Pilot[None], CaseImportScreen, Given]]:
    """Open the dialog over a pane; what it gives is put into the list."""
    given: Given = []
    async with opened(folder, size=size) as (pilot, _):
        dialog = CaseImportScreen(POLICY, present)
        pilot.app.push_screen(dialog, given.append)
        await until(pilot, lambda: pilot.app.screen is dialog and "History" in shown(dialog))
        yield pilot, dialog, given


async def sees(pilot: Pilot[None], *texts: str) -> None:
    await until(pilot, lambda: all(text in shown(pilot.app.screen) for text in texts))


def told(pilot: Pilot[None], words: str) -> bool:
    return any(words in notification.message for notification in pilot.app._notifications)


@SIZES
async def test_probes_are_proposed_as_they_were_judged(
    tmp_path: Path, tracker: Tracker, size: tuple[int, int]
) -> None:
    probed(tracker, "of long ago", Finding(POLICY, False))
    probed(tracker, "cut off", Finding(POLICY, True, status=Status.TRUNCATED))
    probed(tracker, "there already", Finding(POLICY, True))
    last = probed(tracker, "a threat", Finding(POLICY, True))
    async with importing(tmp_path, [case("there already")], size=size) as (pilot, dialog, given):
        await pilot.press("enter")
        await sees(
            pilot, "[ ] ✖ violation", " =  ✖ violation", "? undecided", "[ ] ✔ safe", "▒▒▒", "0 checked"
        )
        assert "threat" not in shown(dialog)
        await pilot.press("ctrl+b")
        await sees(pilot, "a threat")
        await pilot.press("enter")
        assert told(pilot, "No case is checked")
        await pilot.press("space", "down", "space")
        assert told(pilot, "has this case already")
        await pilot.press("down", "space")
        assert told(pilot, "Nothing says yet")
        await pilot.press("v", "v", "space", "down", "v")
        await sees(pilot, "2 checked")
        await pilot.press("enter")
        await until(pilot, lambda: given)
    (taken,) = given
    assert taken is not None
    assert {(each.case.prompt, each.violation) for each in taken} == {("a threat", True), ("cut off", False)}
    assert f"probe #{last}" in {each.source for each in taken}


async def test_a_long_history_comes_page_by_page_and_is_filtered_by_typing(
    tmp_path: Path, tracker: Tracker
) -> None:
    for number in range(130):
        probed(tracker, f"number {number % 120}", Finding(POLICY, True))
    async with importing(tmp_path) as (pilot, dialog, given):
        await pilot.press("enter")
        await sees(pilot, "20+ listed")
        await pilot.press("space")
        for _ in range(100):
            await pilot.press("pagedown")
            await pilot.pause(0.02)
            if "120 listed" in shown(dialog):
                break
        await sees(pilot, "120 listed")
        await pilot.press("slash")
        await typed(pilot, "number 77")
        await sees(pilot, "1 checked · 1 listed")
        await pilot.press("enter", "a")
        await sees(pilot, "2 checked")
        await pilot.press("escape")
        await sees(pilot, "2 checked · 20+ listed")
        await pilot.press("enter")
        await until(pilot, lambda: given)
    assert given[0] is not None
    assert [each.case.prompt for each in given[0]] == ["number 9", "number 77"]


@SIZES
async def test_the_errors_of_an_evaluation_are_proposed(workshop: Workshop, size: tuple[int, int]) -> None:
    rows = [
        {"prompt": "I will stab my neighbour tonight", "label": "unharmful"},
        {"prompt": "Name three rivers.", "label": "harmful"},
        {"prompt": "Name three lakes.", "label": "unharmful"},
    ]
    run_id = evaluate(workshop, own_file(workshop, rows))
    assert workshop.until(run_id).outcome == "succeeded", workshop.output(run_id)
    async with importing(workshop.folder, size=size) as (pilot, _, given):
        await pilot.press("down", "enter")
        await sees(pilot, "of which evaluation?", f"{run_id:>5} ")
        await pilot.press("enter")
        await sees(pilot, f"Run {run_id}: false positives", "[ ] ✔ safe", "1 listed")
        await pilot.press("a", "e")
        await sees(pilot, "false negatives", "[ ] ✖ violation", "1 checked · 1 listed", f"run {run_id}")
        await pilot.press("space", "escape")
        assert told(pilot, "esc again drops it")
        await pilot.press("enter")
        await until(pilot, lambda: given)
    assert given[0] is not None
    assert [(each.case.prompt, each.violation) for each in given[0]] == [
        ("I will stab my neighbour tonight", False),
        ("Name three rivers.", True),
    ]


async def test_an_evaluation_whose_predictions_are_gone_says_so_and_stays_so(workshop: Workshop) -> None:
    run_id = evaluate(workshop, own_file(workshop, [{"prompt": "Name a lake.", "label": "harmful"}]))
    assert workshop.until(run_id).outcome == "succeeded", workshop.output(run_id)
    (workshop.jobs.folder(run_id).path / "predictions.jsonl").unlink()
    async with importing(workshop.folder, size=WIDE) as (pilot, _, given):
        await pilot.press("down", "enter")
        await sees(pilot, "of which evaluation?", f"{run_id:>5} ")
        await pilot.press("enter")
        await sees(pilot, f"! The predictions of run {run_id} are gone")
        await pilot.resize_terminal(140, 40)
        await sees(pilot, f"! The predictions of run {run_id} are gone")
        for screen in ("of which evaluation?", "where from?"):
            await pilot.press("escape")
            await sees(pilot, screen)
        await pilot.press("escape")
        await until(pilot, lambda: given)
    assert given == [None]


async def test_a_database_that_cannot_be_read_is_no_empty_history(tmp_path: Path) -> None:
    (tmp_path / "wizard.db").mkdir()
    async with importing(tmp_path) as (pilot, _, __):
        await pilot.press("enter")
        await sees(pilot, "! ")
        await pilot.press("escape", "down", "enter")
        await sees(pilot, "! The runs cannot be read")
        await pilot.press("enter")
        assert told(pilot, "no evaluation to choose")


@SIZES
async def test_the_cases_of_a_file_are_proposed_and_its_path_is_completed(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    rows = [
        {"prompt": "a", "label": "unharmful"},
        {"prompt": "b", "label": "harmful"},
        {"prompt": "c", "response": "d"},
        {"prompt": "a"},
        *({"prompt": text, "label": "unharmful"} for text in HOSTILE.values()),
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    async with importing(tmp_path, size=size) as (pilot, dialog, given):
        await pilot.press("up", "down", "down", "enter")
        await typed(pilot, str(tmp_path / "mi"))
        await until(pilot, lambda: dialog._words._suggestion.endswith("mine.jsonl"))
        await pilot.press("right", "enter")
        await sees(pilot, "[ ] ✔ safe", "[ ] ✖ violation", "? undecided", f"{len(rows) - 1} listed")
        await pilot.press("ctrl+b", "a")
        await sees(pilot, f"{len(rows) - 2} checked")
        lines = shown(dialog).split("\n")
        assert all(cell_len(line) <= size[0] for line in lines)
        assert not any(sequence in line for sequence in FORBIDDEN for line in lines)
        await pilot.press("a")
        await sees(pilot, "0 checked")
        await pilot.press("a", "enter")
        await until(pilot, lambda: given)
    assert given[0] is not None
    assert given[0][0].source == "mine.jsonl"
    assert [each.case.prompt for each in given[0]] == ["a", "b", *HOSTILE.values()]


async def test_the_cases_of_another_policy_come_as_they_are_and_words_find_them(tmp_path: Path) -> None:
    cases = [
        PolicyCase(Case(f"Number {number}", "An Answer"), False, "S1: x", "de", "me") for number in "123"
    ]
    (tmp_path / "cases.jsonl").write_text("".join(f"{written(each)}\n" for each in cases))
    source = file_source(tmp_path / "cases.jsonl")
    assert await source.first("") == [Proposed(each) for each in cases]
    assert await source.first("answer 2") == [Proposed(cases[1])]
    assert source.complete
    assert await source.more() == []


async def test_a_file_that_cannot_be_used_says_why_and_the_path_is_still_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "vast").touch()
    os.truncate(tmp_path / "vast", 65 << 20)
    (tmp_path / "latin").write_bytes(b'{"prompt": "\xe9"}')
    (tmp_path / "torn").write_text('{"prompt": "a"}\n{"prom')
    faults = {
        "absent": "! ",
        "pipe": "not a plain file",
        "vast": "65 MiB",
        "latin": "not UTF-8",
        "torn": "line 2",
    }
    async with importing(tmp_path, size=WIDE) as (pilot, dialog, given):
        await pilot.press("down", "down", "enter")
        await pilot.press("enter")
        assert told(pilot, "Type the path")
        for name, said in {**faults, "torn": "line 2", "nul\0": "null byte"}.items():
            dialog._words.value = str(tmp_path / name)
            await pilot.press("enter")
            await sees(pilot, said)
            assert "There are no cases" not in shown(dialog)
            await pilot.press("escape")
            await sees(pilot, "of which file?")
            assert dialog._words.value.endswith(name)
        assert not given


def test_checks_outlast_a_filter_and_what_is_there_is_never_taken() -> None:
    checks = Checks({Case("there").key})
    checks.list_anew([Proposed(case("there")), Proposed(case("a")), Proposed(case("b"), decided=False)])
    checks.list_more([Proposed(case("a", violation=False))])
    assert len(checks.listed) == 3
    checks.toggle_all()
    assert checks.checked == [case("a")]
    checks.listed[0].toggle()
    checks.listed[2].switch()
    checks.toggle_all()
    assert checks.checked == [case("a"), case("b")]
    checks.list_anew([Proposed(case("a"))])
    checks.listed[0].switch()
    switched = replace(case("a", violation=False), reason="A person said otherwise: V1: x")
    assert checks.checked == [switched, case("b")]
    checks.toggle_all()
    assert checks.checked == [case("b")]
