"""How long until the workbench shows itself, against the least that a Textual application can do.

Both are spawned on a pseudo-terminal in turns; the clock runs from the spawn to the first frame with
something on it. Prints both medians and their ratio, and exits with 1 where the ratio exceeds 1.5.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.terminal import Terminal

MOST = 1.5
MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("Wizard101")
Minimal().run()
"""


def seconds_to_first_frame(command: list[str], folder: Path) -> float:
    """Spawn ``command`` and return how long it took to draw the name."""
    with Terminal(command, columns=100, lines=30, cwd=folder) as terminal:
        while b"Wizard101" not in terminal.raw:
            if time.perf_counter() - terminal.spawned_at > 20:
                raise TimeoutError(terminal.text)
            terminal.read(0.5)
        return time.perf_counter() - terminal.spawned_at


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each (default: 15)")
    runs = parser.parse_args().runs
    repository = Path(__file__).parents[1]
    minimal: list[float] = []
    workbench: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "minimal.py"
        script.write_text(MINIMAL, encoding="utf-8")
        starts = {
            "minimal": ([sys.executable, str(script)], minimal),
            "workbench": ([sys.executable, "-m", "app"], workbench),
        }
        for run in range(runs + 1):
            for command, times in starts.values():
                taken = seconds_to_first_frame(command, repository)
                if run:
                    times.append(taken)
    ratio = statistics.median(workbench) / statistics.median(minimal)
    print(f"minimal Textual app: {statistics.median(minimal) * 1000:6.0f} ms (median of {runs})")
    print(f"workbench:           {statistics.median(workbench) * 1000:6.0f} ms (median of {runs})")
    print(f"ratio:               {ratio:6.2f}  (at most {MOST})")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
