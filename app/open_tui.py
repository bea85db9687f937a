"""Opening the terminal interface."""

from __future__ import annotations

import sys
from pathlib import Path

_SWITCH_S = 0.0005
"""How long a thread may compute before the one that answers keys has its turn: a tenth of Python's own."""


def open_tui(db: Path | None = None, policies: Path | None = None) -> int:
    """Run the terminal interface until the user quits; return the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "wizard101: the workbench needs a terminal for its input and output.\n"
            "For scripts there are commands: 'wizard101 --help' lists them.",
            file=sys.stderr,
        )
        return 2

    from app.wizard import WizardApp
    from engine.workspace import WorkspaceError, find_workspace

    try:
        workspace = find_workspace(db, policies)
    except WorkspaceError as error:
        from app.safe_text import visible

        print(f"wizard101: {visible(str(error))}", file=sys.stderr)
        return 2
    app = WizardApp(workspace)
    sys.setswitchinterval(_SWITCH_S)
    app.run()
    return app.return_code or 0
