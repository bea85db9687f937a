"""The project's history, as the first runs of a new database.

``history.json`` holds what the paper published and what the predecessor claimed, as it was said. Nothing
of it was measured by this program, and each run's origin says so. What is known about the certainty of a
figure is computed here: see docs/history.md. Imports SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from engine.evaluation.intervals import f1_interval, wilson
from engine.tracker.run_records import Lineage, NewRun, Origin, Result
from engine.tracker.run_tables import ExperimentRow, LineageRow, ResultRow, RunRow, TagRow

HISTORY = Path(__file__).with_name("history.json")

FIRST_MEASURED = 1000
"""The id of the first run that this program records.

Those before it are the history's, however much that grows from release to release: a run's folder bears
its id, and a database that is made anew from the folders must find the ids free.
"""


@dataclass(frozen=True, slots=True)
class PastExperiment:
    """A group of runs from before. ``runs`` are by id."""

    name: str
    note: str
    created_at: datetime
    runs: Mapping[int, NewRun]


def sow(connection: Connection) -> None:
    """Insert the history into tables that hold no runs yet."""
    experiments, runs, results, lineage, tags = [], [], [], [], []
    for experiment_id, experiment in enumerate(history(), 1):
        experiments.append(
            {
                "id": experiment_id,
                "name": experiment.name,
                "note": experiment.note,
                "created_at": experiment.created_at,
            }
        )
        for run_id, run in experiment.runs.items():
            runs.append({"id": run_id, "experiment_id": experiment_id, **_columns(run)})
            results += [{"run_id": run_id, **_members(result)} for result in run.results]
            lineage += [{"run_id": run_id, **_members(used)} for used in run.lineage]
            tags += [{"run_id": run_id, "name": tag} for tag in run.tags]
    for table, rows in (
        (ExperimentRow, experiments),
        (RunRow, runs),
        (ResultRow, results),
        (LineageRow, lineage),
        (TagRow, tags),
    ):
        connection.execute(insert(table), rows)
    connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = ? WHERE name = 'run'", (FIRST_MEASURED - 1,))


def history() -> list[PastExperiment]:
    """Read the history, the oldest first."""
    told: Any = json.loads(HISTORY.read_text(encoding="utf-8"))
    experiments = []
    ids: dict[str, int] = {}
    number = 0
    for group in told["experiments"]:
        runs = {}
        for one in group["runs"]:
            number += 1
            runs[number] = _run(group, one, told, ids)
            ids[one["name"]] = number
        experiments.append(PastExperiment(group["name"], _text(group["note"]), _day(group["date"]), runs))
    return experiments


def _run(group: Any, one: Any, told: Any, ids: Mapping[str, int]) -> NewRun:
    params: dict[str, Any] = {}
    for recipe in one.get("recipe", ()):
        params |= told["recipes"][recipe]
    lineage = [Lineage(role, one[role]) for role in ("data", "model") if role in one]
    if "made_from" in one:
        lineage.append(Lineage("run", one["made_from"], parent_id=ids[one["made_from"]]))
    return NewRun(
        one["name"] + group.get("suffix", ""),
        one.get("kind", group["kind"]),
        one.get("status", "reported"),
        Origin(group["origin"]),
        group["name"],
        params | one.get("params", {}),
        tuple(_results(group, one)),
        lineage,
        [*group["tags"], *one.get("tags", ())],
        created_at=_day(one.get("date", group["date"])),
        summary=one.get("outcome", {}),
        source=f"{told['sources'][group['origin']]}: {one.get('source', group['source'])}",
        note=_text(one.get("note", "")),
    )


def _results(group: Any, one: Any) -> Iterator[Result]:
    if "values" in one:
        for (name, n), value in zip(group["results"].items(), one["values"], strict=True):
            if value is not None:
                yield _claim(name, value, n)
    for name, given in one.get("results", {}).items():
        value, n = given if isinstance(given, list) else (given, None)
        yield _claim(name, value, n)
    if "confusion" in one:
        yield from _confusion(**one["confusion"])


def _claim(name: str, value: float, n: int | None) -> Result:
    """Return a figure as it was claimed. Only an accuracy is a share of the n items; F1 is not."""
    if name != "accuracy" or n is None:
        return Result(name, value, n)
    low, high = wilson(round(n * value / 100), n)
    return Result(name, value, n, 100 * low, 100 * high)


def _confusion(tp: int, fp: int, fn: int, tn: int) -> Iterator[Result]:
    n = tp + fp + fn + tn
    for name, right, of in (("accuracy", tp + tn, n), ("precision", tp, tp + fp), ("recall", tp, tp + fn)):
        low, high = wilson(right, of)
        yield Result(name, 100 * right / of, of, 100 * low, 100 * high)
    low, high = f1_interval(tp, fp, fn)
    yield Result("f1", 200 * tp / (2 * tp + fp + fn), n, 100 * low, 100 * high)


def _text(sentences: str | Sequence[str]) -> str:
    return sentences if isinstance(sentences, str) else " ".join(sentences)


def _day(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=UTC)


def _columns(run: NewRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "kind": run.kind,
        "origin": run.origin.value,
        "status": run.status,
        "created_at": run.created_at,
        "params": json.dumps(run.params),
        "packages": "{}",
        "seeds": "{}",
        "summary": json.dumps(run.summary),
        "source": run.source,
        "note": run.note,
    }


def _members(record: Result | Lineage) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
