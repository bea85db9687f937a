"""The pattern language of ``signals.toml``, compiled to regular expressions over canonical text.

    <make> .. <weapon>      a word of the list "make", up to six words between, a word of the list "weapon"
    how to|do <kill> ..2 me alternatives of one word; a gap of at most two words
    blow? up                an optional word
    <groom> ... <secret>    up to forty words between, in the same sentence or the next ones
    убив*                   any word that begins so (not in Latin letters, two to seven of them)

A pattern matches whole words only; but for ``...`` it does not reach past the end of a sentence. What a text
must at least contain for a pattern to match is kept beside the expression (``needs``), so that most patterns
are dismissed without searching.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from engine.guards.text import LONGEST_FAR_MATCH, LONGEST_MATCH, tokenise
from engine.policies.inflection import inflect

Phrase = tuple[str, ...]
WordLists = Mapping[str, frozenset[Phrase]]
_Tree = dict[str, "_Tree"]

_DEFAULT_GAP = 6
_LONGEST_GAP = 20
_GAP_PIECE = re.compile(r"\.\.(\d*)")
_LIST_NAME = re.compile(r"<([a-z0-9_]+)>")
_GAP = r"(?: \w+){0,%d}?"
_FARTHEST = 40
_KEPT = 8192
"""Patterns and lists that are kept once they are made: who edits a file has only what changed made anew."""
_FAR = rf"(?: [^ ]+){{0,{_FARTHEST}}}?"
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        a able about after all also am an and any are as at be because been being but by can could did do
        does else for from get give go had has have he help her here him his how i if im in into is it its
        just know let like make may me more my need no not of off on one or other our out over people please
        same say should show so some someone something such take tell than that the their them then there
        these they thing things this those to too up us use used using very want was way ways we were what
        when where which who whose why will with without would write you your best create good new time work
        find list describe explain generate first person man world years day made making
        """,
    )
)


class PatternError(ValueError):
    """A pattern that cannot be read."""


@dataclass(frozen=True)
class Pattern:
    """One compiled pattern.

    ``needs`` are sets of phrases: a text that matches contains a phrase of each. ``hints`` are sets of words,
    one for each of ``needs``, the most telling first: a text that matches contains a word of each. A ``far``
    pattern may reach past the end of a sentence.
    """

    text: str
    needs: tuple[frozenset[Phrase], ...]
    hints: tuple[frozenset[str], ...]
    far: bool
    expression: str = field(repr=False)
    words: frozenset[str] = field(repr=False)

    @cached_property
    def find(self) -> Callable[[str, int, int], Iterator[re.Match[str]]]:
        """Find the matches in a canonical text between two offsets. Compiled at the first use."""
        return re.compile(self.expression).finditer


def compile_pattern(text: str, lists: WordLists) -> Pattern:
    """Compile one pattern.

    Raises:
        PatternError: if it is malformed, too long, names an unknown list, or has optional parts only.
    """
    named = dict.fromkeys(_LIST_NAME.findall(text))
    return _compiled(text, tuple((name, lists[name]) for name in named if name in lists))


@lru_cache(_KEPT)
def _compiled(text: str, used: tuple[tuple[str, frozenset[Phrase]], ...]) -> Pattern:
    lists = dict(used)
    expression: list[str] = []
    needs: list[frozenset[Phrase]] = []
    words: set[str] = set()
    far = False
    length = 0
    for piece in text.split():
        if piece == "...":
            far = True
            expression.append(_FAR)
            length += _FARTHEST
            continue
        gap = _GAP_PIECE.fullmatch(piece)
        if gap is not None:
            expression.append(_GAP % _gap_size(gap[1], text))
            length += _gap_size(gap[1], text)
            continue
        for phrases, optional in _elements(piece, text, lists):
            written = _alternatives(phrases)
            expression.append(f"(?:{written})?" if optional else written)
            words.update(word for phrase in phrases for word in phrase)
            length += max(len(phrase) for phrase in phrases)
            if not optional:
                needs.append(phrases)
    if not needs:
        raise PatternError(f"{text!r} requires no word")
    longest = LONGEST_FAR_MATCH if far else LONGEST_MATCH
    if length > longest:
        raise PatternError(f"{text!r} may match {length} words: at most {longest} are allowed")
    needs.sort(key=lambda need: (_common_in(need), len(need)))
    return Pattern(
        text=text,
        needs=tuple(needs),
        hints=tuple(map(_hints_of, needs)),
        far=far,
        expression="".join(expression) + "(?= )",
        words=frozenset(word for word in words if not word.endswith("*")),
    )


