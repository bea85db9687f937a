"""What the form for a new job asks, made from the kind's parameters, and what becomes of the answers.

Answers are texts. Imports pydantic with the kinds: load it beside the interface.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from engine.events import JsonValue
from engine.jobs.kind import Kind, faults
from engine.jobs.kinds import KINDS
from engine.jobs.records import DEFAULT_GROUP, JobSpec
from engine.workspace import of_home

YES, NO = "yes", "no"
OPEN = ""
"""The choice of none."""
PARAMETER = "params."
"""What the keys of a kind's own parameters begin with."""


@dataclass(frozen=True, slots=True)
class Question:
    """A field of the form. ``sort`` is text, whole, number, list, command, file, folder, model or choice.

    ``default`` is what it begins with; an empty answer to what is not ``required`` leaves the default.
    """

    key: str
    title: str
    description: str
    sort: str = "text"
    default: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


COMMON = (
    Question("name", "Name", "For lists; made from the above where it is left empty"),
    Question("experiment", "Experiment", "What it belongs to, among other runs"),
    Question("group", "Group", "Of each group only so many run at once", default=DEFAULT_GROUP),
    Question("priority", "Priority", "The higher, the earlier; 0 is usual", "whole", "0"),
    Question("accelerators", "Accelerators", "How many it needs to itself", "whole", "0"),
    Question("needs", "Needs", "Numbers of the jobs that must have succeeded before", "list"),
    Question("tags", "Tags", "Words to find it by, with commas", "list"),
    Question("note", "Note", "What is worth remembering"),
    Question("cwd", "Folder", "Where it works; paths are seen from there", "folder", required=True),
)
"""What is asked of every kind."""


def kind_question() -> Question:
    """Return the question that comes first; `does` describes the answers."""
    return Question("kind", "Kind", "", "choice", next(iter(KINDS)), True, tuple(KINDS))


def does(kind: str) -> str:
    """Return what jobs of a kind do."""
    return KINDS[kind].does


def questions(kind: str) -> tuple[Question, ...]:
    """Return what is asked of a kind: its own parameters, in their order, then what all have in common."""
    params = KINDS[kind].params
    schema = params.model_json_schema()
    own = (
        _question(name, params.model_fields[name], about, schema.get("$defs", {}))
        for name, about in schema.get("properties", {}).items()
    )
    return (*own, *COMMON)


def _question(name: str, field: FieldInfo, about: Mapping[str, Any], defined: Mapping[str, Any]) -> Question:
    sort, choices = _sort(_shape(about, defined), about.get("format"))
    if sort == "choice" and any(option.get("type") == "null" for option in about.get("anyOf", ())):
        choices = (OPEN, *choices)
    return Question(
        PARAMETER + name,
        field.title or name,
        field.description or "",
        sort,
        _text(about.get("default")),
        field.is_required(),
        choices,
    )


