"""What the tracker has acknowledged survives ``kill -9``, whenever it strikes.

Run as a module, this file is the launcher: a process that has the database libraries loaded and forks a
saver for every line it reads, so that fifty kills do not cost fifty times loading them.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from engine.cases import Case
from engine.tracker import open_tracker
from tests.engine.tracking import judged

KILLS = int(os.environ.get("WIZARD_SAVING_KILLS", "25"))
POLICY_DELTAS = 200


def test_acknowledged_probes_survive_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    chance = random.Random(20261123)
    launcher = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.test_kill_while_saving", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    acknowledged: dict[int, str] = {}
    with launcher:
        for kill in range(KILLS):
            launcher.stdin.write(f"{kill}\n")
            launcher.stdin.flush()
            saver = int(launcher.stdout.readline())
            # From before the file exists, through opening, to the middle of any later transaction.
            time.sleep(chance.choice((chance.uniform(0, 0.01), chance.uniform(0.01, 0.15))))
            os.kill(saver, signal.SIGKILL)
            while (line := launcher.stdout.readline()) != "dead\n":
                probe_id, prompt = line.rstrip("\n").split(" ", 1)
                acknowledged[int(probe_id)] = prompt
            check(path, acknowledged)
        launcher.stdin.close()
    assert launcher.returncode == 0
    assert len(acknowledged) > KILLS


def check(path: Path, acknowledged: dict[int, str]) -> None:
    """Open the database as the next session would and look for everything that was acknowledged."""
    with open_tracker(path) as tracker:
        for probe_id in list(acknowledged)[-20:]:
            expect(tracker.probe(probe_id), acknowledged[probe_id])
        saved: set[int] = set()
        before = None
        while page := tracker.probes(before=before, limit=1000):
            saved.update(summary.id for summary in page)
            before = page[-1].id
        assert acknowledged.keys() <= saved
        newest = max(saved, default=0)
        if newest and newest not in acknowledged:
            # Committed, but killed before it could say so: complete all the same.
            probe = tracker.probe(newest)
            assert probe is not None
            expect(probe, probe.case.prompt)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        raw.execute("INSERT INTO probe_search(probe_search) VALUES ('integrity-check')")


def expect(probe: object, prompt: str) -> None:
    from engine.tracker import Probe

    assert isinstance(probe, Probe)
    case = Case(prompt)
    assert probe.case == case
    assert probe.events == judged(case, deltas=POLICY_DELTAS)


def save_until_killed(path: Path, name: str) -> None:
    with open_tracker(path) as tracker:
        for number in range(1_000_000):
            case = Case(f"{name} {number}")
            probe_id = tracker.save_probe(case, judged(case, deltas=POLICY_DELTAS))
            os.write(1, f"{probe_id} {case.prompt}\n".encode())


def launch(path: Path) -> None:
    import engine.tracker.probes as loaded_before_forking  # noqa: F401

    for line in sys.stdin:
        saver = os.fork()
        if saver == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            save_until_killed(path, f"saver {line.strip()}")
        _, status = os.waitpid(saver, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        os.write(1, b"dead\n")


if __name__ == "__main__":
    launch(Path(sys.argv[1]))
