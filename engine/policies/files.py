"""Reading and saving the files of policies: whole or not at all, and never over what somebody else wrote.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.policies.load import PolicyError

_HINTS = {
    errno.ENOSPC: "Make room on the disk, and save again.",
    errno.EDQUOT: "Make room in your quota, and save again.",
    errno.EROFS: "The disk is read-only: save the text elsewhere.",
    errno.EACCES: "Make the folder writable, and save again.",
    errno.ENOENT: "Make its folder, and save again.",
}
_NEW_MODE = 0o644


class SaveError(PolicyError):
    """The file was not saved, and is as it was. ``message`` says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class ChangedOnDisk(SaveError):
    """The file is not what it was when it was read: somebody else has written it, or it is gone."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file's text, and the SHA-256 of its bytes. A file that is not there has no hash and no text."""

    text: str
    sha256: str | None

    @property
    def is_there(self) -> bool:
        return self.sha256 is not None


NOTHING = Content("", None)


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text as it would be saved."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_file(path: Path) -> Content:
    """Return what is in a file; `NOTHING` if there is none.

    Raises:
        PolicyError: if it cannot be read, or is not UTF-8.
    """
    try:
        content = _bytes_of(path)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror or error}.") from error
    if content is None:
        return NOTHING
    try:
        return Content(content.decode("utf-8"), sha256(content).hexdigest())
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"{path} is not UTF-8: byte {error.start:,} is not ({error.reason}). It was left as it is. "
            "Convert it, or bring an older version back."
        ) from error


def save_file(path: Path, text: str, *, over: str | None, force: bool = False) -> Content:
    """Save ``text`` as UTF-8 in place of the content with the hash ``over`` (None: of no file at all).

    The file keeps its mode, and its owner where that can be kept; a link stays one, and what it leads to is
    saved. What was there stays until the new content is on the disk in full. ``force`` saves whatever
    is there.

    Raises:
        ChangedOnDisk: if something else is there by now.
        SaveError: if it cannot be written, or the text has lone surrogates, which UTF-8 cannot hold.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise SaveError(
            f"{path} was not saved: line {line:,} holds half a character (a lone surrogate).",
            "Delete it, and save again.",
        ) from error
    try:
        target = path.resolve()
        if not force:
            _require_unchanged(path, over)
        _write(target, content)
    except (OSError, RuntimeError) as error:
        code = getattr(error, "errno", None) or 0
        why = getattr(error, "strerror", None) or error
        raise SaveError(
            f"{path} was not saved: {why}. It is as it was.", _HINTS.get(code, "Save it elsewhere.")
        ) from error
    return Content(text, sha256(content).hexdigest())


def _require_unchanged(path: Path, over: str | None) -> None:
    content = _bytes_of(path)
    found = None if content is None else sha256(content).hexdigest()
    if found != over:
        fate = "is no longer there" if found is None else "was changed" if over else "is there by now"
        raise ChangedOnDisk(f"{path} was not saved: it {fate}, by somebody else.")


def _bytes_of(path: Path) -> bytes | None:
    """Return a plain file's bytes; None if there is no file. A pipe is not waited for."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    before = None
    with suppress(FileNotFoundError):
        before = target.stat()
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, _NEW_MODE & ~_umask() if before is None else stat.S_IMODE(before.st_mode))
            if before is not None:
                with suppress(OSError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _umask() -> int:
    """Return the umask. There is no way to ask but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too, where the system can do it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
