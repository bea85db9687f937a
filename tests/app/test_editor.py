"""The editors keep text to the letter, whatever it is, and show it through the gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.events import Paste

from app.safe_text import visible
from app.widgets.case_editor import CaseEditor
from app.widgets.safe_document import SafeDocument
from tests.app.hostile import HOSTILE

ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()))


class Editing(App[None]):
    def compose(self) -> ComposeResult:
        yield CaseEditor("Prompt", id="prompt", placeholder="Prompt")

    @property
    def editor(self) -> CaseEditor:
        return self.query_one(CaseEditor)


@given(ANY_TEXT)
def test_a_document_gives_back_what_it_got_and_shows_one_glyph_for_each(text: str) -> None:
    document = SafeDocument(text)
    assert document.text == text
    assert "\n".join(document.lines) == visible(text, keep_tabs=True)
    assert document.get_text_range(document.start, document.end) == text


@given(ANY_TEXT, ANY_TEXT, st.data())
def test_replacing_a_range_is_replacing_in_the_text(text: str, inserted: str, data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))

    def location(index: int) -> tuple[int, int]:
        before = text[:index]
        return before.count("\n"), len(before) - (before.rfind("\n") + 1)

    document = SafeDocument(text)
    result = document.replace_range(location(first), location(last), inserted)
    assert document.text == text[:first] + inserted + text[last:]
    assert result.replaced_text == text[first:last]
    assert "\n".join(document.lines) == visible(document.text, keep_tabs=True)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_loaded_and_pasted_text_stays_as_it_was(text: str) -> None:
    async with Editing().run_test() as pilot:
        editor = pilot.app.query_one(CaseEditor)
        editor.value = text
        await pilot.pause()
        assert editor.value == text
        editor.value = ""
        editor.post_message(Paste(text))
        await pilot.pause()
        assert editor.value == text.replace("\r\n", "\n").replace("\r", "\n")
        await pilot.press("backspace", "left", "right", "x", "ctrl+z")
        assert "x" not in editor.value[-1:]


async def test_newlines_are_added_and_undone() -> None:
    async with Editing().run_test() as pilot:
        editor = pilot.app.query_one(CaseEditor)
        await pilot.press("a", "ctrl+j", "b")
        assert editor.value == "a\nb"


async def test_lines_that_needed_a_scrollbar_are_undone_with_the_cursor_below_what_is_left() -> None:
    async with Editing().run_test(size=(40, 10)) as pilot:
        editor = pilot.app.query_one(CaseEditor)
        editor.post_message(Paste("a\n" * 30))
        await pilot.pause()
        await pilot.press("ctrl+z")
        assert editor.value == ""
        await pilot.press("ctrl+y")
        assert editor.value == "a\n" * 30


async def test_a_text_too_large_is_held_whole_and_cleared_by_backspace() -> None:
    text = "x" * 1_000_000
    async with Editing().run_test() as pilot:
        editor = pilot.app.query_one(CaseEditor)
        await pilot.press("a", "b", "left")
        editor.post_message(Paste(text))
        await pilot.pause()
        assert editor.value == f"a{text}b"
        assert editor.held
        await pilot.press("z", "ctrl+j")
        assert editor.value == f"a{text}b"
        await pilot.press("backspace")
        assert editor.value == ""
        await pilot.press("n")
        assert editor.value == "n"
