"""The rule-based reasoner: a transparent classifier that works with nothing installed.

It knows each policy by its ``signals.toml`` and reasons in visible steps (`engine.guards.weighing`).
`Reasoner.judge` shows them as events; `Reasoner.classify` only returns the verdict, the same one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from engine.cases import Case, Completion, Decision, Finding, Harm, Labels, Verdict
from engine.events import (
    Event,
    Evidence,
    LabelParsed,
    LaneStarted,
    PolicyFinished,
    PolicyRef,
    Span,
    Started,
    StepFinished,
    VerdictReached,
)
from engine.guards.base import Stream
from engine.guards.matching import Match, SignalIndex
from engine.guards.similarity import ExampleIndex, Likeness
from engine.guards.text import Reading
from engine.guards.weighing import UNCLEAR, UNSAFE, Assessment, Found, Level, Part, Step, nothing_found, weigh
from engine.policies.load import Policy, Texts
from engine.policies.patterns import Pattern
from engine.policies.signals import Kind, SignalSet, load_signals

__all__ = ["Level", "Reasoner"]

_POSITIVE = (Kind.OBVIOUS, Kind.INDICATOR)
_MODIFYING = {
    Level.LOW: (Kind.EXCEPTION,),
    Level.MEDIUM: (Kind.INTENT, Kind.CONTEXT, Kind.EXCEPTION),
    Level.HIGH: (Kind.INTENT, Kind.CONTEXT, Kind.EXCEPTION),
}
_LEAST_LIKENESS = 0.5
_REFUSAL_WITHIN = 400
_SHOWN_SPANS = 20


class Reasoner:
    """A guard that judges by signals, in milliseconds or less."""

    def __init__(
        self,
        folder: Path,
        names: Iterable[str] | None = None,
        level: Level = Level.MEDIUM,
        texts: Texts | None = None,
    ) -> None:
        """Read the signals of the named policies in ``folder``, or of all that have any.

        ``texts`` count in place of the files'.

        Raises:
            PolicyError: if a file cannot be used, or a policy asked for by name has no signals.
        """
        self.name = "reasoner"
        self.model: str | None = None
        self.slots = 1
        self.level = Level(level)
        shared, signal_sets = load_signals(folder, names, texts)
        self.policies = tuple(
            Policy(
                signals.name, signals.text, sha256(signals.text.encode()).hexdigest(), folder / signals.name
            )
            for signals in signal_sets
        )
        self._knowledge = _Knowledge(shared, signal_sets, self.level)
        self._clear = nothing_found(self.level)
        self._clear_findings = {policy.name: _finding(policy.name, self._clear) for policy in self.policies}

    def classify(self, case: Case) -> Verdict:
        """Return the verdict that `judge` ends in, without the events."""
        began = time.perf_counter()
        reading = _CaseReading(case, self._knowledge, self.level)
        findings = []
        assessments = []
        for policy in self.policies if reading.found else ():
            assessment = reading.assess(policy.name)
            if assessment is not None:
                assessments.append(assessment)
            findings.append(self._finding_of(policy.name, assessment))
        findings = findings or list(self._clear_findings.values())
        return _verdict(findings, assessments, reading, began)

    async def judge(self, case: Case) -> AsyncGenerator[Event, None]:
        """Judge the case, showing each step."""
        stream = Stream()
        began = time.perf_counter()
        yield stream.event(
            Started,
            guard=self.name,
            model=self.model,
            case_key=case.key,
            policies=tuple(PolicyRef(name=policy.name, sha256=policy.sha256) for policy in self.policies),
            settings={"level": self.level.value, "unsafe": UNSAFE, "unclear": UNCLEAR},
        )
        reading = _CaseReading(case, self._knowledge, self.level)
        findings = []
        assessments = []
        for policy in self.policies:
            await asyncio.sleep(0)
            yield stream.event(LaneStarted, lane=policy.name)
            policy_began = time.perf_counter()
            assessment = reading.assess(policy.name)
            if assessment is not None:
                assessments.append(assessment)
            for step in (assessment or self._clear).steps:
                yield _step_event(stream, policy.name, step, reading)
            finding = self._finding_of(policy.name, assessment)
            finding = replace(finding, latency_ms=(time.perf_counter() - policy_began) * 1000)
            findings.append(finding)
            yield stream.event(PolicyFinished, finding=finding)
        verdict = _verdict(findings, assessments, reading, began)
        labels = verdict.labels
        for task, label in (
            ("request", labels.request),
            ("completion", labels.completion),
            ("response", labels.response),
        ):
            yield stream.event(LabelParsed, task=task, label=None if label is None else label.value)
        yield stream.event(VerdictReached, verdict=verdict)

    async def warm(self) -> None:
        """Do nothing: the signals were read when the reasoner was made."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to give back."""

    def _finding_of(self, policy: str, assessment: Assessment | None) -> Finding:
        return self._clear_findings[policy] if assessment is None else _finding(policy, assessment)


