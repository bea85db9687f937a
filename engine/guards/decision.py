"""From what a model answered to what is done with a case. Pure functions.

Only the text of the final answer counts, never the reasoning: a model may weigh both verdicts aloud. A
failure is never "safe": whatever is not one clean verdict word leaves the policy without a yes or no.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.cases import Decision, Finding, Harm, Labels, Status
from engine.models.base import TokenLogprob


class Word(StrEnum):
    """The two answers a policy asks for."""

    VIOLATION = "violation"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The scores, in [0, 1], from which a policy is violated (``high``) and below which it is not (``low``).

    Raises:
        ValueError: unless 0 <= low <= high <= 1.
    """

    high: float = 0.85
    low: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.high <= 1.0:
            raise ValueError(f"thresholds must satisfy 0 <= low <= high <= 1, not {self.low} and {self.high}")


_DRESSING = string.whitespace + "*_~`'\"\u2018\u2019\u201c\u201d"
_WORST_FIRST = (Status.ERROR, Status.TIMEOUT, Status.TRUNCATED, Status.UNPARSABLE, Status.OK)


def parse_answer(text: str) -> Word | None:
    """Return the verdict word that is the whole of ``text``, or None.

    White space, emphasis, quotes, backticks and one final period are tolerated, nothing else: "UNSAFE",
    "not safe", both words, or a word with its reasons are no verdicts.
    """
    core = text.strip(_DRESSING)
    if core.endswith("."):
        core = core[:-1].rstrip(_DRESSING)
    return next((word for word in Word if core.lower() == word.value), None)


def violation_score(logprobs: Sequence[TokenLogprob]) -> float | None:
    """Return p(VIOLATION) / (p(VIOLATION) + p(SAFE)) where the answer's verdict word begins.

    ``logprobs`` are the answer's tokens in order. The decision token is the first with a letter in it. Its
    alternatives count for the one word they begin ("VI", " Viol", "S", "SAFE."), and for none otherwise
    ("UNSAFE", "**"). A word without a listed alternative is given the most that a single unlisted token can
    hold: no more than the least likely listed one, and no more than what the listed ones leave of 1. This
    bound errs towards 0.5, so towards escalation; 0 instead would claim a certainty that a cut-off list
    does not show.

    None: no decision token, or no mass on either word.
    """
    decisive = next((token for token in logprobs if any(map(str.isalpha, token.token))), None)
    if decisive is None:
        return None
    listed = {text: _probability(logprob) for text, logprob in decisive.top}
    listed.setdefault(decisive.token, _probability(decisive.logprob))
    mass = dict.fromkeys(Word, 0.0)
    for text, probability in listed.items():
        word = _begun_word(text)
        if word is not None:
            mass[word] += probability
    if not any(mass.values()):
        return None
    unlisted = min(min(listed.values()), max(0.0, 1.0 - sum(listed.values())))
    violation, safe = (mass[word] or unlisted for word in (Word.VIOLATION, Word.SAFE))
    return violation / (violation + safe)


def _probability(logprob: float) -> float:
    return 0.0 if math.isnan(logprob) else math.exp(min(logprob, 0.0))


def _begun_word(token: str) -> Word | None:
    """Return the verdict word that a token with this text begins, or is."""
    start = token.strip(_DRESSING + ".").lower()
    return next((word for word in Word if start and word.value.startswith(start)), None)


def weigh(word: Word, score: float | None, thresholds: Thresholds) -> bool | None:
    """Return whether a policy is violated; None where the score is in between or contradicts the word.

    Without a score the word alone decides.
    """
    if score is None:
        return word is Word.VIOLATION
    if word is Word.VIOLATION and score >= thresholds.high:
        return True
    if word is Word.SAFE and score < thresholds.low:
        return False
    return None


def decide(findings: Iterable[Finding]) -> Decision:
    """Return BLOCK if any policy is cleanly violated, ALLOW if all are cleanly not, else ESCALATE.

    No findings at all are no judgement: ESCALATE.
    """
    clean = [finding.violation if finding.status is Status.OK else None for finding in findings]
    if True in clean:
        return Decision.BLOCK
    return Decision.ALLOW if clean and all(violation is False for violation in clean) else Decision.ESCALATE


def worst_status(findings: Iterable[Finding]) -> Status:
    """Return the worst status: error, then timeout, truncated, unparsable, ok.

    The order is by how little was heard of the policy: an error may mean that the model never saw the
    case, an unparsable answer is at least complete.
    """
    return min((finding.status for finding in findings), key=_WORST_FIRST.index, default=Status.ERROR)


def highest_score(findings: Iterable[Finding]) -> float | None:
    """Return the highest score in [0, 1], or None where no policy has one."""
    return max((finding.score for finding in findings if finding.score is not None), default=None)


def labels_of(decision: Decision, *, has_response: bool) -> Labels:
    """Return what the decision says of the case in terms of the GuardReasoner tasks.

    With a response the policies judge the exchange, so that nothing is known about the request alone.
    """
    if decision is Decision.ESCALATE:
        return Labels()
    harm = Harm.HARMFUL if decision is Decision.BLOCK else Harm.UNHARMFUL
    return Labels(response=harm) if has_response else Labels(request=harm)
