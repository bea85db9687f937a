"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DbOption = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        help="The tracker's database. Default: $WIZARD_DB, then wizard.db beside the nearest policies "
        "folder, then the platform's data folder.",
    ),
]
PoliciesOption = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        metavar="DIR",
        help="The folder of policies. Default: $WIZARD_POLICIES, then the nearest policies folder, then "
        "the shipped set.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
