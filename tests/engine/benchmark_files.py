"""Small files in the layouts of published benchmarks. All texts are mild, and written for these tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.cases import Case
from engine.evaluation.benchmarks import Benchmark, Content, Local
from engine.evaluation.layouts import Layout
from engine.guards.guardreasoner import INSTRUCTION, render_input

RELEASED = "guardreasoner_benchmarks"


def released(cases: Iterable[tuple[Case, str]]) -> list[dict[str, str]]:
    """Return records as GuardReasoner's repository publishes them."""
    return [
        {"instruction": INSTRUCTION, "input": render_input(case), "output": output} for case, output in cases
    ]


def write_json(path: Path, rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def trial(content: Content, layout: Layout, **fields: Any) -> Benchmark:
    """Return a benchmark of one file, ``trial/items.jsonl``, that is in no table."""
    from engine.cases import Task

    defaults: dict[str, Any] = {
        "name": "Trial",
        "about": "a trial",
        "task": Task.REQUEST,
        "published": content.size,
        "contents": (content,),
        "licence": "MIT",
        "local": (Local(("trial/items.jsonl",), layout),),
    }
    return Benchmark(**{**defaults, **fields})
