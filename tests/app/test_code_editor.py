"""The editor of policies' files: colours, marks, one edit for a whole text, and hostile text throughout."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color
from textual.document._document import Selection
from textual.events import Paste

from app.safe_text import visible
from app.themes import THEMES
from app.widgets.code_editor import CodeEditor, Mark, Severity
from app.widgets.colouring import STYLES, policy_colours, signals_colours
from tests.app.hostile import HOSTILE

_POLICIES = Path(__file__).parents[2] / "policies"
_STYLES = Path(__file__).parents[2] / "app" / "styles"

POLICY = """# A policy

## Violates
- V1: calling a group vermin.
- V2: urging harm.

## Safe
- S1: news."""


class Editing(App[None]):
    CSS_PATH = str(_STYLES / "policies.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[int] = []
        self.changes = 0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        yield CodeEditor("Policy", id="policy", colouring=policy_colours)

    def on_mount(self) -> None:
        self.watch(self.editor, "revision", self._revised, init=False)

    def _revised(self, revision: int) -> None:
        self.revisions.append(revision)

    def on_text_area_changed(self) -> None:
        self.changes += 1

    @property
    def editor(self) -> CodeEditor:
        return self.query_one(CodeEditor)

    def row(self, y: int) -> str:
        self.editor._theme.apply_css(self.editor)
        return self.editor.render_line(y).text.rstrip()

    def style_at(self, y: int, words: str) -> Style:
        """Return the style of the first letter of some words in a row of the screen."""
        self.editor._theme.apply_css(self.editor)
        strip = self.editor.render_line(y)
        at = strip.text.index(words)
        for segment in strip:
            if at < len(segment.text):
                assert segment.style is not None
                return segment.style
            at -= len(segment.text)
        raise AssertionError


async def test_lines_have_numbers_and_the_colours_of_their_parts_in_every_theme() -> None:
    app = Editing()
    async with app.run_test(size=(60, 14)) as pilot:
        app.editor.value = POLICY
        for theme in THEMES:
            app.theme = theme.name
            await pilot.pause()
            assert app.row(3) == "  4  - V1: calling a group vermin."[1:]
            violates, safe = app.style_at(3, "V1"), app.style_at(7, "S1")
            assert violates.color != app.style_at(3, "calling").color != safe.color
            assert _distance(violates, theme.error) < 4 > _distance(safe, theme.success)
            assert app.style_at(0, "# A").bold


def test_every_style_of_the_colouring_has_a_rule() -> None:
    rules = (_STYLES / "policies.tcss").read_text(encoding="utf-8")
    assert all(f"CodeEditor .code--{style} {{" in rules for style in STYLES)


async def test_colours_follow_what_is_typed_above() -> None:
    app = Editing()
    async with app.run_test(size=(60, 14)) as pilot:
        app.editor.value = "## Other\n- term: meaning"
        await pilot.pause()
        plain = app.style_at(1, "term")
        app.editor.replace("Definitions", (0, 3), (0, 8))
        await pilot.pause()
        assert app.style_at(1, "term") != plain
        app.editor.undo()
        await pilot.pause()
        assert app.style_at(1, "term") == plain
        app.editor.colouring = signals_colours
        app.editor.value = "# words"
        await pilot.pause()
        assert app.style_at(0, "# words").italic


async def test_marks_stand_beside_their_lines_and_move_with_them() -> None:
    app = Editing()
    async with app.run_test(size=(60, 14)) as pilot:
        editor = app.editor
        editor.value = POLICY
        await pilot.pause()
        editor.show_marks({4: Mark(Severity.ERROR, ((6, 13),)), 8: Mark(Severity.WARNING)})
        editor.show_changed({1, 8})
        assert [app.row(y)[:4] for y in (0, 3, 4, 7)] == [" 1· ", "!4  ", " 5  ", "~8· "]
        assert app.style_at(3, "calling").underline
        assert not app.style_at(3, "a group").underline

        editor.go_to(2)
        await pilot.press("enter")
        assert [app.row(y)[:3] for y in (3, 4, 8)] == [" 4 ", "!5 ", "~9·"]
        assert app.style_at(4, "calling").underline
        await pilot.press("ctrl+z")
        assert [app.row(y)[:3] for y in (3, 4, 7)] == ["!4 ", " 5 ", "~8·"]

        editor.go_to(4, 6)
        await pilot.press("x")
        assert app.row(3)[:2] == "!4"
        assert not app.style_at(3, "xcalling").underline
        editor.replace_text(POLICY.replace("- V1: calling a group vermin.\n", ""))
        assert [app.row(y)[:3] for y in (3, 6)] == [" 4 ", "~7·"]
        editor.show_marks({})
        assert app.row(6)[:3] == " 7·"


async def test_a_number_of_another_width_moves_the_text_but_no_mark() -> None:
    app = Editing()
    async with app.run_test(size=(40, 14)) as pilot:
        app.editor.value = "\n".join("abcdefghi")
        await pilot.pause()
        app.editor.show_marks({2: Mark(Severity.ERROR)})
        assert app.row(1) == "!2  b"
        await pilot.press("enter")
        assert app.row(2) == "! 3  b"


async def test_all_of_the_text_is_replaced_by_one_edit_that_keeps_the_cursor_and_can_be_undone() -> None:
    app = Editing()
    async with app.run_test(size=(60, 10)) as pilot:
        editor = app.editor
        editor.value = POLICY
        await pilot.pause()
        editor.go_to(8, 3)
        await pilot.press("y")
        typed = editor.value
        changes = app.changes
        new = typed.replace("# A policy", "# Another\n\nmore\npolicy").replace("V2", "V9")
        editor.replace_text(new)
        await pilot.pause()
        assert editor.value == new
        assert app.changes == changes + 1
        assert editor.cursor == (10, 4)
        assert editor.document.get_line(10) == "- Sy1: news."
        await pilot.press("ctrl+z")
        assert editor.value == typed
        assert editor.cursor == (7, 4)
        await pilot.press("ctrl+z")
        assert editor.value == POLICY
        await pilot.press("ctrl+y", "ctrl+y")
        assert editor.value == new


async def test_the_cursor_stays_at_its_line_where_the_text_changes_above_and_below_it() -> None:
    app = Editing()
    async with app.run_test(size=(60, 10)):
        editor = app.editor
        editor.value = "one\ntwo\nthree\nfour"
        editor.go_to(3, 2)
        editor.replace_text("ONE\nand\nmore\ntwo\nthree\nFOUR")
        assert editor.cursor == (4, 2)
        editor.replace_text("gone")
        assert editor.cursor == (0, 2)
        revisions = len(app.revisions)
        editor.replace_text("gone")
        assert len(app.revisions) == revisions


ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()))
LINES = st.lists(st.sampled_from(["", "a", "b", "- V1: x", "\x1b[2J", "宽"]), max_size=8).map("\n".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(ANY_TEXT, LINES), min_size=2, max_size=4))
async def test_any_text_is_replaced_by_any_other_and_back(texts: list[str]) -> None:
    app = Editing()
    async with app.run_test(size=(30, 6)):
        editor = app.editor
        editor.value = texts[0]
        kept = [text for before, text in pairwise(texts) if text != before]
        for text in kept:
            editor.replace_text(text)
            assert editor.value == text
        for text in [texts[0], *kept][-2::-1]:
            editor.undo()
            assert editor.value == text


async def test_hostile_text_stays_as_it_was_and_is_shown_through_the_gate() -> None:
    app = Editing()
    async with app.run_test(size=(70, 14)) as pilot:
        editor = app.editor
        for name, text in HOSTILE.items():
            editor.value = f"## Examples\n- {text} V1\n" * 3
            length = len(editor.document.get_line(1))
            editor.show_marks({2: Mark(Severity.ERROR, ((0, length), (3, 2), (5, length + 9)))})
            editor.show_found({1: [(1, 4), (2, length + 3)]})
            editor.selection = Selection((0, 2), (editor.document.end[0], 0))
            shown = [app.row(y) for y in range(12)]
            assert all(visible(line, keep_newlines=False) == line for line in shown), name
            assert any("V1" in line for line in shown), name
            editor.value = ""
            editor.post_message(Paste(text))
            await pilot.pause()
            assert editor.value == text.replace("\r\n", "\n").replace("\r", "\n"), name
            editor.replace_text(text)
            assert editor.value == text, name


async def test_wrapped_lines_show_colours_selection_and_cursor_where_they_are() -> None:
    app = Editing()
    async with app.run_test(size=(24, 14)) as pilot:
        editor = app.editor
        editor.value = "## Safe\n- S1: some words and V1, S2\tand more of them V3 at last\n\nend"
        await pilot.pause()
        rows = [app.row(y) for y in range(8)]
        assert "".join(row[4:] for row in rows[1:5]).replace(" ", "") == (
            "-S1:somewordsandV1,S2andmoreofthemV3atlast"
        )
        assert [row[:4].strip() for row in rows[:6]] == ["1", "2", "", "", "", "3"]
        wrapped = next(y for y, row in enumerate(rows) if "V3" in row)
        assert app.style_at(wrapped, "V3").bold
        editor.select(1, (editor.document.get_line(1).index("V3"), len(editor.document.get_line(1))))
        await pilot.pause()
        selected = app.style_at(wrapped, "V3").bgcolor
        assert selected == app.style_at(wrapped + 1, "last").bgcolor != app.style_at(wrapped, "of").bgcolor


async def test_enter_keeps_the_indent_and_typing_stays_one_step() -> None:
    app = Editing()
    async with app.run_test(size=(60, 10)) as pilot:
        app.editor.value = "match = [\n  1,"
        app.editor.go_to(2, 4)
        await pilot.press("enter", "2", ",")
        assert app.editor.value == "match = [\n  1,\n  2,"
        await pilot.press("ctrl+z")
        assert app.editor.value == "match = [\n  1,\n  "


async def test_lines_are_moved_and_copied_by_one_edit_each() -> None:
    app = Editing()
    async with app.run_test(size=(60, 10)) as pilot:
        editor = app.editor
        editor.value = "a\nb\nc\n\u202ed"
        await pilot.pause()
        editor.selection = Selection((0, 1), (2, 0))
        editor.move_lines(1)
        assert editor.value == "c\na\nb\n\u202ed"
        assert editor.selection == ((1, 1), (3, 0))
        editor.move_lines(1)
        editor.move_lines(1)
        assert editor.value == "c\n\u202ed\na\nb"
        editor.go_to(2)
        editor.move_lines(-1)
        editor.move_lines(-1)
        assert editor.value == "\u202ed\nc\na\nb"
        editor.duplicate_lines()
        assert editor.value == "\u202ed\n\u202ed\nc\na\nb"
        assert editor.cursor == (1, 0)
        for before in ("\u202ed\nc\na\nb", "c\n\u202ed\na\nb", "c\na\nb\n\u202ed", "a\nb\nc\n\u202ed"):
            editor.undo()
            assert editor.value == before
        editor.read_only = True
        editor.move_lines(1)
        editor.duplicate_lines()
        assert editor.value == "a\nb\nc\n\u202ed"


async def test_going_to_a_line_puts_it_in_the_middle() -> None:
    app = Editing()
    async with app.run_test(size=(60, 20)) as pilot:
        app.editor.value = "\n".join(f"line {n}" for n in range(1, 1001))
        app.editor.go_to(500, 3)
        await pilot.pause()
        assert app.editor.cursor == (499, 3)
        shown = [app.row(y) for y in range(20)]
        assert 7 <= next(y for y, row in enumerate(shown) if row.endswith("line 500")) <= 12
        app.editor.go_to(5_000, 90)
        assert app.editor.cursor == (999, 9)
        app.editor.go_to(0)
        assert app.editor.cursor == (0, 0)


async def test_a_text_too_large_is_held_and_no_key_clears_it() -> None:
    app = Editing()
    async with app.run_test(size=(60, 20)) as pilot:
        editor = app.editor
        editor.value = "a\n" * 5
        line = "x" * 100_000
        editor.replace_text(line)
        await pilot.pause()
        assert editor.held
        assert not editor.show_line_numbers
        await pilot.press("backspace", "delete", "enter", "y", "ctrl+k", "ctrl+z")
        assert editor.value == line
        editor.replace_text("b")
        assert editor.value == "b"
        assert not editor.held
        assert app.row(0) == " 1  b"


async def test_a_paste_is_one_step_and_refused_where_it_would_be_too_large() -> None:
    app = Editing()
    async with app.run_test(size=(60, 20)) as pilot:
        editor = app.editor
        editor.value = "ab"
        await pilot.press("right", "x")
        editor.post_message(Paste("1\r\n2\r"))
        await pilot.pause()
        assert editor.value == "ax1\n2\nb"
        assert editor.cursor == (2, 0)
        editor.post_message(Paste("y" * 30_000))
        await pilot.pause()
        assert editor.value == "ax1\n2\nb"
        app.copy_to_clipboard("c\rd")
        await pilot.press("ctrl+v", "ctrl+z", "ctrl+z")
        assert editor.value == "axb"
        editor.read_only = True
        editor.post_message(Paste("no"))
        await pilot.pause()
        assert editor.value == "axb"


async def test_a_click_puts_the_cursor_where_the_text_is() -> None:
    app = Editing()
    async with app.run_test(size=(60, 14)) as pilot:
        app.editor.value = POLICY
        await pilot.pause()
        await pilot.click(app.editor, offset=(app.editor.gutter_width + 2, 3))
        assert app.editor.cursor == (3, 2)
        await pilot.click(app.editor, offset=(0, 7))
        assert app.editor.cursor == (7, 0)


@pytest.mark.parametrize("kind", ["large", "long lines"])
async def test_a_key_in_a_large_text_costs_no_more_than_what_is_in_sight(kind: str) -> None:
    large = (_POLICIES / "illegal" / "signals.toml").read_text(encoding="utf-8") * 2
    text = large[:100_000] if kind == "large" else "\n".join(['match = ["' + "<a>|b .. " * 2_000 + '"]'] * 5)
    app = Editing()
    async with app.run_test(size=(160, 48)) as pilot:
        editor = app.editor
        editor.colouring = signals_colours
        editor.value = text
        editor.go_to(500, 30)
        await pilot.pause()
        editor.show_marks({1: Mark(Severity.ERROR)})
        app.row(0)
        began = time.process_time()
        for _ in range(10):
            editor.insert("x")
            assert any(app.row(y) for y in range(48))
        assert (time.process_time() - began) / 10 < 0.4


async def test_each_change_is_told_once() -> None:
    app = Editing()
    async with app.run_test(size=(60, 20)) as pilot:
        app.editor.value = POLICY
        await pilot.pause()
        app.changes = 0
        app.revisions.clear()
        await pilot.press("a", "ctrl+z", "ctrl+y")
        assert app.changes == 3
        assert _rising(app.revisions)
        assert len(app.revisions) == 3
        app.editor.show_marks({1: Mark(Severity.ERROR)})
        await pilot.press("down", "right")
        assert app.changes == len(app.revisions) == 3


def _distance(style: Style, colour: str | None) -> int:
    """Return how far a style's colour is from another one: rounding may change it a little."""
    assert style.color is not None
    assert style.color.triplet is not None
    wanted = Color.parse(colour or "").rgb
    return sum(abs(one - other) for one, other in zip(style.color.triplet, wanted, strict=True))


def _rising(numbers: Iterable[int]) -> bool:
    return sorted(set(numbers)) == list(numbers)
