"""The policy workshop at size: what an edit does is seen at once, and typing waits for nothing.

    python -m benchmarks.workshop [--cases N] [--keys N]

In a real terminal, with one policy of so many cases:

- flips: from a key in signals.toml to the flips on the screen, the rules judging every case by both texts;
  against the same two judgements in a process that begins with nothing
- keys while rules judge: from a key to its letter on the screen, each key beginning a judgement
- keys while a model's answers stream in: the same, in policy.md, a replayed model answering all the while

Exits with 1 if a gate is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tracker import Gates
from tests.terminal import Terminal

CYCLE_GATE_MS, KEY_GATE_MS = 300.0, 50.0
POLICY = "hate_speech"
PATTERN = "parasites"
ALT_2, FIND, SIGNALS, GUARD, MODEL, RUN = "\x1b2", "\x06", "\x14", "\x07", "\x0f", "\x1b[15~"
ESCAPE, ENTER, BACKSPACE, DOWN = "\x1b", "\r", "\x7f", "\x1b[B"
_LETTERS = "qj"
SHIPPED = Path(__file__).resolve().parents[1] / "policies"

COLD = """
import sys, time
from pathlib import Path
from engine.guards.reasoner import Reasoner
from engine.policies.load import load_cases
folder, name = Path(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
cases = load_cases(folder, name)
for texts in ({}, {f"{name}/signals.toml": sys.stdin.read()}):
    guard = Reasoner(folder, [name], texts=texts)
    for case in cases:
        guard.classify(case.case)
print(time.perf_counter() - began)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--keys", type=int, default=100)
    options = parser.parse_args()
    gates = Gates()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cases = lay_out(folder, options.cases)
        print(f"{cases:,} cases of one policy", flush=True)
        for columns, lines in ((80, 24), (160, 48)):
            flips(folder, columns, lines, gates)
        keys_while_judging(folder, options.keys, gates)
        keys_while_streaming(folder, options.keys, gates)
    return int(gates.missed > 0)


def lay_out(folder: Path, wanted: int) -> int:
    """Make a folder of one policy whose cases are those of all; return how many it has."""
    shutil.copytree(SHIPPED / POLICY, folder / "policies" / POLICY)
    shutil.copy(SHIPPED / "shared.toml", folder / "policies")
    paths = sorted(SHIPPED.glob("*/cases.jsonl"))
    lines = [line for path in paths for line in path.read_text("utf-8").split("\n")]
    rows = [line for line in lines if line.strip()][:wanted]
    (folder / "policies" / POLICY / "cases.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    script = {"steps": [{"wait_ms": 15}, {"answer": "SAFE"}, {"finish": "stop"}]}
    (folder / "model.jsonl").write_text(json.dumps(script) + "\n", "utf-8")
    return len(rows)


# --- what an edit does -------------------------------------------------------------------------------


def flips(folder: Path, columns: int, lines: int, gates: Gates) -> None:
    """Edit a pattern to and fro, and measure how long it takes until the flips are told."""
    text = (folder / "policies" / POLICY / "signals.toml").read_text("utf-8")
    cold = _cold(folder, text.replace(PATTERN, f"q{PATTERN}", 1))
    times = []
    with _workbench(folder, columns, lines) as terminal:
        _open_signals(terminal)
        for _ in range(12):
            times.append(_key_until(terminal, "q", "flip", "as saved"))
            terminal.send(BACKSPACE)
            terminal.wait_for("as saved")
            terminal.settle(0.2)
    middle, worst = statistics.median(times[2:]), max(times[2:])
    told = f"median {middle * 1000:.0f} ms, worst {worst * 1000:.0f} ms"
    ratio = f"the same judgements from nothing: {cold * 1000:.0f} ms, {cold / middle:.1f} times"
    said = f"{columns}x{lines}: from a key to its flips: {told}; {ratio}"
    gates.check(said, middle <= CYCLE_GATE_MS / 1000, f"median {CYCLE_GATE_MS:.0f} ms")


def _cold(folder: Path, text: str) -> float:
    ended = subprocess.run(
        [sys.executable, "-c", COLD, str(folder / "policies"), POLICY],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ended.stdout)


def _key_until(terminal: Terminal, key: str, wanted: str, gone: str) -> float:
    began = time.perf_counter()
    terminal.send(key)
    terminal.wait_for(lambda text: wanted in text and gone not in text)
    return time.perf_counter() - began


# --- keys --------------------------------------------------------------------------------------------


def keys_while_judging(folder: Path, number: int, gates: Gates) -> None:
    """Type where every key has the rules judge all cases anew."""
    with _workbench(folder, 160, 48) as terminal:
        _open_signals(terminal)
        _check_keys("keys while rules judge", _type(terminal, number), gates)


def keys_while_streaming(folder: Path, number: int, gates: Gates) -> None:
    """Type while a model's answers come in, case by case."""
    with _workbench(folder, 160, 48) as terminal:
        terminal.send(GUARD)
        terminal.wait_for("gauntlet")
        terminal.send(MODEL)
        terminal.wait_for("Model of")
        terminal.send(f"fake:{folder / 'model.jsonl'}")
        terminal.settle()
        terminal.send(ENTER)
        terminal.wait_for("model fake")
        terminal.send(DOWN + ENTER)
        terminal.settle()
        terminal.send(RUN)
        terminal.wait_for("… ")
        times = _type(terminal, number)
        assert "… " in terminal.text, "the run was over before the last key"
        _check_keys("keys while a model's answers stream in", times, gates)


def _type(terminal: Terminal, number: int) -> list[float]:
    """Type letters one by one, each taken back; return how long each took to be on the screen."""
    times = []
    for place in range(number):
        letter = _LETTERS[place % len(_LETTERS)]
        seen = len(terminal.raw)
        began = time.perf_counter()
        terminal.send(letter)
        while letter.encode() not in terminal.raw[seen:]:
            terminal.read(0.5)
            if time.perf_counter() - began > 20:
                raise TimeoutError(terminal.text)
        times.append(time.perf_counter() - began)
        terminal.settle(0.03, 0.06)
        terminal.send(BACKSPACE)
        terminal.settle(0.03, 0.06)
    return times


def _check_keys(what: str, times: Sequence[float], gates: Gates) -> None:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    middle = statistics.median(times)
    said = f"{what}: {len(times)} measured, median {middle * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    gates.check(said, p99 <= KEY_GATE_MS / 1000, f"p99 {KEY_GATE_MS:.0f} ms")


def _workbench(folder: Path, columns: int, lines: int) -> Terminal:
    shutil.rmtree(folder / "drafts", ignore_errors=True)  # of the one before, which was killed
    env = {"WIZARD_DB": str(folder / "wizard.db"), "WIZARD_POLICIES": str(folder / "policies")}
    terminal = Terminal([sys.executable, "-m", "app"], columns=columns, lines=lines, cwd=Path.cwd(), env=env)
    terminal.wait_for("Hate speech")
    terminal.settle(1.5)
    terminal.send(ALT_2)
    terminal.wait_for("pass")
    terminal.settle(1.0)
    return terminal


def _open_signals(terminal: Terminal) -> None:
    """Open the signals and go to the word list that is edited."""
    terminal.send(DOWN + DOWN + ENTER)
    terminal.wait_for("[phrases]")
    terminal.settle()
    terminal.send(FIND)
    terminal.settle()
    terminal.send(PATTERN)
    terminal.settle(0.5)
    terminal.send(ENTER)
    terminal.settle()
    terminal.send(ESCAPE)
    terminal.settle()
    terminal.send("\x1b[D")
    terminal.settle()


if __name__ == "__main__":
    sys.exit(main())
