"""Findings in all the files of a policy: its text, signals and cases. Standard library only.

docs/policies.md has a table of the codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.policies.case_file import case_lines
from engine.policies.files import read_file
from engine.policies.lint import Fix, Severity, lint
from engine.policies.load import CASES_NAME, TEXT_NAME, PolicyCase, PolicyError, policy_names
from engine.policies.sections import SECTIONS, read_outline
from engine.policies.signals import FILE_NAME as SIGNALS_NAME
from engine.policies.signals import SHARED_NAME, load_signals
from engine.policies.tokens import TOKEN_BAND, estimate_tokens

_SET_FACTS = "set.toml"
_LABELS = re.compile(r"[VS]\d{1,3}(?:(?: ?, ?| and | or |/)[VS]\d{1,3}){0,20}(?=:)")
_LABEL = re.compile(r"[VS]\d{1,3}")
_RENUMBERING = "label-order"
_TOML_LINE = re.compile(r"at line (\d+)")
_TABLE = re.compile(r", (obvious|indicator|intent|context|exception|example) (\d+)")


@dataclass(frozen=True, slots=True)
class FileFinding:
    """What is wrong in a file. ``line`` counts from 1; ``fix`` mends it, where that is sure."""

    path: Path
    line: int
    code: str
    severity: Severity
    message: str
    fix: Fix | None = None


def lint_file(
    path: Path,
    *,
    band: tuple[int, int] = TOKEN_BAND,
    count: Callable[[str], int] = estimate_tokens,
    counted: str = "estimated",
) -> tuple[FileFinding, ...]:
    """Return the findings in a file of a policy, or in ``shared.toml``, in the order of its lines.

    ``band``, ``count`` and ``counted`` are those of `engine.policies.lint.lint`; its sections are those
    that `sections_for` says.

    Raises:
        PolicyError: if the file is none that belongs to a policy.
    """
    kinds: dict[str, Callable[[Path], Iterator[FileFinding]]] = {
        TEXT_NAME: partial(_text_findings, band=band, count=count, counted=counted),
        SIGNALS_NAME: _signals_findings,
        SHARED_NAME: _shared_findings,
        CASES_NAME: _case_findings,
    }
    if path.name not in kinds:
        raise PolicyError(f"{path} is no file of a policy: these are {', '.join(kinds)}.")
    try:
        found = list(kinds[path.name](path))
    except PolicyError as error:
        found = [FileFinding(path, 1, "unreadable", Severity.ERROR, _without(path, str(error)))]
    return tuple(sorted(found, key=lambda finding: finding.line))


def sections_for(path: Path, text: str) -> Sequence[str]:
    """Return the sections that a policy's text must have.

    One of a set that has a ``set.toml`` may do without headings; with any it must have them all.
    """
    in_set = (path.parent.parent / _SET_FACTS).is_file()
    return () if in_set and not read_outline(text).sections else SECTIONS


def spared_for(path: Path) -> frozenset[str]:
    """Return the codes that must not be mended in a policy's text without somebody looking.

    Labels are not counted anew where reasons of the policy's cases name them: they would name other rules.
    The texts of a set share the cases of the policies, which lie elsewhere.
    """
    if (path.parent.parent / _SET_FACTS).is_file():
        return frozenset({_RENUMBERING})
    cases = path.parent / CASES_NAME
    try:
        lines = list(case_lines(cases, read_file(cases).text))
    except PolicyError:
        return frozenset({_RENUMBERING})
    named = any(isinstance(case, PolicyCase) and _LABELS.match(case.reason) for _, case in lines)
    return frozenset({_RENUMBERING}) if named else frozenset()


def _text_findings(
    path: Path, band: tuple[int, int], count: Callable[[str], int], counted: str
) -> Iterator[FileFinding]:
    text = _there(path)
    sections, spared = sections_for(path, text), spared_for(path)
    for found in lint(text, band=band, sections=sections, count=count, counted=counted):
        fix = None if found.code in spared else found.fix
        yield FileFinding(path, found.line, found.code, found.severity, found.message, fix)


def _signals_findings(path: Path) -> Iterator[FileFinding]:
    text = _there(path)
    shared = path.parent.parent / SHARED_NAME
    try:
        load_signals(path.parent.parent, [path.parent.name])
    except PolicyError as error:
        if str(error).startswith(str(shared)):
            return  # the fault is the shared file's, and found there
        line = _line_of(text, str(error))
        yield FileFinding(path, line, "signals-unusable", Severity.ERROR, _without(path, str(error)))


def _shared_findings(path: Path) -> Iterator[FileFinding]:
    text = _there(path)
    folder = path.parent
    for name in policy_names(folder):
        if (folder / name / SIGNALS_NAME).is_file():
            try:
                load_signals(folder, [name])
            except PolicyError as error:
                if str(error).startswith(str(path)):
                    line = _line_of(text, str(error))
                    yield FileFinding(
                        path, line, "signals-unusable", Severity.ERROR, _without(path, str(error))
                    )
            return  # the shared signals are read the same with every policy


def _case_findings(path: Path) -> Iterator[FileFinding]:
    text = _there(path)
    labels = _rules_of(path.parent / TEXT_NAME)
    first: dict[str, tuple[int, PolicyCase]] = {}
    for line, case in case_lines(path, text):
        if isinstance(case, PolicyError):
            yield FileFinding(path, line, "case-unreadable", Severity.ERROR, _without(path, str(case)))
            continue
        earlier, same = first.setdefault(case.case.key, (line, case))
        if earlier != line:
            if same.violation is case.violation:
                message = f"The same prompt and response are the case of line {earlier:,} already."
                yield FileFinding(path, line, "case-repeated", Severity.ERROR, message)
            else:
                message = f"Line {earlier:,} has the same prompt and response, and expects the contrary."
                yield FileFinding(path, line, "case-contradictory", Severity.ERROR, message)
        yield from _label_findings(path, line, case, labels)


def _label_findings(
    path: Path, line: int, case: PolicyCase, labels: frozenset[str] | None
) -> Iterator[FileFinding]:
    """Look at the labels that a reason begins with, as in "V1: names a target"."""
    beginning = _LABELS.match(case.reason)
    named = _LABEL.findall(beginning[0]) if beginning else []
    unknown = [label for label in named if labels is not None and label not in labels]
    if unknown:
        message = f"The reason names {', '.join(unknown)}, which {TEXT_NAME} does not define."
        yield FileFinding(path, line, "case-unknown-label", Severity.ERROR, message)
    kind = "V" if case.violation else "S"
    if named and not any(label.startswith(kind) for label in named):
        expected = "a violation" if case.violation else "none"
        message = f"The case expects {expected}, and its reason is {', '.join(named)}."
        yield FileFinding(path, line, "case-wrong-label", Severity.ERROR, message)


def _rules_of(path: Path) -> frozenset[str] | None:
    """Return the labels that a policy's text defines; None if it cannot be read."""
    try:
        content = read_file(path)
    except PolicyError:
        return None
    return (
        frozenset(rule.label.name for rule in read_outline(content.text).rules) if content.is_there else None
    )


def _there(path: Path) -> str:
    content = read_file(path)
    if not content.is_there:
        raise PolicyError(f"{path} is not there.")
    return content.text


def _line_of(text: str, message: str) -> int:
    """Return the line that a message about signals means: as it says, or where its table begins."""
    if said := _TOML_LINE.search(message):
        return int(said[1])
    if not (table := _TABLE.search(message)):
        return 1
    heads = [number for number, line in enumerate(text.split("\n"), 1) if line.strip() == f"[[{table[1]}]]"]
    place = int(table[2]) - 1
    return heads[place] if place < len(heads) else 1


def _without(path: Path, message: str) -> str:
    """Return a message without the path that it begins with: it stands before it already."""
    rest = message.removeprefix(str(path)).lstrip(",: ")
    return rest[:1].upper() + rest[1:]
