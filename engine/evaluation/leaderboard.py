"""The leaderboard of a task: guards measured here beside the rows of the GuardReasoner paper.

A measured row is a guard with its model and settings. Of each benchmark it shows the latest evaluation, so
that nobody picks the luckiest; evaluations with other versions of the model or of the policies than the
row's latest do not count. What is imported or claimed elsewhere has no row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.cases import Task
from engine.evaluation.benchmarks import TASK_WORDS, Benchmark, benchmarks
from engine.evaluation.metrics import weighted_average
from engine.events import JsonValue
from engine.policies.sets import STANDARD
from engine.tracker.run_records import Origin, Result

if TYPE_CHECKING:
    from engine.tracker.runs import Runs
    from engine.tracker.standings import Claim, Latest

KIND = "evaluate"
"""The kind of runs that are measured rows."""

_PAPER = "GuardReasoner, arXiv 2501.18492: "
_EXPERIMENTS = {
    Task.REQUEST: ("prompt harmfulness", ", prompt harm"),
    Task.RESPONSE: ("response harmfulness", ", response harm"),
    Task.COMPLETION: ("refusal detection", ", refusal"),
}
"""What the paper's tables are called in the tracker, and how the names of their rows end."""

_WILDGUARD = "WildGuardTest"
_AS_EVER = {"speed": "full", "prompt_style": "raw", "policy_set": STANDARD}
"""Settings that were not always there, with what was done before."""

_NOTHING_TO = {
    "reasoner": ("prompt_style", "speed"),
    "gauntlet": ("prompt_style",),
    "guardreasoner": ("level", "speed"),
}
"""Settings that a guard does not know."""

_NO_SETTINGS = ("guard", "model", "benchmark", "data_dir", "serial", "limit")


class Board(StrEnum):
    """The tasks, in the paper's words and order."""

    PROMPT = "prompt"
    RESPONSE = "response"
    REFUSAL = "refusal"

    @property
    def task(self) -> Task:
        return next(task for task, word in TASK_WORDS.items() if word == self)


AVERAGE, NAME, ORIGIN, N, RUN = "average", "name", "origin", "n", "run"
FACTS = (AVERAGE, NAME, ORIGIN, N, RUN)
"""What rows can be sorted by, besides a benchmark's name."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A row: who judged, where that comes from, the newest run, and a figure in percent a benchmark.

    ``average`` is there only if the row covers all ``of`` benchmarks. ``sample``: some figure is of a part
    of its benchmark.
    """

    name: str
    origin: Origin
    run_id: int
    figures: Mapping[str, Result]
    average: Result | None
    of: int
    sample: bool = False

    @property
    def n(self) -> int:
        """How many items the figures are of."""
        return sum(figure.n or 0 for figure in self.figures.values())

    @property
    def coverage(self) -> str:
        """Empty where all benchmarks are covered, else which part is."""
        covered = len(self.figures)
        return "" if covered == self.of else f"{covered} of {self.of} benchmarks"


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The rows of a task, best average first, and its benchmarks in the paper's order."""

    board: Board
    benchmarks: tuple[Benchmark, ...]
    standings: tuple[Standing, ...]

    def sorted(self, by: str = AVERAGE, *, descending: bool = True) -> tuple[Standing, ...]:
        """Return the rows by a column: one of `FACTS`, or a benchmark. Rows without that come last.

        Raises:
            ValueError: if there is no such column.
        """
        if by not in (*FACTS, *(benchmark.name for benchmark in self.benchmarks)):
            raise ValueError(f"the leaderboard has no column {by!r}")
        keys = {id(row): _key(row, by) for row in self.standings}
        known = [row for row in self.standings if keys[id(row)] is not None]
        rest = [row for row in self.standings if keys[id(row)] is None]
        known.sort(key=lambda row: keys[id(row)] or 0, reverse=descending)
        return (*known, *rest)


def figure_word(benchmark: Benchmark) -> str:
    """Return what is shown of a benchmark: of one that holds one class, recall."""
    return "recall" if benchmark.single_class else "F1"


def boards_benchmarks(board: Board) -> tuple[Benchmark, ...]:
    """Return the paper's benchmarks of a task, in its order."""
    from engine.evaluation.benchmark_table import GUARDREASONER

    table = benchmarks()
    return tuple(table[name] for name in GUARDREASONER if table[name].task is board.task)


def read_leaderboard(runs: Runs, board: Board) -> Leaderboard:
    """Return the leaderboard of a task.

    Raises:
        TrackerError: if the database cannot be read.
    """
    members = boards_benchmarks(board)
    names = [f"{figure_word(benchmark).lower()} {benchmark.name}" for benchmark in members]
    measured = _measured(runs.latest(KIND, names), members)
    experiment, ending = _EXPERIMENTS[board.task]
    claimed = [_claimed(claim, members, ending) for claim in runs.claims(_PAPER + experiment)]
    unsorted = Leaderboard(board, members, (*measured, *claimed))
    return Leaderboard(board, members, unsorted.sorted())


# --- what was measured -------------------------------------------------------------------------------


