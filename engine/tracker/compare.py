"""Comparing runs: what they were given, what came out, and where they differ. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from engine.events import JsonValue
from engine.tracker.records import UnknownRun
from engine.tracker.run_records import HEADLINES, Result, Run, RunSummary

if TYPE_CHECKING:
    from engine.tracker.runs import Runs

AT_MOST = 100
"""How many runs can be compared at once."""

_DEEPEST = 4
"""Objects within parameters are compared by what is in them down to this depth, and as a whole below."""


class Absent(Enum):
    """A run has no such parameter: unlike None, which is one that was given as null."""

    ABSENT = "absent"


ABSENT: Literal[Absent.ABSENT] = Absent.ABSENT

Value = JsonValue | Absent


@dataclass(frozen=True, slots=True)
class ParameterLine:
    """One parameter in every run. Those within others have dotted names."""

    name: str
    values: tuple[Value, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One result in every run, as it is stored.

    ``overlap`` says whether two intervals overlap; None unless there are two runs that both have one.
    """

    name: str
    results: tuple[Result | None, ...]
    overlap: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, in the order asked for: every line has one entry a run.

    Parameters that differ come first, the most telling results first; ``metrics`` are the names of the
    curves that at least one run has.
    """

    runs: tuple[Run, ...]
    parameters: tuple[ParameterLine, ...]
    results: tuple[ResultLine, ...]
    metrics: tuple[str, ...]

    @property
    def summaries(self) -> tuple[RunSummary, ...]:
        return tuple(run.summary for run in self.runs)


def compare(runs: Runs, run_ids: Sequence[int]) -> Comparison:
    """Compare 2 to 100 runs. Their curves are not read: ask `Runs.curves` for those of one metric.

    Raises:
        ValueError: if they are fewer or more, or one is named twice.
        UnknownRun: if there is no run by one of the ids.
        TrackerError: if the database cannot be read.
    """
    if not 2 <= len(run_ids) <= AT_MOST:
        raise ValueError(f"2 to {AT_MOST} runs can be compared, not {len(run_ids)}.")
    if len(set(run_ids)) < len(run_ids):
        raise ValueError("Each run can be compared only once.")
    return compare_runs(load_all(runs, run_ids))


def load_all(runs: Runs, run_ids: Sequence[int]) -> list[Run]:
    """Return these runs in full.

    Raises:
        UnknownRun: if there is none by one of the ids.
    """
    found = runs.full(run_ids)
    missing = [run_id for run_id in run_ids if run_id not in found]
    if missing:
        raise UnknownRun(*missing)
    return [found[run_id] for run_id in run_ids]


def compare_runs(loaded: Sequence[Run]) -> Comparison:
    """Compare runs that are in memory already: any number, one included."""
    return Comparison(
        tuple(loaded),
        tuple(_parameter_lines([run.params for run in loaded])),
        tuple(_result_lines([run.results for run in loaded])),
        tuple(sorted({metric for run in loaded for metric in run.metrics})),
    )


def value_words(value: Value) -> str:
    """Return a parameter's value as a person would write it: as JSON, but texts that look like none bare."""
    if isinstance(value, Absent):
        return "–"
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return json.dumps(value)


def _parameter_lines(params: Sequence[Mapping[str, JsonValue]]) -> list[ParameterLine]:
    flat = [dict(_leaves(given, ())) for given in params]
    lines = []
    for path in sorted({path for leaves in flat for path in leaves}):
        values: tuple[Value, ...] = tuple(leaves.get(path, ABSENT) for leaves in flat)
        lines.append(ParameterLine(".".join(path), values, len(set(map(_identity, values))) > 1))
    return sorted(lines, key=lambda line: not line.differs)


def _leaves(
    given: Mapping[str, JsonValue], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for name, value in given.items():
        path = (*above, name)
        if isinstance(value, dict) and value and len(path) < _DEEPEST:
            yield from _leaves(value, path)
        else:
            yield path, value


def _identity(value: Value) -> str | Absent:
    """Tell values apart as JSON does: true is not 1, but 1.0 is."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, Absent) else json.dumps(value, sort_keys=True)


def _result_lines(results: Sequence[Sequence[Result]]) -> list[ResultLine]:
    by_name = [{result.name: result for result in ended_with} for ended_with in results]
    names = sorted({name for named in by_name for name in named}, key=_telling_first)
    lines = []
    for name in names:
        found = tuple(named.get(name) for named in by_name)
        lines.append(ResultLine(name, found, _overlap(found)))
    return lines


def _telling_first(name: str) -> tuple[int, str]:
    return (HEADLINES.index(name) if name in HEADLINES else len(HEADLINES), name)


def _overlap(results: Sequence[Result | None]) -> bool | None:
    bounds = [
        (result.low, result.high)
        for result in results
        if result is not None and result.low is not None and result.high is not None
    ]
    if len(results) != 2 or len(bounds) != 2:
        return None
    (low, high), (other_low, other_high) = bounds
    return low <= other_high and other_low <= high
