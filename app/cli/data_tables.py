"""How benchmarks and overlaps are shown: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.tables import Column, room, table
from app.safe_text import visible
from engine.data.overlap import Overlap
from engine.evaluation.benchmark_data import Loaded, Place, find_place, read_place
from engine.evaluation.benchmark_errors import BenchmarkError
from engine.evaluation.benchmarks import Benchmark


@dataclass(frozen=True, slots=True)
class State:
    """A benchmark and its data here: where, what was read of it, and why it could not be used."""

    benchmark: Benchmark
    place: Place | None
    loaded: Loaded | None
    fault: str

    @property
    def where(self) -> str:
        if self.place is None:
            return "not here"
        return "published" if self.place.published else "fetched"

    @property
    def content(self) -> str:
        """How the content stands to what was published, in a word or two."""
        if self.place is None:
            return ""
        if self.loaded is None:
            return "unusable"
        if self.loaded.pinned:
            return "as pinned"
        return "differs" if self.pinned_sha256 else "not pinned"

    @property
    def pinned_sha256(self) -> str | None:
        """The hash that its content should have; None where none is known."""
        if self.loaded is None:
            return self.benchmark.contents[0].sha256
        content = self.benchmark.content_of_size(len(self.loaded.items))
        return content.sha256 if content else None


def state_of(benchmark: Benchmark, data_dir: Path | None) -> State:
    """Return where a benchmark's data is, and read and check it."""
    place = find_place(benchmark, data_dir)
    if place is None:
        return State(benchmark, None, None, "")
    try:
        return State(benchmark, place, read_place(benchmark, place), "")
    except BenchmarkError as error:
        return State(benchmark, place, None, error.message)


def state_lines(states: Sequence[State]) -> list[str]:
    columns = (
        Column("BENCHMARK"),
        Column("TASK"),
        Column("ITEMS", right=True),
        Column("LICENCE", drop=2),
        Column("DATA"),
        Column("CONTENT", drop=1),
    )
    rows = [
        (
            state.benchmark.name,
            state.benchmark.task_word,
            f"{len(state.loaded.items) if state.loaded else state.benchmark.contents[0].size:,}",
            state.benchmark.licence,
            state.where,
            state.content,
        )
        for state in states
    ]
    faults = [visible(f"{state.benchmark.name}: {state.fault}") for state in states if state.fault]
    return [*table(columns, rows, room()), *faults]


def state_json(state: State) -> dict[str, Any]:
    benchmark, loaded, hub = state.benchmark, state.loaded, state.benchmark.hub
    content = benchmark.contents[0]
    return {
        "name": benchmark.name,
        "about": benchmark.about,
        "task": benchmark.task_word,
        "form": benchmark.form.value,
        "positive": benchmark.positive.value if benchmark.positive else None,
        "size": content.size,
        "published": benchmark.published,
        "labels": dict(content.labels),
        "licence": benchmark.licence,
        "category": benchmark.category or None,
        "hub": {"dataset": hub.dataset, "gated": hub.gated} if hub else None,
        "origin": benchmark.origin or None,
        "aliases": list(benchmark.aliases),
        "facts": list(benchmark.facts),
        "data": state.where,
        "folder": str(state.place.folder) if state.place else None,
        "items": len(loaded.items) if loaded else None,
        "content": state.content or None,
        "sha256": loaded.sha256 if loaded else None,
        "pinned_sha256": state.pinned_sha256,
        "notes": [*(loaded.notes if loaded else ()), *([state.fault] if state.fault else ())],
    }


def fetched_line(loaded: Loaded) -> str:
    stands = "as pinned" if loaded.pinned else f"SHA-256 {loaded.sha256}"
    return visible(
        f"{loaded.benchmark.name}: {len(loaded.items):,} items, {stands}, in {loaded.place.files[0]}"
    )


def fetched_json(loaded: Loaded) -> dict[str, Any]:
    return {
        "name": loaded.benchmark.name,
        "items": len(loaded.items),
        "sha256": loaded.sha256,
        "pinned": loaded.pinned,
        "file": str(loaded.place.files[0]),
        "source": loaded.provenance.source if loaded.provenance else None,
        "revision": loaded.provenance.revision if loaded.provenance else None,
        "notes": list(loaded.notes),
    }


def overlap_lines(rows: int, overlaps: Sequence[Overlap]) -> list[str]:
    columns = (
        Column("BENCHMARK"),
        Column("PROMPTS", right=True),
        Column("EXACT", right=True),
        Column("NORMALISED", right=True),
        Column("NEAR", right=True),
        Column("TRAINING ROWS", right=True),
    )
    cells = [
        (
            overlap.benchmark,
            *(f"{n:,}" for n in (overlap.prompts, overlap.exact, overlap.normalised, overlap.near)),
            f"{len(overlap.rows):,}",
        )
        for overlap in overlaps
    ]
    held = {row for overlap in overlaps for row in overlap.rows}
    return [
        *table(columns, cells, room()),
        "",
        f"{len(held):,} of {rows:,} training rows hold a prompt of a benchmark.",
    ]


def overlap_json(
    training_file: Path, rows: int, threshold: float, overlaps: Sequence[Overlap], missing: Sequence[str]
) -> dict[str, Any]:
    return {
        "training_file": str(training_file),
        "rows": rows,
        "threshold": threshold,
        "missing": list(missing),
        "overlaps": [
            {
                "benchmark": overlap.benchmark,
                "prompts": overlap.prompts,
                "exact": overlap.exact,
                "normalised": overlap.normalised,
                "near": overlap.near,
                "training_rows": len(overlap.rows),
                "hits": [
                    {
                        "row": hit.row,
                        "sha256": hit.sha256,
                        "kind": hit.kind.value,
                        "similarity": hit.similarity,
                        "items": list(hit.items),
                    }
                    for hit in overlap.hits
                ],
            }
            for overlap in overlaps
        ],
    }
