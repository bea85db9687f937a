"""Linting a policy's text: what makes it unclear to a model, or has it say two things at once.

Findings are few and meant to be acted on: a text that follows the usual form has none. docs/policies.md lists
the codes. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import chain

from engine.policies import lint_form, lint_rules
from engine.policies.findings import Fix, LintFinding, Severity, apply_fix
from engine.policies.sections import SECTIONS, read_outline
from engine.policies.tokens import TOKEN_BAND, estimate_tokens

__all__ = ["CODES", "Fix", "LintFinding", "Severity", "apply_fix", "fixed", "lint"]

_MOST_FIXES = 200
_LONGEST = 200_000

CODES = {
    "empty-text": "there is no text",
    "no-title": "the first line names no policy",
    "missing-section": "a section is not there",
    "misordered-section": "a section stands behind one that it belongs before",
    "repeated-section": "a section is there twice",
    "unknown-section": "a heading is none of the sections",
    "empty-section": "a section says nothing",
    "output-rule": "the output rule is not told twice: in the instructions, and as the last line",
    "other-output-rule": "a sentence asks for another output",
    "not-as-data": "the instructions do not say to judge the content as data",
    "refusal-unsaid": "the instructions do not say that a refusing response does not itself violate",
    "vague-word": "a word leaves open what is meant: usually, generally, inappropriate",
    "empty-definition": "a term is not defined",
    "duplicated-definition": "a term is defined twice",
    "contradictory-definition": "a term is defined twice, in two ways",
    "unlabelled-rule": "a rule has no label",
    "wrong-kind": "an S rule stands under Violates, or a V rule under Safe",
    "empty-rule": "a rule says nothing",
    "duplicated-rule": "a rule says what another one says",
    "contradictory-rule": "a rule allows what another one forbids, or is its reverse",
    "repeated-label": "two rules have one label",
    "label-order": "labels do not count from 1 without gaps",
    "undefined-label": "a label is named that no rule has",
    "impossible-range": "a range of labels runs backwards, or from one kind to the other",
    "example-without-verdict": "an example says neither VIOLATION nor SAFE",
    "example-without-label": "an example names no rule",
    "contradictory-label": "an example's rule does not give its verdict",
    "contradictory-example": "one example has two verdicts",
    "duplicated-example": "an example is there twice",
    "one-sided-examples": "all examples have the same verdict",
    "too-long": "the text has more tokens than the band allows",
    "too-short": "the text has fewer tokens than the band asks for",
    "carriage-return": "lines end with carriage returns",
    "trailing-blank": "blanks end a line",
    "unseen-character": "a character cannot be seen, and a model reads it",
    "no-newline": "the last line does not end with a newline",
}
"""All codes, and what each finds."""


def lint(
    text: str,
    *,
    band: tuple[int, int] = TOKEN_BAND,
    sections: Sequence[str] = SECTIONS,
    count: Callable[[str], int] = estimate_tokens,
    counted: str = "estimated",
) -> tuple[LintFinding, ...]:
    """Return what is wrong with a policy's text, in the order of its lines.

    ``band`` are the fewest and most tokens, by ``count``; ``counted`` says how that counts. ``sections`` are
    those that must be there; with none of them a text may do without headings. Any text can be linted.
    """
    if not text.strip():
        return (LintFinding("empty-text", 1, Severity.ERROR, "There is no text.", 0, 0),)
    if len(text) > _LONGEST:
        message = f"{len(text):,} characters are no policy: nothing else was looked at."
        return (LintFinding("too-long", 1, Severity.ERROR, message, 0, 0),)
    outline = read_outline(text)
    checks: list[Iterator[LintFinding]] = [
        lint_form.title(outline),
        lint_form.sections(outline, sections) if sections else iter(()),
        lint_form.output_rule(outline, sections),
        lint_form.says_what_content_is(outline, sections),
        lint_form.vague_words(outline),
        lint_form.characters(outline),
        lint_form.length(outline, band, count, counted),
        lint_rules.definitions(outline),
        lint_rules.rules(outline),
        lint_rules.labels(outline),
        lint_rules.examples(outline),
    ]
    found = chain.from_iterable(checks)
    return tuple(sorted(found, key=lambda each: (each.line, each.start, each.code)))


def fixed(
    text: str,
    *,
    band: tuple[int, int] = TOKEN_BAND,
    sections: Sequence[str] = SECTIONS,
    spared: Container[str] = (),
) -> tuple[str, tuple[LintFinding, ...]]:
    """Return ``text`` with every sure fix applied, one after the other, and the findings that were mended.

    Findings with a code among ``spared`` are left alone.
    """
    mended: list[LintFinding] = []
    for _ in range(_MOST_FIXES):
        mendable = (each for each in lint(text, band=band, sections=sections) if each.fix is not None)
        found = next((each for each in mendable if each.code not in spared), None)
        if found is None or found.fix is None:
            break
        text = apply_fix(text, found.fix)
        mended.append(found)
    return text, tuple(mended)
