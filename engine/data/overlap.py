"""Does a training file hold prompts of a benchmark? The same, the same but for spelling, or nearly the same.

Two prompts are nearly the same where the Jaccard similarity of their shingles (runs of `SHINGLE` letters and
digits; Broder, "On the resemblance and containment of documents", 1997) reaches a threshold. All such pairs
are found, not most of them, as MinHash would: an inverted index counts the shingles that prompts share.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.data.training_files import TrainingPrompt
from engine.evaluation.items import Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shingles = NDArray[np.uint64]

SHINGLE = 5
"""Letters and digits in a shingle."""

THRESHOLD = 0.8
"""The Jaccard similarity from which on prompts are nearly the same."""

_ROUNDING = 1e-9


class Kind(StrEnum):
    """How alike two prompts are: in every character, in letters and digits, or nearly."""

    EXACT = "exact"
    NORMALISED = "normalised"
    NEAR = "near"


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of the training file that holds a prompt of the benchmark.

    ``sha256`` is that of the row's prompt in UTF-8, ``kind`` and ``similarity`` those of the prompt that is
    most like it, ``items`` the identifiers of the benchmark's items that it is like.
    """

    row: int
    sha256: str
    kind: Kind
    similarity: float
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a training file has in common with one benchmark.

    ``prompts`` counts the benchmark's prompts that differ in letters and digits. ``exact``, ``normalised``
    and ``near`` count those among them that the training file holds, each as what it is most like. ``hits``
    are the training rows, in their order.
    """

    benchmark: str
    prompts: int
    exact: int
    normalised: int
    near: int
    hits: tuple[Hit, ...]

    @property
    def same(self) -> int:
        """The prompts that are in the training file but for spelling."""
        return self.exact + self.normalised

    @property
    def rows(self) -> frozenset[int]:
        """The training rows that hold one of the prompts, to be left out before training."""
        return frozenset(hit.row for hit in self.hits)


def prompt_key(text: str) -> str:
    """Return what prompts that differ in case, spaces and punctuation only have in common.

    That is their letters, marks and digits in compatibility form (NFKC), case-folded. Of a text without any
    it is the text.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_KEPT) or text


class TrainingIndex:
    """The prompts of a training file, to be compared with one benchmark after the other.

    Building takes time and memory in proportion to the file; comparing, to the benchmark.
    """

    def __init__(self, prompts: Sequence[TrainingPrompt], threshold: float = THRESHOLD) -> None:
        """Index the prompts.

        Raises:
            ValueError: if ``threshold`` is not above 0 and at most 1.
        """
        if not 0 < threshold <= 1:
            raise ValueError("a threshold is above 0 and at most 1")
        self._rows: defaultdict[str, list[TrainingPrompt]] = defaultdict(list)
        self._keys: defaultdict[str, set[str]] = defaultdict(set)
        for prompt in prompts:
            self._rows[prompt.text].append(prompt)
        for text in self._rows:
            self._keys[prompt_key(text)].add(text)
        self._near = _NearIndex(list(self._keys), threshold)

    def compare(self, benchmark: str, items: Iterable[Item]) -> Overlap:
        """Return what the training file has in common with a benchmark's items."""
        groups: defaultdict[str, list[Item]] = defaultdict(list)
        for item in items:
            groups[prompt_key(item.case.prompt)].append(item)
        found = _Found()
        counts = dict.fromkeys(Kind, 0)
        for key, group in groups.items():
            kinds = self._compare_group(key, group, found)
            if kinds:
                counts[min(kinds, key=list(Kind).index)] += 1
        return Overlap(
            benchmark,
            len(groups),
            counts[Kind.EXACT],
            counts[Kind.NORMALISED],
            counts[Kind.NEAR],
            found.hits(self._rows),
        )

    def _compare_group(self, key: str, group: Sequence[Item], found: _Found) -> set[Kind]:
        kinds = set()
        prompts = {item.case.prompt for item in group}
        ids = [item.id for item in group]
        same = self._keys.get(key, set())
        for text in same:
            kind = Kind.EXACT if text in prompts else Kind.NORMALISED
            kinds.add(kind)
            found.add(text, kind, 1.0, ids)
        for near, similarity in self._near.search(key):
            for text in self._keys[near] - same:
                kinds.add(Kind.NEAR)
                found.add(text, Kind.NEAR, similarity, ids)
        return kinds


