"""Noticing that somebody has written to the database, at the cost of one tiny query. Imports SQLAlchemy."""

from __future__ import annotations

from engine.tracker.database import Database


class Watch:
    """Tells whether the database has changed since it was last asked. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Of its own, as data_version tells what others than this very connection have committed.
        self._connection = database.engine.connect()
        self._seen = -1

    def changed(self) -> bool:
        """Return whether anything was committed since the last call; True at the first.

        Raises:
            TrackerError: if the database cannot be read.
        """
        with self._database.watched():
            version: int = self._connection.exec_driver_sql("PRAGMA data_version").scalar_one()
            self._connection.rollback()
        changed, self._seen = version != self._seen, version
        return changed

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
