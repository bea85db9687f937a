"""What a test of a policy's cases has found so far, and how it is told: to people, or to machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.cli.policy_access import KEY_SHOWN
from app.cli.policy_words import expected_word, found_of, found_words
from app.cli.tables import Column, room, table
from app.safe_text import blurred, one_line, visible
from engine.cases import Finding
from engine.workshop.flips import Comparison, Flip, Turn, compare_texts, label_of, tally_of
from engine.workshop.known_limits import KnownLimit
from engine.workshop.trials import Outcome

_EXCERPT = 72
_PROGRESS_S = 0.1


@dataclass(frozen=True, slots=True)
class Result:
    """A case as it was judged. ``number`` counts the cases of its file from 1.

    ``limit``: it is known to be beyond the rules. ``before``: what an older text makes of it.
    """

    policy: str
    number: int
    outcome: Outcome
    limit: KnownLimit | None = None
    before: Finding | None = None

    @property
    def fails(self) -> bool:
        """Whether the case makes the test fail."""
        return not self.outcome.passed and self.limit is None

    @property
    def surprises(self) -> bool:
        """Whether the case passes though it is listed as a known limit."""
        return self.outcome.passed and self.limit is not None

    @property
    def turn(self) -> Turn | None:
        """How it flipped since the older text; None if it did not."""
        if self.before is None or label_of(self.before) == label_of(self.outcome.finding):
            return None
        return Flip(self.outcome.case, self.before, self.outcome.finding).turn


@dataclass(slots=True)
class Tested:
    """A policy and the results so far. ``against`` names the older text, if there is one.

    ``planned`` is how many cases were to be judged.
    """

    policy: str
    planned: int
    against: str = ""
    results: list[Result] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(result.fails for result in self.results)

    @property
    def limits(self) -> int:
        """How many cases failed that are known to."""
        return sum(not result.outcome.passed and result.limit is not None for result in self.results)

    @property
    def surprises(self) -> int:
        return sum(result.surprises for result in self.results)

    def comparison(self) -> Comparison | None:
        """Return how the older text compares; None without one."""
        rows = [result for result in self.results if result.before is not None]
        if not self.against:
            return None
        key = {id(result): result.outcome.case.case.key for result in rows}
        return compare_texts(
            [result.outcome.case for result in rows],
            {key[id(result)]: result.before for result in rows if result.before is not None},
            {key[id(result)]: result.outcome.finding for result in rows},
        )


class Teller(Protocol):
    """Tells results as they come, and what they come to."""

    def tell(self, result: Result) -> None: ...

    def progress(self, tested: Tested) -> None: ...

    def sum_up(self, tested: Sequence[Tested]) -> None: ...


class JsonTeller:
    """An object a case as it comes, then one for each policy. Texts are among it where they are asked for."""

    def __init__(self, *, texts: bool) -> None:
        self._texts = texts

    def tell(self, result: Result) -> None:
        outcome = result.outcome
        case, finding = outcome.case, outcome.finding
        row: dict[str, Any] = {
            "type": "case",
            "policy": result.policy,
            "number": result.number,
            "key": case.case.key,
            "language": case.language,
            "expected": expected_word(case.violation),
            "found": found_of(finding),
            "status": finding.status.value,
            "passed": outcome.passed,
            "known_limit": None if result.limit is None else result.limit.why,
            "score": finding.score,
            "signals": list(outcome.signals),
            "latency_ms": finding.latency_ms,
            "from_memory": outcome.known,
        }
        if result.before is not None:
            row |= {"before": found_of(result.before), "flip": result.turn}
        if self._texts:
            row |= {
                "prompt": case.case.prompt,
                "response": case.case.response,
                "reason": case.reason,
                "reasoning": finding.reasoning,
            }
        print(json.dumps(row), flush=True)

    def progress(self, tested: Tested) -> None:
        pass

    def sum_up(self, tested: Sequence[Tested]) -> None:
        for each in tested:
            print(json.dumps(summary_json(each)), flush=True)


class LineTeller:
    """A line for each case that does not pass, or flipped, as it comes; then a table."""

    def __init__(self, *, texts: bool) -> None:
        self._texts = texts
        self._shows_progress = sys.stderr.isatty()
        self._is_shown = False
        self._shown_at = 0.0

    def tell(self, result: Result) -> None:
        if result.outcome.passed and not result.surprises and result.turn is None:
            return
        self._clear()
        print(_line(result, texts=self._texts), flush=True)

    def progress(self, tested: Tested) -> None:
        """Show on a terminal how far it has come, without a trace once it is over."""
        now = time.monotonic()
        if self._shows_progress and now - self._shown_at >= _PROGRESS_S:
            self._shown_at, self._is_shown = now, True
            told = f"{tested.policy}: {len(tested.results):,} of {tested.planned:,} cases"
            print(f"\r\x1b[K{one_line(told, _EXCERPT)}", end="", file=sys.stderr, flush=True)

    def sum_up(self, tested: Sequence[Tested]) -> None:
        self._clear()
        if any(result.fails or result.turn or result.limit for each in tested for result in each.results):
            print()
        print("\n".join(_summary_lines(tested)), flush=True)

    def _clear(self) -> None:
        if self._is_shown:
            self._is_shown = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def summary_json(tested: Tested) -> dict[str, Any]:
    """Return what the cases of a policy come to. F1 is in [0, 1]."""
    tally = tally_of(result.outcome for result in tested.results)
    row: dict[str, Any] = {
        "type": "summary",
        "policy": tested.policy,
        "cases": tested.planned,
        "judged": len(tested.results),
        "passed": tally.passed,
        "failed": tested.failed,
        "undecided": tally.undecided,
        "known_limits": tested.limits,
        "unexpected_passes": tested.surprises,
        "f1": tally.f1,
        "f1_interval": None if tally.interval is None else list(tally.interval),
    }
    comparison = tested.comparison()
    if comparison is not None:
        row["against"] = {
            "version": tested.against,
            **{turn.value: comparison.count(turn) for turn in Turn},
            "f1_difference": comparison.difference,
            "f1_difference_interval": None if comparison.interval is None else list(comparison.interval),
            "mcnemar_p": comparison.p_value,
        }
    return row


def excerpt(result: Result, *, texts: bool, limit: int = _EXCERPT) -> str:
    """Return the beginning of a case on one line; its shape only, unless its text is asked for."""
    case = result.outcome.case.case
    text = case.prompt if case.response is None else f"{case.prompt} → {case.response}"
    shown = one_line(text, limit)
    return shown if texts else blurred(shown)


def _line(result: Result, *, texts: bool) -> str:
    outcome = result.outcome
    mark = (
        "✔" if outcome.passed else "–" if result.limit else "!" if found_of(outcome.finding) is None else "✖"
    )
    told = [f"found {found_words(outcome.finding)}"]
    if not outcome.passed:
        told.append(f"expected {expected_word(outcome.case.violation)}")
    if result.limit is not None:
        told.append("passes, though it is a known limit" if outcome.passed else "known limit")
    if result.turn is not None:
        told.append(f"{result.turn} ({found_words(result.before)} before)" if result.before else result.turn)
    if not outcome.passed and outcome.signals:
        told.append(f"signals {' '.join(outcome.signals)}")
    where = f"{result.policy} {result.number} {outcome.case.case.key[:KEY_SHOWN]}"
    return visible(f"{mark} {where}: {', '.join(told)}: ", keep_newlines=False) + excerpt(result, texts=texts)


def _summary_lines(tested: Sequence[Tested]) -> list[str]:
    compared = any(each.against for each in tested)
    columns = [
        Column("policy", least=8),
        *(Column(head, right=True) for head in ("passed", "failed", "undecided")),
        Column("known limits", right=True, drop=2),
        Column("F1 [95 %]"),
    ]
    if compared:
        columns += [
            Column("against", drop=1),
            *(Column(turn.value, right=True) for turn in Turn),
            Column("McNemar p", right=True),
        ]
    return table(columns, [_cells(each, compared=compared) for each in tested], room())


def _cells(tested: Tested, *, compared: bool) -> list[str]:
    tally = tally_of(result.outcome for result in tested.results)
    f1 = "–" if tally.f1 is None else f"{100 * tally.f1:.1f}"
    if tally.interval is not None:
        f1 += f" [{100 * tally.interval[0]:.1f}, {100 * tally.interval[1]:.1f}]"
    cells = [
        tested.policy,
        f"{tally.passed:,}",
        f"{tested.failed:,}",
        f"{tally.undecided:,}",
        f"{tested.limits:,}",
        f1,
    ]
    comparison = tested.comparison()
    if comparison is not None:
        cells += [
            tested.against,
            *(f"{comparison.count(turn):,}" for turn in Turn),
            f"{comparison.p_value:.3g}",
        ]
    elif compared:
        cells += ["–"] * (2 + len(Turn))
    return cells
