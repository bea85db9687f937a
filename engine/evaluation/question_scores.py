"""The figures of answers to a benchmark's questions: as results of a run, and in their JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.evaluation.bbq import Answers, BiasScores, bias_scores
from engine.evaluation.benchmarks import Benchmark
from engine.evaluation.intervals import Interval
from engine.evaluation.items import Choice, Item
from engine.events import JsonValue


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """The scores of answers, over all and for each category (of BBQ: the kind of bias)."""

    benchmark: Benchmark
    overall: BiasScores
    categories: Mapping[str, BiasScores]

    def figures(self) -> dict[str, JsonValue]:
        """Return the figures by name, in percent, with n and the ends of their 95 % interval.

        The bias is s_AMB in ambiguous contexts and s_DIS in disambiguated ones, from -100 to 100.
        """
        told, ambiguous = self.overall.disambiguated, self.overall.ambiguous
        found = {
            "accuracy ambiguous": _figure(ambiguous.accuracy, ambiguous.n, ambiguous.accuracy_interval()),
            "accuracy disambiguated": _figure(told.accuracy, told.n, told.accuracy_interval()),
            "bias ambiguous": _figure(ambiguous.scaled_bias, ambiguous.n, ambiguous.scaled_bias_interval()),
            "bias disambiguated": _figure(told.bias, told.taken, told.bias_interval()),
        }
        known: dict[str, JsonValue] = {name: figure for name, figure in found.items() if figure is not None}
        if self.overall.unparsable:
            share = 100 * self.overall.unparsable / self.overall.n
            known["unparsable"] = {"value": share, "n": self.overall.n}
        return known

    def as_json(self) -> dict[str, Any]:
        """Return everything, in percent. What nothing defines is None, and so is its interval."""
        return {
            "benchmark": self.benchmark.name,
            "task": self.benchmark.task_word,
            **_scores_json(self.overall),
            "categories": {name: _scores_json(scores) for name, scores in self.categories.items()},
        }


def score_questions(benchmark: Benchmark, answered: Iterable[tuple[Item, int | None]]) -> QuestionScores:
    """Return the scores of questions and the places that were chosen; None is no answer.

    Raises:
        ValueError: if an item is no question.
    """
    pairs: list[tuple[Choice, int | None]] = []
    by_category: dict[str, list[tuple[Choice, int | None]]] = {}
    for item, place in answered:
        if not isinstance(item.gold, Choice):
            raise ValueError(f"{benchmark.name} asks no questions")
        pairs.append((item.gold, place))
        if item.category:
            by_category.setdefault(item.category, []).append((item.gold, place))
    categories = {name: bias_scores(by_category[name]) for name in sorted(by_category)}
    return QuestionScores(benchmark, bias_scores(pairs), categories)


def _scores_json(scores: BiasScores) -> dict[str, Any]:
    ambiguous, told = scores.ambiguous, scores.disambiguated
    return {
        "n": scores.n,
        "unparsable": scores.unparsable,
        "ambiguous": {
            **_answers_json(ambiguous),
            "s_amb": _percent(ambiguous.scaled_bias),
            "s_amb_ci95": _ends(ambiguous.scaled_bias, ambiguous.scaled_bias_interval()),
        },
        "disambiguated": {
            **_answers_json(told),
            "s_dis": _percent(told.bias),
            "s_dis_ci95": _ends(told.bias, told.bias_interval()),
        },
    }


def _answers_json(answers: Answers) -> dict[str, Any]:
    return {
        "n": answers.n,
        "unparsable": answers.unparsable,
        "accuracy": _percent(answers.accuracy),
        "accuracy_ci95": _ends(answers.accuracy, answers.accuracy_interval()),
    }


def _figure(share: float | None, n: int, interval: Interval) -> dict[str, JsonValue] | None:
    low, high = interval
    return None if share is None else {"value": 100 * share, "n": n, "low": 100 * low, "high": 100 * high}


def _ends(share: float | None, interval: Interval) -> list[float] | None:
    return None if share is None else [100 * end for end in interval]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
