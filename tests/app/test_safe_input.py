"""The one-line input: what is pasted arrives in it, whatever it is."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.pilot import Pilot

from app.widgets.safe_input import SafeInput
from tests.app.hostile import HOSTILE


class Asking(App[None]):
    def compose(self) -> ComposeResult:
        yield SafeInput(id="input", placeholder="")


async def pasted(pilot: Pilot[None], text: str) -> SafeInput:
    asked = pilot.app.query_one(SafeInput)
    asked.post_message(Paste(text))
    await pilot.pause()
    return asked


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("one\ntwo\nthree", "one two three"),
        ("one\r\ntwo\rthree\n", "one two three"),
        ("\n\n one\n\ntwo \n", " one two "),
        ("\n", ""),
        ("", ""),
    ],
)
async def test_lines_that_are_pasted_are_joined(text: str, value: str) -> None:
    async with Asking().run_test() as pilot:
        assert (await pasted(pilot, text)).value == value
        asked = pilot.app.query_one(SafeInput)
        asked.value = ""
        pilot.app.copy_to_clipboard(text)
        await pilot.press("ctrl+v")
        assert asked.value == value


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_nothing_else_that_is_pasted_is_changed(text: str) -> None:
    async with Asking().run_test() as pilot:
        assert (await pasted(pilot, text)).value.split() == text.split()


async def test_a_paste_replaces_what_is_selected_and_says_where_it_was_cut() -> None:
    async with Asking().run_test(notifications=True) as pilot:
        asked = await pasted(pilot, "x" * 1_990)
        await pilot.press("home", "shift+right", "shift+right")
        await pasted(pilot, "y" * 12)
        assert asked.value == "y" * 12 + "x" * 1_988
        assert not pilot.app._notifications
        await pasted(pilot, "z")
        assert asked.value == "y" * 12 + "x" * 1_988
        await pilot.press("home", "shift+right")
        await pasted(pilot, "ab\ncd")
        assert asked.value == "a" + "y" * 11 + "x" * 1_988
        assert all("2,000 characters fit" in told.message for told in pilot.app._notifications)
        assert len(pilot.app._notifications) == 2
