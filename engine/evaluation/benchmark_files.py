"""Reading the files that benchmarks are published as: JSON, JSON lines and CSV, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.evaluation.benchmark_errors import BenchmarkUnreadable

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows as objects, by its ending: ``.json``, ``.jsonl`` or ``.csv``, plain or ``.gz``.

    JSON lines end at newlines only: texts hold other characters that count as line ends elsewhere.

    Raises:
        BenchmarkUnreadable: if it cannot be read, or is not what its name says.
    """
    content = read_bytes(path)
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    try:
        if kind == "csv":
            yield from csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        elif kind == "jsonl":
            yield from msgspec.json.Decoder(Row).decode_lines(content)
        else:
            yield from msgspec.json.decode(content, type=list[Row])
    except (ValueError, RecursionError, csv.Error) as error:
        raise BenchmarkUnreadable(f"{path} cannot be read as {kind}: {error}.") from error


def read_xsafety(path: Path) -> Iterator[Row]:
    """Yield the prompts of one file of XSafety: a prompt a row, in the first column, under no heading.

    The language is the folder's name and the scenario the file's, which the files spell in several ways.
    """
    scenario = path.stem
    for ending in ("_n", "_en"):
        scenario = scenario.removesuffix(ending)
    text = io.StringIO(read_bytes(path).decode("utf-8-sig", errors="replace"), newline="")
    try:
        rows = [row for row in csv.reader(text) if row and row[0].strip()]
    except csv.Error as error:
        raise BenchmarkUnreadable(f"{path} cannot be read as csv: {error}.") from error
    for number, row in enumerate(rows):
        yield {"prompt": row[0], "language": path.parent.name, "scenario": scenario, "number": number}


def read_bytes(path: Path) -> bytes:
    """Return a file's content, unzipped if its name says so.

    Raises:
        BenchmarkUnreadable: if that cannot be done.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise BenchmarkUnreadable(f"{path} cannot be read: {why}.") from error
