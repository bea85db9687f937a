"""The reasoning itself: from what was found for one policy to a confidence, in visible steps.

1 obvious violations, 2 indicators, 3 context and intent, 4 exceptions, 5 similarity to known examples.

Evidence for a violation is combined as independent causes are: c = 1 - (1 - w1)(1 - w2)... A context
lowers the weight of the evidence that it can excuse, an exception removes the matches that it explains,
or lowers the whole. The confidence of a case is that of its worse part, prompt or response.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from engine.guards.matching import CanonicalSpan, Match
from engine.guards.similarity import Likeness
from engine.guards.text import Reading
from engine.policies.signals import Kind, Signal

UNSAFE = 0.7
UNCLEAR = 0.4

_QUOTED = re.compile(r"[\"\u201c\u201d\u00ab\u00bb\u201e\u300c\u300d]")
_QUOTE_DISCOUNT = 0.3
_WORDS_AFTER_NEGATION = 3
_LIKE_VIOLATION = 0.75
_LIKE_SAFE = 0.8


class Level(StrEnum):
    """How much the reasoner looks at."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing a step found. ``spans`` are canonical offsets in the part of that name."""

    signal: str
    says: str
    effect: float
    part: str
    spans: tuple[CanonicalSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how it moved the confidence."""

    number: int
    title: str
    looked_for: str
    found: tuple[Found, ...] = ()
    before: float = 0.0
    after: float = 0.0


@dataclass(slots=True)
class Part:
    """One part of a case (prompt or response) and what was found in it for one policy.

    ``modifiers`` looks for intents, contexts and exceptions; it is called when there is something to modify.
    """

    name: str
    reading: Reading
    matches: Sequence[Match]
    modifiers: Callable[[], Sequence[Match]]
    likeness: Likeness | None = None
    refuses: bool = False


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the reasoning came to. ``prompt`` and ``response`` are the confidences of the parts."""

    steps: tuple[Step, ...]
    prompt: float
    response: float

    @property
    def score(self) -> float:
        return max(self.prompt, self.response)


@dataclass(slots=True)
class _Evidence:
    signal: Signal
    spans: tuple[CanonicalSpan, ...]
    factor: float = 1.0


@dataclass(slots=True)
class _State:
    """What counts in one part at some point of the reasoning."""

    part: Part
    modifiers: Sequence[Match] | None = None
    evidence: list[_Evidence] = field(default_factory=list)
    raised: list[float] = field(default_factory=list)
    lowered: float = 1.0
    likeness: float = 0.0

    def confidence(self) -> float:
        firm, yielding = 1.0, 1.0
        for item in self.evidence:
            doubt = 1 - item.signal.weight * item.factor if item.spans else 1.0
            if item.signal.firm:
                firm *= doubt
            else:
                yielding *= doubt
        if firm * yielding < 1.0:
            yielding *= math.prod(1 - weight for weight in self.raised)
        yielding = 1 - (1 - yielding * (1 - self.likeness)) * self.lowered
        return round(1 - firm * yielding, 4)


TITLES = {
    1: ("Obvious violations", "phrases that violate the policy by themselves"),
    2: ("Indicators", "phrases that point to a violation"),
    3: (
        "Context and intent",
        "intents that make it worse; education, reporting, fiction, quotation that excuse it",
    ),
    4: ("Exceptions", "idioms, negation, prevention and other harmless readings"),
    5: ("Similarity", "known examples that the text is like"),
}


def steps_of(level: Level) -> tuple[int, ...]:
    """Return the numbers of the steps taken at a level."""
    return {Level.LOW: (1, 2, 4), Level.MEDIUM: (1, 2, 3, 4), Level.HIGH: (1, 2, 3, 4, 5)}[level]


def nothing_found(level: Level) -> Assessment:
    """Return the assessment of a case in which nothing was found."""
    return Assessment(tuple(Step(number, *TITLES[number]) for number in steps_of(level)), 0.0, 0.0)


def weigh(parts: Sequence[Part], level: Level, negations: frozenset[str]) -> Assessment:
    """Reason about one policy."""
    states = [_State(part) for part in parts]
    steps = []
    before = 0.0
    confidences = {}
    for number in steps_of(level):
        found: list[Found] = []
        for state in states:
            if number == 1:
                found += _count(state, Kind.OBVIOUS)
            elif number == 2:
                found += _count(state, Kind.INDICATOR)
            elif number == 3:
                found += _consider_context(state)
            elif number == 4:
                found += _except(state, negations)
            else:
                found += _compare(state)
        confidences = {state.part.name: state.confidence() for state in states}
        after = max(confidences.values())
        steps.append(Step(number, *TITLES[number], tuple(found), before, after))
        before = after
    return Assessment(tuple(steps), confidences.get("prompt", 0.0), confidences.get("response", 0.0))


def _count(state: _State, kind: Kind) -> list[Found]:
    matches = [match for match in state.part.matches if match.signal.kind is kind]
    state.evidence += [_Evidence(match.signal, match.spans) for match in matches]
    return [_found(match, match.signal.weight, state) for match in matches]


def _consider_context(state: _State) -> list[Found]:
    if not state.evidence:
        return []
    found = []
    for match in _modifiers(state, Kind.INTENT):
        state.raised.append(match.signal.weight)
        found.append(_found(match, match.signal.weight, state))
    excusable = [item for item in state.evidence if item.signal.excusable]
    if not excusable:
        return found
    for match in _modifiers(state, Kind.CONTEXT):
        for item in excusable:
            item.factor *= 1 - match.signal.weight
        found.append(_found(match, -match.signal.weight, state))
    quoted = [item for item in excusable if all(_in_quotes(state.part.reading, span) for span in item.spans)]
    for item in quoted:
        item.factor *= 1 - _QUOTE_DISCOUNT
        found.append(Found("quotation", "it is quoted", -_QUOTE_DISCOUNT, state.part.name, item.spans))
    return found


def _except(state: _State, negations: frozenset[str]) -> list[Found]:
    if not state.evidence:
        return []
    if state.part.refuses:
        for item in state.evidence:
            item.spans = ()
        return [Found("refusal", "the response refuses", -1.0, state.part.name)]
    found = []
    for match in _modifiers(state, Kind.EXCEPTION):
        if match.signal.whole:
            state.lowered *= 1 - match.signal.weight
            found.append(_found(match, -match.signal.weight, state))
        elif sum(_remove_overlapped(item, match.spans) for item in state.evidence):
            found.append(_found(match, -1.0, state))
    canonical = state.part.reading.canonical
    for item in state.evidence:
        if item.signal.negatable:
            negated = tuple(span for span in item.spans if _is_negated(canonical, span[0], negations))
            if negated:
                item.spans = tuple(span for span in item.spans if span not in negated)
                found.append(Found("negation", "it is negated", -1.0, state.part.name, negated))
    return found


def _compare(state: _State) -> list[Found]:
    likeness = state.part.likeness
    if likeness is None:
        return []
    if likeness.example.violation:
        effect = round(_LIKE_VIOLATION * likeness.value, 4)
        state.likeness = effect
        says = f"is like a known violation ({likeness.value:.0%})"
    else:
        effect = -round(_LIKE_SAFE * likeness.value, 4)
        state.lowered *= 1 + effect
        says = f"is like a known harmless text ({likeness.value:.0%})"
    return [Found("similarity", says, effect, state.part.name)]


def _modifiers(state: _State, kind: Kind) -> list[Match]:
    if state.modifiers is None:
        state.modifiers = state.part.modifiers()
    return [match for match in state.modifiers if match.signal.kind is kind]


def _found(match: Match, effect: float, state: _State) -> Found:
    return Found(match.signal.name, match.signal.says, effect, state.part.name, match.spans)


def _remove_overlapped(item: _Evidence, covers: tuple[CanonicalSpan, ...]) -> bool:
    if item.signal.firm:
        return False
    left = tuple(
        span for span in item.spans if not any(start < span[1] and span[0] < end for start, end in covers)
    )
    removed = len(left) < len(item.spans)
    item.spans = left
    return removed


def _is_negated(canonical: str, start: int, negations: frozenset[str]) -> bool:
    """Return whether one of the last words before ``start``, in the same sentence, is a negation."""
    before = canonical[max(0, start - 60) : start].split(" ")[-_WORDS_AFTER_NEGATION - 1 :]
    for word in reversed(before):
        if word and not word[0].isalnum():
            return False
        if word in negations:
            return True
    return False


def _in_quotes(reading: Reading, span: CanonicalSpan) -> bool:
    start, end = reading.original(*span)
    text = reading.source
    line = max(text.rfind("\n", 0, start), start - 400)
    opened = len(_QUOTED.findall(text, max(line, 0), start))
    return opened % 2 == 1 and _QUOTED.search(text, end, min(len(text), end + 400)) is not None
