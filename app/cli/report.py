"""A judgement as a person reads it on a terminal, line by line as it happens."""

from __future__ import annotations

import textwrap

from app.cli.exits import say
from app.safe_text import visible
from app.wording import DECISION_WORDS, finding_words, score_words
from engine.cases import Finding, Verdict
from engine.events import Event, Failed, Notice, PolicyFinished, VerdictReached


def report(event: Event) -> None:
    """Print what a person wants to see of the event: data to standard output, notes to standard error."""
    match event:
        case Notice(message=message, lane=lane):
            say(f"Note: {message}" if lane is None else f"Note on {lane}: {message}")
        case PolicyFinished(finding=finding):
            _report_finding(finding)
        case Failed():
            say("\n".join(line for line in (event.message, event.kept, event.hint) if line))
        case VerdictReached(verdict=verdict):
            _report_verdict(verdict)


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
