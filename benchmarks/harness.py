"""What the evaluation harness costs with a model that takes no time, and how soon a long run goes on.

    python -m benchmarks.harness [--cases N] [--long N] [--inspect-python PYTHON]

The cost of a case is the wall time of an ``evaluate`` job, from its first case to its figures, by the number
of cases: prompt, model's reply, parsing, scoring, and every prediction written down. The named baseline is
inspect_ai's ``eval`` of as many samples with its own mock model, a ``match`` scorer and its log, run by the
Python that ``--inspect-python`` names; without one the ratio cannot be measured, and that is said.

The long run is one that was killed near its end: the time is from starting its worker anew to the first new
line of its predictions.

Exits with 1 if a gate is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.jobs.evaluate import PREDICTIONS
from engine.jobs.folder import RunFolder
from engine.jobs.queue import Jobs
from engine.jobs.records import JobSpec
from engine.jobs.supervisor import RUN_DIR
from engine.tracker import open_tracker

SHARE_GATE = 0.20
RESUME_GATE_S = 2.0
LEFT = 10

REPLY = (
    "# Task 1\n## Reasoning Step 1\nNothing.\n---\nAnswers:\nRequest: {}\nCompletion: None\nResponse: None\n"
)

INSPECT = """
import itertools, sys, time
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate

def main(count, folder):
    reply = ModelOutput.from_content("mockllm/model", "unharmful")
    reply.usage = ModelUsage(input_tokens=5, output_tokens=1, total_tokens=6)  # else it fetches a tokenizer
    model = get_model("mockllm/model", custom_outputs=itertools.repeat(reply))
    samples = [Sample(input=f"Question {number}?", target="harmful") for number in range(count)]
    task = Task(dataset=MemoryDataset(samples), solver=[generate()], scorer=match())
    began = time.perf_counter()
    (log,) = eval(task, model=model, display="none", log_dir=folder)
    print(log.status, len(log.samples or []), time.perf_counter() - began)

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--long", type=int, default=200_000)
    parser.add_argument("--inspect-python", type=Path, help="a Python that has inspect_ai")
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = run_job(folder / "short", options.cases)
        print(f"{options.cases:,} cases: {ours / options.cases * 1000:.3f} ms each, predictions kept")
        if options.inspect_python is None:
            print("inspect_ai: not measured (--inspect-python names no Python that has it)")
        else:
            theirs = run_inspect(options.inspect_python, folder / "inspect", options.cases)
            missed |= ours / theirs > SHARE_GATE
            print(f"inspect_ai, mock model: {theirs / options.cases * 1000:.3f} ms each")
            print(f"ours by theirs: {ours / theirs:.1%} (gate {SHARE_GATE:.0%})")
        resumed = resume(folder / "long", options.long)
        missed |= resumed > RESUME_GATE_S
        print(
            f"a run of {options.long:,} cases that was killed {LEFT} before its end: first new prediction "
            f"after {resumed:.2f} s (gate {RESUME_GATE_S:.0f} s)"
        )
    return int(missed)


def write_inputs(folder: Path, count: int) -> dict[str, str]:
    """Write cases and a scripted model; return the parameters of a job on them."""
    folder.mkdir()
    cases, script = folder / "cases.jsonl", folder / "model.jsonl"
    with cases.open("w") as file:
        for number in range(count):
            label = "unharmful" if number % 4 else "harmful"
            file.write(json.dumps({"prompt": f"Question {number}?", "label": label}) + "\n")
    script.write_text(json.dumps({"steps": [{"answer": REPLY}]}) + "\n")
    return {"benchmark": str(cases), "guard": "guardreasoner", "model": f"fake:{script}"}


def make_job(folder: Path, count: int) -> RunFolder:
    """Return the folder of a job that is ready to be worked on."""
    params = write_inputs(folder, count)
    with open_tracker(folder / "wizard.db") as tracker:
        jobs = Jobs(tracker.database, folder / "runs")
        run_id = jobs.add(JobSpec("evaluate", params, str(folder)))
        return jobs.folder(run_id)


def worker(run: RunFolder) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.jobs.worker"],
        cwd=run.path.parent.parent,
        env=os.environ | {RUN_DIR: str(run.path), "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def run_job(folder: Path, count: int) -> float:
    """Return the seconds from a job's first case to its end."""
    run = make_job(folder, count)
    if worker(run).wait():
        raise SystemExit("the job failed")
    began = ended = 0.0
    for line in run.events.read_text().split("\n"):
        event = json.loads(line) if line else {}
        if event.get("event") == "progress" and not began:
            began = event["at_ms"]
        ended = event.get("at_ms", ended)
    return (ended - began) / 1000


def run_inspect(python: Path, folder: Path, count: int) -> float:
    """Return the seconds that inspect_ai takes for as many samples."""
    folder.mkdir()
    program = folder / "baseline.py"
    program.write_text(INSPECT)
    command = [str(python), str(program), str(count), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    status, samples, seconds = (done.stdout.split() or ["failed", "0", "0"])[-3:]
    if status != "success" or int(samples) != count:
        raise SystemExit(f"inspect_ai: {status}, {samples} samples\n{done.stderr[-2000:]}")
    return float(seconds)


def resume(folder: Path, count: int) -> float:
    """Return the seconds from starting a worker anew to its first new prediction."""
    run = make_job(folder, count)
    if worker(run).wait():
        raise SystemExit("the long job failed")
    file = run.path / PREDICTIONS
    content = file.read_bytes()
    cut = len(content) - sum(len(line) + 1 for line in content[-100_000:].split(b"\n")[-LEFT - 1 : -1])
    with file.open("rb+") as handle:
        handle.truncate(cut)
    began = time.perf_counter()
    second = worker(run)
    while file.stat().st_size == cut:
        if second.poll() is not None:
            raise SystemExit("the second attempt ended without a new prediction")
        time.sleep(0.005)
    took = time.perf_counter() - began
    second.wait()
    return took


if __name__ == "__main__":
    sys.exit(main())
