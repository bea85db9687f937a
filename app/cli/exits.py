"""How commands end: the exit codes, and what each kind of failure says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum

from app.safe_text import visible
from engine.cases import Status
from engine.events import Event, Failed, VerdictReached


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command with ``code`` after telling the user ``message``."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def usage_error(message: str) -> CommandError:
    """What the user asked for cannot be done as asked."""
    return CommandError(message, Exit.USAGE)


def say(message: str) -> None:
    """Tell the person at the terminal something that is not data: it goes to standard error."""
    print(visible(message), file=sys.stderr)


def exit_code_of(error: Exception) -> Exit | None:
    """Return the code for an error the engine raised on purpose; None for a defect of ours."""
    from engine.evaluation.benchmark_errors import (
        BenchmarkError,
        BenchmarkMissing,
        HubUnreachable,
        UnknownBenchmark,
    )
    from engine.guards.build import GuardSetupError
    from engine.jobs.records import JobError
    from engine.models.base import ModelError, ModelUnreachable
    from engine.models.registry import ModelSpecError
    from engine.policies.load import PolicyError
    from engine.tracker import TrackerError
    from engine.workspace import WorkspaceError

    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, GuardSetupError | JobError | ModelSpecError | PolicyError | WorkspaceError):
        return Exit.USAGE
    if isinstance(error, UnknownBenchmark | BenchmarkMissing):
        return Exit.USAGE
    if isinstance(error, ModelUnreachable | HubUnreachable):
        return Exit.UNREACHABLE
    if isinstance(error, BenchmarkError | ModelError | TrackerError | OSError):
        return Exit.FAILED
    return None


def exit_of_judgement(events: Sequence[Event]) -> Exit:
    """Return how the judging of one case ended, from its events.

    An answer that is unparsable or cut off is an outcome of judging, and escalates; only an error or a
    time-out is a failure of the work.
    """
    if any(isinstance(event, Failed) and event.unreachable for event in events):
        return Exit.UNREACHABLE
    last = events[-1] if events else None
    if isinstance(last, VerdictReached) and last.verdict.status not in (Status.ERROR, Status.TIMEOUT):
        return Exit.DONE
    return Exit.FAILED
