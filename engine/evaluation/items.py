"""Items of a benchmark: a case and what is known of it; how a list of them is hashed and kept in a file.

The file is JSON lines that end at newlines only. `msgspec` reads 200,000 of them in well under a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from engine.cases import Case, Completion, Harm


class Form(StrEnum):
    """What the gold of a benchmark is: one label, a flag for each category, or the answer to a question."""

    LABEL = "label"
    FLAGS = "flags"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of a question with three answers (BBQ; Parrish et al. 2022, section 3).

    ``right``, ``unknown`` (the answer that it cannot be known) and ``target`` (the one about the group that
    the stereotype is about) are places among the answers, 0 to 2. ``ambiguous``: the context does not tell.
    ``negative``: the question asks for whom the stereotype speaks ill of.
    """

    right: int
    unknown: int
    target: int
    ambiguous: bool
    negative: bool


Flags = Mapping[str, bool]
"""Category to whether it applies; a category that is absent was not labelled."""

Gold = Harm | Completion | Flags | Choice


class Item(msgspec.Struct, frozen=True):
    """One case of a benchmark. ``id`` is unique in it, and stays the same from one reading to the next.

    A struct, as 200,000 of these are made five times as fast as dataclasses.
    """

    case: Case
    gold: Gold
    category: str | None
    id: str


class _LabelRow(msgspec.Struct):
    id: str
    prompt: str
    gold: str
    response: str | None = None
    category: str | None = None


class _FlagsRow(msgspec.Struct):
    id: str
    prompt: str
    gold: dict[str, bool]
    response: str | None = None
    category: str | None = None


class _ChoiceRow(msgspec.Struct):
    id: str
    prompt: str
    gold: Choice
    response: str | None = None
    category: str | None = None


_LABELS: Mapping[str, Harm | Completion] = {label.value: label for label in (*Harm, *Completion)}
_ENCODER = msgspec.json.Encoder(order="sorted")
_ROWS = {Form.LABEL: _LabelRow, Form.FLAGS: _FlagsRow, Form.CHOICE: _ChoiceRow}


def content_hash(items: Iterable[Item]) -> str:
    """Return the SHA-256, in hexadecimal, of what is judged and what is known of it, in order.

    It is taken over one line of JSON an item, ``[prompt, response, gold]``, in UTF-8, with sorted keys and
    no spaces. Identifiers and categories do not count, so it is the same however a benchmark was had.
    """
    digest = hashlib.sha256()
    encode = _ENCODER.encode
    for item in items:
        digest.update(encode((item.case.prompt, item.case.response, item.gold)))
        digest.update(b"\n")
    return digest.hexdigest()


def encode_items(items: Sequence[Item]) -> bytes:
    """Return the items as JSON lines."""
    lines = [
        _ENCODER.encode(
            {
                "id": item.id,
                "prompt": item.case.prompt,
                "response": item.case.response,
                "gold": item.gold,
                "category": item.category,
            }
        )
        for item in items
    ]
    return b"".join(line + b"\n" for line in lines)


def decode_items(content: bytes, form: Form) -> list[Item]:
    """Return the items of JSON lines that `encode_items` wrote.

    Raises:
        ValueError: if a line is not such an item.
    """
    rows: list[_LabelRow | _FlagsRow | _ChoiceRow] = msgspec.json.Decoder(_ROWS[form]).decode_lines(content)
    if form is not Form.LABEL:
        return [Item(Case(row.prompt, row.response), row.gold, row.category, row.id) for row in rows]  # type: ignore[arg-type]
    try:
        return [Item(Case(row.prompt, row.response), _LABELS[row.gold], row.category, row.id) for row in rows]  # type: ignore[index]
    except KeyError as error:
        raise ValueError(f"{error} is no label") from error
