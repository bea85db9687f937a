"""The kinds of jobs there are, by name. Imports pydantic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from engine.events import JsonValue
from engine.jobs.classify import Classify
from engine.jobs.evaluate import Evaluate
from engine.jobs.harden import Harden
from engine.jobs.kind import Kind
from engine.jobs.matrix import Matrix
from engine.jobs.records import JobError
from engine.jobs.shell import Shell
from engine.jobs.supervisor import secrets_of

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind for kind in (Classify(), Evaluate(), Harden(), Shell(), Matrix())
}


def kind_named(name: str) -> Kind[Any]:
    """Return a kind by its name.

    Raises:
        JobError: if there is none by that name.
    """
    if name not in KINDS:
        raise JobError(f"There is no kind of job called {name!r}.", f"There are: {', '.join(KINDS)}.")
    return KINDS[name]


def refuse_secrets(*values: JsonValue) -> None:
    """Refuse what would write a secret down: what a job is made from is stored, listed and exported.

    Raises:
        JobError: if the value of a secret variable of this process is among the values.
    """
    written = "\n".join(_strings(list(values)))
    for name, value in secrets_of(dict(os.environ)).items():
        if value in written:
            raise JobError(
                f"The value of ${name} would be written down with the job.",
                "Let the job read it from its environment, for instance through sh -c.",
            )


def _strings(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in _strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    return [value] if isinstance(value, str) else []