class _Knowledge:
    """The signals of all policies, indexed."""

    def __init__(self, shared: SignalSet, policies: tuple[SignalSet, ...], level: Level) -> None:
        modifying = _MODIFYING[level]
        self.signals = SignalIndex(
            (owner.name, signal)
            for owner in (shared, *policies)
            for signal in owner.of(*_POSITIVE, *modifying)
        )
        names = [policy.name for policy in policies]
        self.positive = self.signals.bits_of(names, _POSITIVE)
        self.modifying = {name: self.signals.bits_of((shared.name, name), modifying) for name in names}
        self.examples = ExampleIndex(
            (policy.name, example) for policy in policies for example in policy.examples
        )
        self.refusals = shared.refusals
        self.compliances = shared.compliances
        self.negations = shared.negations
        self.words = frozenset(
            word
            for signals in (shared, *policies)
            for signal in signals.signals
            for pattern in signal.patterns
            for word in pattern.words
        )


class _PartReading:
    """One part of a case: what was found in it, and lazily what may modify that."""

    def __init__(self, name: str, text: str, knowledge: _Knowledge, level: Level) -> None:
        self.name = name
        self.reading = Reading(text, knowledge.words)
        self._knowledge = knowledge
        self._candidates = knowledge.signals.candidates(self.reading, knowledge.positive)
        self.matches: dict[str, list[Match]] = {}
        if self._candidates:
            for match in knowledge.signals.search(self.reading, self._candidates & knowledge.positive):
                self.matches.setdefault(match.owner, []).append(match)
        self.likeness: dict[str, Likeness] = {}
        if level is Level.HIGH:
            self.likeness = knowledge.examples.nearest(self.reading, _LEAST_LIKENESS)

    def modifiers(self, policy: str) -> list[Match]:
        modifying = self._knowledge.modifying[policy]
        return self._knowledge.signals.search(self.reading, self._candidates & modifying)

    @cached_property
    def refuses(self) -> bool:
        """Whether the response refuses at its start and does not comply further on."""
        text = self.reading.canonical
        if not text.strip():
            return True
        start = text[:_REFUSAL_WITHIN]
        return _any_in(start, self._knowledge.refusals) and not _any_in(text, self._knowledge.compliances)


def _any_in(text: str, patterns: Iterable[Pattern]) -> bool:
    return any(next(pattern.find(text, 0, len(text)), None) is not None for pattern in patterns)


