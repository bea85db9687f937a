"""What a look at a text shows while it is typed: what is wrong with it, and which lines are new in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.diffing import diff
from engine.models.counting import TokenCount
from engine.policies.lint import LintFinding, Severity, lint
from engine.policies.load import TEXT_NAME

_AT_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")
_HEADING = re.compile(r"#{1,6} |- [VS]\d+:")
_TABLE = re.compile(r"\[|name\s*=|[a-z0-9_]+\s*=\s*\[\s*$")
_IN_SIGNAL = re.compile(r"\(([^()]+)\)(?:, pattern \d+)?:")
_IN_LIST = re.compile(r", (?:words|phrases)\.([^:]+):")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in a ``text``, and its lines, from 1, that are not those of its file."""

    text: str
    findings: tuple[LintFinding, ...]
    changed: frozenset[int]


def inspect_policy(text: str, saved: str) -> Inspection:
    """Look at the text of a policy. Of a long one it takes a moment."""
    return Inspection(text, lint(text), diff(saved, text, rows=False).changed_lines)


def inspect_signals(text: str, saved: str, fault: str) -> Inspection:
    """Look at signals; ``fault`` says why they cannot be used, or nothing."""
    findings = (fault_of(fault, text),) if fault else ()
    return Inspection(text, findings, diff(saved, text, rows=False).changed_lines)


def fault_of(message: str, text: str) -> LintFinding:
    """Return why signals cannot be used, as a finding at the line that the message is about."""
    line = 1
    if (at := _AT_LINE.search(message)) is not None:
        line = int(at[1])
    elif (signal := _IN_SIGNAL.search(message)) is not None:
        line = _line_of(text, rf'^name\s*=\s*"{re.escape(signal[1])}"')
    elif (named := _IN_LIST.search(message)) is not None:
        line = _line_of(text, rf"^{re.escape(named[1])}\s*=")
    lines = text.split("\n")
    line = min(line, len(lines))
    start = sum(len(each) + 1 for each in lines[: line - 1])
    said = message.partition(": ")[2] or message
    return LintFinding("unusable", line, Severity.ERROR, said, start, start + len(lines[line - 1]), None)


def columns(finding: LintFinding, text: str) -> tuple[int, int] | None:
    """Return the stretch of a finding's line that it is about; None for all of it, or nothing."""
    line_start = text.rfind("\n", 0, finding.start) + 1
    line_end = text.find("\n", finding.start)
    end = min(finding.end, len(text) if line_end < 0 else line_end)
    return (finding.start - line_start, end - line_start) if end > finding.start else None


def sections_of(file: str, text: str) -> list[tuple[int, str]]:
    """Return where one may want to go in a text, as (line from 1, title)."""
    pattern = _HEADING if file.endswith(TEXT_NAME) else _TABLE
    places = [(number, line) for number, line in enumerate(text.split("\n"), 1) if pattern.match(line)]
    return places or [(1, "beginning")]


def length_words(count: TokenCount, band: tuple[int, int]) -> str:
    """Return how long a text is, against the band it should lie in."""
    low, high = band
    sign = "✓" if low <= count.tokens <= high else "✗"
    where = "in" if low <= count.tokens <= high else "below" if count.tokens < low else "above"
    return f"{sign} {tokens_words([count])}, {where} {low}–{high}"


def tokens_words(counts: Sequence[TokenCount]) -> str:
    """Return how long texts are together, and whether that is an estimate."""
    estimated = " est." if any(count.estimated for count in counts) else ""
    return f"{sum(count.tokens for count in counts):,} tokens{estimated}"


def _line_of(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1
