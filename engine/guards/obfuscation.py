"""Simple disguises of words, undone: "b o m b", "b.o.m.b", "k1ll", "k*ll", "kiiiill", foreign letters.

A disguise is decoded only to a word that some signal looks for, so that "mp3", "a b c" or a Russian sentence
stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise, product
from typing import NamedTuple

_LEET = re.compile(r"[@$!|*013457](?<=[a-z].)[a-z@$!|*0-9]|[@$0134](?=[a-z][a-z])")
_REPEATED = re.compile(r"([a-z])\1\1")
_REPEATED_MARK = re.compile(r"(.)\1\1")
_SPACED = re.compile(r"(?<![a-z0-9])[a-z][^a-z0-9]+[a-z][^a-z0-9]+[a-z](?![a-z0-9])")
_CHUNK = re.compile(r"[a-z0-9@$!|*]+")
_READINGS = {
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "l",
    "*": "aeiou",
    "0": "o",
    "1": "il",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
}
_LETTERS = frozenset("bcdefghjklmnopqrstuvwxyz")
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u043a\u043c\u0442\u043d\u0432\u0501\u051b"
    "\u03b1\u03b5\u03bf\u03c1\u03c5\u03c7\u03b9\u03ba\u03bd\u03c4\u0261\u0269",
    "aeopcyxijskmthbdqaeopuxikvtgi",
)
# Greek letters whose capitals look like other Latin ones than they do: here, case is folded.
_CAPITAL_TWINS = _TWINS | str.maketrans("\u03b2\u03b7\u03bc\u03bd\u03c5\u03b6", "bhmnyz")
_SHORT = {"1": "i", "2": "to", "4": "for", "t0": "to", "d0": "do", "m3": "me", "h3": "he", "@": "at"}
_LONGEST = 24
_LONGEST_RUN = 60


class Token(NamedTuple):
    """A word of the folded text and where it lies in it."""

    text: str
    start: int
    end: int


def decode(
    folded: str, words: set[str], known: frozenset[str], split: Callable[[], list[Token]]
) -> list[Token] | None:
    """Return the tokens with disguised words replaced by the ``known`` words they stand for.

    ``split`` gives the tokens of ``folded``, ``words`` the set of its words. None if nothing looks disguised.
    """
    has_leet = any(map(folded.__contains__, _READINGS)) and _LEET.search(folded) is not None
    leet = _leet_words(folded, known) if has_leet else []
    is_spaced = len(words & _LETTERS) > 1 and _SPACED.search(folded) is not None
    has_repeats = _REPEATED_MARK.search(folded) is not None and _REPEATED.search(folded) is not None
    if not (leet or is_spaced or has_repeats) and folded.isascii():
        return None
    tokens = _splice(split(), leet)
    if has_repeats:
        tokens = [_undo_repeats(token, known) for token in tokens]
    if not folded.isascii():
        tokens = [_undo_twins(token, known) for token in tokens]
    return _join_spaced(tokens, known)


def _leet_words(folded: str, known: frozenset[str]) -> list[Token]:
    found: list[Token] = []
    short: list[Token] = []
    for match in _CHUNK.finditer(folded):
        chunk = match.group().rstrip("!|*")
        if chunk in _SHORT:
            short.append(Token(_SHORT[chunk], match.start(), match.start() + len(chunk)))
        if not 3 <= len(chunk) <= _LONGEST or chunk.isalpha() or chunk.isdigit() or chunk in known:
            continue
        word = _leet_word(chunk, known)
        if word is not None:
            found.append(Token(word, match.start(), match.start() + len(chunk)))
    return sorted(found + short, key=lambda token: token.start) if found else []


def _leet_word(chunk: str, known: frozenset[str]) -> str | None:
    choices = [_READINGS.get(char, char) for char in chunk]
    if sum(len(choice) > 1 for choice in choices) > 3 or sum(char.isalpha() for char in chunk) < 1:
        return None
    candidates = ("".join(letters) for letters in product(*choices))
    return next((word for word in candidates if word in known and len(word) > 2), None)


def _splice(tokens: list[Token], replacements: list[Token]) -> list[Token]:
    """Put each replacement in the place of the tokens it covers. Both lists are in order."""
    if not replacements:
        return tokens
    spliced: list[Token] = []
    waiting = iter(replacements)
    current = next(waiting, None)
    for token in tokens:
        while current is not None and token.start >= current.end:
            spliced.append(current)
            current = next(waiting, None)
        if current is None or token.end <= current.start:
            spliced.append(token)
    if current is not None:
        spliced.append(current)
    return spliced


def _undo_repeats(token: Token, known: frozenset[str]) -> Token:
    text = token.text
    if len(text) > 200 or text in known or not _REPEATED.search(text):
        return token
    for keep in (r"\1", r"\1\1"):
        word = re.sub(r"(.)\1{2,}", keep, text)
        if word in known:
            return Token(word, token.start, token.end)
    return token


def _undo_twins(token: Token, known: frozenset[str]) -> Token:
    text = token.text
    if len(text) > _LONGEST or text.isascii() or text in known:
        return token
    for twins in (_TWINS, _CAPITAL_TWINS):
        word = text.translate(twins)
        if word.isascii() and word in known:
            return Token(word, token.start, token.end)
    return token


def _join_spaced(tokens: list[Token], known: frozenset[str]) -> list[Token]:
    joined: list[Token] = []
    run: list[Token] = []
    for token in tokens:
        if len(token.text) == 1 and token.text.isascii() and token.text.isalnum():
            run.append(token)
            continue
        read = _read_run(run, known)
        joined += read
        dotted = len(read) < len(run) and token.text == "." and token.start == run[-1].end
        run = []
        if not dotted:
            joined.append(token)
    return joined + _read_run(run, known)


def _read_run(run: list[Token], known: frozenset[str]) -> list[Token]:
    """Read a run of single letters as words: by its wider gaps where there are any, else by known words.

    Where wider gaps part some known word, they part the others too: a whole text may be spaced out.
    """
    if len(run) < 3:
        return run
    gaps = [right.start - left.end for left, right in pairwise(run)]
    # An apostrophe that has vanished leaves a gap a little wider than usual: it parts no words if others do.
    ends: list[int] | None = None
    for usual in (min(gaps) + 1, min(gaps)):
        ends = ends or [place for place, gap in enumerate(gaps, 1) if gap > usual]
    if ends:
        ends.append(len(run))
    elif len(run) <= _LONGEST_RUN:
        ends = _cut("".join(token.text for token in run), known)
    if not ends:
        return run
    read = [
        Token("".join(token.text for token in run[start:end]), run[start].start, run[end - 1].end)
        for start, end in pairwise([0, *ends])
    ]
    return read if any(len(token.text) > 2 and token.text in known for token in read) else run


def _cut(letters: str, known: frozenset[str]) -> list[int] | None:
    """Return the ends of the fewest known words that make up ``letters``, None if there are none."""
    best: list[list[int] | None] = [[]] + [None] * len(letters)
    for end in range(1, len(letters) + 1):
        for start in range(max(0, end - _LONGEST), end):
            before, present = best[start], best[end]
            word = letters[start:end]
            if before is None or not (word in known or word in ("a", "i") or word.isdigit()):
                continue
            if present is None or len(before) + 1 < len(present):
                best[end] = [*before, end]
    return best[len(letters)]
