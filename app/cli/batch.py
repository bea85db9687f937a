"""Judging a file of cases: a verdict a line on standard output, progress on standard error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.exits import Exit, exit_of_judgement, say
from engine.cases import Case
from engine.events import Event, VerdictReached, encode, to_jsonable
from engine.guards.base import Guard
from engine.models.base import ModelError
from engine.policies.load import Policy
from engine.workspace import Workspace

SAVE_AT_MOST = 500
"""Judgements that may wait for the tracker before judging waits too."""


async def judge_file(
    guard: Guard, cases: Sequence[Case], workspace: Workspace | None, *, with_events: bool
) -> int:
    """Judge the cases in order; return the worst exit code.

    An unreachable back end ends the batch: the cases behind it are not judged, and none is allowed.
    A line is printed when its judgement is saved, so that what has been read from this command is in the
    tracker. ``workspace`` None keeps nothing in the tracker.
    """
    worst = Exit.DONE
    journal = _Journal(workspace, guard.policies, with_events)
    try:
        with suppress(ModelError):  # the first case meets the same failure, and reports it
            await guard.warm()
        with _progress_bar() as bar:
            task = bar.add_task("judging", total=len(cases))
            for number, case in enumerate(cases, 1):
                async with aclosing(guard.judge(case)) as judging:
                    events = [event async for event in judging]
                await journal.add(case, events)
                bar.update(task, completed=number)
                code = exit_of_judgement(events)
                worst = max(worst, code)
                if code is Exit.UNREACHABLE:
                    say(
                        f"The back end cannot be reached: stopped at case {number} of {len(cases)}. "
                        "The lines printed are complete."
                    )
                    break
    finally:
        try:
            saved = await journal.close()
        finally:
            await guard.aclose()
    return worst if saved else (worst or Exit.FAILED)


def _progress_bar() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


class _Journal:
    """Saves judgements in the tracker, off the event loop, then prints them.

    What is judged while a transaction runs goes into the next one, together: a slow guard's verdicts are
    saved one by one as they come, a fast guard's by the hundred.
    """

    def __init__(self, workspace: Workspace | None, policies: Sequence[Policy], with_events: bool) -> None:
        self._workspace = workspace
        self._policies = policies
        self._with_events = with_events
        self._waiting: list[tuple[Case, Sequence[Event]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._failure = ""

    async def add(self, case: Case, events: Sequence[Event]) -> None:
        """Have the judgement saved and printed; raise what went wrong in printing those before it."""
        self._waiting.append((case, events))
        if self._writing is not None and (self._writing.done() or len(self._waiting) >= SAVE_AT_MOST):
            await asyncio.shield(self._writing)  # an interrupt stops the judging; what is judged is kept
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> bool:
        """Write the rest; return False, having said why, if anything could not be saved."""
        if self._writing is not None:
            await self._writing
        await self._write()
        return not self._failure

    async def _write(self) -> None:
        from engine.tracker import TrackerError

        while self._waiting:
            judged, self._waiting = self._waiting, []
            if self._workspace is not None and not self._failure:
                try:
                    await asyncio.to_thread(self._save, judged, self._workspace)
                except TrackerError as error:
                    self._failure = str(error)
                    say(f"The verdicts stand, but from here on they are not saved: {error}")
            for _, events in judged:
                self._print(events)

    def _save(self, judged: Sequence[tuple[Case, Sequence[Event]]], workspace: Workspace) -> None:
        from engine.tracker import open_tracker

        with open_tracker(workspace.db) as tracker:
            tracker.save_probes(judged, policies=self._policies, source="batch")

    def _print(self, events: Sequence[Event]) -> None:
        if self._with_events:
            print("\n".join(encode(event) for event in events), flush=True)
            return
        last = events[-1]
        assert isinstance(last, VerdictReached)
        print(json.dumps(to_jsonable(last.verdict)), flush=True)
