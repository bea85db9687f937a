"""What a job can be, and what may follow. Standard library only.

Each state is a class with just the fields that belong to it, so that a running job with an exit code, or
a killed one without a signal, cannot be written down.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar


class IllegalTransition(ValueError):
    """A job cannot go from the state it is in to the one asked for."""


@dataclass(frozen=True, slots=True)
class JobState:
    """What all states share: the name they are stored and shown by."""

    name: ClassVar[str]

    @property
    def over(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return isinstance(self, Succeeded | Failed | Killed | Lost | Skipped)

    @property
    def active(self) -> bool:
        """Whether a supervisor has the job, or is about to."""
        return isinstance(self, Starting | Running | Paused | Cancelling)

    def describe(self, *, cancelled: bool = False) -> str:
        """Return the state in a word or two; ``cancelled``: somebody had asked for its end."""
        return f"{self.name} (cancelled)" if cancelled and self.over else self.name


@dataclass(frozen=True, slots=True)
class Queued(JobState):
    """It waits for its turn."""

    name: ClassVar[str] = "queued"


@dataclass(frozen=True, slots=True)
class Starting(JobState):
    """Its supervisor is being started."""

    name: ClassVar[str] = "starting"


@dataclass(frozen=True, slots=True)
class Running(JobState):
    """Its worker is at work."""

    name: ClassVar[str] = "running"


@dataclass(frozen=True, slots=True)
class Paused(JobState):
    """Its processes are stopped where they were, in memory."""

    name: ClassVar[str] = "paused"


@dataclass(frozen=True, slots=True)
class Cancelling(JobState):
    """It was asked to stop. ``keep`` says whether its checkpoint is kept."""

    name: ClassVar[str] = "cancelling"
    keep: bool


@dataclass(frozen=True, slots=True)
class Succeeded(JobState):
    """Its worker ended with exit code 0."""

    name: ClassVar[str] = "succeeded"


@dataclass(frozen=True, slots=True)
class Failed(JobState):
    """Its worker ended with another exit code, from 1 to 255."""

    name: ClassVar[str] = "failed"
    code: int

    def __post_init__(self) -> None:
        if not 1 <= self.code <= 255:
            raise ValueError(f"{self.code} is not the exit code of a failure")

    def describe(self, *, cancelled: bool = False) -> str:
        return f"failed ({self.code}{', cancelled' if cancelled else ''})"


@dataclass(frozen=True, slots=True)
class Killed(JobState):
    """A signal ended its worker."""

    name: ClassVar[str] = "killed"
    signal: int

    def __post_init__(self) -> None:
        if not 1 <= self.signal <= 64:
            raise ValueError(f"{self.signal} is not a signal")

    def describe(self, *, cancelled: bool = False) -> str:
        try:
            by = signal.Signals(self.signal).name
        except ValueError:
            by = f"signal {self.signal}"
        return f"{'cancelled' if cancelled else 'killed'} ({by})"


@dataclass(frozen=True, slots=True)
class Lost(JobState):
    """Its supervisor vanished without leaving word of how it ended; its processes are gone."""

    name: ClassVar[str] = "lost"


@dataclass(frozen=True, slots=True)
class Skipped(JobState):
    """It never ran: something it needs did not succeed, or it was cancelled in the queue."""

    name: ClassVar[str] = "skipped"
    why: str

    def describe(self, *, cancelled: bool = False) -> str:
        return "cancelled" if cancelled else "skipped"


STATES: dict[str, type[JobState]] = {
    kind.name: kind
    for kind in (Queued, Starting, Running, Paused, Cancelling, Succeeded, Failed, Killed, Lost, Skipped)
}

_ENDS = (Succeeded, Failed, Killed, Lost)

FOLLOWS: dict[type[JobState], tuple[type[JobState], ...]] = {
    Queued: (Starting, Skipped),
    # Back to the queue: the supervisor was never started.
    Starting: (Queued, Running, Cancelling, *_ENDS),
    Running: (Paused, Cancelling, *_ENDS),
    Paused: (Running, Cancelling, *_ENDS),
    # From keeping the checkpoint to discarding it; never back. Skipped: its supervisor was never started.
    Cancelling: (Cancelling, Skipped, *_ENDS),
    Succeeded: (),
    # Restarting in place.
    Failed: (Queued,),
    Killed: (Queued,),
    Lost: (Queued,),
    Skipped: (Queued,),
}
"""What each state may be followed by."""


def check(old: JobState, new: JobState) -> None:
    """Raise `IllegalTransition` unless ``new`` may follow ``old``."""
    allowed = type(new) in FOLLOWS[type(old)]
    if isinstance(old, Cancelling) and isinstance(new, Cancelling):
        allowed = old.keep and not new.keep
    if not allowed:
        raise IllegalTransition(f"a job that is {old.name} cannot become {new.name}")
