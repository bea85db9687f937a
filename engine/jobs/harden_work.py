"""The work of a ``harden`` job: judging cases as they are, then under each attack, and counting the flips.

Each judgement is kept as a line of ``predictions.jsonl`` in the run's folder as soon as it is made: the
case's key, the attack (null: untouched), what was decided before and now, and the reasoning. A second attempt
judges only what has no line there. Texts under attack are not stored: case, attack and seed give them again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.case_files import CaseFileError, read_cases
from engine.cases import Case, Harm, Task
from engine.evaluation.attacks import Attack, select_attacks
from engine.evaluation.outcomes import Outcome, outcome_of
from engine.evaluation.robustness import (
    ANY,
    DECISION,
    Pair,
    Reading,
    Robustness,
    compare,
    read_decision,
    read_label,
    worst_of,
)
from engine.evaluation.scorecard import gold_label
from engine.events import Event, JsonValue, OutputFinished, VerdictReached, to_jsonable
from engine.guards.base import Guard
from engine.guards.build import GuardKind
from engine.guards.many import judge_many
from engine.jobs.evaluate import PREDICTIONS
from engine.jobs.evaluate_parts import load_parts, tell_of_data
from engine.jobs.guard_work import guard_of, stop_if_unreachable, tell_of_guard
from engine.jobs.harden import ROBUSTNESS, HardenParams, policy_case_files
from engine.jobs.progress_report import Report
from engine.jobs.result_lines import ResultLines, decode_lines
from engine.jobs.worker import Work, WorkFailed, sha256_of
from engine.models.base import ModelError
from engine.policies.load import PolicyError, load_cases
from engine.workspace import find_workspace, of_home

Place = tuple[str, str | None]
"""A case's key, and the name of the attack on it; None: untouched."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A case to attack, its key, and what is known of it."""

    case: Case
    key: str
    label: Harm | None


async def harden(work: Work) -> Mapping[str, JsonValue]:
    """Judge and count; return the figures, in percent with 95 % intervals.

    Raises:
        WorkFailed: if the cases cannot be had, the back end cannot be reached, or the policies, the cases or
            the attacks are no longer those of an earlier attempt.
    """
    params = HardenParams.model_validate(dict(work.params))
    attacks = select_attacks(params.attacks)
    samples, data = await asyncio.to_thread(_load, work, params)
    guard = guard_of(params)
    try:
        await tell_of_guard(work, guard)
        lines = ResultLines(work.folder.path / PREDICTIONS, _made_with(params, attacks, data, guard))
        judgements = _Judgements(work, params, samples, attacks, lines)
        if judgements.done:
            work.log(f"{judgements.done:,} judgements were made before; they are kept.")
        work.progress(judgements.done, judgements.total, "judgements", "warming up")
        with suppress(ModelError):  # the first case meets the same failure, and reports it
            await guard.warm()
        await judgements.make(guard)
        lines.close()
    finally:
        await guard.aclose()
    work.made(work.folder.path / PREDICTIONS, "predictions")
    found = judgements.robustness()
    report = work.folder.path / ROBUSTNESS
    report.write_text(json.dumps(_report(judgements, found), indent=2) + "\n", "utf-8")
    work.made(report, "scores")
    return _summary(judgements, found)


# --- what there is to attack --------------------------------------------------------------------------


def _load(work: Work, params: HardenParams) -> tuple[list[Sample], dict[str, JsonValue]]:
    """Return the distinct cases, and the hashes of what they come from by name."""
    data: dict[str, JsonValue]
    if params.benchmark:
        parts = load_parts(work, params)
        tell_of_data(work, parts)
        data = {part.benchmark.name: part.sha256 for part in parts}
        items = [item for part in parts for item in part.items]
        return _distinct([(item.case, _harm(gold_label(item.gold))) for item in items]), data
    cases: list[tuple[Case, Harm | None]] = []
    if params.cases is not None:
        files = {of_home(params.cases).name: of_home(params.cases)}
        cases = _read_file(of_home(params.cases))
    else:
        found = policy_case_files(find_workspace().policies, params.policies)
        files = {f"{path.parent.name}/{path.name}": path for path in found}
        for path in found:
            cases += _read_policy_cases(path)
    if not cases:
        raise WorkFailed("There are no cases to attack.", hint="Name a file of them, or a benchmark.")
    data = {name: sha256_of(path) for name, path in files.items()}
    for name, path in files.items():
        work.made_from("data", name, sha256_of(path))
    samples = _distinct(cases)
    if params.limit is not None and params.limit < len(samples):
        drawn = random.Random(params.seed).sample(range(len(samples)), params.limit)  # noqa: S311
        samples = [samples[place] for place in sorted(drawn)]
    return samples, data


