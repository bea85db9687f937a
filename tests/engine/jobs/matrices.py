"""Policies in several sets, and scripted models that judge each set in their own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.jobs.matrix_queue import MatrixPlan
from engine.jobs.queue import Jobs
from tests.engine.jobs.conftest import Workshop

SETS = ("standard", "minimal", "verbose")
CASES = 24
GOLD = ["harmful" if number % 3 else "unharmful" for number in range(CASES)]


def lay_policies(folder: Path) -> Path:
    """Write one policy in three sets, each of which says which it is."""
    for name in SETS:
        policy = folder / "violence" if name == "standard" else folder / "sets" / name / "violence"
        policy.mkdir(parents=True)
        (policy / "policy.md").write_text(f"This is the {name} policy.")
    return folder


def lay_cases(folder: Path) -> Path:
    """Write a file of labelled cases."""
    rows = [{"prompt": f"case {number:02}", "label": gold} for number, gold in enumerate(GOLD)]
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lay_model(path: Path, wrong: Mapping[str, set[int]], mumbled: Mapping[str, set[int]] = {}) -> str:
    """Write a model that under each set has these cases wrong, or says nothing that can be read of them."""
    words = {"harmful": "VIOLATION", "unharmful": "SAFE"}
    other = {"VIOLATION": "SAFE", "SAFE": "VIOLATION"}
    replies: list[dict[str, Any]] = []
    for name in wrong:
        for number, gold in enumerate(GOLD):
            answer = words[gold] if number not in wrong[name] else other[words[gold]]
            answer = "well, maybe" if number in mumbled.get(name, ()) else answer
            match = {"system": f"the {name} policy", "user": f"case {number:02}"}
            replies.append({"match": match, "steps": [{"answer": answer}]})
    path.write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    return f"fake:{path}"


def lay_out(workshop: Workshop) -> Jobs:
    """Lay out policies and cases, and return the queue that judges by them."""
    lay_cases(workshop.folder)
    workshop.jobs = Jobs(
        workshop.tracker.database, workshop.folder / "runs", lay_policies(workshop.folder / "policies")
    )
    return workshop.jobs


def plan(workshop: Workshop, models: list[str], **fields: Any) -> MatrixPlan:
    settings = {"benchmark": "own.jsonl", **fields.pop("settings", {})}
    return MatrixPlan(fields.pop("sets", SETS), models, settings, str(workshop.folder), **fields)
