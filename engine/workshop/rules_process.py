"""Rules at work in a process of their own, so that an interface's keys never wait for them.

What is compiled of a policy's patterns stays there from one text to the next. A process that has died is
started anew with the next request; it ends with whoever started it, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.cases import Finding
from engine.guards.build import Level
from engine.policies.load import PolicyCase, PolicyError, Texts
from engine.workshop.trials import Outcome, TrialStopped

_PROGRAM = Path(__file__).resolve().parents[2]
_LONGEST_REPLY = 256 << 20
_TRIES = 2


class RulesProcess:
    """Judges cases by the signals of one policy. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._asked = 0
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process's number, while it runs."""
        return None if self._process is None else self._process.pid

    async def judge(
        self, folder: Path, policy: str, level: Level, texts: Texts, cases: Sequence[PolicyCase]
    ) -> list[Outcome]:
        """Return what each case, of which no two are equal, is found to be, in order.

        Raises:
            PolicyError: if the signals cannot be used.
            TrialStopped: if the process cannot be started, or dies again and again.
        """
        told = [[case.case.prompt, case.case.response] for case in cases]
        about = {"folder": str(folder), "policy": policy, "texts": dict(texts)}
        rows = await self._ask({**about, "level": level.value, "cases": told})
        outcomes = []
        for case, (violation, score, reasoning, ms, signals) in zip(cases, rows, strict=True):
            finding = Finding(policy, violation, score, reasoning=reasoning, latency_ms=ms)
            outcomes.append(Outcome(case, finding, signals=tuple(signals)))
        return outcomes

    async def check(self, folder: Path, policy: str | None, texts: Texts) -> None:
        """See whether a policy's signals can be used, or with None those of all policies.

        Raises:
            PolicyError: if they cannot; the message says why, and where.
            TrialStopped: as `judge` does.
        """
        level = Level.MEDIUM.value
        await self._ask(
            {"folder": str(folder), "policy": policy, "level": level, "texts": dict(texts), "cases": []}
        )

    async def aclose(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, request: dict[str, Any]) -> list[Any]:
        async with self._turn:
            for _ in range(_TRIES):
                reply = await self._reply_to(request)
                if reply is None:
                    continue
                if "error" in reply:
                    raise PolicyError(reply["error"])
                outcomes: list[Any] = reply["outcomes"]
                return outcomes
        raise TrialStopped("The process in which rules judge has died twice.", "Try again; report this.")

    async def _reply_to(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the reply to a request; None if the process has died over it."""
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked += 1
        number = self._asked
        try:
            process.stdin.write(json.dumps({"id": number, **request}).encode("ascii") + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                reply: dict[str, Any] = json.loads(line)
                if reply["id"] == number:  # others are of requests that nobody waits for any more
                    return reply
        except (OSError, ValueError):
            pass
        await self.aclose()
        return None

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        path = os.pathsep.join([str(_PROGRAM), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "engine.workshop.rules_child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                limit=_LONGEST_REPLY,
                start_new_session=True,
            )
        except OSError as error:
            raise TrialStopped(f"Rules cannot judge: no process can be started ({error}).") from error
        return self._process