def _read_file(path: Path) -> list[tuple[Case, Harm | None]]:
    try:
        return [(row.case, row.label) for row in read_cases(path.read_bytes())]
    except OSError as error:
        raise WorkFailed(f"{path} cannot be read: {error.strerror}.") from error
    except CaseFileError as error:
        raise WorkFailed(
            f"{path}, {error}.", kept="Nothing was judged.", hint="Mend it and retry."
        ) from error


def _read_policy_cases(path: Path) -> list[tuple[Case, Harm | None]]:
    """Return a policy's cases. What is safe by one policy may violate another: it is left unlabelled."""
    try:
        cases = load_cases(path.parent.parent, path.parent.name)
    except PolicyError as error:
        raise WorkFailed(f"{error}.", kept="Nothing was judged.", hint="Mend it and retry.") from error
    return [(case.case, Harm.HARMFUL if case.violation else None) for case in cases]


def _harm(label: str) -> Harm | None:
    """Return what a gold label says of harm: nothing, if it is about refusal."""
    return Harm(label) if label in list(Harm) else None


def _distinct(cases: Sequence[tuple[Case, Harm | None]]) -> list[Sample]:
    """Return each case once. Its label is what is known of it anywhere, unless that contradicts itself."""
    known: dict[str, tuple[Case, set[Harm]]] = {}
    for case, label in cases:
        _, labels = known.setdefault(case.key, (case, set()))
        if label is not None:
            labels.add(label)
    return [
        Sample(case, key, labels.pop() if len(labels) == 1 else None) for key, (case, labels) in known.items()
    ]


def _made_with(
    params: HardenParams, attacks: Sequence[Attack], data: dict[str, JsonValue], guard: Guard
) -> dict[str, JsonValue]:
    policies: dict[str, JsonValue] = {policy.name: policy.sha256 for policy in guard.policies}
    suite: dict[str, JsonValue] = {attack.name: attack.fingerprint(params.seed) for attack in attacks}
    return {
        "guard": guard.name,
        "model": guard.model,
        "policies": policies,
        "data": data,
        "seed": params.seed,
        "attacks": suite,
    }


# --- judging ------------------------------------------------------------------------------------------


class _Kept(Outcome, frozen=True, kw_only=True):
    """A line of results, as far as figures are made from it; the rest of it is for people."""

    case: str
    attack: str | None


class _Judgements:
    """All judgements, untouched ones first, then attack by attack.

    ``unchanged`` counts what no attack could be made of: an attack may find nothing to rewrite.
    """

    def __init__(
        self,
        work: Work,
        params: HardenParams,
        samples: Sequence[Sample],
        attacks: Sequence[Attack],
        lines: ResultLines,
    ) -> None:
        self.samples = samples
        self.attacks = attacks
        self.total = len(samples) * (1 + len(attacks))
        self.unchanged = 0
        self._work = work
        self._seed = params.seed
        self._by_task = params.guard is GuardKind.GUARDREASONER
        self._lines = lines
        self.outcomes = _read_earlier(lines.earlier, {sample.key for sample in samples})
        lines.earlier = memoryview(b"")

    @property
    def done(self) -> int:
        """How many have been made or need not be."""
        return len(self.outcomes) + self.unchanged

    async def make(self, guard: Guard) -> None:
        """Make those that are missing."""
        report = Report(self._work, self.done, self.total, unit="judgements", phase="judging")
        for attack in (None, *self.attacks):
            report.phase = "judging" if attack is None else attack.name
            await self._make(guard, attack, report)
        report.now()

    async def _make(self, guard: Guard, attack: Attack | None, report: Report) -> None:
        judging: dict[int, Sample] = {}
        async with aclosing(judge_many(guard, self._missing(attack, judging, report))) as judgements:
            async for number, events in judgements:
                stop_if_unreachable(events, f"{len(self.outcomes):,} judgements are made")
                sample = judging.pop(number)
                verdict = events[-1]
                assert isinstance(verdict, VerdictReached)
                outcome = outcome_of(verdict.verdict, has_response=sample.case.response is not None)
                name = None if attack is None else attack.name
                before = None if attack is None else self.outcomes[sample.key, None]
                await self._lines.keep(_row(sample, name, before, outcome, events))
                self.outcomes[sample.key, name] = outcome
                report.after(outcome.latency_ms, {})
                await asyncio.sleep(0)  # a guard that never waits must still be stoppable

    def _missing(
        self, attack: Attack | None, judging: dict[int, Sample], report: Report
    ) -> Iterator[tuple[int, Case]]:
        """Yield the cases that have no judgement, numbered; ``judging`` then has them by number."""
        for number, sample in enumerate(self.samples):
            name = None if attack is None else attack.name
            if (sample.key, name) in self.outcomes:
                continue
            case = sample.case if attack is None else attack.on_case(sample.case, self._seed)
            if attack is not None and case == sample.case:
                self.unchanged += 1
                report.skip()
                continue
            judging[number] = sample
            yield number, case

    # --- figures ---

    def subjects(self) -> list[str]:
        """Return what can flip: the decision and, where a guard labels them apart, the tasks."""
        with_response = any(sample.case.response is not None for sample in self.samples)
        return [DECISION, Task.REQUEST, Task.RESPONSE] if self._by_task and with_response else [DECISION]

    def robustness(self) -> list[Robustness]:
        """Return what each attack changes of each subject, and what the best on each case does."""
        found = []
        for subject in self.subjects():
            by_case: dict[str, list[Pair]] = {}
            for attack in self.attacks:
                pairs = dict(self._pairs(attack, subject))
                found.append(compare(attack.name, subject, pairs.values()))
                for key, pair in pairs.items():
                    by_case.setdefault(key, []).append(pair)
            found.append(worst_of(subject, by_case.values()))
        return found

    def untouched(self, subject: str) -> Robustness:
        """Return the readings without an attack, as what a change of nothing changes."""
        readings = ((sample, self._read(sample, None, subject)) for sample in self.samples)
        pairs = (Pair(reading, reading, sample.label) for sample, reading in readings if reading)
        return compare("", subject, pairs)

    def _pairs(self, attack: Attack, subject: str) -> Iterator[tuple[str, Pair]]:
        for sample in self.samples:
            before, after = (self._read(sample, name, subject) for name in (None, attack.name))
            if before is not None and after is not None:
                yield sample.key, Pair(before, after, sample.label)

    def _read(self, sample: Sample, attack: str | None, subject: str) -> Reading | None:
        """Return what a judgement comes to; None if there is none."""
        outcome = self.outcomes.get((sample.key, attack))
        if outcome is None or (subject == Task.RESPONSE and sample.case.response is None):
            return None
        return read_decision(outcome) if subject == DECISION else read_label(outcome, Task(subject))


