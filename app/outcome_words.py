"""What one case was found to be, in full: its texts, the finding, and that of the other text."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from app.safe_text import blurred, visible
from app.trial_words import TURNS, expected_words, result_words, said_words
from engine.cases import Finding
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip
from engine.workshop.trials import Outcome

_LONGEST = 4_000
_NAME = 10


def outcome_content(
    case: PolicyCase,
    after: Outcome | None,
    before: Outcome | None,
    flip: Flip | None,
    base: str,
    *,
    clear: bool,
) -> Iterator[Content]:
    """Yield the paragraphs on one case. ``base`` names the text that ``before`` is of."""
    result, style = result_words(after)
    turned = TURNS[flip.turn] if flip is not None else ("", "")
    yield Content.assemble(
        (result, style), "  ", turned, ("  expected: ", "$text-muted"), (expected_words(case), "bold")
    )
    yield _named("reason", case.reason)
    yield _named("source", f"{case.source} · {case.language}")
    yield _text("prompt", case.case.prompt, clear)
    if case.case.response is not None:
        yield _text("response", case.case.response, clear)
    yield Content("")
    yield from told_content("now", after)
    if before is not None:
        yield Content("")
        yield from told_content(base, before)


def told_content(name: str, outcome: Outcome | None) -> Iterator[Content]:
    """Yield what one text makes of a case; ``name`` says which text."""
    if outcome is None:
        yield Content.assemble((f"{name:{_NAME}} ", "bold $text-primary"), ("not run", "$text-muted"))
        return
    finding = outcome.finding
    known = "  known already" if outcome.known else ""
    yield Content.assemble(
        (f"{visible(name, keep_newlines=False):{_NAME}} ", "bold $text-primary"),
        (f"{said_words(finding)}{_score(finding)}", "bold"),
        (f"  {finding.latency_ms:,.0f} ms{known}" if finding.latency_ms else known, "$text-muted"),
    )
    if outcome.signals:
        yield _named("signals", ", ".join(outcome.signals))
    for line in visible(finding.reasoning[:_LONGEST]).split("\n"):
        yield Content(" " * (_NAME + 1) + line)
    if len(finding.reasoning) > _LONGEST:
        yield Content.styled(
            f"{' ' * (_NAME + 1)}… {len(finding.reasoning) - _LONGEST:,} more", "$text-muted"
        )


def _score(finding: Finding) -> str:
    return "" if finding.score is None else f", score {finding.score:.3f}"


def _named(name: str, text: str) -> Content:
    return Content.assemble((f"{name:{_NAME}} ", "$text-muted"), visible(text, keep_newlines=False))


def _text(name: str, text: str, clear: bool) -> Content:
    cut = visible(text[:_LONGEST], keep_newlines=False)
    shown = cut if clear else blurred(cut)
    return Content.assemble((f"{name:{_NAME}} ", "$text-muted"), (shown, "" if clear else "$text-muted"))
