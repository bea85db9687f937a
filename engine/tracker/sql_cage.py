"""The process that one statement somebody typed runs in: it reads, it ends, and nothing it says can write.

`engine.tracker.reading_sql` runs this file by its path. It imports a few modules of the standard library
only, and so starts in an instant.

The connection is opened ``mode=ro``, so that this database cannot be changed. An authorizer lets only
reading actions through, so that no other file can be either: neither ATTACH nor VACUUM INTO needs more than
the right to read. SQLite keeps what it sorts or sets aside in memory, of which it gets a fixed amount. A
timer ends the process, for a single call of a function such as instr can take minutes, and SQLite looks at
no clock meanwhile.
"""

from __future__ import annotations

import marshal
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

_LONGEST_VALUE = 64 * 1024 * 1024
_LARGEST_ANSWER = 4 * _LONGEST_VALUE
_LARGEST_HEAP = 8 * _LONGEST_VALUE
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


class _TooLarge(Exception):
    pass


def main() -> None:
    """Read a database, a statement and its bounds from standard input; write what came of it.

    That is ``("answer", columns, rows, more)``, or ``("refused", why)`` where it is the statement's fault,
    or ``("too large", what)``, or ``("trouble", message, code)`` where the database cannot be read.
    """
    uri, statement, limit, seconds = marshal.load(sys.stdin.buffer)  # noqa: S302
    # Both end the process wherever it is: a handler in Python would wait until SQLite returns.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    marshal.dump(_outcome(uri, statement, limit, seconds), sys.stdout.buffer)


def _outcome(uri: str, statement: str, limit: int, seconds: float) -> tuple[Any, ...]:
    try:
        with closing(_open(uri, seconds)) as connection:
            cursor = connection.execute(statement)
            columns = [column[0] for column in cursor.description or ()]
            rows = list(islice(_rows(cursor), limit + 1))
            return "answer", columns, rows[:limit], len(rows) > limit
    except MemoryError:
        return "too large", "what it works with"
    except _TooLarge:
        return "too large", "its answer"
    except sqlite3.Warning as error:
        return "refused", str(error)
    except UnicodeError:
        return "refused", "it holds characters that no statement can"
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF == sqlite3.SQLITE_AUTH:
            return "refused", "only statements that read are run here"
        if code & 0xFF in _OF_THE_STATEMENT:
            return "refused", str(error)
        return "trouble", str(error), code


def _open(uri: str, seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute(f"PRAGMA hard_heap_limit = {_LARGEST_HEAP}")
    connection.execute("PRAGMA temp_store = MEMORY")
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


def _rows(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    size = 0
    for row in cursor:
        size += sys.getsizeof(row) + sum(map(sys.getsizeof, row))
        if size > _LARGEST_ANSWER:
            raise _TooLarge
        yield row


if __name__ == "__main__":
    main()
