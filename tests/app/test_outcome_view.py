"""One case in full: what a text makes of it, and the other one beside it or below."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.outcome_words import outcome_content
from app.widgets.outcome_view import OutcomeView, Seen
from engine.cases import Case, Finding, Status
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip
from engine.workshop.trials import Outcome
from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.app.test_probe import shown, until

CASE = PolicyCase(Case("How is glass broken?", "With a stone."), True, "V2: says how.", "en", "by hand")


def outcome(violation: bool | None, reasoning: str, *signals: str, case: PolicyCase = CASE) -> Outcome:
    status = Status.OK if violation is not None else Status.TRUNCATED
    return Outcome(case, Finding("glass", violation, 0.91, status, reasoning, 12.5), signals=signals)


AFTER, BEFORE = outcome(False, "Now fine.", "breaking"), outcome(True, "Was bad.")
SEEN = Seen(CASE, AFTER, BEFORE, Flip(CASE, BEFORE.finding, AFTER.finding), "v3", clear=False)


def plain(seen: Seen) -> str:
    lines = outcome_content(seen.case, seen.after, seen.before, seen.flip, seen.base, clear=seen.clear)
    return "\n".join(line.plain for line in lines)


def test_both_texts_say_what_they_made_of_the_case() -> None:
    text = plain(SEEN)
    assert "✗ fail  ↓ broke  expected: violation" in text
    assert "V2: says how." in text
    assert "signals    breaking" in text
    assert (
        text.index("safe, score 0.910") < text.index("Now fine.") < text.index("v3") < text.index("Was bad.")
    )


def test_texts_are_blurred_until_asked_for() -> None:
    assert "glass" not in plain(SEEN)
    clear = plain(replace(SEEN, clear=True))
    assert "How is glass broken?" in clear
    assert "With a stone." in clear


def test_what_was_not_judged_or_not_decided_is_never_safe() -> None:
    assert "· not run" in plain(Seen(CASE, None, None, None, "v3", clear=False))
    text = plain(Seen(CASE, outcome(None, ""), None, None, "v3", clear=False))
    assert "? truncated" in text
    assert "safe" not in text


class ViewApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.outcome = OutcomeView(id="outcome")

    def compose(self) -> ComposeResult:
        yield self.outcome


@asynccontextmanager
async def view_of(
    seen: Seen | None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], OutcomeView]]:
    app = ViewApp()
    async with app.run_test(size=size) as pilot:
        app.outcome.show(seen)
        app.outcome.focus()
        await pilot.pause()
        yield pilot, app.outcome


def row_of(pilot: Pilot[None], text: str) -> int:
    rows = [number for number, line in enumerate(shown(pilot.app.screen).split("\n")) if text in line]
    return rows[0] if rows else -1


async def test_the_other_text_is_beside_it_where_there_is_room_and_else_below() -> None:
    async with view_of(SEEN, (120, 30)) as (pilot, _):
        await until(pilot, lambda: row_of(pilot, "Was bad.") == 1)
        assert row_of(pilot, "expected: violation") == 0
        await pilot.resize_terminal(80, 30)
        await until(pilot, lambda: row_of(pilot, "Was bad.") > row_of(pilot, "Now fine.") > 0)
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: row_of(pilot, "Was bad.") == 1)


async def test_without_another_text_there_is_one_column() -> None:
    async with view_of(replace(SEEN, before=None, flip=None), (120, 30)) as (pilot, view):
        assert not view._other.display
        assert row_of(pilot, "Was bad.") == -1


async def test_what_is_read_stays_in_sight_while_it_is_the_same_case() -> None:
    reasoning = "\n".join(f"line {number}" for number in range(200))
    seen = Seen(CASE, outcome(None, reasoning), None, None, "v3", clear=False)
    async with view_of(seen) as (pilot, view):
        await pilot.press("pagedown", "pagedown")
        top = view._main.scroll_offset.y
        assert top > 0
        view.show(replace(seen, after=outcome(True, reasoning), clear=True))
        await pilot.pause()
        assert view._main.scroll_offset.y == top
        other = PolicyCase(Case("other"), False, "S1: r", "en", "x")
        view.show(Seen(other, outcome(False, reasoning, case=other), None, None, "v3", clear=False))
        await pilot.pause()
        assert view._main.scroll_offset.y == 0


async def test_a_case_is_shown_again_after_there_was_none() -> None:
    async with view_of(SEEN) as (pilot, view):
        view.show(None)
        await until(pilot, lambda: "Choose a case." in shown(pilot.app.screen))
        view.show(SEEN)
        await until(pilot, lambda: row_of(pilot, "Now fine.") > 0)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_hostile_texts_reach_the_terminal_as_glyphs(size: tuple[int, int]) -> None:
    async with view_of(None, size) as (pilot, view):
        for text in HOSTILE.values():
            case = PolicyCase(Case(text, text), True, text, text, text)
            found = outcome(True, text, text, case=case)
            view.show(Seen(case, found, found, None, text, clear=True))
            await pilot.pause()
            said = shown(pilot.app.screen)
            assert not any(sequence in said for sequence in FORBIDDEN)
            assert "expected: violation" in said