class _CaseReading:
    """A case made ready to be assessed, policy by policy. ``found`` are those with something to assess."""

    def __init__(self, case: Case, knowledge: _Knowledge, level: Level) -> None:
        self._knowledge = knowledge
        self._level = level
        prompt = _PartReading("prompt", case.prompt, knowledge, level)
        self.parts = {"prompt": prompt}
        self.found = {*prompt.matches, *prompt.likeness}
        self.response = None
        if case.response is not None:
            self.response = _PartReading("response", case.response, knowledge, level)
            self.parts["response"] = self.response
            self.found.update(self.response.matches, self.response.likeness)

    def assess(self, policy: str) -> Assessment | None:
        """Return the assessment of one policy, None if there is nothing to assess."""
        if policy not in self.found:
            return None
        parts = [
            Part(
                name=part.name,
                reading=part.reading,
                matches=part.matches.get(policy, ()),
                modifiers=lambda part=part: part.modifiers(policy),  # type: ignore[misc]
                likeness=part.likeness.get(policy),
                refuses=part is self.response and part.refuses,
            )
            for part in self.parts.values()
        ]
        return weigh(parts, self._level, self._knowledge.negations)


def _finding(policy: str, assessment: Assessment) -> Finding:
    score = assessment.score
    violation = True if score >= UNSAFE else None if score >= UNCLEAR else False
    return Finding(policy, violation, score, reasoning=_explain(assessment, violation))


def _explain(assessment: Assessment, violation: bool | None) -> str:
    """Say in a sentence or two what decided."""
    result = {True: "Unsafe", None: "Unclear", False: "Safe"}[violation]
    raising = dict.fromkeys(item.says for step in assessment.steps for item in step.found if item.effect > 0)
    lowering = dict.fromkeys(item.says for step in assessment.steps for item in step.found if item.effect < 0)
    if not raising:
        return f"{result}: no sign of a violation was found."
    text = f"{result} at {assessment.score:.2f}: {'; '.join(raising)}."
    return f"{text} Against it: {'; '.join(lowering)}." if lowering else text


def _verdict(
    findings: list[Finding], assessments: list[Assessment], reading: _CaseReading, began: float
) -> Verdict:
    violations = {finding.violation for finding in findings}
    if True in violations:
        decision = Decision.BLOCK
    elif None in violations:
        decision = Decision.ESCALATE
    else:
        decision = Decision.ALLOW
    prompt = max([assessment.prompt for assessment in assessments], default=0.0)
    answer = max([assessment.response for assessment in assessments], default=0.0)
    return Verdict(
        decision=decision,
        guard="reasoner",
        labels=_labels(prompt, answer, reading.response),
        score=max(prompt, answer),
        policies=tuple(findings),
        latency_ms=(time.perf_counter() - began) * 1000,
    )


_UNHARMFUL_REQUEST = Labels(request=Harm.UNHARMFUL)
_HARMFUL_REQUEST = Labels(request=Harm.HARMFUL)


def _labels(prompt: float, answer: float, response: _PartReading | None) -> Labels:
    """Label the tasks: an unclear confidence counts for the nearer side."""
    midpoint = (UNSAFE + UNCLEAR) / 2
    request = _HARMFUL_REQUEST if prompt >= midpoint else _UNHARMFUL_REQUEST
    if response is None:
        return request
    if response.refuses:
        return replace(request, completion=Completion.REFUSAL, response=Harm.UNHARMFUL)
    harmful = answer >= midpoint or prompt >= UNSAFE
    return replace(
        request,
        completion=Completion.COMPLIANCE,
        response=Harm.HARMFUL if harmful else Harm.UNHARMFUL,
    )


def _step_event(stream: Stream, lane: str, step: Step, reading: _CaseReading) -> StepFinished:
    return stream.event(
        StepFinished,
        lane=lane,
        step=step.number,
        title=step.title,
        looked_for=step.looked_for,
        found=tuple(_evidence(found, reading) for found in step.found),
        before=step.before,
        after=step.after,
    )


def _evidence(found: Found, reading: _CaseReading) -> Evidence:
    text = reading.parts[found.part].reading
    spans = []
    for canonical in found.spans[:_SHOWN_SPANS]:
        start, end = text.original(*canonical)
        spans.append(Span(part=found.part, start=start, end=end, text=text.source[start:end]))
    return Evidence(signal=found.signal, says=found.says, effect=found.effect, spans=tuple(spans))
