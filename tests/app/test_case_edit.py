"""The dialog for one case: what is written arrives to the letter, and what is missing is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from app.screens.case_edit import WRITTEN_HERE, CaseEditScreen
from engine.cases import Case
from engine.policies.load import PolicyCase
from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.app.test_probe import opened, shown, typed, until

SIZES = pytest.mark.parametrize("size", [(80, 24)])


@asynccontextmanager
async def editing(
    tmp_path: Path,
    like: PolicyCase | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    title: str = "New case",
) -> AsyncIterator[tuple[Pilot[None], CaseEditScreen, list[PolicyCase | None]]]:
    """Open the dialog over a pane; what it gives is put into the list."""
    given: list[PolicyCase | None] = []
    async with opened(tmp_path, size=size) as (pilot, _):
        dialog = CaseEditScreen(like, title=title)
        pilot.app.push_screen(dialog, given.append)
        await until(pilot, lambda: pilot.app.screen is dialog and dialog.focused)
        yield pilot, dialog, given


@SIZES
async def test_a_case_is_written_by_keyboard_alone(tmp_path: Path, size: tuple[int, int]) -> None:
    async with editing(tmp_path, size=size) as (pilot, dialog, given):
        await typed(pilot, "one\n")
        await pilot.press("t", "w", "o", "enter", "tab")
        await typed(pilot, "an answer")
        await pilot.press("tab", "right", "tab")
        await typed(pilot, "S1: plain.")
        assert all(
            word in shown(dialog) for word in ("Prompt", "Response", "● safe", "Language", "Source", "Save")
        )
        await pilot.press("enter")
        await until(pilot, lambda: given)
    assert given == [PolicyCase(Case("one\ntwo\n", "an answer"), False, "S1: plain.", "en", WRITTEN_HERE)]


async def test_what_is_missing_is_asked_for_where_it_is(tmp_path: Path) -> None:
    async with editing(tmp_path) as (pilot, dialog, given):
        await typed(pilot, "  ")
        await pilot.press("ctrl+s")
        assert "! There is no text yet" in shown(dialog)
        await typed(pilot, "a prompt")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is missing: why" in shown(dialog))
        assert dialog._reason.asked.has_focus
        await typed(pilot, "V1: x")
        dialog._language.value = "english"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is no language" in shown(dialog))
        assert dialog._language.asked.has_focus
        assert not given
        dialog._language.value = " DE "
        await pilot.press("ctrl+s")
        await until(pilot, lambda: given)
    assert given == [PolicyCase(Case("  a prompt"), True, "V1: x", "de", WRITTEN_HERE)]


async def test_leaving_asks_only_where_something_was_written(tmp_path: Path) -> None:
    like = PolicyCase(Case("p", "r"), True, "V1: x", "en", "me")
    async with editing(tmp_path, like) as (pilot, _, given):
        await pilot.press("escape")
        await until(pilot, lambda: given)
        dialog = CaseEditScreen(like, title="Again")
        pilot.app.push_screen(dialog, given.append)
        await until(pilot, lambda: pilot.app.screen is dialog and dialog.focused)
        await pilot.press("x", "escape")
        await until(pilot, lambda: any("esc again" in told.message for told in pilot.app._notifications))
        await pilot.press("y")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert pilot.app.screen is dialog
        await pilot.press("escape")
        await until(pilot, lambda: len(given) == 2)
    assert given == [None, None]


@pytest.mark.parametrize("response", [None, "", "r\r\nr"])
async def test_a_case_that_was_not_changed_comes_back_as_it_was(tmp_path: Path, response: str | None) -> None:
    like = PolicyCase(Case("tab\there\r\nthere\n", response), False, "S1: two\nlines", "fr", "mine")
    async with editing(tmp_path, like) as (pilot, _, given):
        await pilot.press("ctrl+s")
        await until(pilot, lambda: given)
    assert given == [like]


async def test_hostile_text_is_kept_to_the_letter_and_shown_through_the_gate(tmp_path: Path) -> None:
    size = (80, 24)
    text = "\n".join(HOSTILE.values())
    async with editing(tmp_path, size=size) as (pilot, _, given):
        for reason in HOSTILE.values():
            like = PolicyCase(Case(text, text * 3), True, reason, "en", reason)
            dialog = CaseEditScreen(like, title=f"Case of {reason}")
            pilot.app.push_screen(dialog, given.append)
            await until(pilot, lambda dialog=dialog: pilot.app.screen is dialog and dialog.focused)
            lines = shown(dialog).split("\n")
            assert all(cell_len(line) <= size[0] for line in lines)
            assert not any(sequence in line for sequence in FORBIDDEN for line in lines)
            given.clear()
            await pilot.press("ctrl+s")
            await until(pilot, lambda: given)
            assert given[0] is not None
            assert (given[0].case, given[0].reason) == (like.case, reason.strip())


async def test_a_text_too_large_to_edit_is_kept_in_full(tmp_path: Path) -> None:
    like = PolicyCase(Case("word " * 60_000), True, "V1: x", "en", "me")
    async with editing(tmp_path, like) as (pilot, dialog, given):
        assert "300,000 characters" in shown(dialog)
        await pilot.press("x", "ctrl+s")
        await until(pilot, lambda: given)
    assert given == [like]
