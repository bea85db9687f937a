"""Cases proposed for a policy, each with where it comes from: a probe, an evaluation's errors, a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.case_files import CaseFileError, read_cases
from engine.cases import Case, Finding, Harm, Status, Verdict
from engine.policies.load import PolicyCase, PolicyError, case_of

if TYPE_CHECKING:
    from engine.jobs.evaluated import KeptCase, KeptFinding
    from engine.tracker.records import Probe

LANGUAGE = "en"
"""The language of a case where nothing says another."""


class Errors(StrEnum):
    """Of an evaluation: what a policy called a violation and is none, or what no policy found."""

    FALSE_POSITIVES = "false positives"
    FALSE_NEGATIVES = "false negatives"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A case that could be a policy's. ``violation`` is None where nothing says what to expect."""

    case: Case
    violation: bool | None
    reason: str
    source: str
    language: str = LANGUAGE

    def expecting(self, violation: bool) -> PolicyCase:
        """Return it as a policy's case with this verdict."""
        return PolicyCase(self.case, violation, self.reason, self.language, self.source)


def of_probe(probe: Probe, policy: str, *, language: str = LANGUAGE) -> Proposal:
    """Return what a probe proposes; the policy's own finding, where it is clean, says what to expect."""
    number = probe.summary.id
    found = clean_finding(probe.verdict, policy)
    reason = (
        f"Looked at in probe #{number}."
        if found is None
        else f"{_found(found)} by {probe.summary.guard} in probe #{number}."
    )
    return Proposal(probe.case, found, reason, f"probe #{number}", language)


def clean_finding(verdict: Verdict | None, policy: str) -> bool | None:
    """Return whether a policy was found violated; None where it was not judged, or not cleanly."""
    findings: Iterable[Finding] = () if verdict is None else verdict.policies
    return next((_clean(finding) for finding in findings if finding.policy == policy), None)


def of_errors(
    kept: Iterable[KeptCase], run_id: int, policy: str, errors: Errors, *, language: str = LANGUAGE
) -> list[Proposal]:
    """Return the errors of a finished evaluation, in its order.

    False positives are those of this policy. False negatives are of all policies, as a benchmark does not
    say which of them should have found a violation. A case whose items disagree on what it is is no error.
    """
    wanted = Harm.UNHARMFUL if errors is Errors.FALSE_POSITIVES else Harm.HARMFUL
    found = []
    for case in kept:
        is_error = _false_positive(case, policy) if wanted is Harm.UNHARMFUL else _false_negative(case)
        if is_error and _gold(case) is wanted:
            item = next(item for item in case.items if _harm(item.gold) is wanted)
            what = (
                f"{item.benchmark} calls it {wanted}; "
                f"run {run_id} found {'a violation' if wanted is Harm.UNHARMFUL else 'none'}."
            )
            source = f"run #{run_id}, {item.benchmark} {item.id}"
            violation = wanted is Harm.HARMFUL
            found.append(Proposal(Case(case.prompt, case.response), violation, what, source, language))
    return found


def of_file(content: bytes, name: str, *, language: str = LANGUAGE) -> list[Proposal]:
    """Return the cases of a file, each of them once.

    Its lines are those of a policy's cases, or have a prompt and, optionally, a response and a label, as
    the files have that are judged. The first line says which.

    Raises:
        PolicyError: at the first line that is no case; the message names the file and the line.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{name} is not UTF-8: byte {error.start:,} is not ({error.reason}).") from error
    return list(
        _each_once(_of_policy(text, name) if _is_policy_file(text) else _of_labelled(content, name, language))
    )


def _of_policy(text: str, name: str) -> Iterator[Proposal]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            each = case_of(Path(name), number, line)
            yield Proposal(each.case, each.violation, each.reason, each.source, each.language)


def _of_labelled(content: bytes, name: str, language: str) -> Iterator[Proposal]:
    try:
        rows = read_cases(content)
    except CaseFileError as error:
        raise PolicyError(f"{name}, {error}.") from error
    for row in rows:
        says = "gives no label" if row.label is None else f"calls it {row.label}"
        violation = None if row.label is None else row.label is Harm.HARMFUL
        yield Proposal(row.case, violation, f"{Path(name).name} {says}.", Path(name).name, language)


def _is_policy_file(text: str) -> bool:
    first = next((line for line in text.split("\n") if line.strip()), "")
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "expected" in row


def _each_once(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    seen: set[str] = set()
    for proposal in proposals:
        if proposal.case.key not in seen:
            seen.add(proposal.case.key)
            yield proposal


def _found(violation: bool) -> str:
    return "Found violating" if violation else "Found safe"


def _clean(finding: Finding | KeptFinding) -> bool | None:
    return finding.violation if finding.status is Status.OK else None


def _false_positive(case: KeptCase, policy: str) -> bool:
    return any(_clean(finding) for finding in case.verdict.policies if finding.policy == policy)


def _false_negative(case: KeptCase) -> bool:
    """Whether all was judged cleanly and nothing found; a guard without policies says so by its labels."""
    findings = case.verdict.policies
    if findings:
        return all(_clean(finding) is False for finding in findings)
    return (case.labels.get("response") or case.labels.get("request")) == Harm.UNHARMFUL


def _gold(case: KeptCase) -> Harm | None:
    """Return what a case is; None where nothing says so, or its items disagree."""
    golds = {harm for harm in (_harm(item.gold) for item in case.items) if harm is not None}
    return golds.pop() if len(golds) == 1 else None


def _harm(gold: Any) -> Harm | None:
    if isinstance(gold, Mapping):
        return Harm.HARMFUL if any(gold.values()) else Harm.UNHARMFUL
    return Harm(gold) if gold in list(Harm) else None
