"""What differs between two texts: line by line, side by side, word by word, and as a patch.

Standard library only. All of it is bounded: of texts that are long and have little in common, a part is
taken to differ as a whole, and the difference says so; where very many lines differ, words are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from app.comparing import Block, Comparison
from app.safe_text import one_line

_LINE_STEPS = 1_500_000
_WORD_STEPS = 20_000
_MOST_WORDS = 2_000
_LONGEST_COMPARED = 2_000
_MOST_PAIRS = 2_500
_EFFORT = 200_000
_ALIKE = 0.35
_LONGEST_NAME = 1_000
_WORDS = re.compile(r"[\u2e80-\u9fff]|[^\W\u2e80-\u9fff]+|\s+|[^\w\s]")

Columns = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Side:
    """A line of one of the texts: its number, from 1, what it reads, and the stretches that are others.

    ``ended``: whether a newline ends it, as all but the last line of a text.
    """

    number: int
    text: str
    changed: tuple[Columns, ...] = ()
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Lines side by side: the same in both texts, or another, or in one of them only."""

    same: bool
    old: Side | None
    new: Side | None


@dataclass(frozen=True, slots=True)
class Fold:
    """Lines that are the same in both texts and are left out."""

    count: int

    def __str__(self) -> str:
        return f"· {self.count:,} lines the same ·"


@dataclass(frozen=True)
class Diff:
    """Two texts as lines, each with the newline that ends it, and the blocks that both are made of.

    ``coarse``: the texts were too long, and too different, to be compared line by line throughout.
    """

    old: Sequence[str]
    new: Sequence[str]
    blocks: tuple[Block, ...]
    coarse: bool

    @property
    def changes(self) -> int:
        """How many stretches of lines are others."""
        return sum(not block.same for block in self.blocks)

    @property
    def removed(self) -> int:
        """How many lines of the old text are not in the new one."""
        return sum(block.bottom - block.top for block in self.blocks if not block.same)

    @property
    def added(self) -> int:
        """How many lines of the new text are not in the old one."""
        return sum(block.other_bottom - block.other_top for block in self.blocks if not block.same)

    @property
    def changed_lines(self) -> frozenset[int]:
        """The numbers, from 1, of the new text's lines that are not in the old one."""
        changed = (block for block in self.blocks if not block.same)
        return frozenset(line + 1 for block in changed for line in range(block.other_top, block.other_bottom))

    @property
    def summary(self) -> str:
        """What differs, in words."""
        if not self.changes:
            return "no difference"
        changes = f"{self.changes:,} {'change' if self.changes == 1 else 'changes'}"
        told = f"{changes}: {_lines_of(self.added)} added, {self.removed:,} removed"
        return told + ("; too much to be compared line by line throughout" if self.coarse else "")

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All lines of both texts, side by side."""
        return tuple(_SideBySide(self.old, self.new).rows(self.blocks))


def diff(old: str, new: str, *, rows: bool = True) -> Diff:
    """Return what differs between two texts. Two of 1 MB may take some seconds: call it from a thread.

    Without ``rows`` those are made when they are asked for.
    """
    lines, other_lines = _lines(old), _lines(new)
    comparison = Comparison(lines, other_lines, _LINE_STEPS)
    difference = Diff(lines, other_lines, comparison.blocks, comparison.exhausted)
    if rows:
        _ = difference.rows
    return difference


def folded(rows: Sequence[Row], context: int = 3) -> Iterator[Row | Fold]:
    """Yield rows; long runs of lines that are the same give way, but for those beside a change."""
    at = 0
    while at < len(rows):
        end = at
        while end < len(rows) and rows[end].same:
            end += 1
        first = min(at + (context if at else 0), end)
        last = max(end - (context if end < len(rows) else 0), first)
        if last - first > 1:
            yield from rows[at:first]
            yield Fold(last - first)
            yield from rows[last:end]
        else:
            yield from rows[at:end]
        at = end
        while at < len(rows) and not rows[at].same:
            yield rows[at]
            at += 1


def unified(difference: Diff, old_name: str, new_name: str, context: int = 3) -> Iterator[str]:
    """Yield a patch in the unified format, in lines with their newlines; nothing where nothing differs.

    Written as UTF-8 it is what `patch` makes the new text from, out of the old one. The texts' lines are as
    they are: who shows them on a terminal sends them through the gate.
    """
    hunks = list(_hunks(difference.blocks, context))
    if hunks:
        yield f"--- {one_line(old_name, _LONGEST_NAME)}\n"
        yield f"+++ {one_line(new_name, _LONGEST_NAME)}\n"
    for hunk in hunks:
        old = _range(hunk[0].top, hunk[-1].bottom)
        new = _range(hunk[0].other_top, hunk[-1].other_bottom)
        yield f"@@ -{old} +{new} @@\n"
        for same, top, bottom, other_top, other_bottom in hunk:
            yield from _signed(" " if same else "-", difference.old[top:bottom])
            if not same:
                yield from _signed("+", difference.new[other_top:other_bottom])


def _signed(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield sign + line if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"


def _range(top: int, bottom: int) -> str:
    """Return a hunk's lines as patches state them; of none, the line before is stated."""
    return f"{top + 1 if bottom > top else top},{bottom - top}"


