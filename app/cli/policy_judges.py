"""The options that say who judges a policy's cases, and the workshop that is judged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import CommandError, Exit, say
from engine.guards.build import GuardKind, Level, PromptStyle, Speed

if TYPE_CHECKING:
    from engine.tracker.policies import PolicyHistory
    from engine.workshop.judges import Judge
    from engine.workshop.workshop import Workshop
    from engine.workspace import Workspace

GuardOption = Annotated[
    GuardKind, typer.Option("--guard", help="Who judges: reasoner by signals.toml, gauntlet by policy.md.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="What the gauntlet or guardreasoner judges by: ollama:NAME, gguf:FILE, hf:NAME, "
        "openai:URL#MODEL or fake:FILE.",
    ),
]
LevelOption = Annotated[Level, typer.Option("--level", help="How thoroughly to look, or to think.")]
SpeedOption = Annotated[Speed, typer.Option("--speed", help="How much the gauntlet asks for.")]
PromptStyleOption = Annotated[PromptStyle, typer.Option("--prompt-style", help="GuardReasoner's prompt.")]
ThresholdsOption = Annotated[
    str | None,
    typer.Option("--thresholds", metavar="HIGH,LOW", help="The gauntlet's. Default: 0.85,0.5."),
]


@asynccontextmanager
async def open_workshop(workspace: Workspace, history: PolicyHistory | None) -> AsyncIterator[Workshop]:
    """Give a workshop that keeps what models say in ``history``, if there is one; close its model after."""
    from engine.workshop.workshop import HistoryStore, Workshop

    workshop = Workshop(workspace, None if history is None else HistoryStore(history))
    try:
        yield workshop
    finally:
        await workshop.aclose()


@contextmanager
def unreachable_is_told() -> Iterator[None]:
    """Turn a back end that is out of reach into how the command ends.

    Raises:
        CommandError: in its place.
    """
    from engine.workshop.trials import TrialStopped

    try:
        yield
    except TrialStopped as error:
        told = f"{error.message.rstrip('.')}. What was judged before is kept."
        raise CommandError(f"{told}\n{error.hint}".rstrip(), Exit.UNREACHABLE) from error


@contextmanager
def history_for(workspace: Workspace, judge: Judge) -> Iterator[PolicyHistory | None]:
    """Open the database where there is something to keep; None, having said why, if it cannot be opened."""
    from engine.tracker import TrackerError, open_tracker

    if not judge.lasting:
        yield None
        return
    try:
        tracker = open_tracker(workspace.db)
    except TrackerError as error:
        say(f"What the model says is not kept: {error}")
        yield None
        return
    with tracker:
        if tracker.notice:
            say(tracker.notice)
        if tracker.read_only:
            say(f"What the model says is not kept: {tracker.read_only}")
        yield tracker.policies
