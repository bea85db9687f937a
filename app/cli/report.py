"""A judgement as a person reads it on a terminal, line by line as it happens."""

from __future__ import annotations

import textwrap

from app.cli.exits import say
from app.safe_text import visible
from app.wording import (
    DECISION_WORDS,
    GUARDREASONER,
    LANE_TITLES,
    POSITIVE_WORDS,
    TASK_TITLES,
    finding_words,
    score_words,
    task_words,
)
from engine.cases import Finding, Task, TaskFinding, Verdict
from engine.events import (
    Event,
    Failed,
    FormatFault,
    LaneStarted,
    Notice,
    OutputFinished,
    PolicyFinished,
    ReasoningDelta,
    Started,
    StepStarted,
    TaskFinished,
    VerdictReached,
)


class Report:
    """Prints what a person wants to see of each event: data to standard output, notes to standard error."""

    def __init__(self) -> None:
        self._writing: _Writing | None = None

    def __call__(self, event: Event) -> None:
        if self._writing is not None:
            self._writing.take(event)
        match event:
            case Started(guard=guard):
                self._writing = _Writing() if guard == GUARDREASONER else None
            case Notice(message=message, lane=lane):
                say(f"Note: {message}" if lane is None else f"Note on {lane}: {message}")
            case FormatFault():
                _report_fault(event)
            case PolicyFinished(finding=finding):
                _report_finding(finding)
            case TaskFinished(finding=task):
                _report_task(task)
            case Failed():
                say("\n".join(line for line in (event.message, event.kept, event.hint) if line))
            case VerdictReached(verdict=verdict):
                _report_verdict(verdict)


class _Writing:
    """What a model writes on the three tasks, printed line by line: a heading for each task and step."""

    def __init__(self) -> None:
        self._lane: str | None = None
        self._line = ""

    def take(self, event: Event) -> None:
        match event:
            case LaneStarted(lane=lane):
                self._enter(lane)
            case StepStarted(lane=lane, step=step, title=title):
                self._enter(lane)
                self._end_line()
                _print(" ".join(filter(None, ["" if step is None else f"{step}.", title])), "  ")
            case ReasoningDelta(lane=lane, text=text):
                self._enter(lane)
                *ended, rest = text.split("\n")
                for piece in ended:
                    self._line += piece
                    self._end_line()
                self._line += rest
            case OutputFinished():
                self._end_line()
                print(flush=True)
            case _:
                pass

    def _enter(self, lane: str) -> None:
        if lane == self._lane:
            return
        self._end_line()
        self._lane = lane
        _print(TASK_TITLES[Task(lane)] if lane in set(Task) else LANE_TITLES.get(lane, lane))

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), ""
        if line:
            _print(line, "     ")


def _print(text: str, indent: str = "") -> None:
    print(indent + visible(text, keep_newlines=False), flush=True)


def _report_task(finding: TaskFinding) -> None:
    title = TASK_TITLES[finding.task]
    score = "" if finding.score is None else f"p({POSITIVE_WORDS[finding.task]}) {score_words(finding.score)}"
    _print(f"{task_words(finding):<24} {title:<20} {score}".rstrip())


def _report_fault(fault: FormatFault) -> None:
    span = f" “{fault.text}”" if fault.text else ""
    say(f"Format: {fault.message} (characters {fault.start}-{fault.end}){span}")


def _report_finding(finding: Finding) -> None:
    print(
        visible(
            f"{finding_words(finding):<12} {finding.policy:<16} {score_words(finding.score):>4}"
            f"  {finding.latency_ms:8.1f} ms"
        ),
        flush=True,
    )
    if finding.violation is not False and finding.reasoning:
        print(visible(textwrap.indent(finding.reasoning.strip(), "    ")), flush=True)


def _report_verdict(verdict: Verdict) -> None:
    labels = [
        f"{task} {label}"
        for task, label in (
            ("request", verdict.labels.request),
            ("completion", verdict.labels.completion),
            ("response", verdict.labels.response),
        )
        if label is not None
    ]
    by = verdict.guard if verdict.model is None else f"{verdict.guard} over {verdict.model}"
    print(
        visible(
            f"\n{DECISION_WORDS[verdict.decision]}  ({', '.join([f'status {verdict.status}', *labels])};"
            f" score {score_words(verdict.score)}; {verdict.latency_ms:.0f} ms; {by})"
        )
    )
