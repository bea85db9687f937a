"""What the parts of a policy's files are: which stretch of a line is a heading, a label, a word list.

Pure functions from a line and the state before it to its spans and the state after it, so that an editor
need only look at the lines that have changed and those in sight. Every one is linear in the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

Span = tuple[int, int, str]
"""The first code point, the one behind the last, and the name of a style in `STYLES`."""

State = Hashable
"""What a line needs to know of those above it; None before the first."""

Colouring = Callable[[str, State], tuple[tuple[Span, ...], State]]
"""Returns the spans of a line, where later ones lie over earlier ones, and the state behind it."""

STYLES = (
    *("title", "heading", "violates", "safe", "term", "quoted", "instruction"),
    *("table", "key", "string", "comment", "word-list", "gap", "operator", "value", "broken"),
)
"""The names of all styles: first what a policy's text is made of, then what signals are."""

_MOST_REMEMBERED = 50_000


class LineColours:
    """The spans of a text's lines. Each is computed once for what it reads and the state before it."""

    def __init__(self, colouring: Colouring) -> None:
        self.colouring = colouring
        self._known: dict[tuple[str, State], tuple[tuple[Span, ...], State]] = {}
        self._before: list[State] = [None]

    def forget_places(self) -> None:
        """Take note that lines have changed, come or gone."""
        self._before = [None]

    def spans(self, lines: Sequence[str], row: int) -> tuple[Span, ...]:
        """Return the spans of one line."""
        for index in range(len(self._before) - 1, row):
            self._before.append(self._look(lines[index], self._before[index])[1])
        return self._look(lines[row], self._before[row])[0]

    def _look(self, line: str, before: State) -> tuple[tuple[Span, ...], State]:
        found = self._known.get((line, before))
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[line, before] = self.colouring(line, before)
        return found


# --- policy.md ---------------------------------------------------------------------------------------

_SECTION_STYLES = {"violates": "violates", "safe": "safe"}
_HEADING = re.compile(r"(#{1,6})\s+(\S.*)")
_RULE = re.compile(r"\s*[-*]\s+([VS]\d+):")
_TERM = re.compile(r"\s*[-*]\s+([^:]{1,80}):")
_MEANT = re.compile(r"\b(?:(?P<violates>VIOLATION|V\d+)|(?P<safe>SAFE|S\d+))\b")
_IN_EXAMPLE = re.compile(rf"(?P<quoted>\"[^\"]*\"|“[^”]*”)|{_MEANT.pattern}")
_OUTPUT_RULE = re.compile(r"\b(?:Answer|Reply|Respond|Output)\b[^.:]{0,80}:\s{0,4}VIOLATION or SAFE\b\.?")


def policy_colours(line: str, state: State) -> tuple[tuple[Span, ...], State]:
    """Return the spans of a line of ``policy.md``. The state is the section's heading, in small letters."""
    heading = _HEADING.match(line)
    if heading is not None:
        if len(heading[1]) == 1:
            return ((0, len(line), "title"),), None
        section = heading[2].strip().casefold()
        return ((0, len(line), _SECTION_STYLES.get(section, "heading")),), section
    spans: list[Span] = [(*found.span(), "instruction") for found in _OUTPUT_RULE.finditer(line)]
    rule = _RULE.match(line)
    term = _TERM.match(line) if state == "definitions" and rule is None else None
    if term is not None:
        spans.append((*term.span(1), "term"))
    meant = _IN_EXAMPLE if state == "examples" else _MEANT
    spans += [(*found.span(), found.lastgroup) for found in meant.finditer(line) if found.lastgroup]
    return tuple(spans), state


# --- signals.toml ------------------------------------------------------------------------------------


class Toml(NamedTuple):
    """Where a line of TOML begins: in which table and key, how deep in brackets, in which long string."""

    table: str = ""
    key: str = ""
    depth: int = 0
    quotes: str = ""


