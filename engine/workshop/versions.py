"""The versions of a policy's files: noting what is there, finding one by a word for it, and who used it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from engine.policies.files import read_file
from engine.policies.load import TEXT_NAME, PolicyError
from engine.policies.signals import FILE_NAME as SIGNALS_NAME
from engine.policies.signals import SHARED_NAME
from engine.tracker.policy_records import PolicyFileVersion, Uses

if TYPE_CHECKING:
    from engine.tracker.policies import PolicyHistory

_SHORTEST_HASH = 4


class UnknownVersion(PolicyError):
    """No version goes by this word."""


def files_of(name: str) -> tuple[str, str]:
    """Return the files of a policy that have versions, by their paths in the policies' folder."""
    return f"{name}/{TEXT_NAME}", f"{name}/{SIGNALS_NAME}"


def texts_there(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the texts of policies' files and of the shared signals, those that are there and can be read."""
    files = [file for name in names for file in files_of(name)] + [SHARED_NAME]
    found: dict[str, str] = {}
    for file in files:
        with suppress(PolicyError):
            content = read_file(folder / file)
            if content.is_there:
                found[file] = content.text
    return found


def note_files(history: PolicyHistory, folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Record what is in policies' files now, where that is not their last version; return these files.

    Whoever looks at versions calls it first: so what another editor has saved becomes one, too.

    Raises:
        TrackerError: if the database cannot be written.
    """
    return history.note(texts_there(folder, names))


def find_version(versions: Sequence[PolicyFileVersion], word: str) -> PolicyFileVersion:
    """Return the version that ``word`` means: "v3" or "3", "latest", or the beginning of a hash.

    ``versions`` are a file's, newest first. A hash that several versions have means the newest of them.

    Raises:
        UnknownVersion: if there is none; the message tells those there are.
    """
    if not versions:
        raise UnknownVersion("No version of this file is known yet.")
    asked = word.strip().casefold()
    if asked == "latest":
        return versions[0]
    for version in versions:
        if asked in (version.label, str(version.number)):
            return version
    hashes = {version.sha256 for version in versions if version.sha256.startswith(asked)}
    if len(asked) >= _SHORTEST_HASH and len(hashes) == 1:
        return next(version for version in versions if version.sha256 in hashes)
    several = "means several versions" if len(asked) >= _SHORTEST_HASH and hashes else "is no version"
    raise UnknownVersion(
        f"{word!r} {several} of {versions[0].file}. There are v1 to {versions[0].label}, or the beginning of "
        f"a hash ({_SHORTEST_HASH} characters or more)."
    )


def uses_of(history: PolicyHistory, version: PolicyFileVersion) -> Uses:
    """Return who has judged by a version.

    The reasoner judges by a policy's signals with the shared ones behind them: by any version of these.

    Raises:
        TrackerError: if the database cannot be read.
    """
    return history.uses(applied_hashes(history, version))


def applied_hashes(history: PolicyHistory, version: PolicyFileVersion) -> list[str]:
    """Return the hashes that what was judged by has, where this version was a part of it."""
    if not version.file.endswith(f"/{SIGNALS_NAME}"):
        return [version.sha256]
    text = history.text(version.sha256) or ""
    shared = history.texts({each.sha256 for each in history.versions(SHARED_NAME)})
    behind = ["", *shared.values()]
    return [sha256((text + each).encode()).hexdigest() for each in behind]
