"""The work of an ``evaluate`` job: judging what benchmarks hold, and scoring it.

Each distinct case is judged once, however many benchmarks and items it belongs to, and kept as a line of
``predictions.jsonl`` in the run's folder as soon as it is judged, with its items, its gold and all that was
reasoned. A second attempt judges only what has no line there. The figures are made from the lines alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.case_files import CaseFileError, read_cases
from engine.cases import Case, Decision, Harm, Task
from engine.evaluation.benchmark_data import load_benchmark
from engine.evaluation.benchmark_errors import BenchmarkError
from engine.evaluation.benchmarks import Benchmark, Content
from engine.evaluation.items import Item, content_hash
from engine.evaluation.metrics import is_unparsable
from engine.evaluation.outcomes import Outcome, outcome_of
from engine.evaluation.scorecard import Scorecard, averages, gold_label, score_benchmark
from engine.events import Event, Failed, JsonValue, OutputFinished, VerdictReached, to_jsonable
from engine.guards.base import Guard
from engine.guards.build import build_guard
from engine.guards.many import judge_many
from engine.jobs.evaluate import PREDICTIONS, SCORES, EvaluateParams, choose, data_folder, is_own_file
from engine.jobs.result_lines import ResultLines, decode_lines
from engine.jobs.worker import Work, WorkFailed, sha256_of
from engine.models.base import ModelError
from engine.workspace import find_workspace, of_home

_REPORT_S = 0.2


Texts = tuple[str, str | None]
"""A case's prompt and response: what makes two items the same case."""


@dataclass(frozen=True, slots=True)
class Part:
    """A benchmark's share of the work."""

    benchmark: Benchmark
    items: Sequence[Item]
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Todo:
    """One distinct case, and the items that it is, as (place of the part, item)."""

    case: Case
    items: list[tuple[int, Item]] = field(default_factory=list)


async def evaluate(work: Work) -> Mapping[str, JsonValue]:
    """Judge and score; return the figures, in percent with 95 % intervals.

    Raises:
        WorkFailed: if the data cannot be had, the back end cannot be reached, or the policies or the data
            are no longer those of an earlier attempt.
    """
    params = EvaluateParams.model_validate(dict(work.params))
    with _many_objects():
        parts = await asyncio.to_thread(load_parts, work, params)
        cases = _cases(parts)
    guard = guard_of(params)
    try:
        tell_of_data(work, parts)
        await tell_of_guard(work, guard)
        lines = ResultLines(work.folder.path / PREDICTIONS, _made_with(parts, guard))
        with _many_objects():
            judged = _read_earlier(lines.earlier, cases)
        lines.earlier = memoryview(b"")
        if judged:
            left = len(cases) - len(judged)
            work.log(f"{len(judged):,} of {len(cases):,} cases were judged before; {left:,} are left.")
        if len(judged) < len(cases):
            work.progress(len(judged), len(cases), "cases", "warming up")
            with suppress(ModelError):  # the first case meets the same failure, and reports it
                await guard.warm()
            await _judge(work, guard, parts, cases, judged, lines)
        lines.close()
    finally:
        await guard.aclose()
    work.made(work.folder.path / PREDICTIONS, "predictions")
    scorecards = [_score(part, judged, guard) for part in parts]
    scores = work.folder.path / SCORES
    scores.write_text(json.dumps([card.as_json() for card in scorecards], indent=2) + "\n", "utf-8")
    work.made(scores, "scores")
    return _summary(scorecards, judged)


# --- what there is to judge --------------------------------------------------------------------------


