"""What the commands about policies share: their options, the versions in the database, and exact output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import CommandError, Exit, say, usage_error
from app.safe_text import visible
from engine.policies.files import Content, read_file
from engine.policies.load import TEXT_NAME, select_names

if TYPE_CHECKING:
    from engine.tracker.policies import PolicyHistory
    from engine.tracker.policy_records import PolicyFileVersion
    from engine.workspace import Workspace

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The policy.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Policies; without: all of them.")
]
SignalsOption = Annotated[
    bool, typer.Option("--signals", help="Its signals.toml, in place of its policy.md.")
]

SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="SET",
        help="The texts of this set of policies, by name or folder. Default: standard.",
    ),
]

KEY_SHOWN = 12
"""How much of a hash is shown: enough to be told apart, and to ask for it by."""


def file_of(workspace: Workspace, name: str, *, signals: bool) -> str:
    """Return the path, in the folder of policies, of a policy's text or signals.

    A policy whose text was deleted or moved away counts as long as its folder is there: the text can be
    brought back.

    Raises:
        PolicyError: if there is no such policy.
    """
    from engine.policies.signals import FILE_NAME

    folder = workspace.policies
    if name not in {path.name for path in folder.iterdir() if path.is_dir()}:
        select_names(folder, [name])
    return f"{name}/{FILE_NAME if signals else TEXT_NAME}"


@contextmanager
def known_versions(workspace: Workspace, names: Iterable[str]) -> Iterator[PolicyHistory]:
    """Open the database, with what is in the policies' files now as their last version.

    Where that cannot be recorded it is said, and older versions can be read all the same.

    Raises:
        TrackerError: if the database cannot be opened.
    """
    from engine.tracker import TrackerError, open_tracker
    from engine.workshop.versions import note_files

    with open_tracker(workspace.db) as tracker:
        if tracker.notice:
            say(tracker.notice)
        try:
            note_files(tracker.policies, workspace.policies, names)
        except TrackerError as error:
            say(f"What is in the files now was not recorded as a version: {error}")
        yield tracker.policies


@contextmanager
def versions_if_any(workspace: Workspace, names: Iterable[str]) -> Iterator[PolicyHistory | None]:
    """Open the database as `known_versions` does; None, having said why, where it cannot be opened."""
    from engine.tracker import TrackerError

    with ExitStack() as stack:
        history: PolicyHistory | None = None
        try:
            history = stack.enter_context(known_versions(workspace, names))
        except TrackerError as error:
            say(f"Versions are not known: {error}")
        yield history


def version_before(versions: Iterable[PolicyFileVersion], content: Content) -> PolicyFileVersion | None:
    """Return the newest of a file's versions, newest first, that is not what it holds now."""
    return next((version for version in versions if version.sha256 != content.sha256), None)


def kept_text(history: PolicyHistory, version: PolicyFileVersion) -> str:
    """Return the text of a version.

    Raises:
        CommandError: if the database no longer has it.
    """
    text = history.text(version.sha256)
    if text is None:
        raise CommandError(
            f"The text of {version.label} of {version.file} is no longer in the database. Its hash is "
            f"{version.sha256}.",
            Exit.FAILED,
        )
    return text


def content_of(workspace: Workspace, file: str) -> Content:
    """Return what a file of the folder of policies holds.

    Raises:
        PolicyError: if it cannot be read, or is not UTF-8.
    """
    return read_file(workspace.policies / file)


def bytes_there(path: Path) -> bytes:
    """Return what a file holds, UTF-8 or not.

    Raises:
        CommandError: if there is no such file, or it cannot be read.
    """
    try:
        if path.is_file():
            return path.read_bytes()
        why = "it is no plain file" if path.exists() else "there is no such file"
    except OSError as error:
        why = error.strerror or str(error)
    raise usage_error(f"{path} cannot be read: {why}.")


def print_exactly(content: bytes) -> None:
    """Print a text byte for byte; on a terminal, as it can be shown there."""
    if sys.stdout.isatty():
        shown = visible(content.decode("utf-8", "surrogateescape").replace("\r\n", "\n"))
        print(shown, end="" if shown.endswith("\n") else "\n")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
