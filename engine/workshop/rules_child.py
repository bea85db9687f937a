"""The process in which rules judge beside an interface: the child's end of `rules_process`.

It reads requests, one JSON object a line, and answers the newest of them; who asks again does not wait for
what was asked before.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

from engine.cases import Case
from engine.guards.reasoner import Level, Reasoner
from engine.models.child_pipes import messages_from, take_pipes
from engine.policies.load import PolicyCase, PolicyError
from engine.policies.signals import load_signals
from engine.workshop.trials import try_cases

_LOOK_EVERY = 16


class _Inbox:
    """The newest request. Those that were not taken by then are dropped."""

    def __init__(self) -> None:
        self._there = threading.Condition()
        self._newest: dict[str, Any] | None = None

    def put(self, request: dict[str, Any]) -> None:
        with self._there:
            self._newest = request
            self._there.notify()

    def take(self) -> dict[str, Any]:
        with self._there:
            while self._newest is None:
                self._there.wait()
            taken, self._newest = self._newest, None
            return taken

    @property
    def waiting(self) -> bool:
        return self._newest is not None


def main() -> None:
    """Answer requests until the other end closes its pipe, or is gone."""
    commands, replies = take_pipes()
    inbox = _Inbox()

    def listen() -> None:
        for request in messages_from(commands):
            inbox.put(request)
        os._exit(0)  # in the middle of whatever is judged

    threading.Thread(target=listen, daemon=True).start()
    while True:
        request = inbox.take()
        answer = asyncio.run(_answer(request, inbox))
        if answer is None:
            continue
        try:
            replies.write(json.dumps({"id": request["id"], **answer}).encode("ascii") + b"\n")
            replies.flush()
        except OSError:
            os._exit(0)


async def _answer(request: dict[str, Any], inbox: _Inbox) -> dict[str, Any] | None:
    """Return what cases are found to be, or why the text cannot be used; None if nobody waits any more."""
    folder, policy, texts = Path(request["folder"]), request["policy"], request["texts"]
    try:
        if policy is None:
            load_signals(folder, None, texts)
            return {"outcomes": []}
        guard = Reasoner(folder, [policy], Level(request["level"]), texts)
    except PolicyError as error:
        return {"error": str(error)}
    except Exception as error:  # whoever waits must hear of it
        return {"error": f"{type(error).__name__}: {error}"}
    cases = [PolicyCase(Case(prompt, response), False, "", "", "") for prompt, response in request["cases"]]
    rows: list[list[Any]] = []
    async with aclosing(try_cases(guard, policy, cases, {})) as outcomes:
        async for outcome in outcomes:
            finding = outcome.finding
            told = [finding.violation, finding.score, finding.reasoning, finding.latency_ms]
            rows.append([*told, list(outcome.signals)])
            if len(rows) % _LOOK_EVERY == 0 and inbox.waiting:
                return None
    return {"outcomes": rows}


if __name__ == "__main__":
    main()
