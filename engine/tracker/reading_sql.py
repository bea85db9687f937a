"""Running a statement somebody typed: it reads, it ends, and nothing it says can write.

It gets a connection of its own, opened ``mode=ro``, so that this database cannot be changed. An authorizer
lets only reading actions through, so that no other file can be either: neither ATTACH nor VACUUM INTO
needs more than the right to read. A clock stops what takes too long, and limits what grows too large.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.tracker.database import BUSY_TIMEOUT_S
from engine.tracker.encoding import load_text
from engine.tracker.records import TrackerError

SQL_SECONDS = 30.0
"""How long a statement may take unless told otherwise."""

_INSTRUCTIONS_BETWEEN_LOOKS = 10_000
_LONGEST_VALUE = 64 * 1024 * 1024
_LARGEST_ANSWER = 4 * _LONGEST_VALUE
_LONGEST_PATTERN = 1000

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
# They describe tables, but for the last: the full-text index asks for that one whenever it is read.
_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "data_version"})
_OF_THE_STATEMENT = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_READONLY,
)
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})


def read_sql(
    path: Path, statement: str, *, limit: int, seconds: float
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one reading statement; return column names, at most ``limit`` rows, and whether there are more.

    Raises:
        TrackerError: if it is not one statement, would do more than read, or is still running after
            ``seconds``.
        KeyboardInterrupt: if the user interrupted it.
        sqlite3.Error: if the database itself is in trouble.
    """
    with closing(_open(path)) as connection, _explained(seconds) as deadline:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_BETWEEN_LOOKS)
        cursor = connection.execute(statement)
        columns = [load_text(column[0]) for column in cursor.description or ()]
        rows = list(islice(_rows(cursor), limit + 1))
        return columns, rows[:limit], len(rows) > limit


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("SELECT count(*) FROM sqlite_master")  # an unread schema would blur a refusal's code
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    allowed = (
        action in _READING
        # So a table-valued function or the full-text index declares itself; a typed UPDATE of this table
        # is refused by SQLite.
        or (action == sqlite3.SQLITE_UPDATE and first == "sqlite_master")
        or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN_FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS)
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextmanager
def _explained(seconds: float) -> Iterator[float]:
    """Give the moment at which the statement has to be done; say of its errors what to do about them."""
    deadline = time.monotonic() + seconds
    try:
        yield deadline
    except sqlite3.Warning as error:
        raise _refusal(str(error)) from error
    except UnicodeError as error:
        raise _refusal("it holds characters that no statement can") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            if time.monotonic() <= deadline:
                # The clock is Python code: where it is called, an interrupt by the user arrives.
                raise KeyboardInterrupt from error
            raise TrackerError(
                f"The statement was stopped after {seconds:g} seconds.",
                kept="Nothing was changed.",
                hint="Narrow it, or allow it more time.",
            ) from error
        if code == sqlite3.SQLITE_AUTH:
            raise _refusal("only statements that read are run here") from error
        if code in _OF_THE_STATEMENT:
            raise _refusal(str(error)) from error
        raise


def _refusal(why: str) -> TrackerError:
    return TrackerError(
        f"The statement cannot be run: {why.rstrip('.')}.",
        kept="Nothing was changed.",
        hint="Give one SELECT; 'SELECT name, sql FROM sqlite_master' shows the tables.",
    )


def _rows(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    size = 0
    for row in cursor:
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if size > _LARGEST_ANSWER:
            raise _refusal("its answer is larger than memory should hold")
        yield tuple(load_text(value) if isinstance(value, str) else value for value in row)
