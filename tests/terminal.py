"""A real terminal for tests: a program on a pseudo-terminal, its raw output, and the screen it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

_KEYBOARD_MODES = (b"\x1b[>25u", b"\x1b[<u")
"""pyte reads these as cursor movements."""


class Terminal:
    """Runs ``command`` on a terminal of ``columns`` by ``lines``. `raw` is all that it wrote."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.raw = b""
        self._fed = 0
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        self._resize(columns, lines)
        self.modes_before = termios.tcgetattr(slave)
        self._slave = slave
        self.spawned_at = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})},
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)
        os.close(self._master)

    def read(self, seconds: float) -> bool:
        """Take in what comes within ``seconds``; return at the first piece, saying whether there was any."""
        ready, _, _ = select.select([self._master], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            self.raw += os.read(self._master, 65536)
        except OSError:
            return False
        return True

    def send(self, keys: str | bytes) -> None:
        """Type, without waiting."""
        data = keys.encode("utf-8", "surrogatepass") if isinstance(keys, str) else keys
        while data:
            _, writable, _ = select.select([], [self._master], [], 0.05)
            if writable:
                data = data[os.write(self._master, data[:1024]) :]
            self.read(0)

    def paste(self, text: str | bytes) -> None:
        """Paste, as a terminal with bracketed paste does."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        self.send(b"\x1b[200~" + data + b"\x1b[201~")

    @property
    def text(self) -> str:
        """What is on the screen now."""
        fresh = self.raw[self._fed :]
        self._fed = len(self.raw)
        for mode in _KEYBOARD_MODES:
            fresh = fresh.replace(mode, b"")
        self._stream.feed(fresh)
        # Not `display`: what is left of a wide character that was written over in part has no text.
        columns, lines = range(self.screen.columns), range(self.screen.lines)
        rows = ("".join(self.screen.buffer[y][x].data for x in columns) for y in lines)
        return "\n".join(row.rstrip() for row in rows)

    def wait_for(self, wanted: str | Callable[[str], bool], seconds: float = 10.0) -> float:
        """Wait until the screen holds ``wanted``; return the seconds it took.

        Raises:
            AssertionError: if it does not come; the message shows the screen.
        """
        seen = wanted if callable(wanted) else lambda text: wanted in text
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            if seen(self.text):
                return time.perf_counter() - began
            self.read(0.02)
        raise AssertionError(f"{wanted!r} did not come. The screen:\n{self.text}")

    def settle(self, quiet: float = 0.3, seconds: float = 5.0) -> None:
        """Wait until nothing was written for ``quiet`` seconds."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and self.read(quiet):
            pass

    def resize(self, columns: int, lines: int) -> None:
        """Change the window's size, as a person does by its edge."""
        self._resize(columns, lines)
        _ = self.text
        self.screen.resize(lines, columns)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def wait_exit(self, seconds: float = 5.0) -> int:
        """Wait for the program's end, taking in what it still writes; return its exit code."""
        until = time.perf_counter() + seconds
        while self.process.poll() is None and time.perf_counter() < until:
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.wait(timeout=0.1)

    @property
    def modes_now(self) -> list[object]:
        """The terminal's attributes, to compare with `modes_before`."""
        return termios.tcgetattr(self._slave)

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