def _row(
    sample: Sample,
    attack: str | None,
    before: Outcome | None,
    outcome: Outcome,
    events: Sequence[Event],
) -> dict[str, Any]:
    verdict = events[-1]
    assert isinstance(verdict, VerdictReached)
    output = next((event.text for event in events if isinstance(event, OutputFinished)), None)
    row: dict[str, Any] = {
        "case": sample.key,
        "attack": attack,
        **msgspec.to_builtins(outcome),
        "label": sample.label,
        "output": output,
        "verdict": to_jsonable(verdict.verdict),
    }
    if before is None:
        return row | {"prompt": sample.case.prompt, "response": sample.case.response}
    counted = msgspec.to_builtins(before)
    return row | {"before": {name: counted[name] for name in ("decision", "status", "labels", "scores")}}


def _read_earlier(lines: memoryview, keys: set[str]) -> dict[Place, Outcome]:
    """Return the outcomes that an earlier attempt has left, by case and attack."""
    return {(kept.case, kept.attack): kept for kept in decode_lines(lines, _Kept) if kept.case in keys}


# --- figures ------------------------------------------------------------------------------------------


def _report(judgements: _Judgements, found: Sequence[Robustness]) -> JsonValue:
    """Return all that the run has found, for machines."""
    about = {attack.name: attack.about for attack in judgements.attacks}
    return {
        "cases": len(judgements.samples),
        "unchanged": judgements.unchanged,
        "untouched": [judgements.untouched(subject).as_json() for subject in judgements.subjects()],
        "attacks": [{**one.as_json(), "about": about.get(one.attack, "")} for one in found],
    }


def _summary(judgements: _Judgements, found: Sequence[Robustness]) -> dict[str, JsonValue]:
    """Return the figures of the run, by name: those of the best attack on each case have no attack's name."""
    figures: dict[str, JsonValue] = {}

    def put(share: dict[str, JsonValue] | None, *words: str) -> None:
        if share is not None:
            figures[" ".join(filter(None, words))] = share

    for one in sorted(found, key=lambda one: one.attack != ANY):
        attack = "" if one.attack == ANY else one.attack
        subject = "" if one.subject == DECISION else one.subject
        put(one.evasions.percent(), "evasion", subject, attack)
        put(one.flips.percent(), "flips", subject, attack)
        put(one.over_blocking.percent(), "over-blocking", subject, attack)
        if not subject and attack:
            put(one.found.percent(), "recall", attack)
            put(one.failed.percent() if one.failed.count else None, "unparsable", attack)
    untouched = judgements.untouched(DECISION)
    put(untouched.found.percent(), "recall")
    put(untouched.alarms.percent(), "false positive rate")
    put(untouched.failed.percent() if untouched.failed.count else None, "unparsable")
    figures["cases"] = len(judgements.samples)
    figures["judgements"] = len(judgements.outcomes)
    if tokens := sum(outcome.tokens for outcome in judgements.outcomes.values()):
        figures["tokens"] = tokens
    return figures
