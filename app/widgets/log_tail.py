"""What a job prints, as it comes; and back through all of it, without ever reading the file as a whole.

The widget keeps a window of the file's lines around what is in sight. Reading happens on a thread.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import Worker

from app.job_words import bytes_words
from app.log_text import readable, wrapped
from engine.jobs.output_file import BLOCK, Stretch, read_after, read_before, read_last, size_of

POLL_S = 0.2
KEPT_ROWS = 4_000
"""Rows that are kept on either side of what is in sight."""

_JUMP = 8 * BLOCK
"""Bytes behind the file's end at which following it passes over what lies between."""

_FILLING = 4
"""Blocks that are read at most to fill what is in sight: pieces of progress bars fill little of it."""

_WHEEL = 3


@dataclass(frozen=True, slots=True)
class _Shown:
    """A line as text."""

    start: int
    end: int
    whole: bool
    text: str


class LogTail(Widget, can_focus=True):
    """Follows the file's end until one scrolls away; arriving at the end again, it follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll_by(1)", show=False),
        Binding("up", "scroll_by(-1)", show=False),
        Binding("pagedown", "scroll_pages(1)", show=False),
        Binding("pageup", "scroll_pages(-1)", show=False),
        Binding("home", "go_to_start", show=False),
        Binding("end", "go_to_end", show=False),
    ]

    class Changed(Message):
        """What `status` says may have changed."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.following = True
        self._path: Path | None = None
        self._remark = ""
        self._live = False
        self._lines: list[_Shown] = []
        self._rows: list[tuple[int, str]] = []
        self._top = 0
        self._start = 0
        self._end = 0
        self._bytes = 0
        self._width = 0
        self._timer: Timer | None = None
        self._reading: Worker[None] | None = None
        self._behind = False

    # --- what is shown -------------------------------------------------------------------------------

    def show(self, path: Path | None, *, live: bool, remark: str) -> None:
        """Show this file; ``live``: it may grow. ``remark`` is said while there is nothing in it."""
        if remark != self._remark:
            self._remark = remark
            self.refresh()
        self._live = live
        if path != self._path:
            self._path = path
            self._forget()
            self.following = True
            self._read(self._catch_up)
        else:
            self._poll()  # it may have been over before anybody saw it run

    @property
    def status(self) -> str:
        """Where in the file one is, in words."""
        if not self._lines:
            return ""
        size = bytes_words(self._bytes)
        if self.following:
            return f"following · {size}" if self._live else f"its end · {size}"
        return f"{100 * self._seen // max(self._bytes, 1)} % of {size}"

    @property
    def _seen(self) -> int:
        """Up to which byte of the file one has read, going by the last row in sight."""
        last = min(self._top + self.size.height, len(self._rows)) - 1
        if last < 0:
            return 0
        line = bisect_left(self._lines, self._rows[last][0], key=lambda line: line.start)
        return self._lines[line].end

    def pause(self, paused: bool) -> None:
        """Stop looking at the file, while nobody sees it; or begin again."""
        if self._timer is not None:
            (self._timer.pause if paused else self._timer.resume)()
        if not paused:
            self._poll()

    def follow(self, following: bool) -> None:
        """Go to the end and stay there, or stay where one is."""
        if following:
            self.action_go_to_end()
        else:
            self.following = False
            self.post_message(self.Changed())

    # --- reading -------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._timer = self.set_interval(POLL_S, self._poll_if_live)

    def _poll_if_live(self) -> None:
        if self._live and self.display:
            self._poll()

    def _poll(self) -> None:
        """Catch up, now or once what is being read has come."""
        if self._reading is None or self._reading.is_finished:
            self._read(self._catch_up)
        else:
            self._behind = True

    def _read(self, work: Callable[[Path], Awaitable[None]]) -> None:
        if self._path is not None:
            self._reading = self.run_worker(self._guarded(work, self._path), group="log", exclusive=True)

    async def _guarded(self, work: Callable[[Path], Awaitable[None]], path: Path) -> None:
        try:
            await work(path)
            while self._behind:
                self._behind = False
                await self._catch_up(path)
        except OSError:
            self._forget()  # it is not there yet, or no more
        self.post_message(self.Changed())

    async def _catch_up(self, path: Path) -> None:
        """Take in what was appended, as far as it belongs to the window."""
        size = await asyncio.to_thread(size_of, path)
        if size == self._bytes and self._lines:
            return
        if not self._lines or size < self._end or (self.following and size - self._end > _JUMP):
            await self._last(path)
            return
        at_end = self._end >= self._bytes
        self._bytes = size
        while at_end and self._end < self._bytes and self._room_below:
            last = self._lines[-1]
            stretch = await asyncio.to_thread(read_after, path, last.end if last.whole else last.start)
            if stretch.end <= self._end:
                return
            self._append(stretch)
            if self.following:
                self._go(len(self._rows))

    @property
    def _room_below(self) -> bool:
        """Whether what is appended is kept, or left in the file until one scrolls to it."""
        return self.following or len(self._rows) < self._top + self.size.height + KEPT_ROWS

    async def _older(self, path: Path) -> None:
        stretch = await asyncio.to_thread(read_before, path, self._start)
        shown = _shown(stretch)
        rows = self._wrap(shown)
        self._lines[:0] = shown
        self._rows[:0] = rows
        self._start = stretch.start
        self._top += len(rows)
        self._drop_after(self._top + self.size.height + KEPT_ROWS)

    async def _newer(self, path: Path) -> None:
        last = self._lines[-1]
        self._append(await asyncio.to_thread(read_after, path, last.end if last.whole else last.start))

    async def _first(self, path: Path) -> None:
        self._replace(await asyncio.to_thread(read_after, path, 0))
        self._go(0)

    async def _last(self, path: Path) -> None:
        self._replace(await asyncio.to_thread(read_last, path))
        for _ in range(_FILLING):
            if len(self._rows) >= self.size.height or not self._start:
                break
            await self._older(path)
        self._go(len(self._rows))

    def _forget(self) -> None:
        self._lines, self._rows = [], []
        self._top = self._start = self._end = self._bytes = 0
        self.refresh()

    def _replace(self, stretch: Stretch) -> None:
        self._lines = _shown(stretch)
        self._rows = self._wrap(self._lines)
        self._start, self._end, self._bytes = stretch.start, stretch.end, stretch.size
        self.refresh()

    def _append(self, stretch: Stretch) -> None:
        """Append lines; the first may be the last one that is there, grown."""
        kept = bisect_left(self._lines, stretch.start, key=lambda line: line.start)
        del self._lines[kept:]
        while self._rows and self._rows[-1][0] >= stretch.start:
            self._rows.pop()
        shown = _shown(stretch)
        self._lines += shown
        self._rows += self._wrap(shown)
        self._end, self._bytes = stretch.end, stretch.size
        self._drop_before(self._top - KEPT_ROWS)
        self.refresh()

    def _drop_before(self, row: int) -> None:
        """Let go of the rows before this one, but for those of its own line."""
        while 0 < row < len(self._rows) and self._rows[row - 1][0] == self._rows[row][0]:
            row -= 1
        if 0 < row < len(self._rows):
            self._start = self._rows[row][0]
            del self._rows[:row]
            del self._lines[: bisect_left(self._lines, self._start, key=lambda line: line.start)]
            self._top -= row

    def _drop_after(self, row: int) -> None:
        while row < len(self._rows) and self._rows[row - 1][0] == self._rows[row][0]:
            row += 1
        if row < len(self._rows):
            self._end = self._rows[row][0]
            del self._rows[row:]
            del self._lines[bisect_left(self._lines, self._end, key=lambda line: line.start) :]

    # --- moving --------------------------------------------------------------------------------------

    def action_scroll_by(self, rows: int) -> None:
        self._go(self._top + rows)
        at_end = self._top >= self._last_top and self._end >= self._bytes
        self.following = at_end and (rows > 0 or (self.following and not self._last_top))
        if self._top < self.size.height and self._start > 0:
            self._more(self._older)
        elif self._top > self._last_top - self.size.height and self._end < self._bytes:
            self._more(self._newer)
        self.post_message(self.Changed())

    def action_scroll_pages(self, pages: int) -> None:
        self.action_scroll_by(pages * max(self.size.height - 1, 1))

    def action_go_to_start(self) -> None:
        self.following = False
        self._read(self._first)

    def action_go_to_end(self) -> None:
        self.following = True
        self._read(self._last)

    def _more(self, work: Callable[[Path], Awaitable[None]]) -> None:
        if self._reading is None or self._reading.is_finished:
            self._read(work)

    @property
    def _last_top(self) -> int:
        return max(len(self._rows) - self.size.height, 0)

    def _go(self, top: int) -> None:
        self._top = min(max(top, 0), self._last_top)
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_by(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_by(-_WHEEL)

    # --- drawing -------------------------------------------------------------------------------------

    def _wrap(self, lines: Iterable[_Shown]) -> list[tuple[int, str]]:
        width = max(self._width, 1)
        return [(line.start, row) for line in lines for row in wrapped(line.text, width)]

    def on_resize(self) -> None:
        width = max(self.size.width - 1, 1)  # the last column shows where in the file one is
        if width != self._width:
            self._width = width
            line = self._rows[min(self._top, len(self._rows) - 1)][0] if self._rows else 0
            self._rows = self._wrap(self._lines)
            self._top = bisect_left(self._rows, line, key=lambda row: row[0])
        self._go(len(self._rows) if self.following else self._top)
        self.post_message(self.Changed())

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        index = self._top + y
        if not self._rows and y == 0:
            line = Content.styled(self._remark, "$text-muted").truncate(self._width, ellipsis=True)
            return Strip(line.render_segments(base)).adjust_cell_length(self.size.width, base.rich_style)
        text = self._rows[index][1] if index < len(self._rows) else ""
        row = Strip([Segment(text, base.rich_style)]).adjust_cell_length(self._width, base.rich_style)
        bar = Content.styled("▐", "$border" if not self.has_focus else "$primary").render_segments(base)
        if not self._on_thumb(y):
            bar = [Segment(" ", base.rich_style)]
        return Strip([*row, *bar])

    def _on_thumb(self, y: int) -> bool:
        """Whether the bar marks this row: it spans the part of the file in sight."""
        if not self._rows or not self._bytes:
            return False
        first = self._rows[min(self._top, len(self._rows) - 1)][0]
        height = self.size.height
        top = min(first * height // self._bytes, height - 1)
        bottom = max(top, (self._seen * height - 1) // self._bytes)
        return not (first == 0 and self._seen >= self._bytes) and top <= y <= bottom


def _shown(stretch: Stretch) -> list[_Shown]:
    """Return lines as text. Of a progress bar in pieces, each of which overwrites the former, the last."""
    return [
        _Shown(line.start, line.end, line.whole, readable(line.data))
        for line in stretch.lines
        if line.whole or not line.data.endswith(b"\r") or line is stretch.lines[-1]
    ]
