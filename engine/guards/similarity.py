"""How like a text is to known examples: the weighted share of words that they have in common."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from engine.guards.text import Reading
from engine.policies.signals import Example


@dataclass(frozen=True, slots=True)
class Likeness:
    """The most similar example of one owner. ``value`` is in [0, 1]: 1 for the very same words."""

    owner: str
    example: Example
    value: float


class ExampleIndex:
    """The examples of many owners (policies), found by the words they are made of.

    The likeness is a Jaccard coefficient in which each word counts by how rare it is among the examples.
    """

    def __init__(self, examples: Iterable[tuple[str, Example]]) -> None:
        self._examples = tuple(examples)
        bags = [frozenset(_bag(Reading(example.text))) for _, example in self._examples]
        counts = Counter(word for bag in bags for word in bag)
        total = len(bags) + 1
        self._unknown = math.log(total + 1)
        self._weights = {word: math.log(total / count) + 0.05 for word, count in counts.items()}
        self._sizes = [sum(self._weights[word] for word in bag) for bag in bags]
        postings: dict[str, list[int]] = defaultdict(list)
        for number, bag in enumerate(bags):
            for word in bag:
                if counts[word] <= max(3, total // 8):
                    postings[word].append(number)
        self._bags = bags
        self._postings = dict(postings)
        self._known = frozenset(self._weights)
        self._filed = frozenset(postings)

    def nearest(self, reading: Reading, at_least: float) -> dict[str, Likeness]:
        """Return each owner's most similar example whose likeness is ``at_least`` that."""
        words = _bag(reading)
        candidates = {number for word in self._filed & words for number in self._postings[word]}
        if not candidates:
            return {}
        known = self._known & words
        size = sum(self._weights[word] for word in known) + self._unknown * (len(words) - len(known))
        best: dict[str, Likeness] = {}
        for number in sorted(candidates):
            ceiling = min(size, self._sizes[number]) / max(size, self._sizes[number])
            if ceiling < at_least:
                continue
            shared = sum(self._weights[word] for word in self._bags[number] & known)
            value = shared / (size + self._sizes[number] - shared)
            owner, example = self._examples[number]
            if value >= at_least and (owner not in best or value > best[owner].value):
                best[owner] = Likeness(owner, example, value)
        return best


def _bag(reading: Reading) -> set[str]:
    """Return the words of a text and the marks that end its sentences."""
    return reading.words.union(reading.tokens)
