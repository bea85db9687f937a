"""Editing a text in the editor that the person has chosen: a program of its own, on the same terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_USUAL = ("sensible-editor", "nano", "vim", "vi")


class EditorFailed(Exception):
    """The editor did not give a text back; the message says why, and where what it wrote lies."""


@dataclass(frozen=True, slots=True)
class EditorCommand:
    """A program and its arguments, before the file's name."""

    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.arguments[0]).name


def chosen_editor(env: Mapping[str, str] = os.environ) -> EditorCommand:
    """Return ``$VISUAL``, ``$EDITOR``, or one of those that most systems have.

    Raises:
        EditorFailed: if there is none, or what is named is no command.
    """
    for name in ("VISUAL", "EDITOR"):
        if not env.get(name, "").strip():
            continue
        try:
            arguments = tuple(shlex.split(env[name]))
        except ValueError as error:
            raise EditorFailed(f"${name} is no command: {error}. The text is as it was.") from error
        if shutil.which(arguments[0]) is None:
            raise EditorFailed(
                f"${name} names {arguments[0]}, and there is no such program. The text is as it was."
            )
        return EditorCommand(arguments)
    for program in _USUAL:
        if shutil.which(program):
            return EditorCommand((program,))
    raise EditorFailed("There is no editor: set $EDITOR to one, and start again. The text is as it was.")


def edit_outside(text: str, name: str, editor: EditorCommand) -> str:
    """Return what the editor makes of ``text``; ``name`` is what the file is called. The terminal is its own.

    Raises:
        EditorFailed: if it cannot be started, ends with an error, or leaves what is no text. If it wrote
            something by then, that is kept, and the message says where.
    """
    folder = Path(tempfile.mkdtemp(prefix="wizard101-"))
    path = folder / name
    kept = False
    try:
        before = text.encode("utf-8", "surrogatepass")
        path.write_bytes(before)
        try:
            code = subprocess.run([*editor.arguments, str(path)], check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            raise EditorFailed(
                f"{editor.name} could not be started: {error}. The text is as it was."
            ) from error
        after = path.read_bytes() if path.is_file() else None
        kept = after is not None and after != before
        where = f" What it wrote is in {path}." if kept else ""
        if code:
            fate = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise EditorFailed(f"{editor.name} ended with {fate}. The text is as it was.{where}")
        if after is None:
            raise EditorFailed(f"{editor.name} left no file behind. The text is as it was.")
        try:
            edited = after.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise EditorFailed(
                f"{editor.name} left what is not UTF-8 (byte {error.start:,}). The text is as it was.{where}"
            ) from error
        kept = False
        return edited
    except OSError as error:
        why = error.strerror or error
        raise EditorFailed(f"{path} cannot be used: {why}. The text is as it was.") from error
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
