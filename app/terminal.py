"""The terminal's input, and how to leave a terminal as it was found.

Textual's own input loop dies of bytes that are not UTF-8, can sit on a lone Escape for two tenths of a
second, and takes pastes apart one character at a time. This one does not.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from enum import Enum
from string import digits
from typing import Any, cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

PASTE_BEGINS = "\x1b[200~"
PASTE_ENDS = "\x1b[201~"

LEAVE = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h"
)
"""Mouse tracking, focus reports, bracketed paste, the keyboard protocol and the alternate screen: off."""

_IDLE_S = 0.1
_READ_BYTES = 65536


class InputDecoder:
    """Turns what the terminal sends into Textual's messages; a bracketed paste becomes one message."""

    def __init__(self, parser: XTermParser) -> None:
        self._parser = parser
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._paste: str | None = None

    @property
    def wait_s(self) -> float:
        """How long to wait for more input before asking `tick` whether a lone Escape was meant."""
        due = self._parser._timeout_time
        return _IDLE_S if due is None else min(_IDLE_S, max(0.0, due - get_time()))

    def feed(self, data: bytes) -> Iterator[Message]:
        text = self._decode(data)
        while text:
            if self._paste is None:
                before, begins, text = text.partition(PASTE_BEGINS)
                if before:
                    yield from map(_without_text_if_alt, self._parser.feed(before))
                self._paste = "" if begins else None
                continue
            pasted, ends, text = (self._paste + text).partition(PASTE_ENDS)
            self._paste = None if ends else pasted
            if ends:
                yield events.Paste(pasted)

    def tick(self) -> Iterator[Message]:
        yield from map(_without_text_if_alt, self._parser.tick())


def _without_text_if_alt(message: Message) -> Message:
    """Take the letter from a key pressed with alt: it is a command, and editors would insert it."""
    if isinstance(message, events.Key) and message.key.startswith("alt+"):
        return events.Key(message.key, None)
    return message


def _read_alt_digits() -> None:
    """Have alt and a digit read as such; Textual takes it for what a Mac's keyboard prints, such as £."""
    keys = Enum("AltDigit", {f"alt_{digit}": f"alt+{digit}" for digit in digits})  # type: ignore[misc]
    known = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    known.update({f"\x1b{key.value[-1]}": (key,) for key in keys})


_read_alt_digits()


class WizardDriver(LinuxDriver):
    """Textual's driver with this module's input loop. It asks the terminal for its size first."""

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self.fileno)
        except OSError:
            columns, lines = 0, 0
        return (columns, lines) if columns and lines else super()._get_terminal_size()

    def run_input_thread(self) -> None:
        decoder = InputDecoder(XTermParser(self._debug))
        while not self.exit_event.is_set():
            ready, _, _ = select.select([self.fileno], [], [], decoder.wait_s)
            if ready:
                try:
                    data = os.read(self.fileno, _READ_BYTES)
                except OSError:
                    data = b""
                if not data:
                    self._loop.call_soon_threadsafe(self._app.exit)
                    return
                for message in decoder.feed(data):
                    self.process_message(message)
            for message in decoder.tick():
                self.process_message(message)


def leave_on_signals(leave: Callable[[int], None], patience_s: float = 2.0) -> Callable[[], None]:
    """Call ``leave`` with the exit code on SIGTERM and SIGHUP; return what undoes this.

    Where leaving takes longer than ``patience_s``, the terminal is restored and the process ends anyway.
    """
    try:
        attributes: list[Any] | None = termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]
    except (termios.error, ValueError, OSError):
        attributes = None

    def force(code: int) -> None:
        try:
            if attributes is not None:
                termios.tcsetattr(sys.__stdin__, termios.TCSANOW, attributes)  # type: ignore[arg-type]
            os.write(2, LEAVE.encode("ascii"))
        except (termios.error, ValueError, OSError):
            pass
        os._exit(code)

    def handle(number: int, _frame: object) -> None:
        code = 128 + number
        watchdog = threading.Timer(patience_s, force, [code])
        watchdog.daemon = True
        watchdog.start()
        leave(code)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, handle) for number in numbers}

    def undo() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    return undo
