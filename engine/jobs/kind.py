"""What a kind of job is. Imports pydantic.

A kind's parameters are a model whose fields, with their types, defaults, titles and descriptions, are all
that a form or a command line needs to ask for them.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.events import JsonValue
from engine.jobs.records import Estimate, JobError

_NAME_LENGTH = 60
_PROGRAM = Path(__file__).resolve().parents[2]


class Params(BaseModel):
    """What a kind takes. Fields have a title and a description, for people.

    ``json_schema_extra`` may say how to ask for one: its ``format`` (file, folder, command, model), ``one``,
    the word for one of a list, and whether it is the ``argument`` of the kind's command.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_jsonable(self) -> dict[str, JsonValue]:
        """Return the parameters as they are stored."""
        dumped: dict[str, JsonValue] = self.model_dump(mode="json")
        return dumped


ParamsT = TypeVar("ParamsT", bound=Params)


class Kind(ABC, Generic[ParamsT]):
    """A kind of job. ``resumable``: a second attempt in the same folder goes on where the first ended.

    ``checkpoint`` names the files of a run's folder that a cancel may discard.
    """

    name: ClassVar[str]
    does: ClassVar[str]
    params: type[ParamsT]
    resumable: ClassVar[bool] = False
    checkpoint: ClassVar[tuple[str, ...]] = ()

    def validate(self, given: Mapping[str, Any]) -> ParamsT:
        """Return the parameters, checked one by one and together.

        Raises:
            JobError: naming every parameter that is missing, unknown or wrong.
        """
        try:
            return self.params.model_validate(dict(given))
        except ValidationError as error:
            raise JobError(f"The {self.name} job cannot be made: {told(error)}.") from error

    @abstractmethod
    def title(self, params: ParamsT) -> str:
        """Return a name for a job with these parameters."""

    @abstractmethod
    def check(self, params: ParamsT, cwd: Path) -> None:
        """Look for what would fail at once.

        Raises:
            JobError: if a file or a program is not there.
        """

    @abstractmethod
    def estimate(self, params: ParamsT, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        """Tell how much work it is, and, by the ``pace`` of earlier runs, how long it may take.

        ``pace`` has units a second, by `pace_key`.
        """

    def needs(self, params: ParamsT) -> Sequence[int]:
        """Return the jobs that must have succeeded before such a job can start."""
        return ()

    def pace_key(self, params: ParamsT) -> str:
        """Return what runs of a like pace have in common."""
        return self.name

    def command(self, params: ParamsT) -> list[str]:
        """Return the program to run, and its arguments: the worker, unless the kind has another."""
        return [sys.executable, "-P", "-m", "engine.jobs.worker"]

    def environment(self, params: ParamsT) -> dict[str, str]:
        """Return what the program needs in its environment: the worker, to find this very program's code."""
        return {"PYTHONPATH": os.pathsep.join([str(_PROGRAM), *filter(None, [os.environ.get("PYTHONPATH")])])}


def told(error: ValidationError) -> str:
    """Return what is wrong, parameter by parameter, without the values given."""
    return "; ".join(f"{where}: {what}" if where else what for where, what in faults(error))


def faults(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong as (parameter, fault); the parameter is empty where several do not fit."""
    words = {"missing": "is missing", "extra_forbidden": "is not one of its parameters"}
    return [
        (
            ".".join(map(str, problem["loc"])),
            words.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
        )
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def cut_name(text: str) -> str:
    """Return a name of a length that lists have room for."""
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 1] + "…"
