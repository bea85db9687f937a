"""What jobs print, in every shape and size: read in stretches, shown as people read it, followed or not."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.job_words import bytes_words
from app.log_text import readable, wrapped
from app.widgets.log_tail import LogTail
from engine.jobs.output_file import BLOCK, LONGEST, Stretch, read_after, read_before, read_last, size_of
from tests.app.hostile import HOSTILE
from tests.app.test_probe import shown, until


def all_after(path: Path, start: int = 0) -> list[Stretch]:
    """Read a file on to its end."""
    stretches = []
    while True:
        stretch = read_after(path, start)
        stretches.append(stretch)
        if stretch.end >= stretch.size:
            return stretches
        assert stretch.end > start, "it goes on"
        start = stretch.end


def all_before(path: Path) -> list[Stretch]:
    """Read a file back to its beginning; the first stretch first."""
    stretches = [read_last(path)]
    while stretches[0].start:
        before = read_before(path, stretches[0].start)
        assert before.start < stretches[0].start, "it goes on"
        assert before.end == stretches[0].start
        stretches.insert(0, before)
    return stretches


def written(stretches: list[Stretch]) -> bytes:
    lines = [line for stretch in stretches for line in stretch.lines]
    assert all(first.end == second.start for first, second in itertools.pairwise(lines))
    return b"".join(line.data + (b"\n" if line.whole else b"") for line in lines)


SHAPES = {
    "nothing": b"",
    "one newline": b"\n",
    "no newline": b"abc",
    "short lines": b"".join(b"line %d\n" % number for number in range(40_000)),
    "empty lines": b"\n" * 70_000,
    "torn end": b"whole\n" * 20_000 + b"torn",
    "one long line": b"x" * 500_000,
    "long lines": (b"y" * 100_000 + b"\n") * 3,
    "progress": b"\r".join(b"%3d %%" % (number // 1000) for number in range(50_000)) + b"\nthen\n",
    "crlf": b"a\r\nb\r\n" * 30_000,
    "wide": "無害な言葉😀".encode() * 30_000,
    "bytes": bytes(range(256)) * 800,
    "edge": b"z" * (BLOCK - 1) + b"\n" + b"z" * LONGEST + b"\n" + b"z" * BLOCK,
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES.keys())
def test_stretches_join_in_both_directions_without_loss(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(data)
    for stretches in (all_after(path), all_before(path)):
        assert written(stretches) == data
        assert all(len(line.data) <= LONGEST for stretch in stretches for line in stretch.lines)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xe5\xae\xbd", b"q" * 9_000]), max_size=60))
def test_any_bytes_are_read_whole(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(b"".join(pieces))
    assert written(all_after(path)) == written(all_before(path)) == b"".join(pieces)


def test_long_characters_are_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(SHAPES["wide"])
    for stretches in (all_after(path), all_before(path)):
        text = "".join(readable(line.data) for stretch in stretches for line in stretch.lines)
        assert text.count("�") == 0


def test_what_is_no_file_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert read_last(tmp_path / "fifo").lines == ()
    with pytest.raises(OSError, match="No such file"):
        read_last(tmp_path / "absent")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[1;32mgreen\x1b[0m and \x1b[2Kgone", "green and gone"),
        (b"\x1b]0;owned\x07title", "␛]0;owned␇title"),
        (b"\r 10 %\r 20 %\r 30 %", "↻  30 %"),
        (b"line\r", "line"),
        (b"first\rsecond\r\r", "↻ second"),
        (b"a\tb", "a       b"),
        (b"\xff\xfe", "��"),
        ("bidi \u202e".encode(), "bidi ⇆"),
        (b"nul\x00", "nul␀"),
    ],
)
def test_a_line_reads_as_people_would_have_it(data: bytes, text: str) -> None:
    assert readable(data) == text


@pytest.mark.parametrize("text", ["", "a" * 25, "無害" * 9, "a無" * 9])
def test_rows_fit_and_lose_nothing(text: str) -> None:
    from rich.cells import cell_len

    rows = list(wrapped(text, 10))
    assert "".join(rows) == text
    assert all(cell_len(row) <= 10 for row in rows)


class Alone(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.tail = LogTail(id="log")

    def compose(self) -> ComposeResult:
        self.tail.styles.height = "1fr"
        yield self.tail


@asynccontextmanager
async def opened(path: Path, *, live: bool = True) -> AsyncIterator[tuple[Pilot[None], LogTail]]:
    app = Alone()
    async with app.run_test(size=(60, 20)) as pilot:
        app.tail.show(path, live=live, remark="nothing yet")
        app.tail.focus()
        await pilot.pause()
        yield pilot, app.tail


def rows(pilot: Pilot[None]) -> list[str]:
    """Return the rows of the log, without the bar beside them."""
    return [row.rstrip("▐ ") for row in shown(pilot.app.screen).split("\n")]


async def sees(pilot: Pilot[None], text: str) -> None:
    await until(pilot, lambda: text in shown(pilot.app.screen))


async def test_it_follows_what_is_written_and_stays_where_one_reads(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    async with opened(path) as (pilot, tail):
        await sees(pilot, "nothing yet")
        with path.open("w", buffering=1) as file:
            print(*(f"line {number}" for number in range(100)), sep="\n", file=file)
            await sees(pilot, "line 99")
            assert "following" in tail.status
            file.write("half a li")
            file.flush()
            await sees(pilot, "half a li")
            file.write("ne\n")
            await sees(pilot, "half a line")
            await pilot.press("pageup", "pageup")
            await until(pilot, lambda: not tail.following)
            before = rows(pilot)
            print(*(f"more {number}" for number in range(100)), sep="\n", file=file)
            await pilot.pause(0.6)
            assert rows(pilot) == before
            assert "%" in tail.status
            await pilot.press(*["pagedown"] * 12)
            await until(pilot, lambda: tail.following)
            await sees(pilot, "more 99")


async def test_a_progress_bar_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with path.open("wb", buffering=0) as file:
        async with opened(path) as (pilot, _):
            for number in range(5):
                file.write(b"".join(b"\r step %06d" % (number * 1000 + step) for step in range(1000)))
                await sees(pilot, f"↻  step {number * 1000 + 999:06d}")
                assert shown(pilot.app.screen).count("step") == 1
            file.write(b"\ndone\n")
            await sees(pilot, "done")


async def test_gigabytes_are_scrolled_through_without_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with path.open("wb") as file:
        file.write(b"the first line\n")
        file.seek(3 << 30)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(2000)))
    began = time.monotonic()
    async with opened(path, live=False) as (pilot, tail):
        await sees(pilot, "line 1999")
        assert "3.2 GB" in tail.status
        await pilot.press("home")
        await sees(pilot, "the first line")
        assert tail.status.startswith("0 % of")
        await pilot.press("pagedown", "pagedown", "end")
        await sees(pilot, "line 1999")
        tail.action_scroll_by(-1970)
        await sees(pilot, "line 10\n")
        tail.action_scroll_by(-100)
        await sees(pilot, "␀␀␀")
    assert time.monotonic() - began < 60


async def test_scrolling_back_and_forth_shows_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("".join(f"{number:05d}\n" for number in range(30_000)))
    async with opened(path, live=False) as (pilot, tail):
        await sees(pilot, "29999")
        for by, edge in ((-400, "00000"), (400, "29999")):
            for _ in range(100):
                tail.action_scroll_by(by)
                await until(pilot, lambda: tail._reading is None or tail._reading.is_finished)
                numbers = [int(row) for row in rows(pilot)]
                assert numbers == list(range(numbers[0], numbers[0] + 20))
                if edge in shown(pilot.app.screen):
                    break
            assert edge in shown(pilot.app.screen)
        assert len(tail._rows) < 15_000, "far away rows are let go of"


async def test_a_flood_is_passed_over_and_a_file_that_shrinks_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("begin\n")
    async with opened(path) as (pilot, tail):
        await sees(pilot, "begin")
        with path.open("a") as file:
            file.write("flood\n" * 2_000_000 + "the end\n")
        await sees(pilot, "the end")
        assert len(tail._rows) < 10_000
        path.write_text("short now\n")
        await sees(pilot, "short now")
        assert "the end" not in shown(pilot.app.screen)
        path.unlink()
        await sees(pilot, "nothing yet")


@pytest.mark.parametrize("place", ["following", "scrolled away", "at the top"])
async def test_however_much_is_written_little_of_it_is_held(tmp_path: Path, place: str) -> None:
    path = tmp_path / "output.log"
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    async with opened(path) as (pilot, tail):
        await sees(pilot, "line 99")
        if place == "at the top":
            await pilot.press("home")
        elif place == "scrolled away":
            await pilot.press("pageup")
        before = rows(pilot)
        with path.open("a") as file:
            for _ in range(10):
                file.write("".join(f"more {number}\n" for number in range(20_000)))
                file.flush()
                await until(pilot, lambda: tail._bytes == path.stat().st_size)
                await until(pilot, lambda: tail._reading is None or tail._reading.is_finished)
        assert len(tail._rows) < 15_000
        assert len(tail._lines) < 15_000
        if place == "following":
            await sees(pilot, "more 19999")
        else:
            assert rows(pilot) == before
            assert tail.status == f"0 % of {bytes_words(path.stat().st_size)}"
            tail.action_scroll_by(5_000)
            await until(pilot, lambda: tail._end == tail._bytes or len(tail._rows) > 5_200)
            await pilot.press("pagedown", "pagedown")
            number = int(rows(pilot)[0].removeprefix("more "))
            assert rows(pilot) == [f"more {number + below}" for below in range(20)], (
                "it goes on without a gap"
            )
            await pilot.press("end")
            await sees(pilot, "more 19999")


async def test_what_was_printed_is_shown_though_nobody_saw_the_job_run(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    async with opened(path, live=False) as (pilot, tail):
        await sees(pilot, "nothing yet")
        path.write_text("first attempt\n")
        tail.show(path, live=False, remark="It printed nothing.")
        await sees(pilot, "first attempt")
        with path.open("a") as file:
            file.write("second attempt\n")
        tail.show(path, live=False, remark="It printed nothing.")
        await sees(pilot, "second attempt")


async def test_what_was_printed_last_is_shown_though_something_was_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "output.log"
    path.write_text("first\n")
    async with opened(path, live=False) as (pilot, tail):
        await sees(pilot, "first")
        go_on = threading.Event()

        def slowly(path: Path) -> int:
            size = size_of(path)
            go_on.wait(10)
            return size

        monkeypatch.setattr("app.widgets.log_tail.size_of", slowly)
        tail.show(path, live=True, remark="")
        await pilot.pause(0.5)
        with path.open("a") as file:
            file.write("the last words\n")
        tail.show(path, live=False, remark="")
        go_on.set()
        await sees(pilot, "the last words")


async def test_nothing_hostile_is_passed_on_at_any_width(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    lines = [text.encode("utf-8", "surrogatepass") for text in HOSTILE.values()]
    path.write_bytes(b"\n".join(lines) + b"\n" + bytes(range(256)) * 4)
    async with opened(path, live=False) as (pilot, _):
        for width in (60, 7, 2, 1, 80):
            await pilot.resize_terminal(width, 20)
            await pilot.press("home", "pagedown", "end", "pageup")
            await pilot.pause(0.05)
            drawn = shown(pilot.app.screen)
            assert drawn.replace("\n", "").isprintable(), drawn
