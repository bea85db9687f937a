"""Drafts: what was typed and not saved, kept on the disk until it is, so that a crash loses little of it.

Every editor has a folder of its own among the drafts, whose lock it holds as long as it lives. A folder whose
lock is free was left by one that ended without leaving properly: what is in it can be recovered. Standard
library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

FOLDER = "drafts"
"""The folder of drafts, beside the database."""

_LOCK = "lock"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class LeftDraft:
    """A text that somebody typed and did not save.

    ``path`` is the file it was meant for, ``over`` the hash of what was in that file when the typing began.
    """

    path: Path
    text: str
    over: str | None
    written_at: datetime
    place: Path


class Drafts:
    """The drafts of one editor. Any thread may call any method; the last call of two for a path counts."""

    def __init__(self, folder: Path) -> None:
        """``folder`` holds the drafts of all editors. It is made with the first draft."""
        self._folder = folder
        self._own = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock: int | None = None

    def keep(self, path: Path, text: str, over: str | None) -> None:
        """Keep the text as the draft of a file, in place of an earlier one.

        Raises:
            OSError: if it cannot be written; an earlier draft is as it was.
        """
        self._open()
        row = {
            "path": str(path.absolute()),
            "over": over,
            "written_at": datetime.now(UTC).isoformat(),
            "text": text,
        }
        descriptor, name = tempfile.mkstemp(dir=self._own)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(row, file)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(self._place(path))
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise

    def discard(self, path: Path) -> None:
        """Let go of the draft of a file, if there is one."""
        with suppress(OSError):
            self._place(path).unlink()

    def close(self) -> None:
        """Let go of all that this editor kept: it ends as it should."""
        if self._lock is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self.leave()

    def leave(self) -> None:
        """End, and leave what this editor kept to be recovered."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def left_over(self) -> list[LeftDraft]:
        """Return what editors have left that are no more, the newest of each file, and no others."""
        newest: dict[Path, LeftDraft] = {}
        for place in self._left_places():
            with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                draft = _read(place)
                other = newest.get(draft.path)
                if other is None or other.written_at < draft.written_at:
                    newest[draft.path] = draft
        return sorted(newest.values(), key=lambda draft: draft.path)

    def forget(self, path: Path) -> None:
        """Delete what editors that are no more have left for a file."""
        for place in self._left_places():
            with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                if _read(place).path == path.absolute():
                    place.unlink()
        self._tidy()

    def _place(self, path: Path) -> Path:
        return (
            self._own / f"{sha256(str(path.absolute()).encode('utf-8', 'surrogateescape')).hexdigest()}.json"
        )

    def _open(self) -> None:
        if self._lock is None:
            self._own.mkdir(parents=True, mode=0o700)
            self._lock = os.open(self._own / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _left_places(self) -> Iterator[Path]:
        """Yield the drafts of editors that are no more, while nobody else can take them for their own."""
        for folder in self._others():
            with _held(folder) as held:
                if held:
                    yield from sorted(folder.glob("*.json"))

    def _tidy(self) -> None:
        for folder in self._others():
            with _held(folder) as held:
                if held and not any(folder.glob("*.json")):
                    shutil.rmtree(folder, ignore_errors=True)

    def _others(self) -> list[Path]:
        with suppress(OSError):
            return [each for each in sorted(self._folder.iterdir()) if each.is_dir() and each != self._own]
        return []


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the lock of another editor's folder; False if that editor lives, or holds it just now."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def _read(place: Path) -> LeftDraft:
    if place.stat().st_size > _LARGEST:
        raise ValueError("it is too large for a draft")
    row = json.loads(place.read_bytes())
    text, over = row["text"], row["over"]
    if not isinstance(text, str) or not isinstance(over, str | None):
        raise TypeError("it is no draft")
    return LeftDraft(Path(row["path"]), text, over, datetime.fromisoformat(row["written_at"]), place)
