"""Damaged databases: told from what is none of ours, and moved aside so that work can go on.

Nothing is ever deleted or written over. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

OUR_NAME = "wizard.db"
APPLICATION_ID = 0x57313031
"""What the header of our databases carries: W101."""

_HEADER, _ID_AT = b"SQLite format 3\0", 68
_WITH = ("-wal", "-shm")
_DAMAGE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is not what it should be."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def remember(path: Path) -> None:
    """Leave word that damage was met in use: the next to open the file looks at all of it."""
    with suppress(OSError):
        _suspicion(path).touch(0o600)


def is_suspected(path: Path) -> bool:
    """Whether somebody has left word of damage."""
    return _suspicion(path).exists()


def damaged_files(path: Path) -> list[Path]:
    """Return what was moved aside of this database, oldest first."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(file for file in found if not file.name.endswith(_WITH))


def is_ours(path: Path) -> bool:
    """Whether a file that cannot be read as a database was one of this program's.

    By its name, which is nobody else's, or by the mark in its header. A file of another name that somebody
    gave by mistake must stay where it is.
    """
    if path.name == OUR_NAME:
        return True
    try:
        with path.open("rb") as file:
            header = file.read(_ID_AT + 4)
    except OSError:
        return False
    return header.startswith(_HEADER) and header[_ID_AT:] == APPLICATION_ID.to_bytes(4, "big")


def move_aside(path: Path, is_damaged: Callable[[], bool]) -> Path | None:
    """Move a damaged database away and return where it lies now.

    Several processes may come here at once: the first moves it, and the others, who ask ``is_damaged``
    again once it is their turn, find a new one. None: it was not damaged any more.

    Raises:
        OSError: if it cannot be moved.
    """
    lock = os.open(path.with_name(f"{path.name}.repair"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_damaged():
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        # The log first: beside a new database it would be taken for that one's.
        for ending in _WITH:
            with suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
        with suppress(FileNotFoundError):
            path.rename(aside)
        with suppress(FileNotFoundError):
            _suspicion(path).unlink()
        return aside
    finally:
        os.close(lock)


def is_whole(path: Path) -> bool:
    """Look at the whole database: slow for a large one, and only done where damage was met."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            whole = bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if is_damage(error):
            return False
        raise
    if whole:
        with suppress(OSError):
            _suspicion(path).unlink()
    return whole


def notice(path: Path) -> str | None:
    """Return what people should know of databases that were moved aside; None where there are none."""
    files = damaged_files(path)
    if not files:
        return None
    return (
        f"The database was damaged and is kept as {files[-1]}; {path.name} is a new one. "
        "'wizard101 runs rebuild' brings back the jobs from their folders."
    )


def _suspicion(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
