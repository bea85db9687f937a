"""Finding which of many patterns occur in a text, without searching for most of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from engine.guards.text import Reading, stems
from engine.policies.patterns import Pattern
from engine.policies.signals import Signal

_MOST_SPANS = 1000
_MOST_PLACES = 4000

CanonicalSpan = tuple[int, int]


class _Filed(NamedTuple):
    """A pattern, the parts it needs as bits and in order, and the number of its signal."""

    need: int
    chain: tuple[int, ...]
    number: int
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Match:
    """Where a signal was found: offsets into the canonical text, in order."""

    owner: str
    signal: Signal
    spans: tuple[CanonicalSpan, ...]


class SignalIndex:
    """The patterns of many signals, of one or more owners (policies).

    Each pattern is filed under the words of its rarest part. A text that has none of those words is done
    with at once. Then the other parts are checked as bits of one number, then the distances between the
    parts with one number per part that has a bit for every place in the text; what is left is searched for.
    """

    def __init__(self, signals: Iterable[tuple[str, Signal]]) -> None:
        self._signals = tuple(signals)
        self._bits: dict[str, int] = {}
        self._parts: list[frozenset[str]] = []
        by_anchor: dict[str, list[_Filed]] = defaultdict(list)
        part_of: dict[frozenset[str], int] = {}
        for number, (_, signal) in enumerate(self._signals):
            for pattern in signal.patterns:
                for words in pattern.needs:
                    if words not in part_of:
                        part_of[words] = len(self._parts)
                        self._parts.append(words)
                        for word in words:
                            self._bits[word] = self._bits.get(word, 0) | 1 << part_of[words]
                parts = tuple(part_of[words] for words in pattern.needs)
                need = sum(1 << part for part in set(parts))
                filed = _Filed(need, parts, number, pattern)
                for word in pattern.anchor:
                    by_anchor[word].append(filed)
        self._by_anchor = dict(by_anchor)
        self._anchors = frozenset(self._by_anchor)
        self._needed = frozenset(self._bits)

    @property
    def words(self) -> frozenset[str]:
        """Every plain word in any of the patterns."""
        return frozenset(
            word for _, signal in self._signals for pattern in signal.patterns for word in pattern.words
        )

    def search(self, reading: Reading) -> list[Match]:
        """Return the signals found in the text, in their order."""
        hits = self._anchors & reading.words
        if not hits:
            return []
        present = 0
        for word in self._needed & reading.words:
            present |= self._bits[word]
        candidates = {
            id(filed): filed
            for word in hits
            for filed in self._by_anchor[word]
            if filed.need & present == filed.need
        }
        if not candidates:
            return []
        places = _Places(reading, self._parts, candidates.values())
        found: dict[int, set[CanonicalSpan]] = {}
        for filed in candidates.values():
            window = places.window(filed)
            if window is None:
                continue
            spans = [
                match.span() for match in islice(filed.pattern.find(reading.canonical, *window), _MOST_SPANS)
            ]
            if spans:
                found.setdefault(filed.number, set()).update(spans)
        return [
            Match(*self._signals[number], tuple(sorted(spans)[:_MOST_SPANS]))
            for number, spans in sorted(found.items())
        ]


class _Places:
    """Where the parts of some patterns occur in one text: bit n stands for the n-th word."""

    def __init__(self, reading: Reading, parts: list[frozenset[str]], candidates: Iterable[_Filed]) -> None:
        self._reading = reading
        self._masks: dict[int, int] = {}
        self._skip = len(reading.tokens) > _MOST_PLACES
        if self._skip:
            return
        words_of = {part: parts[part] & reading.words for filed in candidates for part in filed.chain}
        of_word = dict.fromkeys(chain.from_iterable(words_of.values()), 0)
        for place, word in enumerate(reading.tokens):
            if word in of_word:
                of_word[word] |= 1 << place
            if not word.isascii():
                for stem in stems(word):
                    if stem in of_word:
                        of_word[stem] |= 1 << place
        for part, words in words_of.items():
            mask = 0
            for word in words:
                mask |= of_word[word]
            self._masks[part] = mask

    def window(self, filed: _Filed) -> tuple[int, int] | None:
        """Return between which offsets the parts follow each other closely enough, None if nowhere."""
        if self._skip:
            return 0, len(self._reading.canonical)
        reached = self._masks[filed.chain[0]]
        for part, distance in zip(filed.chain[1:], filed.pattern.distances, strict=True):
            spread = reached << 1
            width = 1
            while width < distance:
                step = min(width, distance - width)
                spread |= spread << step
                width += step
            reached = spread & self._masks[part]
            if not reached:
                return None
        first = (reached & -reached).bit_length() - 1 - filed.pattern.length
        return self._reading.between(first, reached.bit_length() + filed.pattern.length)