_TABLE = re.compile(r"\s*(\[\[?\s*([A-Za-z_][\w.-]*)\s*\]\]?)\s*(?=#|$)")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[\w-]+)*)\s*=""")
_BARE_KEY = re.compile(r"([A-Za-z_][\w-]*)\s*=")
_TOKEN = re.compile(
    r"""(?P<comment>\#.*)"""
    r"""|(?P<long>\"{3}|'{3})"""
    r"""|(?P<string>"(?:[^"\\]|\\.)*"|'[^']*')"""
    r"""|(?P<broken>["'].*)"""
    r"""|(?P<key>[A-Za-z_][\w-]*(?=\s*=))"""
    r"""|(?P<value>[+-]?[\w.:+-]+)"""
    r"""|(?P<bracket>[\[\]{}])"""
)
_LONG_END = {'"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"""'), "'''": re.compile(r"(?:[^']|'(?!''))*'''")}
_PLAIN_VALUE = re.compile(
    r"true|false|[+-]?(?:\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|inf|nan)|\d{4}-\d\d-\d\d.*"
)
_PATTERN_KEYS = ("match", "refusals", "compliances")
_LIST_TABLES = ("phrases", "words")
_IN_PATTERN = re.compile(
    r"(?P<list><[^<>\s|]+>)|(?P<gap>(?<![^\s\"'])\.{2}(?:\.|\d+)?(?![^\s\"']))|(?P<operator>[|?*])"
)
_IN_LIST = re.compile(r"(?<=[\"'])(?:(?P<list><[^<>\s]+>)(?=[\"'])|(?P<operator>=))")


def signals_colours(line: str, state: State) -> tuple[tuple[Span, ...], State]:
    """Return the spans of a line of ``signals.toml``. The state is a `Toml`."""
    at = state if isinstance(state, Toml) else Toml()
    spans: list[Span] = []
    place = 0
    if not at.quotes:
        place, at = _statement(line, at, spans)
    while True:
        if at.quotes:
            end = _LONG_END[at.quotes].match(line, place)
            last = len(line) if end is None else end.end()
            if place < last:
                spans += [(place, last, "string"), *_inside(line, place, last, at)]
            if end is None:
                return tuple(spans), at
            place, at = last, at._replace(quotes="")
        token = _TOKEN.search(line, place)
        if token is None:
            return tuple(spans), at
        kind, first, place = token.lastgroup or "", token.start(), token.end()
        if kind == "long":
            spans.append((first, place, "string"))
            at = at._replace(quotes=token[0])
        elif kind == "bracket":
            at = at._replace(depth=max(at.depth + (1 if token[0] in "[{" else -1), 0))
        elif kind == "string":
            spans += [(first, place, kind), *_inside(line, first, place, at)]
        elif kind == "value" and _PLAIN_VALUE.fullmatch(token[0]) is None:
            spans.append((first, place, "broken"))
        else:
            spans.append((first, place, kind))


def _statement(line: str, at: Toml, spans: list[Span]) -> tuple[int, Toml]:
    """Read a table's header or a key, and return where its value begins, and the state there.

    No value begins at the margin with a bare word: where one stands, the brackets above are forgotten,
    so that a bracket that is missing does not turn everything below it into values.
    """
    table = _TABLE.match(line)
    if table is not None and (at.depth == 0 or table.start(1) == 0):
        spans.append((*table.span(1), "table"))
        return table.end(), Toml(table=table[2])
    key = _KEY.match(line) if at.depth == 0 else _BARE_KEY.match(line)
    if key is None:
        return 0, at
    spans.append((*key.span(1), "key"))
    return key.end(), Toml(table=at.table, key=key[1])


def _inside(line: str, first: int, last: int, at: Toml) -> list[Span]:
    """Return the spans of what has a meaning inside a string: of patterns, and of entries of word lists."""
    if at.key in _PATTERN_KEYS:
        grammar = _IN_PATTERN
    elif at.table in _LIST_TABLES:
        grammar = _IN_LIST
    else:
        return []
    names = {"list": "word-list", "gap": "gap", "operator": "operator"}
    found = grammar.finditer(line, first, last)
    return [(*part.span(), names[part.lastgroup]) for part in found if part.lastgroup is not None]
