"""A policy's cases, one a row, with what became of each: drawn from what is known when they are seen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from app.safe_text import one_line
from app.trial_words import TURNS, excerpt, expected_words, result_words, said_words
from app.widgets.row_list import RowList
from engine.policies.load import PolicyCase
from engine.workshop.flips import Flip, label_of
from engine.workshop.trials import Outcome

_RULE = re.compile(r"\b[VS]\d+\b")
_RESULT, _FLIP, _VERDICT, _SCORE, _RULES, _LANGUAGE = 12, 10, 10, 5, 3, 3
_WITH_ALL = 100


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case, what is looked for words in, and the rules that its reason names.

    ``number`` counts equal cases, which have one `Case.key`: a file may have a case twice.
    """

    case: PolicyCase
    key: str
    number: int
    folded: str
    rules: tuple[str, ...]


class CaseTable(RowList[CaseRow]):
    """`filter` narrows the cases down, `show_outcomes` says what became of them."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, empty="No cases.")
        self._cases: tuple[CaseRow, ...] = ()
        self._outcomes: Mapping[str, Outcome] = {}
        self._flips: Mapping[str, Flip] = {}
        self._words: tuple[str, ...] = ()
        self.clear_text = False

    @property
    def case(self) -> PolicyCase | None:
        """The case chosen."""
        return None if self.row is None else self.row.case

    def show_cases(self, cases: Sequence[PolicyCase]) -> None:
        """Show these cases; the one chosen stays so if it is among them."""
        seen: Counter[str] = Counter()
        rows = []
        for case in cases:
            key = case.case.key
            rows.append(_row(case, key, seen[key]))
            seen[key] += 1
        self._cases = tuple(rows)
        self._narrow()

    def show_outcomes(self, outcomes: Mapping[str, Outcome], flips: Mapping[str, Flip]) -> None:
        """Show what became of cases, by their keys."""
        before = [self._looks(row) for row in self._in_sight]
        listed = self._rows
        self._outcomes, self._flips = outcomes, flips
        self._narrow()
        if self._rows is not listed:
            return  # all of it is drawn anew
        for place, row in enumerate(self._in_sight):
            if self._looks(row) != before[place]:
                self.refresh_line(self.scroll_offset.y + place)

    @property
    def _in_sight(self) -> tuple[CaseRow, ...]:
        top = self.scroll_offset.y
        return self._rows[top : top + self.size.height]

    def _looks(self, row: CaseRow) -> object:
        """Return what of an outcome is seen in its row."""
        outcome, flip = self._outcomes.get(row.key), self._flips.get(row.key)
        if outcome is None:
            return None
        finding = outcome.finding
        return finding.violation, finding.status, finding.score, row.case.violation, flip and flip.turn

    def filter(self, words: str) -> None:
        """List the cases that all of these words are true of.

        ``pass``, ``fail``, ``undecided``, ``flip``, ``mended``, ``broke``, ``changed``, ``violation``,
        ``safe``, ``response``, ``lang:de``, ``signal:NAME`` and ``v2`` (a rule named in the reason) mean
        that; any other word is looked for in the texts, the reason and the source.
        """
        self._words = tuple(words.casefold().split())
        self._narrow()

    def _narrow(self) -> None:
        listed = [row for row in self._cases if all(self._fits(row, word) for word in self._words)]
        self.empty = "No case fits. esc clears the filter." if self._cases else "No cases."
        self.show(listed)

    def _fits(self, row: CaseRow, word: str) -> bool:
        case = row.case
        outcome, flip = self._outcomes.get(row.key), self._flips.get(row.key)
        match word:
            case "pass" | "passed":
                return outcome is not None and outcome.passed
            case "fail" | "failed":
                return outcome is not None and not outcome.passed
            case "undecided":
                return outcome is not None and label_of(outcome.finding) is None
            case "flip" | "flips":
                return flip is not None
            case "mended" | "broke" | "changed":
                return flip is not None and flip.turn.value == word
            case "violation" | "safe":
                return expected_words(case) == word
            case "response":
                return case.case.response is not None
        if word.startswith("lang:"):
            return case.language.casefold() == word[5:]
        if word.startswith("signal:"):
            return outcome is not None and any(word[7:] in each.casefold() for each in outcome.signals)
        if _RULE.fullmatch(word.upper()):
            return word.upper() in row.rules
        return word in row.folded

    def key_of(self, row: CaseRow) -> Hashable:
        return row.key, row.number

    def draw(self, row: CaseRow, width: int) -> Content:
        case = row.case
        outcome, flip = self._outcomes.get(row.key), self._flips.get(row.key)
        result, style = result_words(outcome)
        turned, turned_style = TURNS[flip.turn] if flip is not None else ("", "")
        score = "" if outcome is None or outcome.finding.score is None else f"{outcome.finding.score:.2f}"
        cells: list[tuple[str, str]] = [
            (f"{result:{_RESULT}}", style),
            (f"{turned:{_FLIP}}", turned_style),
            (f"{expected_words(case):{_VERDICT}}", "$text-muted"),
        ]
        if width >= _WITH_ALL:
            said = "" if outcome is None else said_words(outcome.finding)
            cells += [(f"{said:{_VERDICT}}", ""), (f"{score:>{_SCORE}} ", "$text-muted")]
            cells.append((f"{one_line(case.language, 2):{_LANGUAGE}}", "$text-muted"))
        cells.append((f"{row.rules[0] if row.rules else '':{_RULES}} ", "$text-accent"))
        cells.append((excerpt(case, clear=self.clear_text), "" if self.clear_text else "$text-muted"))
        return Content.assemble(*cells).truncate(width, ellipsis=True, pad=True)


def _row(case: PolicyCase, key: str, number: int) -> CaseRow:
    """Return a case as a row: its texts are folded once, however often they are looked through."""
    told = (case.case.prompt, case.case.response or "", case.reason, case.source)
    folded = "\n".join(told).casefold()
    return CaseRow(case, key, number, folded, tuple(_RULE.findall(case.reason)))
