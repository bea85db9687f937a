"""Changing a policy's file of cases: a line at a time, all others stay as they are. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.cases import Case
from engine.policies.files import read_file, save_file
from engine.policies.load import CASES_NAME, PolicyCase, PolicyError, case_of


class NoSuchCase(PolicyError):
    """The case is not, or no longer, in the file."""


class CaseIsThere(PolicyError):
    """The file has such a case already: the same prompt and response."""


def add_cases(folder: Path, name: str, cases: list[PolicyCase]) -> tuple[list[PolicyCase], list[PolicyCase]]:
    """Add cases at the end of a policy's file, all or none; return those added, and those left out.

    What is there already, or comes twice, is left out: a case is its prompt and response.

    Raises:
        PolicyError: if the file cannot be read or written, or holds a line that is no case.
    """
    path = folder / name / CASES_NAME
    content = read_file(path)
    added, left_out = _new(path, content.text, cases)
    if added:
        before = content.text if not content.text or content.text.endswith("\n") else content.text + "\n"
        save_file(path, before + "".join(f"{written(case)}\n" for case in added), over=content.sha256)
    return added, left_out


def new_cases(folder: Path, name: str, cases: list[PolicyCase]) -> tuple[list[PolicyCase], list[PolicyCase]]:
    """Return which of these `add_cases` would add, and which it would leave out. Nothing is written.

    Raises:
        PolicyError: if the file cannot be read, or holds a line that is no case.
    """
    path = folder / name / CASES_NAME
    return _new(path, read_file(path).text, cases)


def replace_case(folder: Path, name: str, key: str, case: PolicyCase) -> None:
    """Put ``case`` in the place of the one whose `Case.key` is ``key``.

    Raises:
        NoSuchCase: if there is none, by now.
        CaseIsThere: if another line is the same case as the new one.
        PolicyError: if the file cannot be read or written.
    """
    _change(folder, name, key, case)


def remove_case(folder: Path, name: str, key: str) -> None:
    """Take the case whose `Case.key` is ``key`` out of the file.

    Raises:
        NoSuchCase: if there is none, by now.
        PolicyError: if the file cannot be read or written.
    """
    _change(folder, name, key, None)


def written(case: PolicyCase) -> str:
    """Return a case as a line of its file, without the line's end."""
    row: dict[str, Any] = {
        "prompt": case.case.prompt,
        "response": case.case.response,
        "expected": "violation" if case.violation else "safe",
        "reason": case.reason,
        "language": case.language,
        "source": case.source,
    }
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(row)
    return line


def _change(folder: Path, name: str, key: str, case: PolicyCase | None) -> None:
    path = folder / name / CASES_NAME
    content = read_file(path)
    found = _lines(path, content.text)
    place = next((number for number, each in found if each.case.key == key), None)
    if place is None:
        raise NoSuchCase(f"{path} no longer has this case. Nothing was changed.")
    if case is not None and any(number != place and _same(each.case, case.case) for number, each in found):
        raise CaseIsThere(f"{path} has this case already: the same prompt and response. Nothing was changed.")
    lines = content.text.split("\n")
    lines[place : place + 1] = [] if case is None else [written(case)]
    save_file(path, "\n".join(lines), over=content.sha256)


def _new(path: Path, text: str, cases: list[PolicyCase]) -> tuple[list[PolicyCase], list[PolicyCase]]:
    present = {case.case.key for _, case in _lines(path, text)}
    added: list[PolicyCase] = []
    left_out: list[PolicyCase] = []
    for case in cases:
        (left_out if case.case.key in present else added).append(case)
        present.add(case.case.key)
    return added, left_out


def _same(one: Case, other: Case) -> bool:
    return one.key == other.key


def case_lines(path: Path, text: str) -> Iterator[tuple[int, PolicyCase | PolicyError]]:
    """Yield the number of each line of a text that is not empty, with its case, or why it is none."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, case_of(path, number, line)
            except PolicyError as error:
                yield number, error


def _lines(path: Path, text: str) -> list[tuple[int, PolicyCase]]:
    """Return the cases of a text, each with its line's place, from 0."""
    return [
        (number, case_of(path, number + 1, line))
        for number, line in enumerate(text.split("\n"))
        if line.strip()
    ]
