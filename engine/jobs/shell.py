"""Jobs of any command: for what has no kind of its own.

The program may append events to the file named by ``WIZARD101_EVENTS``, one JSON object a line, ``seq``
left out: progress, metrics, logs and artifacts then show as those of other jobs do.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from engine.jobs.kind import Kind, Params, cut_name
from engine.jobs.records import Estimate, JobError


class ShellParams(Params):
    """What a ``shell`` job takes."""

    command: list[str] = Field(
        title="Command",
        description="The program and its arguments; for pipes and variables: sh -c '...'",
        min_length=1,
        json_schema_extra={"format": "command", "argument": True},
    )


class Shell(Kind[ShellParams]):
    name: ClassVar[str] = "shell"
    does: ClassVar[str] = "Run any command, and keep what it says"
    params = ShellParams

    def title(self, params: ShellParams) -> str:
        return cut_name(shlex.join(params.command))

    def check(self, params: ShellParams, cwd: Path) -> None:
        for part in params.command:
            if not _can_be_passed(part):
                raise JobError("No program can be given an argument with NUL or half a character in it.")
        program = params.command[0]
        if shutil.which(str(cwd / program) if os.sep in program else program) is None:
            raise JobError(f"There is no program {program!r} to run.", "Check its name, or give its path.")

    def estimate(self, params: ShellParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        return Estimate("one command", basis="How long a command takes is not known beforehand.")

    def command(self, params: ShellParams) -> list[str]:
        return list(params.command)

    def environment(self, params: ShellParams) -> dict[str, str]:
        return {}


def _can_be_passed(argument: str) -> bool:
    try:
        return b"\0" not in os.fsencode(argument)
    except UnicodeEncodeError:
        return False
