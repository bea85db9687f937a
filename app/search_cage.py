"""Finding an expression in lines. Run by its path, the process that one somebody typed is looked for in.

Some expressions take longer than anybody waits, and a thread that matches one cannot be stopped: nothing
else of the program runs meanwhile. A process can be, wherever it is. It imports a few modules of the
standard library only, and so starts in an instant.
"""

from __future__ import annotations

import marshal
import re
import signal
import sys
from collections.abc import Sequence

Found = tuple[int, int, int, str]
"""The row of a match, its first column, the one behind its last, and the text that takes its place."""


def find(lines: Sequence[str], expression: str, flags: int, instead: str, template: bool) -> list[Found]:
    """Return the matches of an expression, none of them empty, each within its line.

    ``instead`` takes their place as it is, or as a ``template`` that refers to groups.

    Raises:
        re.error, IndexError: if the expression or the template is none.
    """
    pattern = re.compile(expression, flags)
    if template:
        pattern.sub(instead, "")  # a template is checked also where nothing matches
    return [
        (row, match.start(), match.end(), match.expand(instead) if template else instead)
        for row, line in enumerate(lines)
        for match in pattern.finditer(line)
        if match.end() > match.start()
    ]


def main() -> None:
    """Read the arguments of `find`, and the seconds there are, from standard input; write what came of it."""
    *wanted, seconds = marshal.load(sys.stdin.buffer)  # noqa: S302
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        outcome: tuple[str, list[Found] | str] = ("found", find(*wanted))
    except (re.error, IndexError, OverflowError, RecursionError, MemoryError) as error:
        outcome = ("refused", str(error) or type(error).__name__)
    marshal.dump(outcome, sys.stdout.buffer)


if __name__ == "__main__":
    main()
