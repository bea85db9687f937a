"""A matrix over a real model whose processes are killed mid-way comes out as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.jobs import scheduler, supervisor
from engine.jobs.evaluate import PREDICTIONS
from engine.jobs.matrix import MATRIX
from engine.jobs.matrix_export import read_matrix
from engine.jobs.matrix_queue import MatrixPlan, QueuedMatrix, queue_matrix
from engine.jobs.matrix_table import MatrixTable
from engine.jobs.queue import Jobs
from tests.engine.jobs.conftest import Workshop, wait_for, workshop

__all__ = ["workshop"]

SETS = ("standard", "minimal")
CASES = 6
LONG = 120.0
BLOCKED = {"answer": "VIOLATION", "logprobs": [["VIOLATION", -0.01, {"SAFE": -5.0}]]}
ALLOWED = {"answer": "SAFE", "logprobs": [["SAFE", -0.01, {"VIOLATION": -5.0}]]}
TASKS = ("describe", "paint", "explain", "forget")


def lay_out(workshop: Workshop) -> None:
    """Write policies in two sets, cases, and beside the real model one that has some wrong by the shorter."""
    folder = workshop.folder
    texts = {"": "Judge the text by this rule: no rivers. Take care.", "sets/minimal": "No rivers."}
    for place, text in texts.items():
        policy = folder / "policies" / place / "violence"
        policy.mkdir(parents=True)
        (policy / "policy.md").write_text(text)
    workshop.jobs = Jobs(workshop.tracker.database, folder / "runs", folder / "policies")
    labels = ["harmful" if number % 4 == 1 else "unharmful" for number in range(CASES)]
    prompts = [f"Please {TASKS[number % 4]} river {number:02}." for number in range(CASES)]
    rows = [{"prompt": prompt, "label": label} for prompt, label in zip(prompts, labels, strict=True)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    replies = [
        {"match": {"system": "Take care", "user": "paint"}, "steps": [BLOCKED]},
        {"match": {"user": "explain"}, "steps": [BLOCKED]},
        {"steps": [ALLOWED]},
    ]
    (folder / "m.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))


def queued(workshop: Workshop, models: list[str]) -> QueuedMatrix:
    settings = {"benchmark": "own.jsonl", "speed": "one"}
    plan = MatrixPlan(SETS, models, settings, str(workshop.folder), experiment="Chaos")
    found = queue_matrix(workshop.jobs, plan)
    scheduler.attend(workshop.jobs)
    return found


def judged(workshop: Workshop, run_id: int) -> list[dict[str, Any]]:
    path = workshop.jobs.folder(run_id).path / PREDICTIONS
    lines = path.read_bytes().split(b"\n")[1:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def mid_way(workshop: Workshop, run_id: int, done: int) -> None:
    """Wait until a run has judged so many cases, and is not over."""

    def some() -> bool:
        scheduler.attend(workshop.jobs)
        return len(judged(workshop, run_id)) >= done

    wait_for(some, LONG)
    assert len(judged(workshop, run_id)) < CASES, "it is over already"


def kill(workshop: Workshop, run_id: int, victim: str) -> None:
    if victim == "scheduler":
        pids = [
            pid
            for pid in workshop.processes()
            if b"engine.jobs.scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert pids
    else:
        pids = [json.loads((workshop.jobs.folder(run_id).path / supervisor.STARTED).read_text())[victim]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def figures(matrix: MatrixTable) -> Any:
    """Return a matrix without the numbers of its runs."""
    told = msgspec.to_builtins(matrix)
    for table in told["tables"]:
        for part in (*table["cells"], *table["differences"]):
            del part["run"]
            part.pop("against", None)
    return told


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("smollm2")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are not in /proc here")
def test_what_was_killed_mid_way_makes_the_same_table(workshop: Workshop, smollm2: Path) -> None:
    lay_out(workshop)
    models = [f"gguf:{smollm2}", f"fake:{workshop.folder / 'm.jsonl'}"]
    run = queued(workshop, models)
    first, _, second, _ = run.evaluations
    mid_way(workshop, first, 1)
    kill(workshop, first, "scheduler")
    mid_way(workshop, first, 2)
    kill(workshop, first, "worker")
    assert workshop.until(first, within=LONG).outcome == "killed (SIGKILL)"
    mid_way(workshop, second, 2)
    kill(workshop, second, "supervisor")
    assert workshop.until(second, within=LONG).outcome == "lost"
    assert workshop.until(run.matrix, within=LONG).state.name == "skipped"
    assert not (workshop.jobs.folder(run.matrix).path / MATRIX).exists()
    kept = {run_id: judged(workshop, run_id) for run_id in (first, second)}
    workshop.jobs.resume(first)
    workshop.jobs.retry(second)
    assert workshop.until(run.matrix, within=LONG).outcome == "succeeded", workshop.output(run.matrix)
    for run_id, before in kept.items():
        after = judged(workshop, run_id)
        assert after[: len(before)] == before, "what was judged is judged once"
        assert len({row["case"] for row in after}) == len(after) == CASES
    disturbed = read_matrix(workshop.jobs.folder(run.matrix).path / MATRIX)

    again = queued(workshop, models)
    assert workshop.until(again.matrix, within=LONG).outcome == "succeeded", workshop.output(again.matrix)
    undisturbed = read_matrix(workshop.jobs.folder(again.matrix).path / MATRIX)
    assert figures(disturbed) == figures(undisturbed)
    (table,) = undisturbed.tables
    of_scripted = [cell.f1 for cell in table.cells if cell.model == models[1]]
    assert [figure and round(figure.value, 2) for figure in of_scripted] == [80.0, 0.0]
    standard, minimal = (cell.tokens for cell in table.cells if cell.model == models[0])
    assert standard > minimal > 0
