"""What an ``evaluate`` job is about: the items of its benchmarks, and the distinct cases among them."""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.case_files import CaseFileError, read_cases
from engine.cases import Case, Harm, Task
from engine.evaluation.benchmark_data import load_benchmark
from engine.evaluation.benchmark_errors import BenchmarkError
from engine.evaluation.benchmarks import Benchmark, Content
from engine.evaluation.items import Item, content_hash
from engine.events import JsonValue
from engine.jobs.evaluate import SCORES, EvaluateParams, choose, data_folder, is_own_file
from engine.jobs.worker import Work, WorkFailed
from engine.workspace import of_home

Texts = tuple[str, str | None]
"""A case's prompt and response: what makes two items the same case."""


@dataclass(frozen=True, slots=True)
class Part:
    """A benchmark's share of the work."""

    benchmark: Benchmark
    items: Sequence[Item]
    sha256: str
    notes: tuple[str, ...] = ()


class DistinctCase(msgspec.Struct):
    """A case that is judged once, and all the items that it is, as (place of the part, item)."""

    case: Case
    items: list[tuple[int, Item]] = []


def load_parts(work: Work, params: EvaluateParams) -> list[Part]:
    """Return what there is to judge.

    Raises:
        WorkFailed: if data cannot be had.
    """
    if is_own_file(params.benchmark):
        return [_part(params, *_own_file(of_home(params.benchmark)))]
    folder = data_folder(params, Path())
    chosen, left_out = choose(params, folder)
    for name, why in left_out.items():
        work.log(f"Left out: {name} {why}.")
    parts = []
    for benchmark in chosen:
        try:
            loaded = load_benchmark(benchmark, folder, accept_changed=params.accept_changed)
        except BenchmarkError as error:
            raise WorkFailed(error.message, kept="Nothing was judged.", hint=error.hint) from error
        parts.append(_part(params, benchmark, loaded.items, loaded.sha256, loaded.notes))
    return parts


def _part(
    params: EvaluateParams,
    benchmark: Benchmark,
    items: Sequence[Item],
    sha256: str,
    notes: tuple[str, ...] = (),
) -> Part:
    if params.limit is not None and params.limit < len(items):
        drawn = random.Random(params.seed).sample(range(len(items)), params.limit)  # noqa: S311
        items = [items[place] for place in sorted(drawn)]
    return Part(benchmark, items, sha256, notes)


def _own_file(path: Path) -> tuple[Benchmark, list[Item], str]:
    """Return a file of labelled cases as a benchmark.

    It is about responses if its cases have one, else about requests.
    """
    try:
        cases = _labelled(path.read_bytes())
    except OSError as error:
        raise WorkFailed(f"{path} cannot be read: {error.strerror}.") from error
    except CaseFileError as error:
        raise WorkFailed(
            f"{path}, {error}.", kept="Nothing was judged.", hint="Mend it and retry."
        ) from error
    if not cases:
        raise WorkFailed(f"{path} has no labelled cases.", hint="A label is 'harmful' or 'unharmful'.")
    with_response = {case.response is not None for _, case, _ in cases}
    if len(with_response) > 1:
        raise WorkFailed(f"{path} has cases with a response and cases without.", hint="Make it two files.")
    items = [Item(case, label, None, str(number)) for number, case, label in cases]
    golds = [label for _, _, label in cases]
    labels = {label.value: golds.count(label) for label in Harm if label in golds}
    task = Task.RESPONSE if with_response == {True} else Task.REQUEST
    content = Content(len(items), labels)
    benchmark = Benchmark(path.name, "A file of labelled cases", task, len(items), (content,), "")
    return benchmark, items, content_hash(items)


class _LabelledRow(msgspec.Struct):
    prompt: str
    response: str | None = None
    label: Harm | None = None


def _labelled(content: bytes) -> list[tuple[int, Case, Harm]]:
    """Return the labelled cases of a file, each with its number."""
    try:
        quick: list[_LabelledRow] = msgspec.json.Decoder(_LabelledRow).decode_lines(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # its words do not name the line, or it is too strict
        rows = read_cases(content)
        return [(number, row.case, row.label) for number, row in enumerate(rows) if row.label is not None]
    return [
        (number, Case(row.prompt, row.response), row.label)
        for number, row in enumerate(quick)
        if row.label is not None
    ]


def texts_of(case: Case) -> Texts:
    """Return what tells a case from others."""
    return case.prompt, case.response


def cases_of(parts: Sequence[Part]) -> dict[Texts, DistinctCase]:
    """Return the distinct cases of all parts, in their order."""
    cases: dict[Texts, DistinctCase] = {}
    for place, part in enumerate(parts):
        for item in part.items:
            texts = item.case.prompt, item.case.response
            distinct = cases.get(texts)
            if distinct is None:
                distinct = cases[texts] = DistinctCase(item.case)
            distinct.items.append((place, item))
    return cases


# --- what is told and kept of it ---------------------------------------------------------------------


def tell_of_data(work: Work, parts: Sequence[Part]) -> None:
    """Say what data the work is made from, and what is off with it."""
    for part in parts:
        work.made_from("data", part.benchmark.name, part.sha256)
        for note in part.notes:
            work.log(f"{part.benchmark.name}: {note}", level="warning")


def hashes_of(parts: Sequence[Part]) -> dict[str, JsonValue]:
    """Return the hash of each benchmark's content."""
    return {part.benchmark.name: part.sha256 for part in parts}


def left_of(cases: Mapping[Texts, DistinctCase], done: Container[Texts]) -> list[DistinctCase]:
    """Return the cases that have no result yet, in their order."""
    return [distinct for texts, distinct in cases.items() if texts not in done]


def items_told(distinct: DistinctCase, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Return the items that a case is, as they are kept with its result."""
    return [
        {
            "benchmark": parts[place].benchmark.name,
            "id": item.id,
            "gold": msgspec.to_builtins(item.gold),
            "category": item.category,
        }
        for place, item in distinct.items
    ]


def keep_scores(work: Work, scores: Sequence[Mapping[str, Any]]) -> None:
    """Write down the scores of each benchmark."""
    path = work.folder.path / SCORES
    path.write_text(json.dumps(scores, indent=2) + "\n", "utf-8")
    work.made(path, "scores")


@contextmanager
def many_objects() -> Iterator[None]:
    """Make hundreds of thousands of small objects without looking for garbage among them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
