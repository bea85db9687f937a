"""Finding which of many patterns occur in a text, without searching for most of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import pairwise

from engine.guards.text import Reading
from engine.policies.patterns import Pattern, rarest
from engine.policies.signals import Kind, Signal

_MOST_SPANS = 1000
_PARTS = 3

CanonicalSpan = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a signal was found: offsets into the canonical text, in order."""

    owner: str
    signal: Signal
    spans: tuple[CanonicalSpan, ...]


class SignalIndex:
    """The patterns of many signals, of one or more owners (policies).

    Every pattern has a bit, and every word and phrase a number whose bits say which patterns need it, and in
    which of their parts. Together the numbers of what a text contains tell the patterns of which every part
    occurs. That is asked twice: first of the words, where one word stands for a phrase, which dismisses
    most texts, then of words and pairs of words. Only the patterns that are left are searched.
    """

    def __init__(self, signals: Iterable[tuple[str, Signal]]) -> None:
        self._signals = tuple(signals)
        self._patterns: list[tuple[int, Pattern]] = [
            (number, pattern)
            for number, (_, signal) in enumerate(self._signals)
            for pattern in signal.patterns
        ]
        count = len(self._patterns)
        self._all = (1 << count) - 1
        self._unneeded = 0
        self._words: defaultdict[str, int] = defaultdict(int)
        self._hints: defaultdict[str, int] = defaultdict(int)
        self._pairs: defaultdict[tuple[str, str], int] = defaultdict(int)
        for place, (_, pattern) in enumerate(self._patterns):
            for part in range(_PARTS):
                bit = 1 << (part * count + place)
                if part >= len(pattern.needs):
                    self._unneeded |= bit
                    continue
                for phrase in pattern.needs[part]:
                    if len(phrase) == 1:
                        self._words[phrase[0]] |= bit
                    else:
                        self._hints[rarest(phrase)] |= bit
                        self._pairs[phrase[0], phrase[1]] |= bit
        self._known_words = frozenset(self._words)
        self._known_hints = frozenset(self._hints)
        self._known_pairs = frozenset(self._pairs)

    def bits_of(self, owners: Container[str], kinds: Container[Kind]) -> int:
        """Return the bits of the patterns of these owners' signals of these kinds."""
        bits = 0
        for place, (number, _) in enumerate(self._patterns):
            owner, signal = self._signals[number]
            if owner in owners and signal.kind in kinds:
                bits |= 1 << place
        return bits

    def candidates(self, reading: Reading, wanted: int) -> int:
        """Return the bits of the patterns that may occur in the text, 0 if no wanted one does."""
        present = self._unneeded
        numbers = self._words
        for word in self._known_words & reading.words:
            present |= numbers[word]
        promised = present
        numbers = self._hints
        for word in self._known_hints & reading.words:
            promised |= numbers[word]
        if not self._complete(promised, wanted):
            return 0
        for pair in self._known_pairs.intersection(pairwise(reading.sequence)):
            present |= self._pairs[pair]
        return self._complete(present, self._all) if self._complete(present, wanted) else 0

    def search(self, reading: Reading, candidates: int) -> list[Match]:
        """Return the signals of which a candidate occurs in the text, in their order."""
        found: dict[int, set[CanonicalSpan]] = {}
        while candidates:
            place = candidates.bit_length() - 1
            candidates ^= 1 << place
            number, pattern = self._patterns[place]
            spans = _find(pattern, reading)
            if spans:
                found.setdefault(number, set()).update(spans)
        return [
            Match(*self._signals[number], tuple(sorted(found[number])[:_MOST_SPANS]))
            for number in sorted(found)
        ]

    def _complete(self, present: int, wanted: int) -> int:
        """Return the bits of the ``wanted`` patterns that have one in ``present`` for each of their parts."""
        count = len(self._patterns)
        for _ in range(_PARTS):
            wanted &= present
            if not wanted:
                return 0
            present >>= count
        return wanted


def _find(pattern: Pattern, reading: Reading) -> list[CanonicalSpan]:
    """Return where the pattern matches, searching the clauses that have a word for each of its parts."""
    spans: list[CanonicalSpan] = []
    begin = 0
    telling, *others = pattern.hints
    here = telling & reading.words
    clauses = reading.whole if pattern.far else reading.sentences
    for start, end, until, words in [clause for clause in clauses if not here.isdisjoint(clause[3])]:
        for hints in others:
            if hints.isdisjoint(words):
                break
        else:
            for match in pattern.find(reading.canonical, max(start, begin), end):
                if match.start() >= until:
                    break
                spans.append(match.span())
                begin = match.end()
            if len(spans) >= _MOST_SPANS:
                break
    return spans
