"""Finding words in a text, and putting others in their place."""

from __future__ import annotations

import marshal
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.search_cage import Found, find

SECONDS = 1.0
"""How long a regular expression may take."""

_CAGE = Path(__file__).with_name("search_cage.py")


class QueryError(Exception):
    """What is looked for cannot be: the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, and what is to take its place.

    ``instead`` is taken as it is, but for an ``expression``, whose groups it may refer to: ``\\\\1``.
    """

    words: str
    instead: str = ""
    case: bool = False
    whole_words: bool = False
    expression: bool = False


def search(lines: Sequence[str], query: Query) -> list[Found]:
    """Return the matches in lines, from first to last; none is empty or reaches beyond its line.

    A regular expression is looked for in a process of its own, at most for `SECONDS`. Call it from a thread.

    Raises:
        QueryError: if the expression, or what is to take its place, is none, or it takes too long.
    """
    if not query.words:
        return []
    flags = 0 if query.case else re.IGNORECASE
    if not query.expression:
        return find(lines, _bounded(re.escape(query.words), query), flags, query.instead, False)
    return _find_apart(lines, _bounded(query.words, query), int(flags), query.instead)


def replaced(lines: Sequence[str], matches: Sequence[Found]) -> str:
    """Return the text with what is to take the place of its matches, which come in their order."""
    changed = [*lines]
    for row, first, last, instead in reversed(matches):
        line = changed[row]
        changed[row] = line[:first] + instead + line[last:]
    return "\n".join(changed)


def _bounded(expression: str, query: Query) -> str:
    return rf"(?<!\w)(?:{expression})(?!\w)" if query.whole_words else expression


def _find_apart(lines: Sequence[str], expression: str, flags: int, instead: str) -> list[Found]:
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", str(_CAGE)],
        input=marshal.dumps((list(lines), expression, flags, instead, True, SECONDS)),
        capture_output=True,
        check=False,
    )
    if ended.returncode == -signal.SIGALRM:
        raise QueryError(f"stopped after {SECONDS:g} s: this expression takes too long here")
    if ended.returncode:
        raise QueryError("the process that looks for expressions has died; try again")
    came_of_it, outcome = marshal.loads(ended.stdout)  # noqa: S302
    if came_of_it != "found":
        raise QueryError(f"no regular expression: {outcome}")
    return list(outcome)
