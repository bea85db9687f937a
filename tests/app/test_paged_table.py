"""The paged table: any number of rows, a few pages in memory, and no key that waits for a row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.widgets.columns import Column, fit
from app.widgets.paged_table import PAGE, PagedTable
from tests.app.test_probe import shown, until

COLUMNS: list[Column[int]] = [
    Column("number", "Number", 8, str, right=True),
    Column("name", "Name", 10, lambda row: f"row {row} of a table with long names", flexible=1),
    Column("square", "Square", 14, lambda row: str(row * row), drop=1),
    Column("cube", "Cube", 20, lambda row: str(row**3), drop=2),
]


class Numbers:
    """The numbers of a range; a gate, where there is one, holds rows back until it is opened."""

    def __init__(self, numbers: Sequence[int], gate: asyncio.Event | None = None) -> None:
        self.numbers = numbers
        self.gate = gate
        self.asked: list[int] = []
        self.error: Exception | None = None

    async def count(self) -> int:
        return len(self.numbers)

    async def rows(self, first: int, limit: int) -> Sequence[int]:
        self.asked.append(first // PAGE)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.numbers[first : first + limit]

    async def find(self, key: Hashable) -> int | None:
        return self.numbers.index(key) if key in self.numbers else None  # type: ignore[arg-type]


class TableApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.table: PagedTable[int] = PagedTable(COLUMNS, key=lambda row: row, id="table", empty="Nothing.")
        self.seen: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_paged_table_moved(self) -> None:
        self.seen.append(self.table.row)

    def on_paged_table_failed(self, event: PagedTable.Failed) -> None:
        self.seen.append(str(event.error))

    def on_paged_table_sort_asked(self, event: PagedTable.SortAsked) -> None:
        self.seen.append(event.column)

    def on_paged_table_chosen(self) -> None:
        self.seen.append("chosen")


@asynccontextmanager
async def table_of(
    source: Numbers, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], PagedTable[int]]]:
    app = TableApp()
    async with app.run_test(size=size) as pilot:
        app.table.focus()
        app.table.show(source)
        await until(pilot, lambda: app.table.count == len(source.numbers))
        yield pilot, app.table


def lines(pilot: Pilot[None]) -> list[str]:
    return shown(pilot.app.screen).split("\n")


async def test_keys_reach_every_part_of_a_long_table_and_few_rows_are_held() -> None:
    source = Numbers(range(100_000))
    async with table_of(source) as (pilot, table):
        assert table.row == 0
        await pilot.press("down", "down", "up")
        assert table.row == 1
        await pilot.press("pagedown")
        assert table.row == 23
        await pilot.press("end")
        await until(pilot, lambda: table.row == 99_999)
        assert "99999" in lines(pilot)[-1]
        await pilot.press("pageup")
        assert table.cursor == 99_999 - 22
        await pilot.press("home")
        await until(pilot, lambda: table.row == 0)
        for _ in range(40):
            await pilot.press("pagedown")
        await until(pilot, lambda: table.row == 880)
        assert len(table._pages) <= 12
        assert len(source.asked) < 20


async def test_a_key_does_not_wait_for_rows_and_what_was_passed_by_is_never_asked_for() -> None:
    gate = asyncio.Event()
    gate.set()
    source = Numbers(range(100_000), gate)
    async with table_of(source) as (pilot, table):
        gate.clear()
        table.choose(50_000)
        table.choose(70_000)
        await pilot.press("pagedown")
        assert table.cursor == 70_022
        assert table.row is None
        assert "⋯" in lines(pilot)[-1]
        gate.set()
        await until(pilot, lambda: table.row == 70_022)
        assert 500 not in source.asked


async def test_where_the_next_key_may_lead_is_there_before_it() -> None:
    gate = asyncio.Event()
    gate.set()
    source = Numbers(range(100_010), gate)
    async with table_of(source) as (pilot, table):
        await until(pilot, lambda: {0, 999, 1000} <= set(source.asked))
        await pilot.pause()
        gate.clear()
        await pilot.press("end")
        assert table.row == 100_009
        assert not any("⋯" in line for line in lines(pilot))
        await pilot.press("home")
        assert table.row == 0
        gate.set()


async def test_other_rows_keep_the_chosen_one_where_it_is() -> None:
    async with table_of(Numbers(range(1000, 0, -1))) as (pilot, table):
        table.choose(500)
        await until(pilot, lambda: table.row == 500)
        y = next(index for index, line in enumerate(lines(pilot)) if line.startswith("▌"))
        table.show(Numbers(range(1010, 0, -1)), keep=True)
        await until(pilot, lambda: table.count == 1010)
        assert (table.row, table.cursor) == (500, 510)
        assert lines(pilot)[y].startswith("▌")
        table.show(Numbers(range(10)), keep=True)
        await until(pilot, lambda: table.count == 10)
        assert table.row == 9
        table.show(Numbers([]))
        await until(pilot, lambda: "Nothing." in shown(pilot.app.screen))
        assert table.row is None
        await pilot.press("down", "end", "pageup")


class Slow(Numbers):
    """Takes its time for everything."""

    async def count(self) -> int:
        await asyncio.sleep(0.1)
        return await super().count()

    async def rows(self, first: int, limit: int) -> Sequence[int]:
        await asyncio.sleep(0.1)
        return await super().rows(first, limit)

    async def find(self, key: Hashable) -> int | None:
        await asyncio.sleep(0.1)
        return await super().find(key)


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.25])
async def test_other_rows_do_not_undo_what_one_does_while_they_come(after_s: float) -> None:
    async with table_of(Numbers(range(100))) as (pilot, table):
        await pilot.press("down", "down")
        table.show(Slow(range(-3, 100)), keep=True)
        await asyncio.sleep(after_s)
        await pilot.press("down")
        await until(pilot, lambda: table.count == 103)
        assert (table.row, table.cursor) == (3, 6)
        table.show(Slow(range(-5, 100)), keep=True)
        await asyncio.sleep(after_s)
        table.scroll_to(y=4, animate=False)
        await until(pilot, lambda: table.count == 105)
        assert (table.row, table.scroll_y) == (3, 6), "the row stays where it is on the screen"


async def test_other_rows_keep_the_place_of_a_row_that_has_not_come() -> None:
    gate = asyncio.Event()
    gate.set()
    source = Numbers(range(10_000), gate)
    async with table_of(source) as (pilot, table):
        gate.clear()
        table.choose(5_000)
        assert table.row is None
        table.show(Numbers(range(10_000)), keep=True)
        await until(pilot, lambda: table.row == 5_000)
        gate.set()


async def test_a_row_asked_for_is_chosen_though_rows_of_before_come_first() -> None:
    gate = asyncio.Event()
    gate.set()
    source = Numbers(range(10_000), gate)
    async with table_of(source) as (pilot, table):
        gate.clear()
        await pilot.press("end")
        table.show(Slow(range(10_000)), key=7_000)
        gate.set()
        await until(pilot, lambda: table.row == 7_000)


async def test_other_rows_do_not_take_one_back_to_the_chosen_one() -> None:
    async with table_of(Numbers(range(1000, 0, -1))) as (pilot, table):
        table.choose(5)
        table.scroll_to(y=300, animate=False)
        table.show(Numbers(range(1002, 0, -1)), keep=True)
        await until(pilot, lambda: table.count == 1002)
        assert (table.row, table.scroll_y) == (995, 302)
        assert None not in pilot.app.seen, "the chosen row is there all the time"  # type: ignore[attr-defined]
        table.show(Numbers(range(1002, 0, -1)), key=500)
        await until(pilot, lambda: table.row == 500)
        assert any(line.startswith("▌") for line in lines(pilot))


async def test_a_hidden_table_stays_where_it_is() -> None:
    async with table_of(Numbers(range(100))) as (pilot, table):
        await pilot.press("down", "down")
        table.display = False
        await pilot.pause()
        table.show(Numbers(range(101)), keep=True)
        await until(pilot, lambda: table.count == 101)
        table.choose(3)
        table.display = True
        await pilot.pause()
        assert (table.row, table.scroll_y) == (3, 0)
        table.display = False
        await pilot.pause()
        table.choose(70)
        table.display = True
        await until(pilot, lambda: table.scroll_y == 70 - 22)
        assert any(line.startswith("▌") for line in lines(pilot))


async def test_new_rows_at_the_top_are_seen_by_one_who_is_there() -> None:
    async with table_of(Numbers(range(1000, 0, -1))) as (pilot, table):
        await pilot.press("down")
        table.show(Numbers(range(1003, 0, -1)), keep=True)
        await until(pilot, lambda: table.count == 1003)
        assert table.row == 999
        assert "1003" in lines(pilot)[1]


async def test_rows_that_cannot_be_had_are_told_and_asked_for_again() -> None:
    source = Numbers(range(1000))
    async with table_of(source) as (pilot, table):
        source.error = OSError("gone")
        table.choose(500)
        await until(pilot, lambda: "gone" in pilot.app.seen)  # type: ignore[attr-defined]
        assert table.row is None
        source.error = None
        await pilot.press("up")
        await until(pilot, lambda: table.row == 499)


async def test_the_last_of_several_sources_is_shown() -> None:
    gate = asyncio.Event()
    async with table_of(Numbers(range(5))) as (pilot, table):
        table.show(Numbers(range(7), gate))
        table.show(Numbers(range(9)))
        await until(pilot, lambda: table.count == 9)
        gate.set()
        await pilot.pause(0.05)
        assert table.count == 9


async def test_the_mouse_chooses_sorts_and_opens() -> None:
    async with table_of(Numbers(range(500))) as (pilot, table):
        app = pilot.app
        await pilot.click(table, offset=(20, 5))
        assert table.row == 4
        await pilot.click(table, offset=(15, 0))
        await pilot.click(table, offset=(20, 7), times=2)
        assert app.seen[-3:] == ["name", 6, "chosen"]  # type: ignore[attr-defined]
        table._scroll_down_for_pointer(animate=False)
        await pilot.pause()
        assert table.row == 6
        table.sort = ("name", False)
        await pilot.pause()
        assert "Name ▴" in lines(pilot)[0]


async def test_marks_and_the_chosen_row_are_told_by_more_than_colour() -> None:
    async with table_of(Numbers(range(50))) as (pilot, table):
        table.marks = {0: "A", 3: "B"}
        await pilot.pause()
        assert lines(pilot)[1].startswith("▌A")
        assert lines(pilot)[4].startswith(" B")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
async def test_columns_are_left_out_where_room_is_short_and_every_line_fits(width: int) -> None:
    async with table_of(Numbers(range(50)), (width, 24)) as (pilot, _):
        drawn = lines(pilot)
        assert all(len(line) <= width for line in drawn)
        assert "Number" in drawn[0]
        assert ("Square" in drawn[0]) == (width >= 40)
        assert ("Cube" in drawn[0]) == (width >= 80)


def test_what_is_left_over_is_shared() -> None:
    assert [width for _, width in fit(COLUMNS, 100)] == [8, 52, 14, 20]
    assert [column.name for column, _ in fit(COLUMNS, 5)] == ["number", "name"]
