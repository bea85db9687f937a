"""The record of every probe: one SQLite database, read and written by several processes at once.

Importing this package is cheap. `open_tracker` loads the database libraries, which takes about half a
second the first time, so that a face with a screen to draw calls it from a worker thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.tracker.records import PolicyVersion, Probe, ProbeSummary, TrackerError

if TYPE_CHECKING:
    from engine.tracker.probes import Tracker

__all__ = ["PolicyVersion", "Probe", "ProbeSummary", "TrackerError", "open_tracker"]


def open_tracker(path: Path) -> Tracker:
    """Open the database at ``path``; create or migrate it where needed.

    A database that a newer program wrote opens read-only: see `Tracker.read_only`. One that is damaged is
    moved aside, and a new one begun: see `Tracker.notice`.

    Raises:
        TrackerError: if the file cannot be opened, created or migrated, or is not a tracker's database.
    """
    from engine.tracker.probes import Tracker

    return Tracker(path)
