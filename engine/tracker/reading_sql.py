"""Running a statement somebody typed, in a process of its own that can be ended wherever it is.

What it may do there, for how long and with how much memory: see `engine.tracker.sql_cage`.
"""

from __future__ import annotations

import marshal
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.tracker.encoding import load_text
from engine.tracker.records import StatementRefused, TrackerError

SQL_SECONDS = 30.0
"""How long a statement may take unless told otherwise."""

_CAGE = Path(__file__).with_name("sql_cage.py")


def read_sql(
    path: Path, statement: str, *, limit: int, seconds: float
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one reading statement; return column names, at most ``limit`` rows, and whether there are more.

    Raises:
        StatementRefused: if it is not one statement, or would do more than read.
        TrackerError: if it is still running after ``seconds``, or takes more memory than it may.
        sqlite3.Error: if the database itself is in trouble.
    """
    outcome = _run(f"file:{quote(os.fsencode(path))}?mode=ro", statement, limit, seconds)
    match outcome:
        case "answer", columns, rows, more:
            return [load_text(column) for column in columns], [_loaded(row) for row in rows], more
        case "refused", why:
            raise StatementRefused(why)
        case "too large", what:
            raise TrackerError(
                f"The statement was stopped: {what} is larger than memory should hold.",
                kept="Nothing was changed.",
                hint="Narrow it, or ask for less at a time.",
            )
        case "trouble", message, code:
            error = sqlite3.DatabaseError(message)
            error.sqlite_errorcode = code
            raise error
    raise AssertionError(outcome)


def _run(uri: str, statement: str, limit: int, seconds: float) -> Any:
    """Return what came of the statement. Whatever interrupts the wait for it ends its process."""
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", str(_CAGE)],
        input=marshal.dumps((uri, statement, limit, seconds)),
        capture_output=True,
        check=False,
    )
    if ended.returncode == -signal.SIGALRM:
        raise TrackerError(
            f"The statement was stopped after {seconds:g} seconds.",
            kept="Nothing was changed.",
            hint="Narrow it, or allow it more time.",
        )
    if ended.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    if ended.returncode < 0:
        raise TrackerError(
            f"The statement's process was ended by signal {-ended.returncode}.",
            kept="Nothing was changed.",
            hint="Narrow the statement, or see whether the machine is short of memory.",
        )
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode("utf-8", "replace"))
    return marshal.loads(ended.stdout)  # noqa: S302


def _loaded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(load_text(value) if isinstance(value, str) else value for value in row)
