"""What a stream of events has said so far, and the verdict. Knows nothing of screens.

There is a lane for each policy; a guard that does the three tasks has an outline instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.outline import Outline
from app.pace import Pace
from app.wording import GUARDREASONER, REASONING, STOPPED, UNFINISHED, WAITING, finding_words
from engine.cases import Finding, Verdict
from engine.events import (
    AnswerDelta,
    Event,
    Failed,
    LabelParsed,
    LaneStarted,
    Notice,
    PolicyFinished,
    ReasoningDelta,
    Started,
    StepFinished,
    UsageReported,
    VerdictReached,
)


@dataclass(frozen=True, slots=True)
class Reasoned:
    """Text a model thought aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Text of a model's answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a finding says in a sentence, where nothing was streamed that says it."""

    text: str


Piece = Reasoned | Answered | Concluded | StepFinished | Notice


@dataclass(slots=True)
class Lane(Pace):
    """One policy's part of the judgement. Times are in milliseconds since the stream began."""

    name: str
    words: str = WAITING
    finding: Finding | None = None
    pieces: list[Piece] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def score(self) -> float | None:
        return self.finding.score if self.finding else None

    @property
    def verdict_ms(self) -> float | None:
        """Time from the lane's start to its finding."""
        if self.finding is None or self.finished_ms is None:
            return None
        return self.finding.latency_ms or self.finished_ms - (self.began_ms or 0.0)

    @property
    def reasoning(self) -> str:
        """All that was shown, as plain text for the clipboard; not made safe to display."""
        return "".join(_plain(piece) for piece in self.pieces).strip()

    def _add(self, piece: Piece, at_ms: float) -> None:
        if self.first_ms is None:
            self.first_ms = at_ms
        if self.finding is None:
            self.words = REASONING
        self.pieces.append(piece)

    def _finish(self, finding: Finding, at_ms: float) -> None:
        self.finding = finding
        self.finished_ms = at_ms
        self.words = finding_words(finding)
        if finding.reasoning and not self.deltas:
            self.pieces.append(Concluded(finding.reasoning))


@dataclass(slots=True)
class Judgement:
    """Fed with events in order; `stop` says that no more will come."""

    lanes: dict[str, Lane] = field(default_factory=dict)
    outline: Outline | None = None
    started: Started | None = None
    notices: list[str] = field(default_factory=list)
    labels: dict[str, str | None] = field(default_factory=dict)
    verdict: Verdict | None = None
    failed: Failed | None = None
    stopped: bool = False
    now_ms: float = 0.0

    @classmethod
    def waiting_for(cls, names: Iterable[str]) -> Judgement:
        return cls({name: Lane(name) for name in names})

    @classmethod
    def waiting_for_tasks(cls) -> Judgement:
        return cls(outline=Outline())

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self.now_ms = max(self.now_ms, event.at_ms)
        match event:
            case Started():
                self.started = event
                self.lanes = {ref.name: Lane(ref.name) for ref in event.policies} or self.lanes
                self.outline = None
                if event.guard == GUARDREASONER:
                    self.lanes, self.outline = {}, Outline(began_ms=event.at_ms)
            case Notice():
                self._note(event)
            case Failed():
                self.failed = event
            case VerdictReached():
                self._conclude(event.verdict, event.at_ms)
            case _ if self.outline is not None:
                self.outline.apply(event)
            case LaneStarted():
                lane = self._lane(event.lane)
                lane.began_ms = event.at_ms
                lane.words = REASONING
            case ReasoningDelta() | AnswerDelta():
                lane = self._lane(event.lane)
                kind = Reasoned if isinstance(event, ReasoningDelta) else Answered
                lane._add(kind(event.text), event.at_ms)
                lane.deltas += 1
            case StepFinished():
                self._lane(event.lane)._add(event, event.at_ms)
            case LabelParsed():
                self.labels[event.task] = event.label
            case UsageReported():
                self._lane(event.lane).tokens = event.usage.completion_tokens or None
            case PolicyFinished():
                self._lane(event.finding.policy)._finish(event.finding, event.at_ms)
            case _:
                pass

    def stop(self, words: str = STOPPED) -> None:
        """Mark what has no finding: nothing more will come."""
        self.stopped = self.verdict is None
        for lane in self.lanes.values():
            if lane.finding is None:
                lane.words = words
        if self.outline is not None:
            self.outline.stop(words)

    def _note(self, notice: Notice) -> None:
        if notice.lane is None or self.outline is not None:
            self.notices.append(notice.message)
        else:
            self._lane(notice.lane).pieces.append(notice)

    def _conclude(self, verdict: Verdict, at_ms: float) -> None:
        self.verdict = verdict
        if self.outline is not None:
            for task in verdict.tasks:
                self.outline.finish(task)
            self.stop(UNFINISHED)
            return
        for finding in verdict.policies:
            if self._lane(finding.policy).finding is None:
                self._lane(finding.policy)._finish(finding, at_ms)
        self.stop(UNFINISHED)

    def _lane(self, name: str) -> Lane:
        return self.lanes.setdefault(name, Lane(name))


def _plain(piece: Piece) -> str:
    match piece:
        case Reasoned(text) | Answered(text):
            return text
        case Concluded(text):
            return f"{text}\n"
        case Notice():
            return f"\n[{piece.message}]\n"
        case StepFinished():
            found = "".join(
                f"   {evidence.effect:+.2f}  {evidence.says}"
                + "".join(f"  «{span.text}» ({span.part} {span.start}-{span.end})" for span in evidence.spans)
                + "\n"
                for evidence in piece.found
            )
            heading = f"{piece.step}. {piece.title}  {piece.before:.2f} -> {piece.after:.2f}\n"
            return f"{heading}   looked for {piece.looked_for}\n{found or '   found nothing' + chr(10)}"