def _shape(about: Mapping[str, Any], defined: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a parameter's schema that says what it is, besides nothing at all."""
    options = about.get("anyOf") or about.get("allOf") or [about]
    shape = next((option for option in options if option.get("type") != "null"), about)
    reference = str(shape.get("$ref", "")).rpartition("/")[2]
    return defined.get(reference, shape) if reference else shape


def _sort(shape: Mapping[str, Any], form: object) -> tuple[str, tuple[str, ...]]:
    if "enum" in shape:
        return "choice", tuple(map(str, shape["enum"]))
    if form in ("file", "command", "folder", "model"):
        return str(form), ()
    match shape.get("type"):
        case "boolean":
            return "choice", (NO, YES)
        case "integer":
            return "whole", ()
        case "number":
            return "number", ()
        case "array":
            return "list", ()
    return "text", ()


def _text(value: object) -> str:
    """Return a value as one would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def answers_of(spec: JobSpec) -> dict[str, str]:
    """Return the answers that make a job's specification."""
    own = {}
    for question in questions(spec.kind):
        value = spec.params.get(question.key.removeprefix(PARAMETER))
        if question.sort == "command" and isinstance(value, list):
            own[question.key] = shlex.join(map(str, value))
        elif question.key.startswith(PARAMETER):
            own[question.key] = _text(value)
    return own | {
        "kind": spec.kind,
        "name": spec.name,
        "experiment": spec.experiment or "",
        "group": spec.group,
        "priority": str(spec.priority),
        "accelerators": str(spec.accelerators),
        "needs": _text(list(spec.needs)),
        "tags": _text(list(spec.tags)),
        "note": spec.note,
        "cwd": spec.cwd,
    }


@dataclass(frozen=True, slots=True)
class Filled:
    """What has come of the answers: a specification, or what is wrong, by key; "" is what does not fit."""

    spec: JobSpec | None
    faults: Mapping[str, str]


class _Faulty(ValueError):
    """An answer that cannot be read."""


def fill(kind: str, answers: Mapping[str, str]) -> Filled:
    """Read the answers to the questions about a kind."""
    found: dict[str, str] = {}
    read: dict[str, JsonValue] = {}
    for question in questions(kind):
        try:
            value = _read(question, answers.get(question.key, ""))
        except _Faulty as fault:
            found[question.key] = str(fault)
            continue
        if value is not None:
            read[question.key] = value
        elif question.required:
            found[question.key] = "is missing"
    params = {key.removeprefix(PARAMETER): value for key, value in read.items() if key.startswith(PARAMETER)}
    unread = [key for key in found if key.startswith(PARAMETER)]
    found = {**_faults_of(KINDS[kind], params, unread), **found}
    needs = read.get("needs") or []
    assert isinstance(needs, list)
    numbers = [str(need).removeprefix("#") for need in needs]
    if any(not number.isdecimal() or len(number) > 15 for number in numbers):
        found["needs"] = "must be numbers of jobs"
    accelerators, priority = read.get("accelerators") or 0, read.get("priority") or 0
    assert isinstance(accelerators, int)
    assert isinstance(priority, int)
    if accelerators < 0:
        found["accelerators"] = "must not be below 0"
    if found:
        return Filled(None, found)
    tags = read.get("tags") or []
    assert isinstance(tags, list)
    return Filled(
        JobSpec(
            kind=kind,
            params=params,
            cwd=str(of_home(str(read["cwd"]))),
            name=str(read.get("name", "")),
            experiment=str(read["experiment"]) if "experiment" in read else None,
            group=str(read.get("group", DEFAULT_GROUP)),
            priority=priority,
            accelerators=accelerators,
            needs=[int(number) for number in numbers],
            tags=[str(tag) for tag in tags],
            note=str(read.get("note", "")),
        ),
        {},
    )


def _faults_of(kind: Kind[Any], params: Mapping[str, JsonValue], unread: list[str]) -> dict[str, str]:
    """Return what the kind has against its parameters, but for those that could not be read."""
    try:
        kind.params.model_validate(params)
    except ValidationError as error:
        named = ((where.partition(".")[0], what) for where, what in faults(error))
        by_key = {PARAMETER + where if where else "": what for where, what in named}
        return {key: what for key, what in by_key.items() if key not in unread}
    return {}


def _read(question: Question, answer: str) -> JsonValue:
    """Return an answer as a value; None where nothing was said.

    Raises:
        _Faulty: if it cannot be read as what it should be.
    """
    text = answer.strip()
    if not text:
        return None
    match question.sort:
        case "whole":
            return _number(text, int, "must be a whole number")
        case "number":
            return _number(text, float, "must be a number")
        case "choice" if question.choices == (NO, YES):
            return text == YES
        case "command":
            try:
                return list(shlex.split(text))
            except ValueError as error:
                raise _Faulty(f"cannot be read: {error}".lower()) from error
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _number(text: str, kind: type[int] | type[float], fault: str) -> int | float:
    try:
        value = kind(text)
    except ValueError as error:
        raise _Faulty(fault) from error
    if abs(value) >= 2**63:
        raise _Faulty("is too large")
    return value


def missing(spec: JobSpec) -> dict[str, str]:
    """Return what of the files and folders named is not there, by key. Looks at the disk."""
    found: dict[str, str] = {}
    folder = Path(spec.cwd)
    if not folder.is_dir():
        return {"cwd": "there is no such folder"}
    for question in questions(spec.kind):
        value = spec.params.get(question.key.removeprefix(PARAMETER))
        if question.key.startswith(PARAMETER) and isinstance(value, str):
            path = folder / of_home(value)
            if question.sort == "file" and not path.is_file():
                found[question.key] = "there is no such file"
            elif question.sort == "folder" and not path.is_dir():
                found[question.key] = "there is no such folder"
    return found
