"""Two evaluations on the items that they share: is a difference more than chance, and what makes it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cases import Harm, Task
from engine.evaluation.benchmark_errors import BenchmarkError
from engine.evaluation.benchmarks import TASK_WORDS, find_benchmark
from engine.evaluation.metrics import classes
from engine.evaluation.statistics import Comparison, Flip, compare
from engine.jobs.evaluate import Evaluate, is_own_file
from engine.jobs.evaluated import KeptCase, evaluated_run, kept_cases
from engine.jobs.records import JobError

if TYPE_CHECKING:
    from engine.tracker.run_records import RunSummary
    from engine.tracker.runs import Runs

NO_LABEL = "no label"
"""What stands for an output that gave no label."""


@dataclass(frozen=True, slots=True)
class PairedItem:
    """An item that both runs have judged: the key of its case, its id, and what was kept of it."""

    case: str
    id: str
    kept: KeptCase = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The texts of the case on one line, as they came."""
        kept = self.kept
        return kept.prompt if kept.response is None else f"{kept.prompt} → {kept.response}"


@dataclass(frozen=True, slots=True)
class Paired:
    """A benchmark that two runs share. The keys of the comparison's flips are `PairedItem`."""

    benchmark: str
    task: Task
    n: int
    comparison: Comparison

    @property
    def matrix(self) -> Mapping[tuple[str, str], int]:
        """How many of the items that flipped went from which label of ``a`` to which of ``b``."""
        return Counter((flip.a or NO_LABEL, flip.b or NO_LABEL) for flip in self.comparison.flips)


def can_be_paired(summaries: Sequence[RunSummary]) -> str | None:
    """Return why runs cannot be compared item by item, or None if they can."""
    if len(summaries) != 2:
        return "Two runs can be compared item by item, no more and no fewer."
    for run in summaries:
        if run.kind != Evaluate.name or run.status != "succeeded":
            return f"Run {run.id} is no finished evaluation: only two of these have items in common."
    return None


def pair(runs: Runs, runs_folder: Path, a: int, b: int) -> list[Paired]:
    """Compare two runs on each benchmark of which they share items, by name.

    Raises:
        JobError: if one is no finished evaluation, its predictions are gone, or they share nothing.
        TrackerError: if the database cannot be read.
    """
    kept = []
    for run_id in (a, b):
        evaluated_run(runs, run_id)
        kept.append(kept_cases(runs_folder / str(run_id), run_id))
    paired = pair_cases(*kept)
    if not paired:
        raise JobError(f"The runs {a} and {b} have no items in common.", "Evaluate both on one benchmark.")
    return paired


def pair_cases(a: Mapping[str, KeptCase], b: Mapping[str, KeptCase]) -> list[Paired]:
    """Compare what two runs have kept."""
    rows: dict[tuple[str, Task], list[tuple[PairedItem, str, str | None, str | None]]] = {}
    for key, case in a.items():
        other = b.get(key)
        if other is None:
            continue
        shared = {(item.benchmark, item.id) for item in other.items}
        for item in case.items:
            task = _task_of(item.benchmark, case)
            gold = _label(task, _gold(item.gold))
            if (item.benchmark, item.id) not in shared or task is None or gold is None:
                continue
            of_a, of_b = (_label(task, each.labels.get(task)) for each in (case, other))
            paired = PairedItem(key, item.id, case)
            rows.setdefault((item.benchmark, task), []).append((paired, gold, of_a, of_b))
    return [
        Paired(benchmark, task, len(found), compare(task, found))
        for (benchmark, task), found in sorted(rows.items(), key=lambda row: row[0])
    ]


def paired_json(paired: Paired) -> dict[str, Any]:
    """Return a comparison as an object; figures are in percent. It holds no texts, but keys of cases."""
    found = paired.comparison
    return {
        "benchmark": paired.benchmark,
        "task": TASK_WORDS[paired.task],
        "n": paired.n,
        "f1": {"a": _percent(found.a.f1), "b": _percent(found.b.f1)},
        "recall": {"a": _percent(found.a.recall), "b": _percent(found.b.recall)},
        "fpr": {"a": _percent(found.a.fpr), "b": _percent(found.b.fpr)},
        "difference": {
            "value": _percent(found.difference),
            "low": None if found.interval is None else 100 * found.interval[0],
            "high": None if found.interval is None else 100 * found.interval[1],
        },
        "mcnemar": {"only_a_right": found.only_a, "only_b_right": found.only_b, "p": found.p_value},
        "matrix": [{"a": a, "b": b, "n": n} for (a, b), n in sorted(paired.matrix.items())],
        "flips": [_flip_json(flip) for flip in found.flips],
    }


def difference_words(paired: Paired) -> str:
    """Return the difference of the F1, in points, with its interval."""
    found = paired.comparison
    if found.difference is None:
        return "–"
    said = f"{100 * found.difference:+.2f}"
    if found.interval is None:
        return said
    return f"{said} [{100 * found.interval[0]:+.2f}, {100 * found.interval[1]:+.2f}]"


def item_of(flip: Flip) -> PairedItem:
    """Return the item that flipped."""
    assert isinstance(flip.key, PairedItem)
    return flip.key


def _flip_json(flip: Flip) -> dict[str, Any]:
    item = item_of(flip)
    return {"case": item.case, "id": item.id, "gold": flip.gold, "a": flip.a, "b": flip.b}


def _task_of(benchmark: str, case: KeptCase) -> Task | None:
    if is_own_file(benchmark):
        return Task.REQUEST if case.response is None else Task.RESPONSE
    try:
        return find_benchmark(benchmark).task
    except BenchmarkError:
        return None


def _gold(gold: Any) -> Any:
    if isinstance(gold, Mapping):
        return Harm.HARMFUL.value if any(gold.values()) else Harm.UNHARMFUL.value
    return gold


def _label(task: Task | None, label: Any) -> str | None:
    """Return a label, or None for what is none of the task's."""
    return label if task is not None and label in classes(task) else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
