"""Files of outputs made elsewhere: a JSON object a line with ``label``, ``predict`` and mostly ``prompt``.

That is what LLaMA-Factory and the scripts released with GuardReasoner write (as a file that they call
``generated_predictions.jsonl``). It may be compressed with gzip, whatever its name. Standard library only.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.cases import Task
from engine.evaluation.metrics import classes, is_unparsable
from engine.evaluation.parse import read_block

LONGEST_LINE = 64 * 2**20
"""Bytes a line may have."""

MOST_EXPANDED = 4 * 2**30
"""Bytes that a compressed file may hold: what expands to more was made to do harm."""

_GZIP = b"\x1f\x8b"
_SHOWN = 40


class PredictionFileError(ValueError):
    """A file that cannot be scored; the message names the line and the fault."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An output, the gold label of its item, and where it stands. ``prompt`` is what the model was given."""

    line: int
    gold: str
    output: str
    prompt: str | None = None


def read_predictions(stream: io.BufferedReader, task: Task) -> Iterator[Prediction]:
    """Yield the predictions of a file, one by one. Lines end at newlines only; empty ones are left out.

    Raises:
        PredictionFileError: at the first line that is no prediction for the task, where compressed data is
            damaged or cut off, where a bound is exceeded, and at the end if there was no prediction.
        OSError: if the stream cannot be read.
    """
    found = False
    for number, row in read_rows(stream):
        found = True
        yield _prediction_of(number, row, task)
    if not found:
        raise PredictionFileError("there are no predictions")


def read_rows(stream: io.BufferedReader) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, each with the number of its line.

    Raises:
        PredictionFileError: at the first line that is no object, and at what `read_predictions` names.
    """
    for number, line in _lines(stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PredictionFileError(f"line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise PredictionFileError(f"line {number}: a prediction is an object")
        yield number, row


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    packed = stream.peek(len(_GZIP)).startswith(_GZIP)
    source = io.BufferedReader(gzip.GzipFile(fileobj=stream)) if packed else stream
    number = expanded = 0
    while True:
        number += 1
        try:
            line = source.readline(LONGEST_LINE + 1)
        except EOFError as error:
            raise PredictionFileError(f"line {number}: the compressed data is cut off here") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise PredictionFileError(
                f"line {number}: the compressed data is damaged here ({error})"
            ) from error
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise PredictionFileError(f"line {number}: longer than {LONGEST_LINE // 2**20} MiB")
        expanded += len(line)
        if packed and expanded > MOST_EXPANDED:
            raise PredictionFileError(
                f"line {number}: the file expands to more than {MOST_EXPANDED // 2**30} GiB"
            )
        yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _prediction_of(number: int, row: dict[str, Any], task: Task) -> Prediction:
    label, output, prompt = row.get("label"), row.get("predict"), row.get("prompt")
    if not isinstance(label, str) or not isinstance(output, str) or not isinstance(prompt, str | None):
        raise PredictionFileError(
            f"line {number}: a prediction has a string 'label', a string 'predict' and, optionally, a string "
            "'prompt'"
        )
    return Prediction(number, _gold(number, label, task), output, prompt)


def _gold(number: int, label: str, task: Task) -> str:
    """Return the gold label: the word alone or, as in SafeRLHF and BeaverTails, a block of answers."""
    if label in classes(task):
        return label
    stated = read_block(label)[task]
    if is_unparsable(stated):
        shown = label if len(label) <= _SHOWN else f"{label[:_SHOWN]}…"
        raise PredictionFileError(
            f"line {number}: the label {shown!r} is not one of {', '.join(classes(task))}"
        )
    return stated.value
