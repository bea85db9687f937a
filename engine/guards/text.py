"""One canonical form of a text for matching, and the way back to the original.

The canonical form is the text's words, case folded and without accents, joined by single spaces, with one
space before the first and after the last. The end of a sentence stays as a token of its own, so that a
pattern's gap does not reach into the next sentence; every other mark only parts words. Apostrophes
vanish ("don't" is "dont") and each CJK character is a word. Disguised words are decoded by
`engine.guards.obfuscation` when a cheap check says that there may be some.

All of it takes linear time. Offsets into the original are worked out only when a span must be shown.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate, count
from operator import add

from engine.guards.obfuscation import Token, decode

_SENTENCE_END = r"[.!?;:](?![^\s\"')\]])|\n(?=[ \t\r]*\n)"
_TOKEN = re.compile(rf"[^\W_]+|{_SENTENCE_END}")
_ASCII_TOKEN = re.compile(rf"[a-z0-9]+|{_SENTENCE_END}", re.ASCII)
_CANONICAL_END = re.compile(r" [.!?;:\n](?= )")
_WORD = re.compile(r"[^\W_]+")
_MARKS_APART = bytes(code if chr(code).isalnum() else ord(" ") for code in range(128)) + bytes(128)
_APOSTROPHES = frozenset("'\u2018\u2019\u02bc\u2032\u00b4\uff07")
_SENTENCE_ENDS = {"\u3002": ". ", "\uff01": "! ", "\uff1f": "? ", "\uff1b": "; ", "\uff1a": ": "}
_PLAIN_LETTERS = {"\u0111": "d", "\u0142": "l", "\u0131": "i", "\u00f8": "o", "\u00e6": "ae", "\u0153": "oe"}
_STEM_LENGTHS = (2, 3, 4, 5, 6, 7)

LONGEST_MATCH = 64
"""How many words a pattern may match that stays in one sentence."""
LONGEST_FAR_MATCH = 160
"""How many words a pattern may match that does not."""
_MOST_WORDS = 64


class _Fold(dict[int, str | None]):
    """The translation table of `str.translate`, filled as characters turn up."""

    def __missing__(self, code: int) -> str | None:
        folded = _fold(chr(code))
        self[code] = folded
        return folded


def _fold(char: str) -> str | None:
    """Return what ``char`` becomes, None for nothing."""
    if char in _APOSTROPHES:
        return None
    if char in _SENTENCE_ENDS:
        return _SENTENCE_ENDS[char]
    category = unicodedata.category(char)
    if char.isspace():
        return char if char == "\n" else " "
    if category in ("Cc", "Cf", "Mn", "Mc", "Me"):
        return None
    if category in ("Cs", "Co", "Cn"):
        return " "
    if _is_cjk(char):
        return f" {char} "
    if "\uac00" <= char <= "\ud7a3":
        return char
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold())
    bare = "".join(part for part in decomposed if unicodedata.category(part) != "Mn")
    return "".join(_PLAIN_LETTERS.get(part, part) for part in bare)


def _is_cjk(char: str) -> bool:
    return (
        "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff"
    )


_FOLD = _Fold()
_ASCII_DROPPED = bytes(code for code in range(128) if _FOLD[code] is None)
_ASCII_FOLD = bytes(ord(_FOLD[code] or " ") for code in range(128)) + bytes(128)


def tokenise(text: str) -> list[str]:
    """Return the canonical tokens of ``text``, without decoding disguises. Patterns are read this way."""
    return _TOKEN.findall(text.translate(_FOLD))


Clause = tuple[int, int, int, set[str]]
"""Words in which a pattern is searched: start, end, until, and the set of them.

