"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.exits import usage_error

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


def tidy_tags(tags: Sequence[str]) -> list[str]:
    """Return tags with single blanks between their words; an empty one is a mistake in the command."""
    tidy = [" ".join(tag.split()) for tag in tags]
    if not all(tidy):
        raise usage_error("A tag cannot be empty.")
    return tidy
