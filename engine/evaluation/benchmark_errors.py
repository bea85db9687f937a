"""What can go wrong with a benchmark's data. Standard library only."""

from __future__ import annotations


class BenchmarkError(Exception):
    """Data that cannot be used: ``message`` says why, ``hint`` what to do. ``str`` gives both."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class UnknownBenchmark(BenchmarkError):
    """No benchmark has this name."""


class BenchmarkMissing(BenchmarkError):
    """The data is not on this machine, or nothing here can fetch it."""


class BenchmarkUnreadable(BenchmarkError):
    """A file or a row is not laid out as its source is known to be."""


class BenchmarkChanged(BenchmarkError):
    """The content is not what was published: ``faults`` says what is off."""

    def __init__(self, message: str, faults: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class HubUnreachable(BenchmarkError):
    """The hub did not answer; trying again may help."""
