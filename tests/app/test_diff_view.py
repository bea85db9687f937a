"""The view of a difference: numbers, signs and marks in both layouts, and hostile text through the gate."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from app.diffing import diff
from app.safe_text import visible
from app.themes import THEMES
from app.widgets.diff_view import DiffView
from tests.app.hostile import HOSTILE

_STYLES = Path(__file__).parents[2] / "app" / "styles"

OLD = "".join(f"line {n}\n" for n in range(1, 31))
NEW = OLD.replace("line 5\n", "").replace("line 20\n", "line XX\nline new\n").replace("line 30\n", "line 30")


class Showing(App[None]):
    CSS_PATH = str(_STYLES / "policies.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.moves = 0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        yield DiffView(id="diff")

    def on_diff_view_moved(self) -> None:
        self.moves += 1

    @property
    def view(self) -> DiffView:
        return self.query_one(DiffView)

    def show(self, old: str = OLD, new: str = NEW) -> None:
        self.view.show(diff(old, new), "saved", "now")

    def rows(self) -> list[str]:
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]


async def test_one_below_the_other_where_there_is_little_room() -> None:
    app = Showing()
    async with app.run_test(size=(60, 40)) as pilot:
        app.show()
        await pilot.pause()
        assert app.rows()[:20] == [
            *("       - saved", "       + now", "  1  1   line 1"),
            *("  2  2   line 2", "  3  3   line 3", "  4  4   line 4", "▸ 5    - line 5"),
            *("  6  5   line 6", "  7  6   line 7", "  8  7   line 8", "         · 8 lines the same ·"),
            *(" 17 16   line 17", " 18 17   line 18", " 19 18   line 19", " 20    - line 20"),
            *("    19 + line XX", "    20 + line new", " 21 21   line 21", " 22 22   line 22"),
            *(" 23 23   line 23",),
        ]
        assert app.rows()[23:26] == [
            " 29 29   line 29",
            " 30    - line 30",
            "    30 + line 30 ⋯ no newline at the end",
        ]


async def test_side_by_side_where_there_is_room_and_by_the_key() -> None:
    app = Showing()
    async with app.run_test(size=(100, 40)) as pilot:
        app.show()
        await pilot.pause()
        halves = [row.split("│") for row in app.rows()]
        assert [half.strip() for half in halves[0]] == ["- saved", "+ now"]
        rows = [[half.strip() for half in row] for row in halves if len(row) == 2]
        assert ["▸ 5 - line 5", ""] in rows
        assert ["20 - line 20", "19 + line XX"] in rows
        assert ["", "20 + line new"] in rows
        assert ["21   line 21", "21   line 21"] in rows
        app.view.focus()
        await pilot.press("s")
        assert not any("│" in row for row in app.rows())
        assert " 20    - line 20" in app.rows()
        await pilot.press("s")
        assert any("│" in row for row in app.rows())


async def test_keys_go_from_change_to_change_and_unfold() -> None:
    app = Showing()
    async with app.run_test(size=(60, 10)) as pilot:
        app.show()
        app.view.focus()
        await pilot.pause()
        places = [app.view.place]
        for _ in range(4):
            await pilot.press("n")
            places.append(app.view.place)
            assert sum("▸" in row for row in app.rows()) == 1
        assert places == [(1, 3), (2, 3), (3, 3), (3, 3), (3, 3)]
        assert any(row.startswith("▸30") for row in app.rows())
        await pilot.press("N", "N")
        assert app.view.place == (1, 3)
        assert any(row.startswith("▸ 5") for row in app.rows())
        await pilot.press("end", "N")
        assert app.view.place == (2, 3)
        await pilot.press("f", "home", "n")
        assert app.view.place[0] in (1, 2)
        assert not any("the same" in row for row in app.rows())
        assert app.moves >= 8


async def test_what_is_at_the_top_stays_there_in_the_other_layout() -> None:
    app = Showing()
    async with app.run_test(size=(100, 10)) as pilot:
        app.show()
        app.view.focus()
        await pilot.pause()
        await pilot.press("n")
        assert "18" in app.rows()[0]
        await pilot.press("s")
        assert "18" in app.rows()[0]
        await pilot.resize_terminal(70, 10)
        await pilot.pause()
        assert "18" in app.rows()[0]


async def test_changed_words_are_underlined_and_lines_have_a_background_in_every_theme() -> None:
    app = Showing()
    async with app.run_test(size=(60, 10)) as pilot:
        app.show("calling a group vermin\n", "calling any group vermin\n")
        for theme in THEMES:
            app.theme = theme.name
            await pilot.pause()
            strips = [app.view.render_line(y) for y in (2, 3)]
            for strip, word in zip(strips, ("a", "any"), strict=True):
                marked = [part.text for part in strip if part.style and part.style.underline]
                assert marked == [word]
            removed, added = ({part.style.bgcolor for part in strip if part.style} for strip in strips)
            assert removed != added


async def test_texts_that_are_the_same_are_said_to_be() -> None:
    app = Showing()
    async with app.run_test(size=(60, 10)) as pilot:
        app.show(OLD, OLD)
        await pilot.pause()
        assert app.rows()[0] == "no difference"
        await pilot.press("n", "N", "s", "f")
        assert app.view.place == (0, 0)
        app.view.clear("comparing")
        assert app.rows()[0] == "comparing"
        app.show()
        await pilot.pause()
        assert app.view.place == (1, 3)


@pytest.mark.parametrize("width", [60, 120])
async def test_hostile_text_and_names_pass_the_gate(width: int) -> None:
    app = Showing()
    async with app.run_test(size=(width, 30)):
        for name, text in HOSTILE.items():
            old, new = f"a {text} b\nkept {text}\n", f"a {text} c\nkept {text}\n{text}"
            app.view.show(diff(old, new), text, text * 50)
            shown = app.rows()
            assert all(visible(row, keep_newlines=False) == row for row in shown), name
            assert any("kept" in row for row in shown), name


LINES = st.lists(st.sampled_from(["", "a", "b c", "b d", "宽" * 9, "x" * 70, "\x1b"]), max_size=9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, LINES, st.integers(4, 130))
async def test_every_row_fills_the_width_whatever_the_texts(
    old: list[str], new: list[str], width: int
) -> None:
    app = Showing()
    async with app.run_test(size=(width, 12)) as pilot:
        app.show("\n".join(old), "\n".join(new))
        app.view.toggle_folds()
        await pilot.pause()
        room = app.view.scrollable_content_region.width
        assert all(app.view.render_line(y).cell_length == room for y in range(12))


async def test_large_differences_are_laid_out_without_a_long_stop() -> None:
    old = "".join(f"the line of number {n} in this text reads {n % 7}\n" for n in range(20_000))
    new = old.replace("reads 3", "says three").replace("number 5", "\x1b[2J\u5bbd")
    difference = diff(old, new + "x" * 1_000_000)
    app = Showing()
    async with app.run_test(size=(120, 40)) as pilot:
        began = time.process_time()
        app.view.show(difference, "saved", "now")
        assert time.process_time() - began < 3
        await pilot.pause()
        await pilot.press("end")
        await pilot.pause()
        assert "980,000 characters are not shown" in " ".join(row.split("│")[1].strip() for row in app.rows())
