"""Proposing paths as one types."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from textual.suggester import Suggester

from engine.workspace import of_home

_MOST = 5_000


class PathSuggester(Suggester):
    """Proposes the rest of a path, seen from ``folder``. Names that could not be shown are left out."""

    def __init__(self, folder: Callable[[], str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._folder = folder

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(_completed, self._folder(), value)


def _completed(folder: str, text: str) -> str | None:
    """Return the path that ``text`` begins, as far as there is one; folders end with a slash."""
    lead, _, begun = text.rpartition("/")
    try:
        base = of_home(folder) / of_home(f"{lead}/" if lead or text.startswith("/") else "")
        names = []
        with os.scandir(base) as entries:
            for number, entry in enumerate(entries):
                if number > _MOST:
                    break
                hidden = entry.name.startswith(".") and not begun
                if entry.name.startswith(begun) and entry.name.isprintable() and not hidden:
                    names.append(entry.name + ("/" if entry.is_dir() else ""))
    except (OSError, ValueError, RuntimeError):
        return None
    return text[: len(text) - len(begun)] + min(names) if names and text else None