def _measured(latest: Sequence[Latest], members: Sequence[Benchmark]) -> list[Standing]:
    ways: dict[str, list[Latest]] = {}
    for run in sorted(latest, key=lambda run: -run.run_id):
        ways.setdefault(_way(run.params), []).append(run)
    return [_standing(runs, members) for runs in ways.values()]


def _standing(runs: Sequence[Latest], members: Sequence[Benchmark]) -> Standing:
    """Return the row of runs of one way, the newest first."""
    newest = runs[0]
    figures: dict[str, Result] = {}
    for benchmark in members:
        name = f"{figure_word(benchmark).lower()} {benchmark.name}"
        for run in runs:
            if run.made_with == newest.made_with and name in run.results:
                figures[benchmark.name] = run.results[name]
                break
    sample = any(not _is_whole(members, name, figure) for name, figure in figures.items())
    average = _average(members, figures) if len(figures) == len(members) else None
    name = _name_of(newest.params)
    return Standing(name, Origin.MEASURED, newest.run_id, figures, average, len(members), sample)


def _is_whole(members: Sequence[Benchmark], name: str, figure: Result) -> bool:
    benchmark = next(member for member in members if member.name == name)
    return figure.n in (benchmark.published, benchmark.contents[0].size)


def _average(members: Sequence[Benchmark], figures: Mapping[str, Result]) -> Result:
    """Return the average F1, weighted as the paper weighs, with its interval.

    The benchmarks are independent samples. So the distances from the average to its ends are the roots of
    the weighted sums of the squared distances of the parts (the MOVER of G. Y. Zou and A. Donner,
    "Construction of confidence limits about effect measures", Statistics in Medicine 27 (10), 2008).
    """
    total = sum(benchmark.published for benchmark in members)
    n, below, above = 0, 0.0, 0.0
    means = []
    known = True
    for benchmark in members:
        figure = as_f1(figures[benchmark.name]) if benchmark.single_class else figures[benchmark.name]
        means.append((figure.value, benchmark.published))
        n += figure.n or 0
        if figure.low is None or figure.high is None:
            known = False
            continue
        share = benchmark.published / total
        below += (share * (figure.value - figure.low)) ** 2
        above += (share * (figure.high - figure.value)) ** 2
    mean = weighted_average(means)
    assert mean is not None
    low, high = (mean - math.sqrt(below), mean + math.sqrt(above)) if known else (None, None)
    return Result(AVERAGE, mean, n, low, high)


def as_f1(recall: Result) -> Result:
    """Return the F1 that a recall means where all items are positive, 2R / (1 + R); both in percent."""

    def f1(value: float) -> float:
        return 200 * value / (100 + value)

    ends = (None if end is None else f1(end) for end in (recall.low, recall.high))
    return Result("f1", f1(recall.value), recall.n, *ends)


def as_recall(f1: Result) -> Result:
    """Return the recall that an F1 means where all items are positive, F / (2 - F); both in percent."""
    return Result("recall", 100 * f1.value / (200 - f1.value), f1.n)


def _way(params: Mapping[str, JsonValue]) -> str:
    """Return what the judgements depend on, but for versions: equal for equal ways to judge."""
    way = {
        name: value
        for name, value in params.items()
        if value not in (None, False, [], "") and _AS_EVER.get(name) != value
    }
    for name in ("benchmark", "data_dir", "serial"):
        way.pop(name, None)
    if "limit" not in way:
        way.pop("seed", None)
    for name in _NOTHING_TO.get(str(params.get("guard")), ()):
        way.pop(name, None)
    return json.dumps(way, sort_keys=True)


def _name_of(params: Mapping[str, JsonValue]) -> str:
    """Return the guard, its model and what its judgements depend on besides."""
    way: dict[str, JsonValue] = json.loads(_way(params))
    parts = [" ".join(str(way[name]) for name in ("guard", "model") if name in way)]
    if "limit" in way:
        parts.append(f"sample of {way['limit']}, seed {way.pop('seed', 0)}")
    for name, value in way.items():
        if name in _NO_SETTINGS:
            continue
        words = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        bare = name in ("level", "policies")
        said = "set" if name == "policy_set" else name
        parts.append(name.replace("_", " ") if value is True else words if bare else f"{said} {words}")
    return ", ".join(parts)


# --- what the paper prints ---------------------------------------------------------------------------


def _claimed(claim: Claim, members: Sequence[Benchmark], ending: str) -> Standing:
    figures = {}
    for benchmark in members:
        printed = _WILDGUARD if benchmark.name.startswith(_WILDGUARD) else benchmark.name
        figure = claim.results.get(f"f1 {printed}")
        if figure is not None:
            figures[benchmark.name] = as_recall(figure) if benchmark.single_class else figure
    average = claim.results.get("f1")
    return Standing(
        claim.name.removesuffix(ending), Origin.PAPER, claim.run_id, figures, average, len(members)
    )


def _key(row: Standing, by: str) -> float | str | None:
    match by:
        case "average":
            return row.average.value if row.average else None
        case "name":
            return row.name.casefold()
        case "origin":
            return row.origin.value
        case "n":
            return row.n
        case "run":
            return row.run_id
    figure = row.figures.get(by)
    return None if figure is None else figure.value
