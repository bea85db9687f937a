"""Taking in event files: the rows are what the file says, whatever is in it and whoever takes it in."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import insert

from engine.events import Finished, Launched, Metric, Progress
from engine.jobs.event_file import EventFile
from engine.jobs.ingest import Taken, ingest
from engine.tracker import open_tracker
from engine.tracker.run_records import NewRun
from engine.tracker.run_tables import JobRow


def test_what_a_worker_reports_is_in_the_tracker(tmp_path: Path) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        run_id = tracker.runs.add(NewRun("run", "shell", "running"))
        with tracker.database.writing() as connection:
            columns = ("priority", "accelerators", "events_offset", "events_skipped")
            values = dict.fromkeys(columns, 0) | dict.fromkeys(("group_name", "reason", "phase", "unit"), "")
            connection.execute(
                insert(JobRow).values(run_id=run_id, attempt=1, events_seq=-1, events_check=0, **values)
            )
        path = tmp_path / "events.jsonl"
        with EventFile(path) as events:
            events.write(Launched, kind="shell", pid=1)
            events.write(Progress, done=1, total=2)
            events.write(Metric, name="loss", value=0.5, step=1)
            events.write(Finished, summary={"f1": {"value": 90.0, "n": 10}})
        assert ingest(tracker.database, path, run_id) == Taken(4)
        assert ingest(tracker.database, path, run_id) == Taken(0)
        run = tracker.runs.run(run_id)
        assert run is not None
        assert run.metrics == ("loss",)
        assert [(result.name, result.value, result.n) for result in run.results] == [("f1", 90.0, 10)]
