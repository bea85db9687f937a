"""Writing an export to a file: whole or not at all, for its owner only. Standard library only."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from engine.tracker.records import TrackerError


class ExportError(TrackerError):
    """The file cannot be written; what was there before is as it was."""


class NoTarget(ExportError):
    """No export can be written there, however often it is tried."""


class FileIsThere(NoTarget):
    """There is such a file already, and nobody said that it may be replaced."""


def write_file(path: Path, pieces: Iterable[str], *, database: Path, force: bool = False) -> None:
    """Write text to ``path`` as UTF-8, mode 0600; it appears there when it is complete.

    Raises:
        FileIsThere: if there is such a file and not ``force``.
        NoTarget: if it is not a plain file, or belongs to the ``database`` that is exported.
        ExportError: if it cannot be written.
    """
    try:
        target = _resolved(path)
        _require_other(target, path, database)
        _require_room(target, path, force)
        descriptor, name = tempfile.mkstemp(prefix=".export-", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(descriptor)
            _put_in_place(temporary, target, path, force)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}.",
            kept="No file was made or changed.",
            hint=_HINTS.get(error.errno or 0, "Choose another file with --output."),
        ) from error


_HINTS = {
    errno.ENOSPC: "Free some disk space, or choose a file on another disk.",
    errno.EDQUOT: "Free some of your quota, or choose a file on another disk.",
    errno.ENOENT: "Make its folder first, or choose another file.",
    errno.ENOTDIR: "Make its folder first, or choose another file.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


_OF_A_DATABASE = ("", "-wal", "-shm", "-journal", ".scheduler")


def _resolved(path: Path) -> Path:
    """Return the file that a path leads to. It need not exist."""
    try:
        os.fsencode(path)
        return path.resolve()
    except ValueError as error:
        raise _no_name(path, "it holds characters that no name can") from error
    except RuntimeError as error:
        raise _no_name(path, "its links lead in a circle") from error


def _no_name(asked: Path, why: str) -> NoTarget:
    return NoTarget(
        f"{asked} cannot be the name of a file: {why}.",
        kept="No file was made or changed.",
        hint="Choose another file.",
    )


def _require_other(target: Path, asked: Path, database: Path) -> None:
    database = database.resolve()
    own = [database.with_name(database.name + ending) for ending in _OF_A_DATABASE]
    if target in own or any(_same(target, file) for file in own):
        raise NoTarget(
            f"{asked} belongs to the database that is exported.",
            kept="No file was made or changed.",
            hint="Choose another file.",
        )


def _same(one: Path, other: Path) -> bool:
    """Whether two names, which may differ in case or be hard links, are those of one file."""
    return one.exists() and other.exists() and one.samefile(other)


def _require_room(target: Path, asked: Path, force: bool) -> None:
    if target.exists() and not target.is_file():
        raise NoTarget(
            f"{asked} is not a plain file.",
            kept="It was left as it is.",
            hint="Choose the name of a file.",
        )
    if target.exists() and not force:
        raise _is_there(asked)


def _put_in_place(temporary: Path, target: Path, asked: Path, force: bool) -> None:
    if not force:
        try:
            os.link(temporary, target)  # unlike a rename, it never replaces a file that has just come
            return
        except FileExistsError:
            raise _is_there(asked) from None
        except OSError:
            _require_room(target, asked, force)  # a file system without links
    temporary.replace(target)


def _is_there(asked: Path) -> FileIsThere:
    return FileIsThere(
        f"{asked} is there already.",
        kept="It was left as it is.",
        hint="Choose another file, or replace it with --force.",
    )
