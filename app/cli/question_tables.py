"""Scores of questions as people read them: accuracy and bias, by context and by kind of bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.cli.tables import Column, room, table

_CONTEXTS = (("ambiguous", "s_amb", "s_AMB"), ("disambiguated", "s_dis", "s_DIS"))


def question_lines(score: Mapping[str, Any], *, categories: bool) -> list[str]:
    """Return a score, in the form of `QuestionScores.as_json`, as lines; with ``categories``, of each too."""
    parts: list[tuple[str, Mapping[str, Any]]] = [("all", score)]
    if categories:
        parts += score["categories"].items()
    columns = [
        Column("questions", least=12),
        Column("context", drop=1),
        Column("n", right=True),
        Column("accuracy", right=True),
        Column("95 % interval"),
        Column("bias"),
        Column("", right=True),
        Column("95 % interval"),
        Column("unparsable", right=True, drop=2),
    ]
    rows = [_row(name, part[context], context, *bias) for name, part in parts for context, *bias in _CONTEXTS]
    return table(columns, rows, room())


def _row(name: str, part: Mapping[str, Any], context: str, key: str, shown: str) -> Sequence[str]:
    return (
        name,
        context,
        f"{part['n']:,}",
        _number(part["accuracy"]),
        _ends(part["accuracy_ci95"]),
        shown,
        _number(part[key]),
        _ends(part[f"{key}_ci95"]),
        f"{part['unparsable']:,}",
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _ends(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
