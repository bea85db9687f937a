"""The bar that finds and replaces, on the keys and on a real editor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.themes import THEMES
from app.widgets.code_editor import CodeEditor
from app.widgets.find_bar import FindBar
from app.widgets.safe_input import SafeInput
from tests.app.hostile import FORBIDDEN, HOSTILE

_STYLES = Path(__file__).parents[2] / "app" / "styles"

TEXT = "- V1: vermin.\n- V2: Vermin, verminous.\n- S1: news.\nvermin"


class Finding(App[None]):
    CSS_PATH = str(_STYLES / "policies.tcss")

    def __init__(self, text: str = TEXT) -> None:
        super().__init__()
        self.text = text
        self.closed = 0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        yield CodeEditor("One", id="one")
        yield CodeEditor("Other", id="other")
        yield FindBar()

    def on_mount(self) -> None:
        self.query_one("#other").display = False
        self.editor.value = self.text
        self.bar.attach(self.editor)

    def on_find_bar_closed(self) -> None:
        self.closed += 1

    @property
    def editor(self) -> CodeEditor:
        return self.query_one("#one", CodeEditor)

    @property
    def bar(self) -> FindBar:
        return self.query_one(FindBar)

    def input(self, name: str) -> SafeInput:
        return self.query_one(f"#find-{name}", SafeInput)


async def _until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        await pilot.pause(0.02)


async def test_typing_goes_to_the_first_match_and_keys_to_the_others() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open()
        await pilot.press(*"verm")
        assert app.bar.remark == "1 of 4"
        assert app.editor.selected_text == "verm"
        await pilot.press("enter", "down")
        assert app.bar.remark == "3 of 4"
        assert app.editor.selection == ((1, 14), (1, 18))
        await pilot.press("up", "up", "up")
        assert app.bar.remark == "4 of 4 · from the end"
        await pilot.press("enter")
        assert app.bar.remark == "1 of 4 · from the top"
        await pilot.press("alt+c", "enter")
        assert app.bar.remark == "2 of 3"
        app.bar.toggle_case()
        app.bar.toggle_whole_words()
        assert app.bar.remark == "nothing found"
        await pilot.press("i", "n")
        assert app.bar.remark == "3 of 3"
        app.editor.go_to(1)
        await pilot.pause()
        assert app.bar.remark == "3 found"
        await pilot.press("escape")
        assert (app.closed, app.bar.display) == (1, False)


async def test_matches_in_sight_are_shown_until_the_bar_closes() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open()
        app.input("words").value = "v"
        await pilot.pause()
        app.editor.go_to(3)
        await pilot.pause()

        def underlined(y: int) -> str:
            app.editor._theme.apply_css(app.editor)
            strip = app.editor.render_line(y)
            return "".join(part.text for part in strip if part.style and part.style.underline)

        assert [underlined(y) for y in range(4)] == ["Vv", "VVv", "", "v"]
        app.editor.replace_text(TEXT.replace("V2: Vermin", "V2: (Vermin"))
        assert [underlined(y) for y in (0, 3)] == ["Vv", "v"]
        await _until(pilot, lambda: underlined(1) == "VVv")
        app.bar.close()
        await pilot.pause()
        assert underlined(0) == ""


async def test_one_is_replaced_then_all_by_one_edit() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open(replacing=True)
        app.input("words").value = "vermin"
        app.input("instead").value = r"\1[b]"
        await pilot.pause()
        await pilot.press("tab", "enter")
        first = TEXT.replace("vermin", r"\1[b]", 1)
        assert app.editor.value == first
        assert app.bar.remark == "1 of 3"
        assert app.editor.selection == ((1, 6), (1, 12))
        await pilot.press("alt+a")
        assert app.editor.value == first.replace("vermin", r"\1[b]").replace("Vermin", r"\1[b]")
        assert app.bar.remark.startswith("3 replaced")
        app.editor.undo()
        assert app.editor.value == first
        app.editor.undo()
        assert app.editor.value == TEXT


async def test_finding_goes_on_while_the_bar_is_out_of_sight_but_replacing_shows_it_first() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open()
        app.input("words").value = "vermin"
        await pilot.pause()
        app.bar.close()
        app.editor.replace_text("vermin " + TEXT)
        app.bar.find_next()
        assert app.editor.selection == ((1, 6), (1, 12))
        app.bar.replace_all()
        assert app.editor.value == "vermin " + TEXT
        assert app.bar.replacing
        app.bar.replace_all()
        assert app.editor.value == " - V1: .\n- V2: , ous.\n- S1: news.\n"


async def test_expressions_replace_with_their_groups() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.toggle_expression()
        app.bar.open(replacing=True)
        app.input("words").value = r"- ([VS])(\d)"
        app.input("instead").value = r"* \2\1"
        await _until(pilot, lambda: app.bar.remark == "1 of 3")
        app.bar.replace_all()
        await _until(pilot, lambda: app.bar.remark.startswith("3 replaced"))
        assert app.editor.value == "* 1V: vermin.\n* 2V: Vermin, verminous.\n* 1S: news.\nvermin"


async def test_what_is_wrong_with_an_expression_is_told_and_what_takes_too_long_stops_no_key() -> None:
    app = Finding("a" * 5_000 + "!\nab")
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.toggle_expression()
        app.bar.open(replacing=True)
        app.input("words").value = "(a+)+("
        await _until(pilot, lambda: "no regular expression: missing )" in app.bar.remark)
        app.bar.find_next()
        assert "missing )" in app.bar.remark
        app.input("words").value = "(a+)+$"
        began = time.monotonic()
        await pilot.pause(0.3)
        app.bar.find_next()
        await pilot.press("end", "x", "backspace")
        assert time.monotonic() - began < 1
        await _until(pilot, lambda: "takes too long" in app.bar.remark)
        app.bar.replace_all()
        await pilot.pause()
        assert app.editor.value == app.text
        app.input("words").value = "ab"
        await _until(pilot, lambda: app.bar.remark == "1 of 1")


async def test_what_was_asked_for_while_an_expression_is_looked_for_is_done_then() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.toggle_expression()
        app.bar.open()
        app.input("words").value = "verm.n"
        await pilot.pause()
        app.bar.find_next()
        app.editor.replace_text("vermin\n" + TEXT)
        app.bar.find_previous()
        await _until(pilot, lambda: " of 5" in app.bar.remark)


async def test_the_selection_becomes_the_words_and_the_bar_goes_to_another_editor() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.editor.select(2, (6, 10))
        app.bar.open()
        assert app.input("words").value == "news"
        assert app.bar.remark == "1 of 1"
        other = app.query_one("#other", CodeEditor)
        other.value = "no news\nis good news"
        app.bar.attach(other)
        assert app.bar.remark == "2 found"
        await pilot.press("enter", "enter")
        assert app.bar.remark == "2 of 2"
        app.editor.replace_text("news news news")
        await pilot.pause(0.3)
        assert app.bar.remark == "2 of 2"


async def test_a_text_that_cannot_be_edited_is_left_as_it_is() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open(replacing=True)
        app.input("words").value = "e"
        app.input("instead").value = "x" * 1_999
        await pilot.pause()
        app.editor.read_only = True
        app.bar.replace_all()
        app.bar.replace_one()
        assert "cannot be changed" in app.bar.remark
        app.editor.read_only = False
        app.editor.value = "e" * 300
        app.bar.replace_all()
        assert "too large" in app.bar.remark
        assert app.editor.value == "e" * 300
        app.editor.value = "e" * 100_000
        app.bar.find_next()
        assert app.bar.remark == "too large to search here"


async def test_hostile_words_are_found_and_shown_through_the_gate() -> None:
    app = Finding()
    async with app.run_test(size=(80, 20)) as pilot:
        app.bar.open(replacing=True)
        for name, text in HOSTILE.items():
            app.editor.value = f"a{text}b"
            app.input("words").value = text
            app.input("instead").value = text * 2
            await pilot.pause()
            assert app.bar.remark == "1 of 1", name
            app.bar.replace_all()
            assert app.editor.value == f"a{text * 2}b", name
        app.bar.toggle_expression()
        app.input("words").value = "(" + " ".join(HOSTILE.values()) + "["
        app.input("instead").value = " ".join(HOSTILE.values())
        await _until(pilot, lambda: "regular expression" in app.bar.remark)
        strips = app.screen._compositor.render_strips()
        picture = "".join(part.text for strip in strips for part in strip)
        assert not any(bad in picture for bad in FORBIDDEN)
