"""Files of answers made elsewhere: a JSON object a line with ``predict`` and ``id`` or ``prompt``.

The gold is the benchmark's own. A ``label`` that reads as an answer must agree with it: where it does not,
the answers were put in another order, or are numbered otherwise, and would be scored as others than they are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.evaluation.items import Choice, Item
from engine.evaluation.predictions import PredictionFileError, read_rows
from engine.evaluation.questions import INSTRUCTION, answers_of, read_answer


def read_answers(stream: io.BufferedReader, items: Sequence[Item]) -> Iterator[tuple[Item, int | None]]:
    """Yield each answered question with the place that was chosen, 0 to 2; None is no answer.

    ``predict`` is read as by `read_answer`; a number, written as one or as text, counts the answers from 0,
    as BBQ itself does. Items are found by ``id`` or, without one, by ``prompt``: the question as the
    benchmark has it, with or without the instruction that `ask` puts behind it.

    Raises:
        PredictionFileError: at the first line that is no answer to a question which has none yet, and at the
            end if there was none.
        OSError: if the stream cannot be read.
    """
    by_id: dict[str, list[Item]] = {item.id: [item] for item in items}
    by_prompt: dict[str, list[Item]] = {}
    for item in items:
        by_prompt.setdefault(item.case.prompt.strip(), []).append(item)
    answered: set[str] = set()
    for line, row in read_rows(stream):
        item = _item(line, row, by_id, by_prompt, answered)
        answered.add(item.id)
        answers = answers_of(item.case.prompt)
        if "predict" not in row or not isinstance(row["predict"], str | int | None):
            raise PredictionFileError(f"line {line}: 'predict' is missing, or is no text, number or null")
        label = _place(row.get("label"), answers)
        if label is not None and isinstance(item.gold, Choice) and label != item.gold.right:
            raise PredictionFileError(
                f"line {line}: its label is not the right answer of {item.id}: the answers are in another "
                "order, or are not counted from 0"
            )
        yield item, _place(row["predict"], answers)
    if not answered:
        raise PredictionFileError("there are no answers")


def _item(
    line: int,
    row: Mapping[str, Any],
    by_id: Mapping[str, Sequence[Item]],
    by_prompt: Mapping[str, Sequence[Item]],
    answered: set[str],
) -> Item:
    """Return the question that a line answers: of those that read alike, the first without an answer."""
    name, prompt = row.get("id"), row.get("prompt")
    if isinstance(name, str):
        found = by_id.get(name, ())
    elif isinstance(prompt, str):
        found = by_prompt.get(prompt.strip().removesuffix(INSTRUCTION).strip(), ())
    else:
        raise PredictionFileError(f"line {line}: it has neither a text 'id' nor a text 'prompt'")
    if not found:
        raise PredictionFileError(
            f"line {line}: its {'id' if isinstance(name, str) else 'prompt'} is that of no question"
        )
    for item in found:
        if item.id not in answered:
            return item
    raise PredictionFileError(f"line {line}: {found[0].id} is answered a second time")


def _place(said: object, answers: tuple[str, str, str]) -> int | None:
    if isinstance(said, str):
        place = read_answer(said, answers)
        if place is not None or not said.strip().isdecimal():
            return place
        said = said.strip()
        return int(said) if said in ("0", "1", "2") else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said in range(3) else None
