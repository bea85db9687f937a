"""Runs as JSON, faithful to the last character: ASCII, and strict where Python's own is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.events import to_jsonable
from engine.tracker.compare import Absent, Comparison
from engine.tracker.run_records import Bucket, Result, Run, RunSummary

INTERVAL = 0.95
"""The confidence of every interval that is stored."""


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return ASCII JSON. Numbers that JSON lacks become "Infinity", "-Infinity" and "NaN"."""
    return json.dumps(_strict(value), indent=indent, allow_nan=False)


def summary_json(summary: RunSummary) -> dict[str, Any]:
    """Return a line of a list as an object. Times are ISO 8601 in UTC."""
    return {
        "id": summary.id,
        "name": summary.name,
        "kind": summary.kind,
        "origin": summary.origin.value,
        "status": summary.status,
        "experiment": summary.experiment,
        "created_at": _time(summary.created_at),
        "started_at": _time(summary.started_at),
        "ended_at": _time(summary.ended_at),
        "seconds": summary.seconds,
        "cost_usd": summary.cost_usd,
        "tags": list(summary.tags),
        "headline": _result(summary.headline),
    }


def run_json(run: Run, curves: Mapping[str, Sequence[Bucket]] | None = None) -> dict[str, Any]:
    """Return a whole run as an object, with its curves by metric where they are given."""
    whole = {
        **summary_json(run.summary),
        "source": run.source,
        "note": run.note,
        "experiment_note": run.experiment_note,
        "results": [_result(result) for result in run.results],
        "params": run.params,
        "lineage": [to_jsonable(used) for used in run.lineage],
        "children": list(run.children),
        "artifacts": [to_jsonable(made) for made in run.artifacts],
        "provenance": {
            **to_jsonable(run.provenance),
            "packages": dict(run.provenance.packages),
            "seeds": dict(run.provenance.seeds),
        },
        "outcome": run.outcome,
        "metrics": list(run.metrics),
    }
    if curves is not None:
        whole["curves"] = {
            metric: [to_jsonable(bucket) for bucket in curve] for metric, curve in curves.items()
        }
    return whole


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as an object; each line's list has one entry a run.

    An entry of a parameter is ``{"value": ...}``, or null where the run has no such parameter.
    """
    return {
        "interval": INTERVAL,
        "runs": [summary_json(summary) for summary in comparison.summaries],
        "parameters": [
            {
                "name": line.name,
                "differs": line.differs,
                "values": [None if isinstance(value, Absent) else {"value": value} for value in line.values],
            }
            for line in comparison.parameters
        ],
        "results": [
            {
                "name": line.name,
                "overlap": line.overlap,
                "results": [_result(result) for result in line.results],
            }
            for line in comparison.results
        ],
        "metrics": list(comparison.metrics),
    }


def _result(result: Result | None) -> Any:
    return to_jsonable(result)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    return value
