"""Finding which of many patterns occur in a text, without searching for most of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from engine.guards.text import Reading, stems
from engine.policies.patterns import Pattern
from engine.policies.signals import Signal

_MOST_SPANS = 1000
_MOST_PLACES = 4000
_STEPS = 4

CanonicalSpan = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a signal was found: offsets into the canonical text, in order."""

    owner: str
    signal: Signal
    spans: tuple[CanonicalSpan, ...]


class SignalIndex:
    """The patterns of many signals, of one or more owners (policies).

    Every word has a number whose bits say which patterns need it, and in which of their parts. Together the
    numbers of a text's words tell the patterns of which every part occurs: for most texts none. Then the
    distances between the parts are checked with one number per part that has a bit for every place in the
    text. Only the stretches that are left are searched with the pattern's expression.
    """

    def __init__(self, signals: Iterable[tuple[str, Signal]]) -> None:
        self._signals = tuple(signals)
        self._patterns: list[tuple[int, Pattern]] = [
            (number, pattern)
            for number, (_, signal) in enumerate(self._signals)
            for pattern in signal.patterns
        ]
        count = len(self._patterns)
        self._bits: dict[str, int] = {}
        self._unneeded = 0
        for place, (_, pattern) in enumerate(self._patterns):
            for step in range(_STEPS):
                bit = 1 << (step * count + place)
                if step >= len(pattern.needs):
                    self._unneeded |= bit
                    continue
                for word in pattern.needs[step]:
                    self._bits[word] = self._bits.get(word, 0) | bit
        self._needed = frozenset(self._bits)
        self._longest = max((pattern.length for _, pattern in self._patterns), default=0)
        self._all = (1 << count) - 1

    def search(self, reading: Reading) -> list[Match]:
        """Return the signals found in the text, in their order."""
        candidates = self._candidates(reading.words)
        if not candidates:
            return []
        spans: dict[int, list[CanonicalSpan]] = {}
        for begin in range(0, len(reading.tokens), _MOST_PLACES):
            stretch = _Stretch(reading, begin, self._longest)
            for place in candidates:
                pattern = self._patterns[place][1]
                known = spans.get(place, [])
                if len(known) < _MOST_SPANS:
                    new = stretch.find(pattern, known[-1][1] if known else 0, _MOST_SPANS - len(known))
                    if new:
                        spans[place] = known + new
        found: dict[int, set[CanonicalSpan]] = {}
        for place, of_pattern in spans.items():
            found.setdefault(self._patterns[place][0], set()).update(of_pattern)
        return [
            Match(*self._signals[number], tuple(sorted(found[number])[:_MOST_SPANS]))
            for number in sorted(found)
        ]

    def _candidates(self, words: set[str]) -> list[int]:
        """Return the patterns of which every part (of the first few) has a word among ``words``."""
        present = self._unneeded
        bits = self._bits
        for word in self._needed & words:
            present |= bits[word]
        count = len(self._patterns)
        complete = self._all
        for _ in range(_STEPS):
            complete &= present
            if not complete:
                return []
            present >>= count
        candidates = []
        while complete:
            candidates.append(complete.bit_length() - 1)
            complete ^= 1 << candidates[-1]
        return candidates


class _Stretch:
    """Some thousand words of a text: which parts of patterns occur where.

    In the numbers called masks, bit n stands for the n-th word from the stretch's first. They also cover
    ``margin`` words before and behind the stretch, so that no match is cut.
    """

    def __init__(self, reading: Reading, begin: int, margin: int) -> None:
        self._reading = reading
        self._first = max(begin - margin, 0)
        self._own = ((1 << _MOST_PLACES) - 1) << (begin - self._first)
        places: dict[str, int] = {}
        bit = 1
        for word in reading.tokens[self._first : begin + _MOST_PLACES + margin]:
            places[word] = places.get(word, 0) | bit
            bit <<= 1
        if not reading.canonical.isascii():
            for word, mask in tuple(places.items()):
                for stem in stems(word):
                    places[stem] = places.get(stem, 0) | mask
        self._masks = _Masks(places)

    def find(self, pattern: Pattern, start: int, most: int) -> list[CanonicalSpan]:
        """Return where the pattern matches from the offset ``start`` on, at most so many times."""
        reached = self._reached(pattern) & self._own
        spans: list[CanonicalSpan] = []
        while reached:
            first = last = (reached & -reached).bit_length() - 1
            reached &= reached - 1
            while reached:
                place = (reached & -reached).bit_length() - 1
                if place - last > 2 * pattern.length:
                    break
                last = place
                reached &= reached - 1
            begin, end = self._reading.between(
                self._first + first - pattern.length, self._first + last + 1 + pattern.length
            )
            matches = pattern.find(self._reading.canonical, max(begin, start), end)
            spans += [match.span() for match in islice(matches, most - len(spans))]
        return spans

    def _reached(self, pattern: Pattern) -> int:
        """Return where the last part is, behind all the others and close enough to them."""
        masks = self._masks
        reached = masks[pattern.needs[0]]
        for words, shifts in zip(pattern.needs[1:], pattern.shifts, strict=True):
            if not reached:
                return 0
            reached <<= 1
            for shift in shifts:
                reached |= reached << shift
            reached &= masks[words]
        return reached


class _Masks(dict[frozenset[str], int]):
    """Where any word of a set is, worked out when asked for."""

    def __init__(self, places: dict[str, int]) -> None:
        self._places = places
        self._words = frozenset(places)

    def __missing__(self, words: frozenset[str]) -> int:
        mask = 0
        for word in words & self._words:
            mask |= self._places[word]
        self[words] = mask
        return mask