def load_parts(work: Work, params: EvaluateParams) -> list[Part]:
    """Return what the job's benchmarks hold, or as much of each as its limit says.

    Raises:
        WorkFailed: if it cannot be had.
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
    labels = Counter(label.value for _, _, label in cases)
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


def _texts(case: Case) -> Texts:
    return case.prompt, case.response


def _cases(parts: Sequence[Part]) -> dict[Texts, Todo]:
    cases: dict[Texts, Todo] = {}
    for place, part in enumerate(parts):
        for item in part.items:
            texts = item.case.prompt, item.case.response
            todo = cases.get(texts)
            if todo is None:
                todo = cases[texts] = Todo(item.case)
            todo.items.append((place, item))
    return cases


def tell_of_data(work: Work, parts: Sequence[Part]) -> None:
    """Say what data the work is made from, and what is known to be off with it."""
    for part in parts:
        work.made_from("data", part.benchmark.name, part.sha256)
        for note in part.notes:
            work.log(f"{part.benchmark.name}: {note}", level="warning")


def guard_of(params: EvaluateParams) -> Guard:
    """Return the guard that a job is about."""
    return build_guard(
        params.guard,
        workspace=find_workspace(),
        model_spec=params.model,
        level=params.level,
        policy_names=params.policies or None,
        serial=params.serial,
        speed=params.speed,
        prompt_style=params.prompt_style,
        thresholds=params.thresholds,
    )


async def tell_of_guard(work: Work, guard: Guard) -> None:
    """Say what policies and what model the work is made from."""
    for policy in guard.policies:
        work.made_from("policy", policy.name, policy.sha256)
    if guard.model is not None:
        kind, _, target = guard.model.partition(":")
        file = of_home(target)
        sha256 = await asyncio.to_thread(sha256_of, file) if kind == "gguf" and file.is_file() else None
        work.made_from("model", guard.model, sha256)


def _made_with(parts: Sequence[Part], guard: Guard) -> dict[str, JsonValue]:
    policies: dict[str, JsonValue] = {policy.name: policy.sha256 for policy in guard.policies}
    data: dict[str, JsonValue] = {part.benchmark.name: part.sha256 for part in parts}
    return {"guard": guard.name, "model": guard.model, "policies": policies, "data": data}


# --- judging -----------------------------------------------------------------------------------------


async def _judge(
    work: Work,
    guard: Guard,
    parts: Sequence[Part],
    cases: Mapping[Texts, Todo],
    judged: dict[Texts, Outcome],
    lines: ResultLines,
) -> None:
    left = [todo for texts, todo in cases.items() if texts not in judged]
    report = _Report(work, len(judged), len(cases))
    numbered = ((number, todo.case) for number, todo in enumerate(left))
    async with aclosing(judge_many(guard, numbered)) as judgements:
        async for number, events in judgements:
            stop_if_unreachable(events, f"{len(judged):,} of {len(cases):,} cases are judged")
            todo = left[number]
            verdict = events[-1]
            assert isinstance(verdict, VerdictReached)
            outcome = outcome_of(verdict.verdict, has_response=todo.case.response is not None)
            await lines.keep(_row(todo, parts, outcome, events))
            judged[_texts(todo.case)] = outcome
            report.after(todo, parts, outcome)
            await asyncio.sleep(0)  # a guard that never waits must still be stoppable
    report.now()


def stop_if_unreachable(events: Sequence[Event], so_far: str) -> None:
    """End the work where a back end could not be reached: the case has not been judged.

    Raises:
        WorkFailed: then.
    """
    for event in events:
        if isinstance(event, Failed) and event.unreachable:
            raise WorkFailed(
                event.message,
                kept=f"{so_far}, and kept.",
                hint=f"{event.hint} Then resume the job.".strip(),
                unreachable=True,
            )


class _Report:
    """Tells how far the work is and what it finds, a few times a second."""

    def __init__(self, work: Work, done: int, total: int) -> None:
        self._work = work
        self._done, self._total = done, total
        self._told = time.monotonic()
        self._latencies: list[float] = []
        self._seen = Counter[str]()
        work.progress(done, total, "cases", "judging")

    def after(self, todo: Todo, parts: Sequence[Part], outcome: Outcome) -> None:
        self._done += 1
        self._latencies.append(outcome.latency_ms)
        self._seen["cases"] += 1
        self._seen["escalated"] += outcome.decision is Decision.ESCALATE
        for place, item in todo.items:
            task = parts[place].benchmark.task
            label = None if task is None else outcome.labels.get(task)
            self._seen["items"] += 1
            self._seen["unparsable"] += is_unparsable(label)
            self._seen["wrong"] += label != gold_label(item.gold)
        if time.monotonic() - self._told >= _REPORT_S:
            self.now()

    def now(self) -> None:
        work = self._work
        if self._latencies:
            seen = self._seen
            work.metric("latency ms", sum(self._latencies) / len(self._latencies), self._done)
            work.metric("wrong %", 100 * seen["wrong"] / seen["items"], self._done)
            work.metric("unparsable %", 100 * seen["unparsable"] / seen["items"], self._done)
            work.metric("escalated %", 100 * seen["escalated"] / seen["cases"], self._done)
        work.progress(self._done, self._total, "cases", "judging")
        self._told = time.monotonic()
        self._latencies.clear()


# --- what is kept of a case --------------------------------------------------------------------------


class Kept(Outcome, frozen=True, kw_only=True):
    """A line of results, as far as figures are made from it; the rest of it is for people."""

    prompt: str
    response: str | None


def _row(todo: Todo, parts: Sequence[Part], outcome: Outcome, events: Sequence[Event]) -> dict[str, Any]:
    verdict = events[-1]
    assert isinstance(verdict, VerdictReached)
    output = next((event.text for event in events if isinstance(event, OutputFinished)), None)
    return {
        "case": todo.case.key,
        **msgspec.to_builtins(outcome),
        "items": [
            {
                "benchmark": parts[place].benchmark.name,
                "id": item.id,
                "gold": msgspec.to_builtins(item.gold),
                "category": item.category,
            }
            for place, item in todo.items
        ],
        "prompt": todo.case.prompt,
        "response": todo.case.response,
        "output": output,
        "verdict": to_jsonable(verdict.verdict),
    }


def _read_earlier(lines: memoryview, cases: Mapping[Texts, Todo]) -> dict[Texts, Outcome]:
    """Return the outcomes that an earlier attempt has left, by their case."""
    judged: dict[Texts, Outcome] = {}
    for kept in decode_lines(lines, Kept):
        texts = kept.prompt, kept.response
        if texts in cases:
            judged[texts] = kept
    return judged


# --- figures -----------------------------------------------------------------------------------------


def _score(part: Part, judged: Mapping[Texts, Outcome], guard: Guard) -> Scorecard:
    pairs = ((item, judged[_texts(item.case)]) for item in part.items)
    return score_benchmark(part.benchmark, pairs, [policy.name for policy in guard.policies])


def _summary(scorecards: Sequence[Scorecard], judged: Mapping[Texts, Outcome]) -> dict[str, JsonValue]:
    """Return the figures of the run: of one benchmark as they are, of several each with its name.

    The headline always has the name too, by which the leaderboard finds it.
    """
    found: dict[str, JsonValue] = averages(scorecards)
    for card in scorecards:
        named = [card.headline, *(("false positive rate", "unparsable") if len(scorecards) > 1 else ())]
        for name, figure in card.figures().items():
            if len(scorecards) == 1:
                found[name] = figure
            if name in named:
                found[f"{name} {card.benchmark.name}"] = figure
    outcomes = judged.values()
    found["cases"] = len(judged)
    escalated = sum(outcome.decision is Decision.ESCALATE for outcome in outcomes)
    if escalated:
        found["escalated"] = {"value": 100 * escalated / len(judged), "n": len(judged)}
    if tokens := sum(outcome.tokens for outcome in outcomes):
        found["tokens"] = tokens
    return found


@contextmanager
def _many_objects() -> Iterator[None]:
    """Make hundreds of thousands of small objects without looking for garbage among them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
