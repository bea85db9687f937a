"""Benchmarks by name: what each asks, what its gold is, where its data comes from and what it must look like.

The table is in `benchmark_table`; reading the data is `benchmark_data`, fetching it `benchmark_hub`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.cases import Task
from engine.evaluation.benchmark_errors import UnknownBenchmark
from engine.evaluation.benchmark_files import Row, read_rows
from engine.evaluation.items import Form
from engine.evaluation.layouts import Layout
from engine.evaluation.parse import POSITIVE, Label

TASK_WORDS: Mapping[Task, str] = {
    Task.REQUEST: "prompt",
    Task.COMPLETION: "refusal",
    Task.RESPONSE: "response",
}
"""What the GuardReasoner paper calls its tasks when it reports them."""

QUESTION = "question"
"""The word for what is no task of a guard: a question with three answers."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a benchmark's data looks like: how many items, how many of each label, and their hash.

    ``labels`` counts the gold labels; for flags, how many items each is true of; for choices, the ambiguous
    and the disambiguated. ``sha256`` is that of `items.content_hash`; None: not pinned, and recorded when
    the data is first fetched. ``part`` says which part of the whole it is, where it is not the whole.
    ``loose``: we have the size from print only, and data of another size is not refused.
    """

    size: int
    labels: Mapping[str, int]
    sha256: str | None = None
    part: str = ""
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """Files below a data folder: glob patterns, how to read one, and how its rows are laid out."""

    patterns: tuple[str, ...]
    layout: Layout
    read: Callable[[Path], Iterator[Row]] = read_rows

    def files(self, folder: Path) -> list[Path]:
        """Return the files that are there, sorted."""
        found = {path for pattern in self.patterns for path in folder.glob(pattern)}
        return sorted(path for path in found if path.is_file())


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of the Hugging Face hub: name, configurations, splits, and how its rows are laid out.

    ``gated``: it is given to those only who have accepted its conditions, and are logged in.
    """

    dataset: str
    splits: tuple[str, ...]
    layout: Layout
    configs: tuple[str | None, ...] = (None,)
    gated: bool = False


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark. ``task`` is None for questions (BBQ), which no task of a guard is about.

    ``contents``: what its data may look like, the whole first. ``published``: the size that is printed.
    ``category``: what the category of an item is; empty where items have none. ``origin``: where the files
    are published, for those that no hub has. ``facts``: what a reader of its figures should know.
    """

    name: str
    about: str
    task: Task | None
    published: int
    contents: tuple[Content, ...]
    licence: str
    local: tuple[Local, ...] = ()
    hub: Hub | None = None
    origin: str = ""
    form: Form = Form.LABEL
    category: str = ""
    aliases: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def task_word(self) -> str:
        """The task in the paper's words: prompt, response or refusal; question where there is none."""
        return TASK_WORDS[self.task] if self.task else QUESTION

    @property
    def positive(self) -> Label | None:
        """The class whose F1 is reported; None where the gold is no single label."""
        return POSITIVE[self.task] if self.task and self.form is Form.LABEL else None

    @property
    def single_class(self) -> bool:
        """Whether all items have one label, so that nothing but recall can be told."""
        return self.form is Form.LABEL and len(self.contents[0].labels) == 1

    def content_of_size(self, size: int) -> Content | None:
        """Return what the data must look like if it has so many items; None if no known one has."""
        fitting = [content for content in self.contents if content.size == size]
        return next(iter(fitting or [content for content in self.contents if content.loose]), None)


def benchmarks() -> Mapping[str, Benchmark]:
    """Return all benchmarks by name, in the order in which they are shown."""
    from engine.evaluation.benchmark_table import TABLE

    return TABLE


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark of this name, whatever its case, hyphens, underscores and spaces.

    Raises:
        UnknownBenchmark: if there is none; names that are near are suggested.
    """
    names = _names()
    found = names.get(_plain(name))
    if found is None:
        near = difflib.get_close_matches(_plain(name), names, n=5, cutoff=0.6)
        near += [key for key in names if _plain(name) and key.startswith(_plain(name))]
        suggested = list(dict.fromkeys(names[key].name for key in near))
        hint = f"Did you mean {' or '.join(suggested)}?" if suggested else "'wizard101 data list' names them."
        raise UnknownBenchmark(f"No benchmark is called {name!r}.", hint=hint)
    return found


def select_benchmarks(names: str) -> list[Benchmark]:
    """Return the benchmarks of a list with commas; ``all`` and ``guardreasoner`` stand for groups.

    Raises:
        UnknownBenchmark: if a name is that of none, or the list is empty.
    """
    chosen: dict[str, Benchmark] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        for member in _groups().get(_plain(name), (name,)):
            benchmark = find_benchmark(member)
            chosen[benchmark.name] = benchmark
    if not chosen:
        raise UnknownBenchmark("No benchmark is named.", hint="'wizard101 data list' names them.")
    return list(chosen.values())


def names_a_group(names: str) -> bool:
    """Whether a list with commas names a group: who asks for one takes what is there."""
    return any(_plain(name) in _groups() for name in names.split(","))


def _groups() -> Mapping[str, Sequence[str]]:
    from engine.evaluation.benchmark_table import GUARDREASONER

    return {"all": tuple(benchmarks()), "guardreasoner": GUARDREASONER}


@cache
def _names() -> Mapping[str, Benchmark]:
    return {
        _plain(name): benchmark
        for benchmark in benchmarks().values()
        for name in (benchmark.name, *benchmark.aliases)
    }


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