def find_overlap(
    prompts: Sequence[TrainingPrompt],
    benchmarks: Iterable[tuple[str, Iterable[Item]]],
    threshold: float = THRESHOLD,
) -> list[Overlap]:
    """Return what training prompts have in common with each benchmark, given by name and items."""
    index = TrainingIndex(prompts, threshold)
    return [index.compare(name, items) for name, items in benchmarks]


@dataclass(slots=True)
class _Found:
    """The training texts that were found: of each the best kind and similarity, and the items it is like."""

    best: dict[str, tuple[Kind, float]] = field(default_factory=dict)
    items: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, text: str, kind: Kind, similarity: float, ids: Iterable[str]) -> None:
        known = self.best.get(text)
        order = list(Kind).index
        if known is None or (order(kind), -similarity) < (order(known[0]), -known[1]):
            self.best[text] = (kind, similarity)
        self.items[text].update(dict.fromkeys(ids))

    def hits(self, rows: defaultdict[str, list[TrainingPrompt]]) -> tuple[Hit, ...]:
        hits = [
            Hit(prompt.row, _sha256(text), kind, round(similarity, 4), tuple(self.items[text]))
            for text, (kind, similarity) in self.best.items()
            for prompt in rows[text]
        ]
        return tuple(sorted(hits, key=lambda hit: (hit.row, hit.sha256)))


class _NearIndex:
    """Keys of prompts by their shingles: how many of these another prompt shares is counted, not guessed."""

    def __init__(self, keys: Sequence[str], threshold: float) -> None:
        import numpy as np

        self._keys = keys
        self._threshold = threshold
        sets = [_shingles(key) for key in keys]
        self._sizes = np.array([len(shingles) for shingles in sets], dtype=np.int64)
        every = np.concatenate(sets) if sets else np.empty(0, dtype=np.uint64)
        order = np.argsort(every, kind="stable")
        # The places of the keys that have the shingle _known[n] are _places[_starts[n] : _starts[n + 1]].
        self._known, starts = np.unique(every[order], return_index=True)
        bounds = np.append(starts, len(every))
        self._often = np.diff(bounds)
        self._starts = bounds.tolist()
        self._places = np.repeat(np.arange(len(sets), dtype=np.int32), self._sizes)[order]

    def _count(self, known: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many of these shingles each key has."""
        import numpy as np

        places = [self._places[self._starts[n] : self._starts[n + 1]] for n in known.tolist()]
        every = np.concatenate(places) if places else np.empty(0, dtype=np.int32)
        return np.bincount(every, minlength=len(self._keys))

    def search(self, key: str) -> list[tuple[str, float]]:
        """Return the keys that are nearly the same as ``key``, or the same, with their similarity."""
        import numpy as np

        shingles = _shingles(key)
        size = len(shingles)
        at = np.searchsorted(self._known, shingles)
        at = at[at < len(self._known)]
        known = at[self._known[at] == shingles[: len(at)]]
        needed = math.ceil(self._threshold * size - _ROUNDING)
        if len(known) < needed:
            return []
        # Who shares `needed` of `size` shingles shares `some` of whichever `size - needed + some` are chosen:
        # of the rarest, then, unknown ones included, which few share.
        some = min(size // 4 + 1, needed)
        rarest = known[np.argsort(self._often[known], kind="stable")]
        first = len(known) - needed + some
        common = self._count(rarest[:first])
        if not (common >= some).any():
            return []
        common += self._count(rarest[first:])
        similarity = common / (self._sizes + size - common)
        return [
            (self._keys[place], float(similarity[place]))
            for place in np.flatnonzero(similarity >= self._threshold).tolist()
        ]


def _shingles(text: str) -> Shingles:
    """Return the sorted 64-bit hashes of a text's shingles; a text too short for one is one."""
    import numpy as np

    codes = np.frombuffer(text.ljust(SHINGLE).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    hashes = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for place in range(SHINGLE):
        hashes = hashes * np.uint64(_PRIME) + codes[place : place + len(hashes)]
    return np.unique(hashes)


_PRIME = 0x9E3779B97F4A7C15


class _Kept(dict[int, int | None]):
    """Code points to themselves or, where they are neither letter, mark nor digit, to nothing."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return self[code]


_KEPT = _Kept()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
