"""A database that is damaged: how it is known as one of this program's, and moved aside for a new one.

Nothing is ever deleted or written over. What is moved aside keeps its -wal and -shm beside it, so that
`engine.tracker.salvage` can read what is left of it. Standard library only.

Only a file that this program is known to have made is moved. Signs of that are the mark in its header, the
program's own file name, or a file beside it that only this program makes. A file without any is the
user's, who named it by mistake: it is refused and left alone, as another program's database is.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from engine.workspace import DATABASE, RUNS

APPLICATION_ID = 0x57313031
"""What the header of our databases carries: W101."""

_MAGIC, _ID_AT = b"SQLite format 3\0", 68
_WITH = ("-wal", "-shm")
_DAMAGE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_BUSY_S = 30.0


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is not what it should be."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _DAMAGE


def is_ours(path: Path) -> bool:
    """Whether this program is known to have made the file, however damaged it is.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_file():
        return False
    beside = (path.with_name(f"{path.name}.scheduler"), _suspicion(path))
    if path.name == DATABASE or any(file.exists() for file in beside):
        return True
    with path.open("rb") as file:
        header = file.read(_ID_AT + 4)
    return header.startswith(_MAGIC) and header[_ID_AT:] == APPLICATION_ID.to_bytes(4, "big")


def remember(path: Path) -> None:
    """Leave word that damage was met in use: the next to open the database looks at all of it."""
    with suppress(OSError):
        _suspicion(path).touch(0o600)


def is_suspected(path: Path) -> bool:
    """Whether somebody has left word of damage and nobody has looked since, or the file was cut short.

    Raises:
        sqlite3.Error: if the file cannot be opened.
    """
    return _suspicion(path).exists() or _is_cut_short(path)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Keep the file where it is while it is opened: `settle` waits. Many may be opening it at once.

    SQLite names the log after the file, so a file that is renamed while another process opens it leaves
    that process with the wrong log. A folder that is not there, or cannot be read, is not locked.
    """
    with _folder_lock(path, fcntl.LOCK_SH):
        yield


def settle(path: Path) -> bool:
    """Look at the whole database, and move it aside if it is damaged and ours; return False if not ours.

    Several processes may come here at once. They look one after the other, so that the new database of
    the first is not moved away by the next. Slow for a large one: only done where damage was met.

    Raises:
        OSError: if it cannot be moved.
        sqlite3.Error: if it cannot be read for another reason than damage.
    """
    with _folder_lock(path, fcntl.LOCK_EX):
        if path.exists() and not _is_whole(path):
            if not is_ours(path):
                return False
            _rename(_real(path), _aside(_real(path)))
        _suspicion(path).unlink(missing_ok=True)
    return True


def damaged_files(path: Path) -> list[Path]:
    """Return what was moved aside of this database and not salvaged since, oldest first."""
    path = _real(path)
    try:
        names = os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return []
    beginning = f"{path.name}.damaged-"
    found = [name for name in names if name.startswith(beginning) and not name.endswith(_WITH)]
    return [path.with_name(name) for name in sorted(found)]


def notice(path: Path) -> str | None:
    """Return what people should know of databases that were moved aside; None where there are none."""
    files = damaged_files(path)
    if not files:
        return None
    rebuild = (
        f"'wizard101 runs rebuild --db {shlex.quote(str(path))}' brings back the jobs from their folders"
    )
    if is_empty(files[-1]):
        return (
            f"{path} was empty, though it had been in use; it is a new database now. {rebuild}."
            f"{backup_hint(path)} To do without, delete {files[-1]}."
        )
    return (
        f"The database was damaged and is kept as {files[-1]}; {path.name} is a new one. {rebuild}, and what "
        "can be read of the damaged one. To do without, delete that file."
    )


def remember_emptied(path: Path) -> None:
    """Leave word of a database that was found empty, if it had been in use: an empty file beside it.

    Raises:
        OSError: if no file can be made there.
    """
    if is_ours(path) and _was_in_use(path) and not damaged_files(path):
        _aside(path).touch(0o600)


def is_empty(path: Path) -> bool:
    """Whether there is a file, and nothing in it."""
    return path.is_file() and not path.stat().st_size


def backup_hint(path: Path) -> str:
    """Return a sentence on the newest backup that a migration made, with a space before it; "" without."""
    backups = sorted(path.parent.glob(f"{glob.escape(path.name)}.backup-*"))
    return f" A backup from before a migration is {backups[-1]}." if backups else ""


def mark_salvaged(damaged: Path) -> Path:
    """Rename what was moved aside, so that it is not taken in again; return where it lies now."""
    name, _, stamp = damaged.name.rpartition(".damaged-")
    salvaged = damaged.with_name(f"{name}.salvaged-{stamp}")
    _rename(damaged, salvaged)
    return salvaged


@contextmanager
def salvaging(path: Path) -> Iterator[None]:
    """Wait for, and hold, the place of the one process that salvages what was moved aside.

    Raises:
        OSError: if no file can be made beside the database.
    """
    path = _real(path)
    lock_path = path.with_name(f"{path.name}.salvaging")
    while True:
        lock = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.fstat(lock).st_nlink:
                continue  # whoever had it before has removed it
            try:
                yield
            finally:
                lock_path.unlink()
            return
        finally:
            os.close(lock)


def _real(path: Path) -> Path:
    """Follow links. In Python 3.11 `Path.resolve` fails for one that leads back to itself; this does not."""
    return Path(os.path.realpath(path))


def _suspicion(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


@contextmanager
def _folder_lock(path: Path, kind: int) -> Iterator[None]:
    """Hold a lock on the folder of a database: one on the file itself would undo SQLite's when it ends."""
    try:
        folder = os.open(_real(path).parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(folder, kind)
        yield
    finally:
        os.close(folder)


def _is_cut_short(path: Path) -> bool:
    """Whether the file ends within a page, which SQLite reads as zeros and goes on.

    SQLite is asked for the size of a page: closing a file that was opened without it gives up the locks
    that the process has on it, those of SQLite among them.

    Raises:
        sqlite3.Error: if the file cannot be opened.
    """
    if not path.is_file():
        return False
    try:
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            return False  # what is missing may be in there
        size = path.stat().st_size
    except OSError:
        return False
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    return bool(size % page)


def _is_whole(path: Path) -> bool:
    if _is_cut_short(path):
        return False
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return False


def _was_in_use(path: Path) -> bool:
    """Whether jobs have folders beside the database, or a migration has left a backup."""
    try:
        names = os.listdir(path.parent / RUNS)  # noqa: PTH208
    except OSError:
        names = []
    return any(name.isdecimal() for name in names) or bool(backup_hint(path))


def _aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return path.with_name(f"{path.name}.damaged-{stamp}")


def _rename(old: Path, new: Path) -> None:
    """Rename a database. Its log goes first: beside a new database it would be taken for that one's."""
    for ending in _WITH:
        with suppress(FileNotFoundError):
            old.with_name(old.name + ending).rename(new.with_name(new.name + ending))
    old.rename(new)
