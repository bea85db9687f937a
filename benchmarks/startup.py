"""How long ``wizard101 --version`` takes, against ``python -c pass`` in the same run.

Prints the ratio of the medians of alternating runs; exits 1 if it is above the gate.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 30
GATE = 6.0


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    baseline = [sys.executable, "-c", "pass"]
    program = [str(Path(sys.executable).with_name("wizard101")), "--version"]
    _seconds(baseline)
    _seconds(program)
    pairs = [(_seconds(baseline), _seconds(program)) for _ in range(RUNS)]
    nothing, version = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
    ratio = version / nothing
    print(f"python -c pass       {nothing:6.1f} ms")
    print(f"wizard101 --version  {version:6.1f} ms  {ratio:.2f} times (gate {GATE:.0f})")
    return 0 if ratio <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
