"""How trials read: results, flips and figures in words and signs."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from app.safe_text import blurred, one_line
from app.trial_state import TrialState
from app.trying import Side
from engine.cases import Finding, Status
from engine.evaluation.intervals import Interval
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip, Turn, label_of
from engine.workshop.trials import Outcome

_TEXT = 300

TURNS = {
    Turn.MENDED: ("↑ mended", "$text-success"),
    Turn.BROKE: ("↓ broke", "$text-error"),
    Turn.CHANGED: ("↔ changed", "$text-warning"),
}


def result_words(outcome: Outcome | None) -> tuple[str, str]:
    """Return what became of a case, and its style."""
    if outcome is None:
        return "· not run", "$text-muted"
    if outcome.passed:
        return "✓ pass", "$text-success"
    if label_of(outcome.finding) is None:
        return f"? {undecided_words(outcome.finding)}", "$text-warning"
    return "✗ fail", "bold $text-error"


def undecided_words(finding: Finding) -> str:
    """Return why a finding is no clean yes or no."""
    return "undecided" if finding.status is Status.OK else finding.status.value


def said_words(finding: Finding) -> str:
    """Return what a finding says."""
    if label_of(finding) is None:
        return undecided_words(finding)
    return "violation" if finding.violation else "safe"


def expected_words(case: PolicyCase) -> str:
    """Return what a case expects."""
    return "violation" if case.violation else "safe"


def excerpt(case: PolicyCase, *, clear: bool) -> str:
    """Return the texts of a case on one line; blurred unless ``clear``."""
    texts = [case.case.prompt] if case.case.response is None else [case.case.prompt, case.case.response]
    text = one_line(" → ".join(each[:_TEXT] for each in texts), _TEXT)
    return text if clear else blurred(text)


def trial_line(trial: TrialState, flips: dict[str, Flip]) -> Content:
    """Return how a trial stands, on one line: the present text's cases, and what differs from the other's."""
    if Side.AFTER in trial.errors:
        return Content.styled(f"✗ {one_line(trial.errors[Side.AFTER], _TEXT)}", "bold $text-error")
    done, n = len(trial.after), len(set(trial.keys))
    if not done and not trial.running and not trial.stopped:
        return Content.styled(f"{n:,} cases, not run yet: f5 runs them", "$text-muted")
    parts: list[tuple[str, str]] = []
    if trial.running:
        parts.append((f"… {done:,} of {n:,}  ", "bold"))
    elif trial.stopped:
        parts.append((f"■ stopped at {done:,} of {n:,}  ", "bold $text-warning"))
    failed = trial.failed
    parts.append((f"✓ {trial.passed:,} pass", "$text-success"))
    parts.append((f"  ✗ {failed:,} fail", "bold $text-error" if failed else "$text-muted"))
    if Side.BEFORE in trial.errors:
        parts.append((f"  the other text: {one_line(trial.errors[Side.BEFORE], _TEXT)}", "$text-warning"))
    elif trial.before:
        parts += _flip_parts(trial, flips)
    elif not trial.running:
        parts.append((f"  as {trial.base}: nothing to flip", "$text-muted"))
    if trial.figures is not None and trial.figures.tally.f1 is not None:
        tally = trial.figures.tally
        parts.append((f"  F1 {_percent(tally.f1)}{_interval(tally.interval)}", ""))
    if trial.before and trial.figures is not None and trial.figures.comparison is not None:
        parts.append((f"  p = {trial.figures.comparison.p_value:.3g}", "$text-muted"))
    return Content.assemble(*parts)


def _flip_parts(trial: TrialState, flips: dict[str, Flip]) -> Iterator[tuple[str, str]]:
    if not flips:
        yield f"  no flips against {trial.base}", "$text-muted"
        return
    yield f"  {len(flips):,} flip{'s' if len(flips) > 1 else ''} against {trial.base}:", "bold"
    for turn, (words, style) in TURNS.items():
        number = sum(flip.turn is turn for flip in flips.values())
        if number:
            yield f" {words[0]} {number:,} {words[2:]}", style


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