def expand_list(
    entries: Iterable[str], inflected: bool, nested: Iterable[frozenset[Phrase]] = ()
) -> frozenset[Phrase]:
    """Return the phrases of a word list, if ``inflected`` with all forms of entries without ``=``.

    ``nested`` are the phrases of other lists that belong to it as they are.

    Raises:
        PatternError: if an entry has no word in it.
    """
    return _expanded(tuple(entries), inflected, tuple(nested))


@lru_cache(_KEPT)
def _expanded(
    entries: tuple[str, ...], inflected: bool, nested: tuple[frozenset[Phrase], ...]
) -> frozenset[Phrase]:
    phrases: set[Phrase] = set().union(*nested)
    for entry in entries:
        phrase = _phrase(entry.removeprefix("="))
        alone = not inflected or entry.startswith("=") or not entry.isascii()
        phrases |= {phrase} if alone else inflect(phrase)
    return frozenset(phrases)


def _elements(piece: str, text: str, lists: WordLists) -> list[tuple[frozenset[Phrase], bool]]:
    """Return the parts that one piece of a pattern stands for, and whether each is optional."""
    optional = piece.endswith("?") and len(piece) > 1
    options = (piece.removesuffix("?") if optional else piece).split("|")
    if len(options) == 1 and not _LIST_NAME.fullmatch(options[0]):
        phrase = _phrase(options[0])
        return [(frozenset([(word,)]), optional) for word in phrase]
    phrases: set[Phrase] = set()
    for option in options:
        named = _LIST_NAME.fullmatch(option)
        if named is None:
            phrases.add(_phrase(option))
        elif named[1] in lists:
            phrases |= lists[named[1]]
        else:
            raise PatternError(f"{text!r} uses the word list {option}, which does not exist")
    return [(frozenset(phrases), optional)]


def _phrase(entry: str) -> Phrase:
    if entry.endswith("*"):
        stem = tokenise(entry.removesuffix("*"))
        if len(stem) != 1 or stem[0].isascii() or not 2 <= len(stem[0]) <= 7:
            raise PatternError(f"the stem {entry!r} must be 2 to 7 letters that are not Latin")
        return (stem[0] + "*",)
    tokens = tuple(token for token in tokenise(entry) if token[0].isalnum())
    if not tokens:
        raise PatternError(f"{entry!r} has no word in it")
    return tokens


@lru_cache(_KEPT)
def _alternatives(phrases: frozenset[Phrase]) -> str:
    """Return an expression for any of the phrases, with the space before it, the longest that there is."""
    stems = sorted(phrase for phrase in phrases if phrase[-1].endswith("*"))
    written = [re.escape(phrase[0][:-1]) + "[^ ]*" for phrase in stems]
    tree: _Tree = {}
    for phrase in phrases.difference(stems):
        branch = tree
        for char in " ".join(phrase):
            branch = branch.setdefault(char, {})
        branch[""] = {}
    if tree:
        written.append(_written(tree))
    return f" (?:{'|'.join(written)})(?= )"


def _written(tree: _Tree) -> str:
    """Write alternatives so that each of their characters is looked at once."""
    branches = [re.escape(char) + _written(branch) for char, branch in sorted(tree.items()) if char]
    if len(branches) == 1 and "" not in tree:
        return branches[0]
    return f"(?:{'|'.join(branches)}){'?' if '' in tree else ''}" if branches else ""


def _gap_size(digits: str, text: str) -> int:
    size = int(digits) if digits else _DEFAULT_GAP
    if size > _LONGEST_GAP:
        raise PatternError(f"a gap of {size} words in {text!r}: at most {_LONGEST_GAP} are allowed")
    return size


@lru_cache(_KEPT)
def _hints_of(phrases: frozenset[Phrase]) -> frozenset[str]:
    return frozenset(map(rarest, phrases))


@lru_cache(_KEPT)
def _common_in(phrases: frozenset[Phrase]) -> int:
    return sum(rarest(phrase) in _COMMON for phrase in phrases)


def rarest(phrase: Phrase) -> str:
    """Return the word of a phrase by which it is best looked for."""
    return max(phrase, key=lambda word: (word not in _COMMON, len(word)))
