"""The process that does a job's work, for all kinds but ``shell``: ``python -m engine.jobs.worker``.

It is told where its run is by ``WIZARD101_RUN_DIR``. What it reports goes to the run's event file. On
SIGTERM the work is told to stop: it saves what it has, and the process ends by that signal.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from engine.events import (
    Artifact,
    Failed,
    Finished,
    Heartbeat,
    Input,
    JsonValue,
    Launched,
    Log,
    Metric,
    Progress,
)
from engine.jobs.event_file import EventFile
from engine.jobs.folder import RunFolder
from engine.jobs.supervisor import RUN_DIR

HEARTBEAT_S = 5.0
_FOREVER = float("inf")
_CHUNK = 1 << 20


class WorkFailed(Exception):
    """The work cannot go on. ``unreachable``: a back end does not answer, and may later."""

    def __init__(self, message: str, *, kept: str = "", hint: str = "", unreachable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.kept = kept
        self.hint = hint
        self.unreachable = unreachable


class Work:
    """What a kind's work is given: its parameters, its folder, and whom to report to."""

    def __init__(self, folder: RunFolder, params: Mapping[str, JsonValue], events: EventFile) -> None:
        self.folder = folder
        self.params = params
        self._events = events

    def progress(self, done: int, total: int | None, unit: str, phase: str = "") -> None:
        """Say how far the work is."""
        self._events.write(Progress, done=done, total=total, unit=unit, phase=phase)

    def metric(self, name: str, value: float, step: int) -> None:
        """Add a point to a curve."""
        self._events.write(Metric, name=name, value=value, step=step)

    def log(self, message: str, level: str = "info") -> None:
        """Say something to people."""
        self._events.write(Log, message=message, level=level)

    def made_from(self, role: str, name: str, sha256: str | None) -> None:
        """Say what the work is made from: ``role`` is "data", "model" or "policy"."""
        self._events.write(Input, role=role, name=name, sha256=sha256)

    def made(self, path: Path, role: str) -> None:
        """Say what the work has made; files are hashed. Paths in the run's folder are kept relative to it."""
        shown = path.relative_to(self.folder.path) if path.is_relative_to(self.folder.path) else path
        self._events.write(Artifact, path=str(shown), sha256=sha256_of(path), role=role)


Working = Callable[[Work], Awaitable[Mapping[str, JsonValue]]]
"""What a kind's work is: it reports as it goes and returns a summary. Cancelling it stops it."""


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def working_for(kind: str) -> Working:
    """Return a kind's work. Its libraries are loaded here, and only those."""
    if kind == "classify":
        from engine.jobs.classify_work import classify

        return classify
    if kind == "evaluate":
        from engine.jobs.evaluate_work import evaluate

        return evaluate
    if kind == "harden":
        from engine.jobs.harden_work import harden

        return harden
    if kind == "matrix":
        from engine.jobs.matrix_work import make_matrix

        return make_matrix
    raise WorkFailed(f"This program has no work for jobs of the kind {kind!r}.")


def run(folder: RunFolder) -> int:
    """Do a run's work; return the exit code. Ends by SIGTERM where it was told to stop."""
    about: Any = folder.spec()["about"]
    with EventFile(folder.events) as events:
        events.write(Launched, kind=about["kind"], pid=os.getpid())
        ended = threading.Event()
        heart = threading.Thread(target=_beat, args=(events, ended), daemon=True)
        heart.start()
        try:
            summary = asyncio.run(_work(working_for(about["kind"]), Work(folder, about["params"], events)))
        except asyncio.CancelledError:
            ended.set()
            events.write(Log, message="Stopped. What was done is kept.")
            events.wait_for_room(1.0)
            return -signal.SIGTERM
        except Exception as error:
            ended.set()
            return _failed(events, error)
        ended.set()
        events.write(Finished, summary=dict(summary))
        events.wait_for_room(_FOREVER)
        return 0


async def _work(working: Working, work: Work) -> Mapping[str, JsonValue]:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(working(work))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    return await task


def _beat(events: EventFile, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        events.write(Heartbeat)


def _failed(events: EventFile, error: Exception) -> int:
    """Report why the work failed; return the exit code of it."""
    from engine.models.base import ModelUnreachable

    traceback.print_exception(error, file=sys.stderr)
    unreachable = isinstance(error, ModelUnreachable) or getattr(error, "unreachable", False)
    message = str(error) or type(error).__name__
    kept, hint = str(getattr(error, "kept", "")), str(getattr(error, "hint", ""))
    events.write(Failed, message=message, unreachable=bool(unreachable), kept=kept, hint=hint)
    events.wait_for_room(_FOREVER)
    return 3 if unreachable else 1


def main() -> None:
    """Do the work of the run that the environment names."""
    code = run(RunFolder(Path(os.environ[RUN_DIR])))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    sys.exit(code)


if __name__ == "__main__":
    main()
