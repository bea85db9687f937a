"""The texts of policies that are open: what is in the file, what is in the editor, and how they came apart.

No widgets: the pane shows this. What touches a disk (`peek`, `write`) changes nothing here, so that it may
run on any thread; what came of it is taken in by `settle` and `saved`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from engine.policies.files import NOTHING, Content, hash_of, read_file, save_file
from engine.policies.load import PolicyError

Stamp = tuple[int, int, int]
_NEVER: Stamp = (-1, -1, -1)


@dataclass(frozen=True, slots=True)
class Peeked:
    """What is in a file, or why that cannot be told; ``stamp`` tells this state of it from others."""

    stamp: Stamp | None
    content: Content
    fault: str = ""


class Found(Enum):
    """What a look at a file found."""

    SAME = auto()
    TAKE_OVER = auto()
    CONFLICT = auto()
    GONE = auto()


@dataclass(slots=True)
class Buffer:
    """A file that is open.

    ``disk`` is what the text was made from: what the file held when it was read, or saved here. ``theirs`` is
    what somebody else has put into the file since, as long as nobody has decided about it. ``fault`` says why
    the file cannot be read; then there is nothing to edit.
    """

    file: str
    path: Path
    disk: Content = NOTHING
    text: str = ""
    theirs: Content | None = None
    fault: str = ""
    _stamp: Stamp | None = _NEVER

    @property
    def policy(self) -> str:
        """The policy's name; empty for a file that all share."""
        folder, slash, _ = self.file.rpartition("/")
        return folder if slash else ""

    @property
    def dirty(self) -> bool:
        """Whether there is something to be lost: typed, or of a file that is gone."""
        gone = self.theirs is not None and not self.theirs.is_there
        return not self.fault and (self.text != self.disk.text or gone)

    @property
    def sha256(self) -> str:
        """The hash of the text as it stands."""
        return hash_of(self.text)

    def peek(self, *, anyway: bool = False) -> Peeked | None:
        """Return what is in the file, if that may have changed since the last look, or ``anyway``.

        Any thread may call it.
        """
        stamp = _stamp_of(self.path)
        if stamp == self._stamp and stamp is not None and not anyway:
            return None
        try:
            return Peeked(stamp, read_file(self.path))
        except PolicyError as error:
            return Peeked(stamp, NOTHING, str(error))

    def settle(self, peeked: Peeked) -> Found:
        """Take in what is in the file, unless something typed would be lost."""
        fresh, self._stamp = self._stamp is _NEVER, peeked.stamp
        if peeked.fault:
            if self.dirty or peeked.fault == self.fault:
                return Found.SAME  # saving will tell
            self.fault, self.disk, self.text, self.theirs = peeked.fault, NOTHING, "", None
            return Found.TAKE_OVER
        content = peeked.content
        if self.fault or fresh:
            self.fault, self.disk, self.text, self.theirs = "", content, content.text, None
            return Found.TAKE_OVER
        if content.sha256 == self.disk.sha256:
            self.theirs = None
            return Found.SAME
        if content.is_there and (content.text == self.text or not self.dirty):
            same = content.text == self.text
            self.disk, self.text, self.theirs = content, content.text, None
            return Found.SAME if same else Found.TAKE_OVER
        if self.theirs == content:
            return Found.SAME
        self.theirs = content
        return Found.CONFLICT if content.is_there else Found.GONE

    def write(self, text: str, *, force: bool = False) -> Peeked:
        """Save ``text`` in place of what is in the file. Any thread may call it.

        Raises:
            ChangedOnDisk: if somebody else has changed the file, unless ``force``.
            SaveError: if it cannot be written.
        """
        content = save_file(self.path, text, over=self.disk.sha256, force=force)
        return Peeked(_stamp_of(self.path), content)

    def saved(self, peeked: Peeked) -> None:
        """Take in what was saved. What was typed since then is still to be saved."""
        self._stamp, self.disk = peeked.stamp, peeked.content
        self.theirs, self.fault = None, ""

    def keep_mine(self) -> None:
        """Go on with what was typed: the next save puts it in place of theirs."""
        if self.theirs is not None:
            self.disk, self.theirs = self.theirs, None

    def take_theirs(self) -> None:
        """Give up what was typed for what somebody else wrote."""
        if self.theirs is not None:
            self.disk, self.text, self.theirs = self.theirs, self.theirs.text, None


class Buffers:
    """The files that are open, by their paths in the policies' folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Buffer] = {}

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self._open.values())

    def open(self, file: str) -> Buffer:
        """Return the buffer of a file; read it if it is not open yet."""
        if file not in self._open:
            buffer = Buffer(file, self._folder / file)
            peeked = buffer.peek()
            assert peeked is not None
            buffer.settle(peeked)
            self._open[file] = buffer
        return self._open[file]

    def get(self, file: str) -> Buffer | None:
        """Return the buffer of a file that is open."""
        return self._open.get(file)

    @property
    def dirty(self) -> list[Buffer]:
        """Those with something to be lost."""
        return [buffer for buffer in self if buffer.dirty]

    def texts(self) -> dict[str, str]:
        """Return what is typed and not saved, in place of files."""
        return {buffer.file: buffer.text for buffer in self.dirty}


def _stamp_of(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
