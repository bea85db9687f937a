"""What a linter says: findings, each with its line, its reason and, where that is sure, a fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How grave a finding is: an error makes a policy say what it does not mean, a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that removes a finding. ``edits`` are (start, end, new text) and do not overlap."""

    says: str
    edits: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class LintFinding:
    """Something wrong with a text. ``code`` is stable; ``line`` counts from 1.

    ``start`` and ``end`` are the offsets, in code points, of what it is about. ``fix`` is None where a person
    must decide.
    """

    code: str
    line: int
    severity: Severity
    message: str
    start: int
    end: int
    fix: Fix | None = None


def apply_fix(text: str, fix: Fix) -> str:
    """Return ``text`` with the edits made. The fix must be of this very text."""
    pieces: list[str] = []
    end = 0
    for start, stop, new in sorted(fix.edits):
        pieces += (text[end:start], new)
        end = stop
    return "".join(pieces) + text[end:]
