"""The work of an ``evaluate`` job on questions: a model answers them itself, and no guard has a part in it.

As where a guard judges, each distinct question is asked once and kept as a line of ``predictions.jsonl``
with what was said to it, and a second attempt asks only what has no line there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from engine.cases import Case, Status
from engine.evaluation.items import Choice
from engine.evaluation.question_scores import QuestionScores, score_questions
from engine.evaluation.questions import INSTRUCTION, Reply, ask
from engine.events import JsonValue
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
    tell_of_data,
    texts_of,
)
from engine.jobs.guard_work import tell_of_model
from engine.jobs.progress_report import Report
from engine.jobs.result_lines import ResultLines, decode_lines
from engine.jobs.worker import Work, WorkFailed
from engine.models.base import Effort, Model, ModelUnreachable
from engine.models.registry import open_model
from engine.side_by_side import side_by_side


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A line of results, as far as figures are made from it; the rest of it is for people.

    ``place`` is the answer chosen, 0 to 2, or None. ``latency_ms`` is wall time, ``tokens`` read and written.
    """

    prompt: str
    response: str | None
    place: int | None
    status: Status
    latency_ms: float = 0.0
    tokens: int = 0


async def answer_questions(work: Work, params: EvaluateParams) -> Mapping[str, JsonValue]:
    """Ask and score; return the figures, in percent with 95 % intervals.

    Raises:
        WorkFailed: if the data cannot be had, the model cannot be reached, or the data is no longer that of
            an earlier attempt.
    """
    assert params.model is not None
    parts = await asyncio.to_thread(load_parts, work, params)
    questions = cases_of(parts)
    model = open_model(params.model)
    try:
        tell_of_data(work, parts)
        await tell_of_model(work, model.spec)
        made_with: dict[str, JsonValue] = {
            "guard": None,
            "model": model.spec,
            "instruction": INSTRUCTION,
            "data": hashes_of(parts),
        }
        lines = ResultLines(work.folder.path / PREDICTIONS, made_with)
        answered = {
            texts: kept
            for kept in decode_lines(lines.earlier, Answered)
            if (texts := (kept.prompt, kept.response)) in questions
        }
        lines.earlier = memoryview(b"")
        if answered:
            left = len(questions) - len(answered)
            work.log(
                f"{len(answered):,} of {len(questions):,} questions were answered before; {left:,} are left."
            )
        if len(answered) < len(questions):
            await _ask(work, model, Effort(params.level), parts, questions, answered, lines)
        lines.close()
    finally:
        await model.aclose()
    work.made(work.folder.path / PREDICTIONS, "predictions")
    (part,) = parts
    scores = score_questions(
        part.benchmark, ((item, answered[texts_of(item.case)].place) for item in part.items)
    )
    keep_scores(work, [scores.as_json()])
    return _summary(scores, answered)


async def _ask(
    work: Work,
    model: Model,
    effort: Effort,
    parts: Sequence[Part],
    questions: Mapping[Texts, DistinctCase],
    answered: dict[Texts, Answered],
    lines: ResultLines,
) -> None:
    left = left_of(questions, answered)
    report = Report(work, len(answered), len(questions), unit="questions", phase="asking")
    numbered = ((number, distinct.case) for number, distinct in enumerate(left))
    try:
        async with aclosing(side_by_side(partial(_reply, model, effort), numbered, model.slots)) as replies:
            async for number, reply in replies:
                distinct = left[number]
                kept = _answered(distinct.case, reply)
                await lines.keep(_row(distinct, parts, kept, reply))
                answered[texts_of(distinct.case)] = kept
                report.after(kept.latency_ms, _shares(distinct, kept))
    except ModelUnreachable as error:
        raise WorkFailed(
            str(error),
            kept=f"{len(answered):,} of {len(questions):,} questions are answered, and kept.",
            hint=f"{error.hint.rstrip('.')}. Then resume the job.".lstrip(". "),
            unreachable=True,
        ) from error
    report.now()


async def _reply(model: Model, effort: Effort, case: Case) -> Reply:
    return await ask(model, case.prompt, effort=effort)


def _shares(distinct: DistinctCase, kept: Answered) -> dict[str, tuple[int, int]]:
    golds = [item.gold for _, item in distinct.items if isinstance(item.gold, Choice)]
    return {
        "wrong": (sum(kept.place != gold.right for gold in golds), len(golds)),
        "unparsable": ((kept.place is None) * len(golds), len(golds)),
    }


def _answered(case: Case, reply: Reply) -> Answered:
    return Answered(
        prompt=case.prompt,
        response=case.response,
        place=reply.place,
        status=reply.status,
        latency_ms=reply.latency_ms,
        tokens=reply.usage.prompt_tokens + reply.usage.completion_tokens,
    )


def _row(distinct: DistinctCase, parts: Sequence[Part], kept: Answered, reply: Reply) -> dict[str, Any]:
    return {
        "case": distinct.case.key,
        **msgspec.to_builtins(kept),
        "items": items_told(distinct, parts),
        "output": reply.output,
        "reasoning": reply.reasoning,
        "problem": reply.problem,
    }


def _summary(scores: QuestionScores, answered: Mapping[Texts, Answered]) -> dict[str, JsonValue]:
    found = scores.figures()
    found["questions"] = len(answered)
    failed = sum(kept.status in (Status.ERROR, Status.TIMEOUT) for kept in answered.values())
    if failed:
        found["failed"] = {"value": 100 * failed / len(answered), "n": len(answered)}
    if tokens := sum(kept.tokens for kept in answered.values()):
        found["tokens"] = tokens
    return found
