"""Opening the database file: who may read it, which schema it has, how its transactions begin.

Imports SQLAlchemy. A new database is made from the tables directly and marked with the newest revision;
Alembic is loaded only where an older one has to be migrated. Whichever of the two makes the table of runs
also fills in the project's history, in the same transaction. In place of a damaged one a new one is made:
see `engine.tracker.damage`.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlmodel import SQLModel

from engine.disk import is_full
from engine.tracker import damage
from engine.tracker import policy_tables as policy_tables  # the tables join SQLModel.metadata
from engine.tracker import run_tables as run_tables
from engine.tracker import schema as schema
from engine.tracker.records import Damaged, NoRoom, Replaced, TrackerError

HEAD = "0003"
"""The newest revision in migrations/versions. Revisions are four digits and count upwards."""

BUSY_TIMEOUT_S = 30.0
"""How long a transaction waits for another process's to end."""

_FRESH = ""

_RUNS_SINCE = "0002"


class Database:
    """An open database file. Any thread may use it.

    ``read_only`` is None, or says why it is only read; ``notice`` is None, or tells of a damaged one that
    was moved aside, or that it was found empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.engine, self.read_only, self._file = _open(self.path)
        self.notice = damage.notice(self.path)
        # One writer at a time within the process: threads then queue here rather than poll SQLite's lock.
        self._writing = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with; every statement sees what is committed by then."""
        with self.watched(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that has the write lock; it is committed at the end.

        Raises:
            TrackerError: if the database may only be read, or could not be written.
        """
        if self.read_only:
            raise TrackerError(self.read_only)
        with (
            self._writing,
            self.watched(),
            self.engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Explain what goes wrong, and leave word of damage to whoever opens the database next.

        Raises:
            Replaced: if another file has taken the place of the one that is open. What was written to that
                one would be lost.
        """
        if _identity(self.path) != self._file:
            raise Replaced(self.path)
        try:
            with explained(self.path):
                yield
        except Damaged as error:
            damage.remember(self.path)
            raise Damaged(
                error.message,
                kept="It was left as it is.",
                hint="Start again: the next start looks at all of it, and moves it aside for a new one "
                "where it has to be.",
            ) from error

    def close(self) -> None:
        """Close the file. Call it once nothing else uses it."""
        self.engine.dispose()


class _Opened(NamedTuple):
    """``file`` tells the file that was opened from another one at the same path."""

    engine: Engine
    read_only: str | None
    file: tuple[int, int] | None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open(path: Path) -> _Opened:
    """Open the database at ``path`` with the newest schema, creating or migrating it.

    One that is damaged, and was ours, is moved aside first. Several processes may call this at once.
    Transactions of the engine take the write lock at their beginning if the connection has the execution
    option ``immediate``.

    Raises:
        TrackerError: if the file cannot be opened, created or migrated, or is not a tracker's.
    """
    with explained(path), damage.opening(path):
        suspected = damage.is_suspected(path) and damage.is_ours(path)
    if suspected:
        _settle(path)
    opened = _open_or_begin_anew(path)
    if suspected and opened.read_only is None:
        _renew_search(opened.engine, path)
    return opened


def _open_or_begin_anew(path: Path) -> _Opened:
    try:
        return _open_file(path)
    except Damaged:
        if not _settle(path):
            raise
    return _open_file(path)


def _settle(path: Path) -> bool:
    try:
        with explained(path):
            return damage.settle(path)
    except TrackerError as error:
        raise Damaged(
            f"{path} seems to be damaged, and cannot be looked at or moved aside. {error.message}",
            kept="It was left as it is.",
            hint=error.hint,
        ) from error


def _renew_search(engine: Engine, path: Path) -> None:
    """Make the search index anew: where damage was met and every page is whole, it was in there."""
    with (
        explained(path),
        engine.connect().execution_options(immediate=True) as connection,
        connection.begin(),
    ):
        connection.exec_driver_sql("INSERT INTO probe_search(probe_search) VALUES ('rebuild')")


def _open_file(path: Path) -> _Opened:
    with explained(path), damage.opening(path):
        _create_file(path)
        file = _identity(path)
        with closing(_connect(path)) as connection:
            revision = _stored_revision(connection, path)
            read_only = _newer(revision, path)
            if read_only is None:
                _use_wal(connection)
        engine = _engine(path, writable=read_only is None)
        if read_only is None and revision != HEAD:
            try:
                _bring_to_head(engine, path)
            except BaseException:
                engine.dispose()
                raise
    return _Opened(engine, read_only, file)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite or the operating system reports into a `TrackerError` that people can act on."""
    try:
        yield
    except OSError as error:
        raise TrackerError(
            f"The database {path} cannot be opened: {error.strerror or error}.",
            kept="Nothing was changed.",
            hint="Make its folder writable, or choose another file with --db or WIZARD_DB.",
        ) from error
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise _explanation(error.orig, path) from error
    except sqlite3.Error as error:
        raise _explanation(error, path) from error


_FOR_WANT_OF_ROOM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""What SQLite also reports where there is no room for the files beside the database."""


def _explanation(error: sqlite3.Error, path: Path) -> TrackerError:
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if damage.is_damage(error):
        return Damaged(
            f"{path} is damaged or is not a database: {error}.",
            kept="It was left as it is.",
            hint="Move it away to start a new one, or choose another file with --db or WIZARD_DB."
            + damage.backup_hint(path),
        )
    if primary == sqlite3.SQLITE_FULL or (primary in _FOR_WANT_OF_ROOM and is_full(path.parent)):
        return NoRoom(
            f"There is no room left for {path}: {error}.",
            kept="What was saved before is kept; this was not saved.",
            hint="Free some disk space and try again.",
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TrackerError(
            f"Another process has been writing to {path} for {BUSY_TIMEOUT_S:.0f} seconds.",
            kept="What was saved before is kept; this was not saved.",
            hint="Wait for that process to end, or stop it, and try again.",
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return TrackerError(
            f"{path} cannot be written: {error}.",
            kept="Nothing was changed.",
            hint="Make the file and its folder writable, or choose another file with --db or WIZARD_DB.",
        )
    return TrackerError(
        f"{path} cannot be used: {error}.",
        kept="What was saved before is kept.",
        hint="Check the disk; another file can be chosen with --db or WIZARD_DB.",
    )


def _create_file(path: Path) -> None:
    """Make an empty file that only its owner may read. SQLite gives its -wal and -shm the same mode."""
    path = Path(os.path.realpath(path))  # a link may lead to a file that was moved aside
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _private_file(path)
    except FileExistsError:
        if damage.is_empty(path):
            path.chmod(0o600)
            damage.remember_emptied(path)


def _private_file(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _stored_revision(connection: sqlite3.Connection, path: Path) -> str:
    """Return the schema's revision, or `_FRESH` for a database without any tables."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return _FRESH
    rows = (
        connection.execute("SELECT version_num FROM alembic_version").fetchall()
        if "alembic_version" in tables
        else []
    )
    if len(rows) != 1 or "probe" not in tables:
        raise TrackerError(
            f"{path} is a database, but not one of Wizard101's.",
            kept="It was left as it is.",
            hint="Choose another file with --db or WIZARD_DB.",
        )
    return str(rows[0][0])


def _newer(revision: str, path: Path) -> str | None:
    if revision == _FRESH or (len(revision) == len(HEAD) and revision.isdigit() and revision <= HEAD):
        return None
    return (
        f"{path} was written by a newer Wizard101 (schema {revision}; this one knows {HEAD}): it can be "
        "read, but nothing will be saved. Upgrade Wizard101, or choose another file with --db."
    )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. SQLite does not wait for the lock this needs, so this does."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.002, 0.02))  # noqa: S311


def _engine(path: Path, *, writable: bool) -> Engine:
    # With no isolation level, sqlite3 sends no BEGIN of its own; the "begin" hook below sends the right one.
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        ),
        # Without a name in the URL SQLAlchemy would take the database for one in memory.
        poolclass=QueuePool,
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not writable:
            connection.execute("PRAGMA query_only = ON")
        connection.create_function("contains_folded", 2, _contains_folded, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _contains_folded(stored: str | bytes | None, folded: str) -> bool:
    """Look into a text. One that may be damaged is given as bytes, so that it does not end the search."""
    text = stored.decode(errors="replace") if isinstance(stored, bytes) else stored
    return text is not None and folded in text.casefold()


def _bring_to_head(engine: Engine, path: Path) -> None:
    with engine.connect().execution_options(immediate=True) as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        # Rebuilding a table, which is how SQLite alters one, must not cascade; no effect in a transaction.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                # Another process may have been first.
                revision = _stored_revision(raw, path)
                if revision == _FRESH:
                    _create_tables(connection)
                elif revision != HEAD and _newer(revision, path) is None:
                    _migrate(connection, path, revision)
                raw.execute(f"PRAGMA application_id = {damage.APPLICATION_ID}")
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def _create_tables(connection: Connection) -> None:
    from engine.tracker.seed import sow

    SQLModel.metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version ("
        "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    sow(connection)


def _migrate(connection: Connection, path: Path, revision: str) -> None:
    from engine.tracker.migrations import upgrade
    from engine.tracker.seed import sow

    backup = _back_up(path)
    try:
        upgrade(connection)
        if revision < _RUNS_SINCE:
            sow(connection)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"{len(broken)} rows would refer to rows that are gone")
    except BaseException as error:
        backup.unlink()  # nothing is committed yet: it is a copy of what stays as it is
        if not isinstance(error, Exception):
            raise
        raise TrackerError(
            f"{path} could not be brought to schema {HEAD}: {error}.",
            kept="It is unchanged.",
            hint="Go on with the version of Wizard101 that wrote it, and report this.",
        ) from error


def _back_up(path: Path) -> Path:
    """Copy what is committed. The caller's write lock keeps others from changing it meanwhile."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = path.with_name(f"{path.name}.backup-{stamp}")
    _private_file(backup)
    try:
        with closing(_connect(path)) as source:
            source.execute("VACUUM INTO ?", (str(backup),))
    except BaseException:
        backup.unlink()
        raise
    return backup
