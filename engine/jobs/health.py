"""Signs that a job under way is not well: it says nothing any more, or a curve of it is no number. Imports
SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, text

from engine.jobs.folder import RunFolder
from engine.tracker.curves import METRICS_SEEN
from engine.tracker.database import Database
from engine.tracker.encoding import load_text

STALLED_S = 60.0
"""A job that runs and has written neither an event nor output for so long is stalled."""

# The last point of each metric: a seek each.
_DIVERGED = text(
    METRICS_SEEN  # noqa: S608
    + """
    SELECT seen.run_id, metric_name.name FROM seen JOIN metric_name ON metric_name.id = seen.name_id
    WHERE (
        SELECT coalesce(abs(value) > 1.7e308, 1) FROM metric
        WHERE metric.run_id = seen.run_id AND metric.name_id = seen.name_id
        ORDER BY step DESC, seq DESC LIMIT 1
    )
    ORDER BY metric_name.name
    """
).bindparams(bindparam("runs", expanding=True))


def silent_s(folder: RunFolder, began: float, now: float) -> float:
    """Return for how many seconds a job that began then has written nothing. Times are since 1970."""
    last = began
    for path in (folder.events, folder.output):
        try:
            last = max(last, path.stat().st_mtime)
        except OSError:
            continue
    return max(now - last, 0.0)


def diverged(database: Database, run_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return, by run, the metrics whose last point is no number or infinite; runs without are left out."""
    found: dict[int, tuple[str, ...]] = {}
    with database.reading() as connection:
        for run_id, name in connection.execute(_DIVERGED, {"runs": list(run_ids)}):
            found[run_id] = (*found.get(run_id, ()), load_text(name))
    return found
