"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.exits import usage_error

LARGEST_ID = 2**63 - 1
"""The largest number that the database could be asked for."""

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
RunId = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The run's number.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def tidy_tags(tags: Sequence[str]) -> list[str]:
    """Return tags with single blanks between their words; an empty one is a mistake in the command."""
    tidy = [" ".join(tag.split()) for tag in tags]
    if not all(tidy):
        raise usage_error("A tag cannot be empty.")
    return tidy
