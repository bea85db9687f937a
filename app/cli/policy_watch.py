"""Waiting until files of policies change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import say
from engine.guards.build import GuardKind
from engine.policies.load import CASES_NAME, TEXT_NAME
from engine.policies.signals import SHARED_NAME
from engine.workshop.known_limits import FILE_NAME as LIMITS_NAME

if TYPE_CHECKING:
    from engine.workshop.judges import Judge

_EVERY_S = 0.3

_Stamp = tuple[int, int, int] | None


async def changes(
    folder: Path, texts: Path, names: Sequence[str], judge: Judge
) -> AsyncIterator[Sequence[str]]:
    """Yield all names, then those of which a file has changed that the judge goes by, again and again.

    ``texts`` is the folder of the texts: ``folder``, or that of a set.
    """
    files = {name: _files(folder, texts, name, judge) for name in names}
    seen = {name: _stamps(files[name]) for name in names}
    yield names
    while True:
        await asyncio.sleep(_EVERY_S)
        now = {name: _stamps(files[name]) for name in names}
        changed = [name for name in names if now[name] != seen[name]]
        seen = now
        if changed:
            say(f"Changed: {', '.join(changed)}.")
            yield changed


def _files(folder: Path, texts: Path, name: str, judge: Judge) -> list[Path]:
    files = [folder / name / CASES_NAME]
    if judge.reads is not None:
        files.append((texts if judge.reads == TEXT_NAME else folder) / name / judge.reads)
    if judge.kind is GuardKind.REASONER:
        files += [folder / SHARED_NAME, folder / LIMITS_NAME]
    return files


def _stamps(files: Sequence[Path]) -> list[_Stamp]:
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> _Stamp:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
