"""The prompts of a training file, in any of the forms that this program trains on or writes.

A file is JSON or JSON lines, plain or gzipped. A row is one of GuardReasonerTrain (instruction, input, ...),
a case (prompt and, optionally, response) or a conversation (messages with role and content).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.layouts import split_input

_RENDERED = "Human user:\n"


class TrainingFileError(Exception):
    """A file that is no training file; the message names the row and the fault."""


@dataclass(frozen=True, slots=True)
class TrainingPrompt:
    """A prompt that a row holds. ``row`` counts from 0; a conversation has one for each turn of the user."""

    row: int
    text: str


def read_prompts(path: Path) -> list[TrainingPrompt]:
    """Return the prompts of a training file, in order. Lines end at newlines only; empty ones are left out.

    A prompt that was rendered for GuardReasoner (``Human user: ... AI assistant: ...``) is taken out of it.

    Raises:
        TrainingFileError: if the file cannot be read, or a row has none of the known forms.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        rows = _rows(content)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise TrainingFileError(f"{path} cannot be read: {why}.") from error
    prompts = [TrainingPrompt(number, text) for number, row in rows for text in _texts(path, number, row)]
    if not prompts:
        raise TrainingFileError(f"{path} holds no row.")
    return prompts


def _rows(content: bytes) -> list[tuple[int, Any]]:
    if content.lstrip()[:1] == b"[":
        return list(enumerate(msgspec.json.decode(content, type=list[Any])))
    decode = msgspec.json.Decoder().decode
    return [(number, decode(line)) for number, line in enumerate(_lines(content))]


def _lines(content: bytes) -> Iterator[bytes]:
    return (line for line in content.split(b"\n") if line.strip())


def _texts(path: Path, number: int, row: Any) -> list[str]:
    match row:
        case {"prompt": str(prompt)}:
            return [_unrendered(prompt)]
        case {"instruction": str(), "input": str(given)} if given.startswith(_RENDERED):
            return [_unrendered(given)]
        case {"instruction": str(instruction), "input": str(given)} if given:
            return [f"{instruction}\n{given}"]
        case {"instruction": str(instruction)}:
            return [instruction]
        case {"messages": [*messages]}:
            said = [_said_by_user(message) for message in messages]
            return [_unrendered(text) for text in said if text is not None]
    raise TrainingFileError(
        f"{path}, row {number}: a row has a 'prompt', an 'instruction', or 'messages'; this one has none."
    )


def _said_by_user(message: Any) -> str | None:
    match message:
        case {"role": "user", "content": str(content)}:
            return content
    return None


def _unrendered(text: str) -> str:
    """Return the prompt in a text that was rendered for GuardReasoner, after its instruction or without."""
    start = text.find(_RENDERED)
    if start < 0:
        return text
    try:
        # A chat template trims what ends a message.
        return split_input(text[start:].rstrip("\n") + "\n\n").prompt
    except ValueError:
        return text
