"""Jobs that evaluate a guard on benchmarks: what they take. `engine.jobs.evaluate_work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from engine.guards.build import GuardKind
from engine.jobs.guard_params import GuardParams
from engine.jobs.kind import Kind, Params, cut_name
from engine.jobs.records import Estimate, JobError
from engine.workspace import of_home

if TYPE_CHECKING:
    from engine.evaluation.benchmarks import Benchmark

PREDICTIONS = "predictions.jsonl"
SCORES = "scores.json"

GROUPS = ("all", "guardreasoner")
"""Names that stand for several benchmarks."""

_OWN_FILE = ".jsonl"


class BenchmarkParams(Params):
    """What is evaluated on."""

    benchmark: str = Field(
        title="Benchmarks",
        description="Names with commas between them, 'guardreasoner' for the paper's, 'all' for what is "
        "here; or a file of labelled cases (.jsonl)",
        min_length=1,
    )
    limit: int | None = Field(
        None, title="Limit", description="Only so many items of each benchmark, drawn by the seed", ge=1
    )
    seed: int = Field(0, title="Seed", description="Draws the items where there is a limit", ge=0)
    data_dir: str | None = Field(
        None,
        title="Data folder",
        description="Where the benchmarks' files are; default: what 'wizard101 data fetch' has got",
        json_schema_extra={"format": "folder"},
    )
    accept_changed: bool = Field(
        False,
        title="Accept changed",
        description="Take data whose content is not what was published; its figures do not compare",
    )


class EvaluateParams(GuardParams, BenchmarkParams):
    """What an ``evaluate`` job takes."""

    guard: GuardKind | None = Field(
        None,
        title="Guard",
        description="Who judges; left open, the reasoner. Questions (BBQ) a model answers without a guard",
    )
    model: str | None = Field(
        None,
        title="Model",
        description="What the gauntlet or GuardReasoner judges by, or what answers questions: ollama:NAME, "
        "gguf:FILE, hf:NAME",
        json_schema_extra={"format": "model"},
    )

    @model_validator(mode="before")
    @classmethod
    def _with_a_guard(cls, given: Any) -> Any:
        """Have the reasoner judge where nobody is named, unless there is nothing to judge."""
        if isinstance(given, dict) and given.get("guard") is None:
            asks = asks_questions(str(given.get("benchmark", "")))
            return {**given, "guard": None if asks else GuardKind.REASONER}
        return given

    @model_validator(mode="after")
    def _benchmarks_fit_the_guard(self) -> EvaluateParams:
        if questions := asks_questions(self.benchmark):
            self._fits_questions(questions)
        return self

    def _fits_questions(self, questions: str) -> None:
        if len(_words(self.benchmark)) > 1:
            raise ValueError(
                f"{questions} asks questions, and a guard answers none: make it a job of its own"
            )
        if self.guard is not None:
            raise ValueError(f"{questions} asks questions, and a guard answers none: leave the guard out")
        if not self.model:
            raise ValueError(f"{questions} asks questions: it needs a model to answer them")
        if self.policies or self.policy_set is not None or self.thresholds is not None:
            raise ValueError(f"{questions} asks questions, which no policy and no threshold is about")


class Evaluate(Kind[EvaluateParams]):
    name: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "Evaluate a guard on benchmarks; keep every prediction with its reasoning"
    params = EvaluateParams
    resumable: ClassVar[bool] = True
    checkpoint: ClassVar[tuple[str, ...]] = (PREDICTIONS,)

    def title(self, params: EvaluateParams) -> str:
        of = Path(params.benchmark).name if is_own_file(params.benchmark) else params.benchmark
        return cut_name(f"{of}: {params.guard_words}")

    def check(self, params: EvaluateParams, cwd: Path) -> None:
        if is_own_file(params.benchmark):
            if not (cwd / of_home(params.benchmark)).is_file():
                raise JobError(f"There is no file {cwd / of_home(params.benchmark)} of cases.")
            return
        folder = data_folder(params, cwd)
        if folder is not None and not folder.is_dir():
            raise JobError(f"There is no data folder {folder}.")
        choose(params, folder)

    def pace_key(self, params: EvaluateParams) -> str:
        return params.pace_key

    def estimate(self, params: EvaluateParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        if is_own_file(params.benchmark):
            with (cwd / of_home(params.benchmark)).open("rb") as file:
                sizes = [sum(1 for line in file if line.strip())]
        else:
            chosen, _ = choose(params, data_folder(params, cwd))
            sizes = [benchmark.contents[0].size for benchmark in chosen]
        cases = sum(min(size, params.limit or size) for size in sizes)
        key = self.pace_key(params)
        if key not in pace:
            return Estimate(f"{cases:,} cases", basis="No earlier run like it to tell the time by.")
        return Estimate(f"{cases:,} cases", cases / pace[key], basis=f"by {pace[key]:.3g} cases a second")


def is_own_file(benchmark: str) -> bool:
    """Tell whether this names a file of labelled cases rather than benchmarks."""
    return benchmark.strip().endswith(_OWN_FILE)


def asks_questions(benchmark: str) -> str | None:
    """Return the first of the benchmarks named that asks questions, if one does: no guard answers them."""
    from engine.evaluation.benchmark_errors import UnknownBenchmark
    from engine.evaluation.benchmarks import find_benchmark
    from engine.evaluation.items import Form

    if is_own_file(benchmark):
        return None
    for word in _words(benchmark):
        with suppress(UnknownBenchmark):
            if (named := find_benchmark(word)).form is Form.CHOICE:
                return named.name
    return None


def _words(benchmark: str) -> list[str]:
    return [word for word in map(str.strip, benchmark.split(",")) if word]


def data_folder(params: EvaluateParams, cwd: Path) -> Path | None:
    """Return the folder of data that is named, if one is."""
    return None if params.data_dir is None else cwd / of_home(params.data_dir)


def choose(params: EvaluateParams, folder: Path | None) -> tuple[list[Benchmark], dict[str, str]]:
    """Return the benchmarks to evaluate on, and why others were left out.

    Of a group, that is those whose data is here and of which the guard has something to say.

    Raises:
        JobError: if that is none, or one that is named itself cannot be used.
    """
    from engine.evaluation.benchmark_data import find_place, how_to_get
    from engine.evaluation.benchmark_errors import BenchmarkError
    from engine.evaluation.benchmarks import find_benchmark, select_benchmarks

    try:
        members = select_benchmarks(params.benchmark)
        words = [word for word in _words(params.benchmark) if word.casefold() not in GROUPS]
        named = {find_benchmark(word).name for word in words}
    except BenchmarkError as error:
        raise JobError(error.message, error.hint) from error
    chosen: list[Benchmark] = []
    left_out: dict[str, str] = {}
    for benchmark in members:
        unfit = _unfit(benchmark, params.guard)
        if unfit is None and find_place(benchmark, folder) is not None:
            chosen.append(benchmark)
        elif benchmark.name in named:
            if unfit is not None:
                raise JobError(f"{benchmark.name} {unfit}.", "Leave it out.")
            raise JobError(f"The data of {benchmark.name} is not here.", how_to_get(benchmark))
        else:
            left_out[benchmark.name] = unfit or "is not here"
    if not chosen:
        name, why = next(iter(left_out.items()))
        raise JobError(f"None of these can be evaluated: {name} {why}.", "'wizard101 data list' shows all.")
    return chosen, left_out


def _unfit(benchmark: Benchmark, guard: GuardKind | None) -> str | None:
    """Return why this guard, or a model alone, cannot be evaluated on a benchmark; None if it can."""
    from engine.cases import Task
    from engine.evaluation.items import Form

    if benchmark.form is Form.CHOICE:
        return None if guard is None else "asks questions, and a guard answers none"
    if benchmark.task is Task.COMPLETION and guard is not GuardKind.GUARDREASONER:
        return f"is about refusal, of which the {guard} guard says nothing"
    return None
