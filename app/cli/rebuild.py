"""``wizard101 runs rebuild``: after the database was lost."""

from __future__ import annotations

import json
from dataclasses import asdict

from app.cli.exits import say
from app.cli.options import DbOption, JsonOption
from app.safe_text import visible


def rebuild_runs(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Bring back jobs from their folders, and what can be read of a damaged database.

    As often as one likes: what is there already stays as it is. What waited in the queue comes back as
    skipped: 'jobs retry' queues it.
    """
    from engine.jobs.queue import Jobs
    from engine.jobs.rebuild import rebuild
    from engine.jobs.scheduler import attend
    from engine.tracker import open_tracker
    from engine.tracker.damage import damaged_files, mark_salvaged
    from engine.tracker.salvage import salvage
    from engine.workspace import find_workspace

    workspace = find_workspace(db)
    with open_tracker(workspace.db) as tracker:
        jobs = Jobs(tracker.database, workspace.runs)
        rebuilt = rebuild(jobs)
        salvaged = {}
        for damaged in damaged_files(workspace.db):
            found = salvage(damaged, tracker.database)
            salvaged[str(mark_salvaged(damaged))] = found
        attend(jobs)
    if as_json:
        told = {
            "brought_back": list(rebuilt.brought_back),
            "there": list(rebuilt.there),
            "unreadable": dict(rebuilt.unreadable),
            "salvaged": {name: asdict(found) for name, found in salvaged.items()},
        }
        print(json.dumps(told))
        return
    print(f"{len(rebuilt.brought_back)} jobs brought back, {len(rebuilt.there)} were there.")
    for name, found in salvaged.items():
        lost = f" {found.lost} probes cannot be read." if found.lost else ""
        print(f"{found.probes} probes, {found.tags} tags and {found.notes} notes taken over.{lost}")
        print(visible(f"The damaged database is kept as {name}.", keep_newlines=False))
    for folder, why in rebuilt.unreadable.items():
        say(f"{workspace.runs / folder} tells nothing: {why}")
