"""The command line: one Typer application, put together from one module per noun."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app import __version__
from app.cli import (
    classify,
    data,
    doctor,
    evaluate,
    harden,
    init,
    jobs,
    leaderboard,
    matrix,
    models,
    policies,
    runs,
    score,
    thresholds,
)
from app.cli.exits import Exit, exit_code_of, say, usage_error
from app.cli.options import DbOption, PoliciesOption

_MADE_OF_KINDS = {evaluate.NAME: evaluate.command, harden.NAME: harden.command}


class _Commands(TyperGroup):
    """All commands. Some are made from what their kind of job takes, which is loaded when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted([*super().list_commands(ctx), *_MADE_OF_KINDS])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        made = _MADE_OF_KINDS.get(cmd_name)
        return super().get_command(ctx, cmd_name) if made is None else made()


cli = typer.Typer(
    name="wizard101",
    cls=_Commands,
    help="A workbench for reasoning-based LLM safety guards. Without a command: the terminal interface.",
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command("classify")(classify.classify)
cli.command("doctor")(doctor.doctor)
cli.command("init")(init.init)
cli.command("leaderboard")(leaderboard.leaderboard)
cli.command("matrix")(matrix.matrix)
cli.command("score")(score.score)
cli.add_typer(data.cli, name="data")
cli.add_typer(jobs.cli, name="jobs")
cli.add_typer(models.cli, name="models")
cli.add_typer(policies.cli, name="policies")
cli.add_typer(runs.cli, name="runs")
cli.add_typer(thresholds.cli, name="thresholds")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"wizard101 {__version__}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def workbench(
    context: typer.Context,
    db: DbOption = None,
    policies: PoliciesOption = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        if db is not None or policies is not None:
            raise usage_error("--db and --policies go behind the command's name.")
        return
    from app.open_tui import open_tui

    raise typer.Exit(open_tui(db, policies))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Whatever goes wrong is said on standard error."""
    try:
        outcome = cli(list(arguments), prog_name="wizard101", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return Exit.INTERRUPTED
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        say(f"wizard101: {error.format_message()}")
        if context is not None:
            say(f"'{context.command_path} --help' shows what it takes.")
        return Exit.USAGE
    except BrokenPipeError:
        # The reader of our output has gone: there is nobody to tell, and nothing left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        hint = getattr(error, "hint", "")
        say(f"wizard101: {error}" + (f"\n{hint}" if hint not in str(error) else ""))
        return code
    return outcome if isinstance(outcome, int) else Exit.DONE
