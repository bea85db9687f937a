"""The work of an ``evaluate`` job: judging what benchmarks hold, and scoring it.

Each distinct case is judged once, however many benchmarks and items it belongs to, and kept as a line of
``predictions.jsonl`` in the run's folder as soon as it is judged, with its items, its gold and all that was
reasoned. A second attempt judges only what has no line there. The figures are made from the lines alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from engine.cases import Decision
from engine.evaluation.metrics import is_unparsable
from engine.evaluation.outcomes import Outcome, outcome_of
from engine.evaluation.scorecard import Scorecard, averages, gold_label, score_benchmark
from engine.events import Event, JsonValue, OutputFinished, VerdictReached, to_jsonable
from engine.guards.base import Guard
from engine.guards.many import judge_many
from engine.jobs.answer_work import answer_questions
from engine.jobs.evaluate import PREDICTIONS, EvaluateParams
from engine.jobs.evaluate_parts import (
    DistinctCase,
    Part,
    Texts,
    cases_of,
    hashes_of,
    items_told,
    keep_scores,
    left_of,
    load_parts,
    many_objects,
    tell_of_data,
    texts_of,
)
from engine.jobs.guard_work import guard_of, stop_if_unreachable, tell_of_guard
from engine.jobs.progress_report import Report
from engine.jobs.result_lines import ResultLines, decode_lines
from engine.jobs.worker import Work
from engine.models.base import ModelError


async def evaluate(work: Work) -> Mapping[str, JsonValue]:
    """Judge and score; return the figures, in percent with 95 % intervals.

    Raises:
        WorkFailed: if the data cannot be had, the back end cannot be reached, or the policies or the data
            are no longer those of an earlier attempt.
    """
    params = EvaluateParams.model_validate(dict(work.params))
    if params.guard is None:
        return await answer_questions(work, params)
    with many_objects():
        parts = await asyncio.to_thread(load_parts, work, params)
        cases = cases_of(parts)
    guard = guard_of(params)
    try:
        tell_of_data(work, parts)
        await tell_of_guard(work, guard)
        lines = ResultLines(work.folder.path / PREDICTIONS, _made_with(parts, guard))
        with many_objects():
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
    keep_scores(work, [card.as_json() for card in scorecards])
    return _summary(scorecards, judged)


def _made_with(parts: Sequence[Part], guard: Guard) -> dict[str, JsonValue]:
    policies: dict[str, JsonValue] = {policy.name: policy.sha256 for policy in guard.policies}
    return {"guard": guard.name, "model": guard.model, "policies": policies, "data": hashes_of(parts)}


# --- judging -----------------------------------------------------------------------------------------


async def _judge(
    work: Work,
    guard: Guard,
    parts: Sequence[Part],
    cases: Mapping[Texts, DistinctCase],
    judged: dict[Texts, Outcome],
    lines: ResultLines,
) -> None:
    left = left_of(cases, judged)
    report = Report(work, len(judged), len(cases), unit="cases", phase="judging")
    numbered = ((number, distinct.case) for number, distinct in enumerate(left))
    async with aclosing(judge_many(guard, numbered)) as judgements:
        async for number, events in judgements:
            stop_if_unreachable(events, f"{len(judged):,} of {len(cases):,} cases are judged")
            distinct = left[number]
            verdict = events[-1]
            assert isinstance(verdict, VerdictReached)
            outcome = outcome_of(verdict.verdict, has_response=distinct.case.response is not None)
            await lines.keep(_row(distinct, parts, outcome, events))
            judged[texts_of(distinct.case)] = outcome
            report.after(outcome.latency_ms, _shares(distinct, parts, outcome))
            await asyncio.sleep(0)  # a guard that never waits must still be stoppable
    report.now()


def _shares(distinct: DistinctCase, parts: Sequence[Part], outcome: Outcome) -> dict[str, tuple[int, int]]:
    wrong = unparsable = 0
    for place, item in distinct.items:
        task = parts[place].benchmark.task
        label = None if task is None else outcome.labels.get(task)
        unparsable += is_unparsable(label)
        wrong += label != gold_label(item.gold)
    items = len(distinct.items)
    escalated = outcome.decision is Decision.ESCALATE
    return {"wrong": (wrong, items), "unparsable": (unparsable, items), "escalated": (escalated, 1)}


# --- what is kept of a case --------------------------------------------------------------------------


class Kept(Outcome, frozen=True, kw_only=True):
    """A line of results, as far as figures are made from it; the rest of it is for people."""

    prompt: str
    response: str | None


def _row(
    distinct: DistinctCase, parts: Sequence[Part], outcome: Outcome, events: Sequence[Event]
) -> dict[str, Any]:
    verdict = events[-1]
    assert isinstance(verdict, VerdictReached)
    output = next((event.text for event in events if isinstance(event, OutputFinished)), None)
    return {
        "case": distinct.case.key,
        **msgspec.to_builtins(outcome),
        "items": items_told(distinct, parts),
        "prompt": distinct.case.prompt,
        "response": distinct.case.response,
        "output": output,
        "verdict": to_jsonable(verdict.verdict),
    }


def _read_earlier(lines: memoryview, cases: Mapping[Texts, DistinctCase]) -> dict[Texts, Outcome]:
    """Return the outcomes that an earlier attempt has left, by their case."""
    judged: dict[Texts, Outcome] = {}
    for kept in decode_lines(lines, Kept):
        texts = kept.prompt, kept.response
        if texts in cases:
            judged[texts] = kept
    return judged


# --- figures -----------------------------------------------------------------------------------------


def _score(part: Part, judged: Mapping[Texts, Outcome], guard: Guard) -> Scorecard:
    pairs = ((item, judged[texts_of(item.case)]) for item in part.items)
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
