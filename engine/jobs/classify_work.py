"""The work of a ``classify`` job: judging case after case, keeping every verdict as it is reached.

Verdicts are lines of ``predictions.jsonl`` in the run's folder. A second attempt judges only the cases
that have none there. A case that could not be put to the guard, because its back end cannot be reached,
has no verdict: it ends the job, and is judged when the job is resumed.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from engine.case_files import CaseFileError, LabelledCase, read_cases
from engine.cases import Decision, Harm, Status, Verdict
from engine.evaluation.intervals import f1_interval, wilson
from engine.events import (
    EventDecodeError,
    JsonValue,
    VerdictReached,
    from_jsonable,
    to_jsonable,
)
from engine.guards.base import Guard
from engine.guards.many import judge_many
from engine.jobs.classify import PREDICTIONS, ClassifyParams
from engine.jobs.guard_work import guard_of, stop_if_unreachable, tell_of_guard
from engine.jobs.progress_report import Report
from engine.jobs.result_lines import ResultLines
from engine.jobs.worker import Work, WorkFailed, sha256_of
from engine.models.base import ModelError
from engine.workspace import of_home


async def classify(work: Work) -> Mapping[str, JsonValue]:
    """Judge the cases of the job's file; return what was found, in percent with 95 % intervals.

    Raises:
        WorkFailed: if the file cannot be read, the back end cannot be reached, or the policies are no
            longer those of an earlier attempt.
    """
    params = ClassifyParams.model_validate(dict(work.params))
    file = of_home(params.file)
    cases = _read(file)[: params.limit]
    guard = guard_of(params)
    try:
        work.made_from("data", str(file), await asyncio.to_thread(sha256_of, file))
        await tell_of_guard(work, guard)
        predictions = ResultLines(work.folder.path / PREDICTIONS, _made_with(guard))
        known = _read_earlier(predictions.earlier)
        tally = Tally(len(cases))
        left = []
        for index, labelled in enumerate(cases):
            verdict = known.get((index, labelled.case.key))
            if verdict is None:
                left.append((index, labelled))
            else:
                tally.add(labelled, verdict)
        if tally.done:
            work.log(f"{tally.done:,} of {len(cases):,} cases were judged before; {len(left):,} are left.")
        work.progress(tally.done, len(cases), "cases", "warming up")
        with suppress(ModelError):  # the first case meets the same failure, and reports it
            await guard.warm()
        await _judge(work, guard, left, predictions, tally)
        predictions.close()
    finally:
        await guard.aclose()
    work.made(work.folder.path / PREDICTIONS, "predictions")
    return tally.summary()


def _read(file: Path) -> list[LabelledCase]:
    try:
        cases = read_cases(file.read_bytes())
    except OSError as error:
        raise WorkFailed(
            f"{file} cannot be read: {error.strerror}.", hint="Put it back and retry."
        ) from error
    except CaseFileError as error:
        raise WorkFailed(
            f"{file}, {error}.", kept="Nothing was judged.", hint="Mend it and retry."
        ) from error
    if not cases:
        raise WorkFailed(f"{file} holds no cases.")
    return cases


def _made_with(guard: Guard) -> dict[str, JsonValue]:
    policies: dict[str, JsonValue] = {policy.name: policy.sha256 for policy in guard.policies}
    return {"guard": guard.name, "model": guard.model, "policies": policies}


async def _judge(
    work: Work,
    guard: Guard,
    left: Sequence[tuple[int, LabelledCase]],
    predictions: ResultLines,
    tally: Tally,
) -> None:
    report = Report(work, tally.done, tally.total, unit="cases", phase="judging")
    numbered = ((number, labelled.case) for number, (_, labelled) in enumerate(left))
    async with aclosing(judge_many(guard, numbered)) as judged:
        async for number, events in judged:
            stop_if_unreachable(events, f"{tally.done:,} of {tally.total:,} cases are judged")
            index, labelled = left[number]
            last = events[-1]
            assert isinstance(last, VerdictReached)
            await predictions.keep(_row(index, labelled, last.verdict))
            tally.add(labelled, last.verdict)
            report.after(last.verdict.latency_ms, _shares(last.verdict.decision))
            await asyncio.sleep(0)  # a guard that never waits must still be stoppable
    report.now()


def _shares(decision: Decision) -> dict[str, tuple[int, int]]:
    return {
        "blocked": (decision is Decision.BLOCK, 1),
        "escalated": (decision is Decision.ESCALATE, 1),
    }


class Tally:
    """Counts of what was decided, and how that fits the labels, where there are any."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._decisions: Counter[Decision] = Counter()
        self._statuses: Counter[Status] = Counter()
        self._by_label: Counter[tuple[Harm, bool]] = Counter()
        self._tokens = 0

    def add(self, labelled: LabelledCase, verdict: Verdict) -> None:
        self.done += 1
        self._decisions[verdict.decision] += 1
        self._statuses[verdict.status] += 1
        self._tokens += verdict.usage.prompt_tokens + verdict.usage.completion_tokens
        if labelled.label is not None:
            self._by_label[labelled.label, verdict.decision is Decision.BLOCK] += 1

    def summary(self) -> dict[str, JsonValue]:
        """Return the figures: in percent, with n and the ends of their 95 % interval.

        Where cases have labels, blocked counts as found harmful, and escalated as not found.
        """
        figures: dict[str, JsonValue] = {
            {Decision.BLOCK: "blocked", Decision.ESCALATE: "escalated", Decision.ALLOW: "allowed"}[
                decision
            ]: _percent(self._decisions[decision], self.done)
            for decision in Decision
        }
        figures["cases"] = self.done
        if self._tokens:
            figures["tokens"] = self._tokens
        for status in (Status.UNPARSABLE, Status.TRUNCATED, Status.TIMEOUT, Status.ERROR):
            if self._statuses[status]:
                figures[status.value] = _percent(self._statuses[status], self.done)
        return figures | self._quality()

    def _quality(self) -> dict[str, JsonValue]:
        tp, fn = self._by_label[Harm.HARMFUL, True], self._by_label[Harm.HARMFUL, False]
        fp, tn = self._by_label[Harm.UNHARMFUL, True], self._by_label[Harm.UNHARMFUL, False]
        found: dict[str, JsonValue] = {}
        if tp + fn:
            found["recall"] = _percent(tp, tp + fn)
        if fp + tn:
            found["false positive rate"] = _percent(fp, fp + tn)
        if tp + fn and fp + tn:  # of one class alone, neither means anything
            if tp + fp:
                found["precision"] = _percent(tp, tp + fp)
            low, high = f1_interval(tp, fp, fn)
            f1 = 200 * tp / (2 * tp + fp + fn)
            found["f1"] = {"value": f1, "n": tp + fn + fp + tn, "low": 100 * low, "high": 100 * high}
        return found


def _percent(count: int, n: int) -> JsonValue:
    low, high = wilson(count, n)
    return {"value": 100 * count / n, "n": n, "low": 100 * low, "high": 100 * high}


def _read_earlier(lines: memoryview) -> dict[tuple[int, str], Verdict]:
    """Return the verdicts of an earlier attempt, by the place and the key of their case."""
    known: dict[tuple[int, str], Verdict] = {}
    for line in bytes(lines).split(b"\n"):
        with suppress(ValueError, KeyError, TypeError, EventDecodeError):
            row: Any = json.loads(line)
            known[row["index"], row["case_key"]] = from_jsonable(Verdict, row["verdict"])
    return known


def _row(index: int, labelled: LabelledCase, verdict: Verdict) -> dict[str, Any]:
    return {
        "index": index,
        "case_key": labelled.case.key,
        "label": labelled.label,
        "verdict": to_jsonable(verdict),
    }