def _hunks(blocks: Sequence[Block], context: int) -> Iterator[list[Block]]:
    """Yield changes with the lines around them, those near one another together."""
    hunk: list[Block] = []
    for index, block in enumerate(blocks):
        length = block.bottom - block.top
        if not block.same or (hunk and length <= 2 * context and index < len(blocks) - 1):
            hunk.append(block)
            continue
        kept = min(context, length)
        if hunk:
            bottom, other_bottom = block.top + kept, block.other_top + kept
            yield [*hunk, block._replace(bottom=bottom, other_bottom=other_bottom)]
        hunk = []
        if index < len(blocks) - 1:
            hunk = [block._replace(top=block.bottom - kept, other_top=block.other_bottom - kept)]
    if hunk:
        yield hunk


class _SideBySide:
    """Puts the lines of two texts side by side, those that are alike with the words that they differ in.

    `_EFFORT` bounds how many words and pairs of lines are looked at in all.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self._old, self._new = old, new
        self._effort = _EFFORT

    def rows(self, blocks: Sequence[Block]) -> Iterator[Row]:
        for same, top, bottom, other_top, other_bottom in blocks:
            old, new = range(top, bottom), range(other_top, other_bottom)
            if same:
                for at, other_at in zip(old, new, strict=True):
                    yield Row(True, _side(self._old, at), _side(self._new, other_at))
            else:
                yield from self._changed(old, new)

    def _changed(self, old: range, new: range) -> Iterator[Row]:
        alike = self._alike(old, new)
        at, other_at = old.start, new.start
        for line, other_line in [*alike, (old.stop, new.stop)]:
            for one, other in zip_longest(range(at, line), range(other_at, other_line)):
                yield Row(
                    False,
                    None if one is None else _side(self._old, one),
                    None if other is None else _side(self._new, other),
                )
            if line < old.stop:
                yield self._with_words(line, other_line)
            at, other_at = line + 1, other_line + 1

    def _alike(self, old: range, new: range) -> list[tuple[int, int]]:
        """Return the pairs of lines that have most words in common, in order."""
        pairs = len(old) * len(new)
        if not pairs or pairs > _MOST_PAIRS or self._effort < pairs:
            return []
        self._effort -= pairs
        words = [_words_of(self._old[line]) for line in old]
        other_words = [_words_of(self._new[line]) for line in new]
        best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
        for i in range(len(old) - 1, -1, -1):
            for j in range(len(new) - 1, -1, -1):
                likeness = _likeness(words[i], other_words[j])
                paired = likeness + best[i + 1][j + 1] if likeness >= _ALIKE else 0.0
                best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
        found: list[tuple[int, int]] = []
        i = j = 0
        while i < len(old) and j < len(new) and best[i][j] > 0:
            likeness = _likeness(words[i], other_words[j])
            if likeness >= _ALIKE and best[i][j] == likeness + best[i + 1][j + 1]:
                found.append((old[i], new[j]))
                i, j = i + 1, j + 1
            elif best[i][j] == best[i + 1][j]:
                i += 1
            else:
                j += 1
        return found

    def _with_words(self, line: int, other_line: int) -> Row:
        old, new = _side(self._old, line), _side(self._new, other_line)
        words, other_words = _WORDS.findall(old.text), _WORDS.findall(new.text)
        effort = len(words) + len(other_words)
        if effort > _MOST_WORDS or effort > self._effort:
            return Row(False, old, new)
        self._effort -= effort
        changed: list[Columns] = []
        other_changed: list[Columns] = []
        at = other_at = 0
        for same, top, bottom, other_top, other_bottom in Comparison(words, other_words, _WORD_STEPS).blocks:
            end = at + sum(map(len, words[top:bottom]))
            other_end = other_at + sum(map(len, other_words[other_top:other_bottom]))
            if not same:
                changed += [(at, end)] if end > at else []
                other_changed += [(other_at, other_end)] if other_end > other_at else []
            at, other_at = end, other_end
        return Row(
            False,
            Side(old.number, old.text, tuple(changed), old.ended),
            Side(new.number, new.text, tuple(other_changed), new.ended),
        )


def _words_of(line: str) -> set[str]:
    return {word for word in _WORDS.findall(line[:_LONGEST_COMPARED]) if not word.isspace()}


def _likeness(words: set[str], other_words: set[str]) -> float:
    """Return how many of the words of two lines are in both, from 0 to 1 (Jaccard's index)."""
    either = len(words | other_words)
    return len(words & other_words) / either if either else 1.0


def _side(lines: Sequence[str], line: int) -> Side:
    text = lines[line]
    ended = text.endswith("\n")
    return Side(line + 1, text[:-1] if ended else text, (), ended)


def _lines(text: str) -> list[str]:
    """Return a text's lines with their newlines; nothing else ends a line."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _lines_of(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
