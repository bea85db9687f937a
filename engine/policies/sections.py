"""What a policy's text is made of: its sections, and in them definitions, rules and examples.

Any text can be read; what is not of the usual form is not an error here but missing in the outline. Lines end
at newlines only and are counted from 1, offsets are code points. Linear in the text. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SECTIONS = ("Instructions", "Definitions", "Violates", "Safe", "Examples", "Edge cases")
"""The sections of a policy in their order, as the gpt-oss-safeguard guide has them."""

OUTPUT_RULE = "Answer with exactly one word: VIOLATION or SAFE."
"""Stands at the end of the instructions and at the end of the text."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t\r]*$")
_RULE = re.compile(r"- ([VS])(\d{1,4}):[ \t]*(.*?)[ \t\r]*$")
_BULLET = re.compile(r"[-*] (.*?)[ \t\r]*$")
_TERM = re.compile(r"- ([^:]{1,120}):[ \t]*(.*?)[ \t\r]*$")
_RANGE = re.compile(r"\b([VS])(\d{1,4})(?: to |[ ]?[-\u2013][ ]?)([VS])(\d{1,4})\b")
_LABEL = re.compile(r"\b([VS])(\d{1,4})\b")
_VERDICT = re.compile(r"\b(VIOLATION|SAFE)\b")
_LONGEST_RANGE = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. ``start`` is the offset of its first character."""

    number: int
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Label:
    """A rule's name where it occurs, "V2". ``start`` is its offset."""

    kind: str
    number: int
    line: int
    start: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.kind}{self.number}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A labelled rule: a line of its own. ``body`` is what it says."""

    label: Label
    line: Line
    body: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A term and what it means."""

    term: str
    meaning: str
    line: Line


@dataclass(frozen=True, slots=True)
class Example:
    """A line among the examples. ``verdict`` is VIOLATION, SAFE or None; ``labels`` are those behind it."""

    line: Line
    text: str
    verdict: str | None
    verdict_start: int
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the second level or deeper, and the lines up to the next one."""

    name: str
    heading: Line
    lines: tuple[Line, ...]

    @property
    def is_empty(self) -> bool:
        return not any(line.text.strip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class Outline:
    """A text taken apart. ``before`` are the lines ahead of the first section, the title among them.

    ``uses`` are labels that are named anywhere but at the head of their rule, ``ranges`` pairs "V1 to V3".
    """

    text: str
    lines: tuple[Line, ...]
    title: Line | None
    before: tuple[Line, ...]
    sections: tuple[Section, ...]
    rules: tuple[Rule, ...] = ()
    definitions: tuple[Definition, ...] = ()
    examples: tuple[Example, ...] = ()
    uses: tuple[Label, ...] = ()
    ranges: tuple[tuple[Label, Label], ...] = field(default=())

    def section(self, name: str) -> Section | None:
        """Return the first section of this name."""
        return next((section for section in self.sections if section.name == name), None)


def read_outline(text: str) -> Outline:
    """Take a text apart."""
    lines = tuple(_lines(text))
    title = next((line for line in lines if line.text.strip()), None)
    if title is not None and not re.match(r"#[ \t]", title.text):
        title = None
    before: list[Line] = []
    sections: list[tuple[str, Line, list[Line]]] = []
    for line in lines:
        heading = _HEADING.match(line.text)
        if heading is not None and len(heading[1]) > 1:
            sections.append((heading[2], line, []))
        else:
            (sections[-1][2] if sections else before).append(line)
    made = tuple(Section(name, heading, tuple(body)) for name, heading, body in sections)
    rules = tuple(_rules(lines))
    heads = {rule.label.start for rule in rules}
    defining = [line for section in made if section.name == "Definitions" for line in section.lines]
    showing = [line for section in made if section.name == "Examples" for line in _bullets(section)]
    return Outline(
        text,
        lines,
        title,
        tuple(before),
        made,
        rules,
        tuple(each for each in map(_definition, defining) if each is not None),
        tuple(map(_example, showing)),
        tuple(label for line in lines for label in _labels(line) if label.start not in heads),
        tuple(pair for line in lines for pair in _ranges(line)),
    )


def between(first: Label, last: Label) -> list[str]:
    """Return the names from one label to another, both included; none where they are of two kinds."""
    if first.kind != last.kind or last.number - first.number > _LONGEST_RANGE:
        return []
    return [f"{first.kind}{number}" for number in range(first.number, last.number + 1)]


def _lines(text: str) -> Iterator[Line]:
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        yield Line(number, start, line)
        start += len(line) + 1


def _rules(lines: tuple[Line, ...]) -> Iterator[Rule]:
    for line in lines:
        found = _RULE.match(line.text)
        if found is not None:
            yield Rule(_label(line, found, 1), line, found[3])


def _definition(line: Line) -> Definition | None:
    found = _TERM.match(line.text)
    return None if found is None else Definition(found[1].strip(), found[2], line)


def _bullets(section: Section) -> Iterator[Line]:
    return (line for line in section.lines if _BULLET.match(line.text))


def _example(line: Line) -> Example:
    """Take an example apart: its text is what is quoted, its verdict the last one behind that."""
    first, last = line.text.find('"'), line.text.rfind('"')
    quoted = line.text[first + 1 : last] if last > first >= 0 else line.text[2:].partition("->")[0].strip()
    behind = last + 1 if last > first >= 0 else max(line.text.find("->"), 0)
    verdicts = list(_VERDICT.finditer(line.text, behind))
    verdict = verdicts[-1] if verdicts else None
    labels = tuple(label for label in _labels(line) if label.start - line.start >= behind)
    where = line.start + verdict.start() if verdict is not None else line.end
    return Example(line, quoted, None if verdict is None else verdict[1], where, labels)


def _labels(line: Line) -> Iterator[Label]:
    for found in _LABEL.finditer(line.text):
        yield _label(line, found, 1)


def _ranges(line: Line) -> Iterator[tuple[Label, Label]]:
    for found in _RANGE.finditer(line.text):
        yield _label(line, found, 1), _label(line, found, 3)


def _label(line: Line, found: re.Match[str], group: int) -> Label:
    start, end = line.start + found.start(group), line.start + found.end(group + 1)
    return Label(found[group], int(found[group + 1]), line.number, start, end)
