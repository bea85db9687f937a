"""The entry: the terminal interface on a terminal, the command line otherwise.

Only what is needed to choose between the two is imported before the choice is made.
"""

from __future__ import annotations

import os
import sys

from app import __version__


def main() -> None:
    """Run the program and exit with one of the codes of `app.cli.exits.Exit`."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed: what opens next must not take its place
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: PTH123, SIM115
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"wizard101 {__version__}")
        return
    if not arguments:
        from app.open_tui import open_tui

        sys.exit(open_tui())
    from app.cli.main import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
