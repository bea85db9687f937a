"""Scoring outputs: how each is read, what could not be read and why, and the figures in their JSON form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.cases import Task
from engine.evaluation.metrics import Confusion, Counting, Tally, is_unparsable, tally
from engine.evaluation.parse import OutputParser, Unlabelled, read_window
from engine.evaluation.predictions import Prediction
from engine.evaluation.statistics import Comparison, compare, f1_bootstrap


class Parser(StrEnum):
    """How outputs are read: ``BLOCK`` by the final block of answers, ``WINDOW`` as by the released script."""

    BLOCK = "block"
    WINDOW = "window"


class Unread(StrEnum):
    """Why an output gives its task no label."""

    NONE = "states None"
    ANOTHER_WORD = "states another word"
    NO_LINE = "answers without a line for it"
    NO_ANSWERS = "no answers"
    NOT_IN_WINDOW = "no label in the last 300 characters"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of the output of one item.

    ``label`` is None where it gives none, which ``why`` explains. ``official`` is what the released script
    reads, whichever parser read the label.
    """

    line: int
    gold: str
    label: str | None
    why: Unread | None
    official: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome on a benchmark: by the chosen parser, and by the released script's own reading."""

    tally: Tally
    official: Tally
    unread: Mapping[tuple[Unread, str], int]
    """How many outputs could not be read, by why and by gold."""

    def confusion(self, counting: Counting) -> Confusion:
        """Return the confusion under a counting; ``OFFICIAL`` is always of the released script's reading."""
        return (self.official if counting is Counting.OFFICIAL else self.tally).confusion(counting)


class MismatchedRuns(ValueError):
    """Two files of outputs that are not on the same items."""


def read_prediction(prediction: Prediction, task: Task, parser: Parser = Parser.BLOCK) -> Reading:
    """Read an output by ``parser``, and as the released script does."""
    stated = read_window(prediction.output)[task]
    official = None if is_unparsable(stated) else stated.value
    label, why = official, None if official else Unread.NOT_IN_WINDOW
    if parser is Parser.BLOCK:
        label, why = _read_block(prediction.output, task)
    return Reading(prediction.line, prediction.gold, label, why, official)


def score_readings(task: Task, readings: Iterable[Reading]) -> Score:
    """Count what was read.

    Raises:
        ValueError: if a label is of no class of the task.
    """
    read = list(readings)
    return Score(
        tally(task, ((reading.gold, reading.label) for reading in read)),
        tally(task, ((reading.gold, reading.official) for reading in read)),
        Counter((reading.why, reading.gold) for reading in read if reading.why is not None),
    )


def score_json(benchmark: str, task_word: str, scored: Score) -> dict[str, Any]:
    """Return the score as `wizard101 score --json` prints it: F1, precision, recall and FPR in percent.

    What nothing defines, as the FPR without negatives, is None, and so is the interval of an undefined F1.
    """
    wrong, dropped, official = (
        scored.confusion(counting) for counting in (Counting.WRONG, Counting.DROPPED, Counting.OFFICIAL)
    )
    return {
        "benchmark": benchmark,
        "task": task_word,
        "n": scored.tally.n,
        "positive": scored.tally.positive,
        "unparsable": scored.tally.unparsable,
        "official": {"f1": _percent(official.f1)},
        "wrong": {
            "f1": _percent(wrong.f1),
            "ci95": None if wrong.f1 is None else [_percent(end) for end in f1_bootstrap(wrong)],
            "precision": _percent(wrong.precision),
            "recall": _percent(wrong.recall),
            "fpr": _percent(wrong.fpr),
        },
        "dropped": {"f1": _percent(dropped.f1)},
        "confusion": {"tp": wrong.tp, "fp": wrong.fp, "fn": wrong.fn, "tn": wrong.tn},
    }


def compare_readings(
    task: Task, these: Iterable[tuple[str, Reading]], others: Iterable[tuple[str, Reading]]
) -> Comparison:
    """Compare two runs over the same items: ``b`` is this one, ``a`` the other.

    Items come with what tells them apart, as their prompt or its hash. Those that are alike are matched in
    their order. The key of a flip is the line in this run's file.

    Raises:
        MismatchedRuns: if an item is not in both runs, or has another gold label there.
    """
    waiting: dict[str, list[Reading]] = {}
    for item, reading in others:
        waiting.setdefault(item, []).append(reading)
    for alike in waiting.values():
        alike.reverse()
    pairs = []
    for item, reading in these:
        alike = waiting.get(item, [])
        if not alike:
            raise MismatchedRuns(f"the item of line {reading.line} is not in the other file")
        other = alike.pop()
        if other.gold != reading.gold:
            raise MismatchedRuns(
                f"line {reading.line} has another label in the other file, line {other.line}"
            )
        pairs.append((reading.line, reading.gold, other.label, reading.label))
    left = [reading.line for alike in waiting.values() for reading in alike]
    if left:
        raise MismatchedRuns(f"the item of the other file's line {min(left)} is not in this one")
    return compare(task, pairs)


def comparison_json(compared: Comparison) -> dict[str, Any]:
    """Return a comparison in JSON: F1, its difference (this less other) and its interval in points."""
    return {
        "f1": _percent(compared.a.f1),
        "difference": _percent(compared.difference),
        "ci95": None if compared.interval is None else [_percent(end) for end in compared.interval],
        "only_this_right": compared.only_b,
        "only_other_right": compared.only_a,
        "mcnemar_p": compared.p_value,
        "flips": [
            {"line": flip.key, "gold": flip.gold, "this": flip.b, "other": flip.a} for flip in compared.flips
        ],
    }


def _read_block(output: str, task: Task) -> tuple[str | None, Unread | None]:
    parser = OutputParser()
    parser.feed(output)
    parser.finish()
    stated = parser.labels[task]
    if not is_unparsable(stated):
        return stated.value, None
    if stated is Unlabelled.NONE:
        return None, Unread.NONE
    if task in parser.answered:
        return None, Unread.ANOTHER_WORD
    return None, Unread.NO_LINE if parser.answered else Unread.NO_ANSWERS


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
