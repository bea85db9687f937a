"""The items of a benchmark: found in a folder of published files or among what was fetched, and checked.

A data folder holds the files as they are published (``guardreasoner_benchmarks/0_8_toxic_chat.json``), what
was fetched (``benchmarks/ToxicChat.jsonl`` with a note of where it came from), or both.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.evaluation.benchmark_checks import Check, check_items
from engine.evaluation.benchmark_errors import BenchmarkChanged, BenchmarkMissing, BenchmarkUnreadable
from engine.evaluation.benchmark_files import read_bytes
from engine.evaluation.benchmarks import Benchmark, Local, find_benchmark
from engine.evaluation.items import Item, decode_items, encode_items
from engine.evaluation.layouts import items_of
from engine.workspace import default_data_dir

FETCHED = "benchmarks"
"""The folder, in a data folder, of what was fetched."""


class Provenance(msgspec.Struct, frozen=True):
    """Where fetched items came from. ``faults``: what was off with them and accepted all the same."""

    benchmark: str
    source: str
    revision: str
    licence: str
    sha256: str
    items: int
    fetched_at: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark's data is: its published files, or the file that it was fetched to."""

    folder: Path
    files: tuple[Path, ...]
    published: Local | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A benchmark's items and the hash of their content, which belongs to whatever is measured on them.

    ``notes`` say what is known to be off, or which part of the benchmark this is.
    """

    benchmark: Benchmark
    items: Sequence[Item]
    sha256: str
    pinned: bool
    place: Place
    notes: tuple[str, ...] = ()
    provenance: Provenance | None = None


def find_place(
    benchmark: Benchmark, data_dir: Path | None = None, env: Mapping[str, str] = os.environ
) -> Place | None:
    """Return where the data is: in ``data_dir``, else in ``WIZARD_DATA`` or the platform's data folder."""
    for folder in filter(None, (data_dir, default_data_dir(env))):
        if (fetched := _fetched_file(folder, benchmark)).is_file():
            return Place(folder, (fetched,))
        for local in benchmark.local:
            if files := local.files(folder):
                return Place(folder, tuple(files), local)
    return None


def load_benchmark(
    name: str | Benchmark,
    data_dir: Path | None = None,
    *,
    accept_changed: bool = False,
    env: Mapping[str, str] = os.environ,
) -> Loaded:
    """Return the items of a benchmark, checked against what was published.

    ``accept_changed`` takes data whose counts or hash are off, and says so in the notes.

    Raises:
        UnknownBenchmark: if no benchmark has this name.
        BenchmarkMissing: if its data is not here; the hint says how to get it.
        BenchmarkUnreadable: if a file is not laid out as it should be.
        BenchmarkChanged: if the content is not what was published, or was altered since it was fetched.
    """
    benchmark = find_benchmark(name) if isinstance(name, str) else name
    place = find_place(benchmark, data_dir, env)
    if place is None:
        where = " and ".join(str(folder) for folder in (data_dir, default_data_dir(env)) if folder)
        raise BenchmarkMissing(
            f"The data of {benchmark.name} is not here (looked in {where}).", hint=how_to_get(benchmark)
        )
    return read_place(benchmark, place, accept_changed=accept_changed)


def read_place(benchmark: Benchmark, place: Place, *, accept_changed: bool = False) -> Loaded:
    """Return the items of one place, checked. Raises what `load_benchmark` does."""
    if place.published is None:
        return _read_fetched(benchmark, place, accept_changed)
    items: list[Item] = []
    for file in place.files:
        items += items_of(place.published.read(file), place.published.layout, str(file))
    check = check_items(benchmark, items)
    off = describe(check)
    if off and not accept_changed:
        raise _changed(benchmark, str(place.folder), off)
    part = (check.content.part,) if check.content and check.content.part else ()
    return Loaded(benchmark, items, check.sha256, check.pinned and not off, place, (*off, *part))


def describe(check: Check) -> tuple[str, ...]:
    """Return what is off, the hash included."""
    if check.content is None or not check.differs:
        return check.faults
    return (*check.faults, f"the content hash is {check.sha256}, not the pinned {check.content.sha256}")


def how_to_get(benchmark: Benchmark) -> str:
    """Return a sentence or two that say how the data can be had."""
    if benchmark.hub is not None:
        gated = (
            " It is gated: accept its conditions on the hub and log in first." if benchmark.hub.gated else ""
        )
        return f"'wizard101 data fetch {benchmark.name}' gets it from {benchmark.hub.dataset}.{gated}"
    return (
        f"No hub has it: get {benchmark.origin} and name its folder with --data-dir, or keep it with "
        f"'wizard101 data fetch {benchmark.name} --from DIR'. The folder holds "
        f"{', '.join(pattern for local in benchmark.local for pattern in local.patterns)}."
    )


def store(benchmark: Benchmark, items: Sequence[Item], provenance: Provenance, folder: Path) -> Path:
    """Keep items in a data folder, whole or not at all, with the note of where they came from.

    Raises:
        OSError: if that cannot be done; what was there before is still there then.
    """
    file = _fetched_file(folder, benchmark)
    file.parent.mkdir(parents=True, exist_ok=True)
    # One after the other cannot be atomic: the hash in the note tells if they do not belong together.
    _write(file, encode_items(items))
    _write(_note_file(file), msgspec.json.format(msgspec.json.encode(provenance)) + b"\n")
    return file


def _read_fetched(benchmark: Benchmark, place: Place, accept_changed: bool) -> Loaded:
    file = place.files[0]
    try:
        note = msgspec.json.decode(read_bytes(_note_file(file)), type=Provenance)
        items = decode_items(read_bytes(file), benchmark.form)
    except (ValueError, RecursionError) as error:
        raise BenchmarkUnreadable(
            f"{file} cannot be read: {error}.", hint=f"Fetch {benchmark.name} again."
        ) from error
    check = check_items(benchmark, items)
    off = () if check.sha256 == note.sha256 else ("it was altered since it was fetched",)
    if off and not accept_changed:
        raise _changed(benchmark, str(file), off)
    part = (check.content.part,) if check.content and check.content.part else ()
    notes = (*off, *describe(check), *part)
    pinned = check.pinned and not check.differs and not check.faults
    return Loaded(benchmark, items, check.sha256, pinned, place, notes, note)


def _changed(benchmark: Benchmark, where: str, off: tuple[str, ...]) -> BenchmarkChanged:
    return BenchmarkChanged(
        f"The content of {benchmark.name} in {where} is not what it should be: {'; '.join(off)}.",
        off,
        hint="Get the published data, or take it as it is with --accept-changed: figures will not compare.",
    )


def _fetched_file(folder: Path, benchmark: Benchmark) -> Path:
    return folder / FETCHED / f"{benchmark.name}.jsonl"


def _note_file(file: Path) -> Path:
    return file.with_suffix(".provenance.json")


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
