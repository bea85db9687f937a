"""The one process that starts jobs: detached from whoever added them, gone when nothing is left to do.

``python -m engine.jobs.scheduler DB RUNS``. Whoever adds a job, or looks at the queue, calls `ensure`. A
lock beside the database sees to it that there is one; if it is killed, the next look at the queue starts
another, and the jobs under way do not notice.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.jobs.folder import outer_environment

if TYPE_CHECKING:
    from engine.jobs.dispatch import Dispatcher
    from engine.jobs.queue import Jobs

POLL_S = 0.1
IDLE_S = 1.0
"""How long it stays when nothing is left: most often, another job comes right after."""

TROUBLE_S = 2.0
"""How long it waits when the database cannot be used, before it tries again."""

_PROGRAM = Path(__file__).resolve().parents[2]
_TAKE_S = 0.3


def lock_path(db: Path) -> Path:
    """Return the file whose lock the scheduler of this database holds."""
    return db.with_name(f"{db.name}.scheduler")


def is_running(db: Path) -> bool:
    """Whether a scheduler is at work on this database."""
    try:
        lock = os.open(lock_path(db), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def ensure(db: Path, runs: Path) -> None:
    """Start a scheduler unless one is at work. It lives on its own.

    Raises:
        OSError: if the process cannot be started.
    """
    if is_running(db):
        return
    environment = outer_environment()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PROGRAM), environment.get("PYTHONPATH")]))
    subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", "engine.jobs.scheduler", str(db), str(runs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
        cwd="/",
    )


def attend(jobs: Jobs) -> None:
    """Bring the queue up to date and see to it that somebody goes on: what every look at it begins with.

    Raises:
        TrackerError: if the database cannot be used.
    """
    from engine.jobs.reconcile import reconcile

    if jobs.database.read_only is None:
        reconcile(jobs)
        if anything_left(jobs.database.path):
            ensure(jobs.database.path, jobs.runs_folder)


@contextmanager
def the_lock(db: Path) -> Iterator[bool]:
    """Hold the scheduler's lock; give False if another has it."""
    lock_path(db).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(lock_path(db), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        yield _taken(lock)
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    """Lock it. Somebody who just looks whether it is locked has it for a moment."""
    deadline = time.monotonic() + _TAKE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


class Alarm:
    """Wakes the scheduler when a supervisor ends, or when it is told to leave; else after a while."""

    def __init__(self) -> None:
        self.told_to_leave = False
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._leave)

    def _leave(self, *_: Any) -> None:
        self.told_to_leave = True

    def wait(self, seconds: float) -> None:
        select.select([self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._woken, 1 << 12)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def work(db: Path, runs: Path, alarm: Alarm) -> bool:
    """Start what may start until nothing is left, or until told to leave; False if that is not ours to do.

    Where the database cannot be used, it is given up and opened again, until it can.
    """
    from engine.jobs.dispatch import Dispatcher
    from engine.jobs.queue import Jobs
    from engine.tracker import TrackerError, open_tracker

    while not alarm.told_to_leave:
        try:
            with open_tracker(db) as tracker:
                if tracker.read_only:
                    return False
                with closing(Dispatcher(Jobs(tracker.database, runs))) as dispatcher:
                    _dispatch(dispatcher, alarm)
                    return True
        except TrackerError as error:
            print(error, file=sys.stderr, flush=True)
            alarm.wait(TROUBLE_S)
    return True


def _dispatch(dispatcher: Dispatcher, alarm: Alarm) -> None:
    idle_since = time.monotonic()
    while not alarm.told_to_leave:
        if dispatcher.step():
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > IDLE_S:
            return
        alarm.wait(POLL_S)


def main(db: Path, runs: Path) -> None:
    """Be the scheduler, if there is none.

    The lock is given back before the last look at the queue: a job that is added in between is seen
    either by that look, or by the one who added it and finds no scheduler.
    """
    alarm = Alarm()
    while not alarm.told_to_leave:
        with the_lock(db) as is_ours:
            if not is_ours or not work(db, runs, alarm):
                return
        if not anything_left(db):
            return


def anything_left(db: Path) -> bool:
    """Whether any job waits or is under way."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM run JOIN job ON job.run_id = run.id WHERE run.status IN "
        "('queued', 'starting', 'running', 'paused', 'cancelling'))"
    )
    try:
        with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            return bool(connection.execute(query).fetchone()[0])
    except sqlite3.Error:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
