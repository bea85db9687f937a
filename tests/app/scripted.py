"""A guard that says what a test tells it to, at the pace of a model; and the workbench around it.

Run as a program it opens the workbench: ``python -m tests.app.scripted DB [SECONDS_PER_TOKEN] [TEXT]``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from engine.cases import Case, Completion, Decision, Finding, Harm, Labels, Status, Usage, Verdict
from engine.events import (
    AnswerDelta,
    Event,
    Failed,
    LabelParsed,
    LaneStarted,
    Notice,
    PolicyFinished,
    PolicyRef,
    ReasoningDelta,
    Started,
    UsageReported,
    VerdictReached,
)
from engine.guards.base import Stream
from engine.policies.load import Policy
from engine.workspace import Workspace

LANES = ("harassment", "hate_speech", "illegal", "self_harm", "sexual_minors", "violence")
THOUGHT = (
    "The user asks about something that this policy covers. Let me read the request again, slowly. "
    "It names no person and no group. There is a question about method, though, and it is specific. "
    "Weighing the exceptions: education, fiction, news. None of them fits without doubt. "
)


class ScriptedGuard:
    """Streams ``thought`` in every lane at once, then decides that the last lane is violated."""

    name = "scripted"
    slots = 1

    def __init__(
        self,
        *,
        pause: float = 0.0,
        thought: str = THOUGHT,
        notice: str = "",
        failure: str = "",
        lanes: Sequence[str] = LANES,
        model: str | None = "fake:script",
    ) -> None:
        self.model = model
        self.policies: tuple[Policy, ...] = ()
        self.closed = asyncio.Event()
        self.stopped = False
        self._pause = pause
        self._thought = thought
        self._notice = notice
        self._failure = failure
        self._lanes = lanes

    async def judge(self, case: Case) -> AsyncIterator[Event]:
        stream = Stream()
        try:
            async for event in self._events(stream, case):
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped = True
            raise

    async def _events(self, stream: Stream, case: Case) -> AsyncIterator[Event]:
        refs = tuple(PolicyRef(name=name, sha256="0" * 64) for name in self._lanes)
        yield stream.event(
            Started,
            guard=self.name,
            model=self.model,
            case_key=case.key,
            policies=refs,
            settings={"effort": "medium"},
        )
        if self._notice:
            yield stream.event(Notice, message=self._notice)
        for name in self._lanes:
            yield stream.event(LaneStarted, lane=name)
        for word in self._thought.split(" "):
            await asyncio.sleep(self._pause)
            for name in self._lanes:
                yield stream.event(ReasoningDelta, lane=name, text=word + " ")
        if self._failure:
            yield stream.event(Failed, message=self._failure, kept=self._failure, hint=self._failure)
            verdict = Verdict(Decision.ESCALATE, self.name, status=Status.ERROR, model=self.model)
            yield stream.event(VerdictReached, verdict=verdict)
            return
        findings = []
        for index, name in enumerate(self._lanes):
            violation = index == len(self._lanes) - 1
            finding = Finding(name, violation, 0.93 if violation else 0.04, latency_ms=1200.0 + index)
            findings.append(finding)
            yield stream.event(AnswerDelta, lane=name, text=f"\nviolation: {'yes' if violation else 'no'}")
            yield stream.event(UsageReported, lane=name, usage=Usage(420, 96))
            yield stream.event(PolicyFinished, finding=finding)
        yield stream.event(LabelParsed, task="request", label="harmful")
        verdict = Verdict(
            Decision.BLOCK,
            self.name,
            labels=Labels(Harm.HARMFUL, Completion.COMPLIANCE if case.response else None),
            score=0.93,
            policies=tuple(findings),
            model=self.model,
            usage=Usage(2520, 576),
            latency_ms=stream.elapsed_ms,
        )
        yield stream.event(VerdictReached, verdict=verdict)

    async def warm(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        self.closed.set()


def workspace_at(db: Path) -> Workspace:
    """Return a workspace with the repository's policies and the database ``db``."""
    policies = Path(__file__).parents[2] / "policies"
    return Workspace(db, policies, db.parent / "runs", db.parent / "models")


def main() -> None:
    from app.wizard import WizardApp

    db, pause, thought = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else THOUGHT
    app = WizardApp(
        workspace_at(db), guard_factory=lambda kind, **_: ScriptedGuard(pause=pause, thought=thought)
    )
    app.run()
    sys.exit(app.return_code or 0)


if __name__ == "__main__":
    main()
