"""How a finding reads beside what a case expects."""

from __future__ import annotations

from engine.cases import Finding, Status


def expected_word(violation: bool) -> str:
    """Return what a case expects, as its file has it."""
    return "violation" if violation else "safe"


def found_of(finding: Finding) -> str | None:
    """Return what a finding says, in the words of the cases; None for no clean yes or no."""
    if finding.status is not Status.OK or finding.violation is None:
        return None
    return expected_word(finding.violation)


def found_words(finding: Finding) -> str:
    """Return the same for people: what there is in place of a yes or no, too."""
    found = found_of(finding)
    if found is not None:
        return found
    return "no clear answer" if finding.status is Status.OK else finding.status.value
