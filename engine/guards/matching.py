"""Finding which of many patterns occur in a text, without searching for most of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from engine.guards.text import Reading
from engine.policies.patterns import Pattern
from engine.policies.signals import Signal

_MOST_SPANS = 1000

CanonicalSpan = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a signal was found: offsets into the canonical text, in order."""

    owner: str
    signal: Signal
    spans: tuple[CanonicalSpan, ...]


class SignalIndex:
    """The patterns of many signals, of one or more owners (policies).

    Each pattern is filed under the words of its rarest part. A text that has none of those words is done
    with at once; the other parts are then checked as bits of one number before any expression is run.
    """

    def __init__(self, signals: Iterable[tuple[str, Signal]]) -> None:
        self._signals = tuple(signals)
        self._bits: dict[str, int] = {}
        by_anchor: dict[str, list[tuple[int, int, Pattern]]] = defaultdict(list)
        bit_of: dict[frozenset[str], int] = {}
        for number, (_, signal) in enumerate(self._signals):
            for pattern in signal.patterns:
                need = 0
                for words in pattern.needs:
                    if words not in bit_of:
                        bit_of[words] = 1 << len(bit_of)
                        for word in words:
                            self._bits[word] = self._bits.get(word, 0) | bit_of[words]
                    need |= bit_of[words]
                for word in pattern.anchor:
                    by_anchor[word].append((need, number, pattern))
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
        found: dict[int, set[CanonicalSpan]] = {}
        tried: set[int] = set()
        for word in hits:
            for need, number, pattern in self._by_anchor[word]:
                if need & present == need and id(pattern) not in tried:
                    tried.add(id(pattern))
                    spans = [match.span() for match in islice(pattern.find(reading.canonical), _MOST_SPANS)]
                    if spans:
                        found.setdefault(number, set()).update(spans)
        return [
            Match(*self._signals[number], tuple(sorted(spans)[:_MOST_SPANS]))
            for number, spans in sorted(found.items())
        ]
