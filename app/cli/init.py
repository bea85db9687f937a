"""``wizard101 init``: a workspace to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.safe_text import visible


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it does not exist.")],
) -> None:
    """Lay out a workspace: the shipped policies, yours to edit, and a database. Overwrites nothing."""
    from engine.workspace import create_workspace

    workspace = create_workspace(folder)
    print(visible(f"policies  {workspace.policies}\ndatabase  {workspace.db}"))
    print(visible(f"Run 'wizard101' in {folder} to open it."))