They are ``canonical[start:end]``, with the spaces around. Where there are many they are cut so that clauses
overlap: a match from ``until`` on belongs to the next.
"""


class Reading:
    """A text made ready for matching.

    ``sequence`` are its words in order, ``words`` the set of them, with the stems of those outside ASCII
    ("убив*"), which patterns may ask for. Most texts have none that matter, so everything else waits until it
    is asked for.
    """

    __slots__ = (
        "_canonical",
        "_folded",
        "_origins",
        "_plain",
        "_sentences",
        "_starts",
        "_tokens",
        "_whole",
        "sequence",
        "source",
        "words",
    )

    def __init__(self, source: str, known: frozenset[str] = frozenset()) -> None:
        """Read ``source``. ``known`` are the words that a disguise is decoded to."""
        if source.isascii():
            characters = source.encode("ascii").translate(_ASCII_FOLD, _ASCII_DROPPED)
            folded = characters.decode("ascii")
            self.sequence = characters.translate(_MARKS_APART).decode("ascii").split()
        else:
            folded = source.translate(_FOLD)
            self.sequence = _WORD.findall(folded)
        self.source = source
        self._folded = folded
        self._canonical: str | None = None
        self._plain: list[str] | None = None
        self._tokens: list[Token] | None = None
        self._sentences: list[Clause] | None = None
        self._whole: list[Clause] | None = None
        self._starts: list[int] | None = None
        self._origins: list[int] | None = None
        self.words = set(self.sequence)
        decoded = decode(folded, self.words, known, self._split) if known else None
        if decoded is not None:
            self._tokens = decoded
            self.sequence = self._plain = [token.text for token in decoded]
            self.words.update(self._plain)
        self.words = self._with_stems(self.words)

    @property
    def tokens(self) -> list[str]:
        """The words and ends of sentences, in order."""
        if self._plain is None:
            self._plain = (_ASCII_TOKEN if self._folded.isascii() else _TOKEN).findall(self._folded)
        return self._plain

    @property
    def canonical(self) -> str:
        """The text that patterns are searched in."""
        if self._canonical is None:
            self._canonical = f" {' '.join(self.tokens)} "
        return self._canonical

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the code point offsets in the original of ``canonical[start:end]``."""
        if self._tokens is None:
            self._tokens = self._split()
        starts = self._token_starts()
        first = max(bisect_right(starts, start + 1) - 1, 0)
        last = max(bisect_right(starts, end - 1) - 1, first)
        return self._at(self._tokens[first].start), self._at(self._tokens[last].end - 1) + 1

    @property
    def sentences(self) -> list[Clause]:
        """The text for patterns that stay in one sentence."""
        if self._sentences is None:
            canonical = self.canonical
            self._sentences = sentences = []
            ends = [found.start() + 1 for found in _CANONICAL_END.finditer(canonical)]
            start = 0
            for stop in [*ends, len(canonical)]:
                words = canonical[start:stop].split()
                if len(words) <= _MOST_WORDS:
                    sentences.append((start, stop, stop, self._with_stems(set(words))))
                else:
                    sentences += self._cut(start, stop, LONGEST_MATCH)
                start = stop + 1
        return self._sentences

    @property
    def whole(self) -> list[Clause]:
        """The text for patterns that do not."""
        if self._whole is None:
            self._whole = self._cut(0, len(self.canonical), LONGEST_FAR_MATCH)
        return self._whole

    def _cut(self, start: int, end: int, overlap: int) -> list[Clause]:
        words = self.canonical[start:end].split(" ")[1:-1]
        starts = [start, *map(add, accumulate(map(len, words)), count(start + 1))]
        clauses = []
        first = behind = 0
        while behind < len(words):
            behind = min(first + _MOST_WORDS + overlap, len(words))
            until = behind if behind == len(words) else first + _MOST_WORDS
            here = self._with_stems(set(words[first:behind]))
            clauses.append((starts[first], starts[behind] + 1, starts[until], here))
            first = until
        return clauses

    def _with_stems(self, words: set[str]) -> set[str]:
        """Return the words and, of those outside ASCII, the stems by which patterns may ask for them."""
        if self._folded.isascii():
            return words
        foreign = [word for word in words if not word.isascii()]
        return words.union(
            word[:length] + "*" for word in foreign for length in _STEM_LENGTHS if len(word) >= length
        )

    def _token_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = [1, *map(add, accumulate(map(len, self.tokens)), count(2))]
        return self._starts

    def _split(self) -> list[Token]:
        return [Token(found.group(), *found.span()) for found in _TOKEN.finditer(self._folded)]

    def _at(self, offset: int) -> int:
        """Return the offset in the original of one character of the folded text."""
        if len(self._folded) == len(self.source) and self.source.isascii():
            return offset
        if self._origins is None:
            self._origins = [index for index, char in enumerate(self.source) for _ in _FOLD[ord(char)] or ""]
        return self._origins[offset]
