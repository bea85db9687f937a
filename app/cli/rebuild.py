"""``wizard101 runs rebuild``: after the database was lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import Exit, say
from app.cli.options import DbOption, JsonOption
from app.safe_text import visible

if TYPE_CHECKING:
    from engine.tracker.salvage import Salvaged


def rebuild_runs(db: DbOption = None, as_json: JsonOption = False) -> int:
    """Bring back jobs from their folders, and what can be read of a damaged database.

    As often as one likes: what is there already stays as it is. What waited in the queue comes back as
    skipped: 'jobs retry' queues it. Exit code 1 if a folder or a part of a damaged database cannot be
    read; all else is brought back even so.
    """
    from engine.jobs.queue import Jobs
    from engine.jobs.rebuild import rebuild
    from engine.jobs.scheduler import attend
    from engine.tracker import open_tracker
    from engine.tracker.salvage import salvage_all
    from engine.workspace import find_workspace

    workspace = find_workspace(db)
    with open_tracker(workspace.db) as tracker:
        jobs = Jobs(tracker.database, workspace.runs)
        rebuilt = rebuild(jobs)
        salvaged = salvage_all(tracker.database)
        attend(jobs)
    if as_json:
        told = {
            "brought_back": list(rebuilt.brought_back),
            "there": list(rebuilt.there),
            "unreadable": dict(rebuilt.unreadable),
            "salvaged": {str(path): asdict(found) for path, found in salvaged.items()},
        }
        print(json.dumps(told))
    else:
        print(f"{len(rebuilt.brought_back)} jobs brought back, {len(rebuilt.there)} were there.")
        for path, found in salvaged.items():
            _tell(path, found)
        for folder, why in rebuilt.unreadable.items():
            say(f"{workspace.runs / folder} tells nothing: {why}")
    whole = not rebuilt.unreadable and not any(map(_is_missing_some, salvaged.values()))
    return Exit.DONE if whole else Exit.FAILED


def _is_missing_some(found: Salvaged) -> bool:
    return bool(found.lost or found.lost_words or found.failed)


def _tell(path: Path, found: Salvaged) -> None:
    there = f" {found.there} probes were there." if found.there else ""
    words = f"{found.probes} probes, {found.tags} tags, {found.notes} notes"
    print(f"{words} and {found.versions} versions of policies taken over.{there}")
    if found.lost:
        say(f"{found.lost} probes cannot be read.")
    if found.lost_words:
        say(f"The tags or notes of {found.lost_words} runs cannot be read.")
    if found.failed:
        say(
            f"{path} cannot be read: {found.failed}. It was left as it is. Try again, or delete it to do "
            "without."
        )
    else:
        print(visible(f"The damaged database is kept as {path}.", keep_newlines=False))
