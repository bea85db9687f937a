"""Jobs that evaluate a guard on benchmarks: what they take. `engine.jobs.evaluate_work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from engine.guards.build import GuardKind, Level, PromptStyle
from engine.jobs.kind import Kind, Params, cut_name
from engine.jobs.records import Estimate, JobError
from engine.workspace import of_home

if TYPE_CHECKING:
    from engine.evaluation.benchmarks import Benchmark

PREDICTIONS = "predictions.jsonl"
SCORES = "scores.json"

_OWN_FILE = ".jsonl"


class EvaluateParams(Params):
    """What an ``evaluate`` job takes."""

    guard: GuardKind = Field(GuardKind.REASONER, title="Guard", description="Who judges")
    model: str | None = Field(
        None,
        title="Model",
        description="What the gauntlet or GuardReasoner judges by: ollama:NAME, gguf:FILE, hf:NAME",
        json_schema_extra={"format": "model"},
    )
    benchmark: str = Field(
        title="Benchmarks",
        description="Names with commas between them, 'guardreasoner' for the paper's, 'all'; or a file of "
        "labelled cases (.jsonl)",
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
    level: Level = Field(
        Level.MEDIUM, title="Level", description="How thoroughly the reasoner looks, or a model thinks"
    )
    policies: list[str] = Field(
        default_factory=list,
        title="Policies",
        description="Only these policies; none named: all",
        json_schema_extra={"one": "policy"},
    )
    serial: bool = Field(
        False, title="Serial", description="One policy after the other, for servers with one slot"
    )
    prompt_style: PromptStyle = Field(
        PromptStyle.RAW,
        title="Prompt style",
        description="For GuardReasoner models: raw text, or the model's chat template",
    )
    accept_changed: bool = Field(
        False,
        title="Accept changed",
        description="Take data whose content is not what was published; its figures do not compare",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> EvaluateParams:
        if self.guard.needs_model and not self.model:
            raise ValueError(f"the {self.guard} guard needs a model")
        if self.model and not self.guard.needs_model:
            raise ValueError(f"the {self.guard} guard works without a model")
        if self.policies and self.guard is GuardKind.GUARDREASONER:
            raise ValueError("the guardreasoner guard judges by no policies")
        if self.model:
            from engine.models.registry import parse_spec

            parse_spec(self.model)
        return self


class Evaluate(Kind[EvaluateParams]):
    name: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "Evaluate a guard on benchmarks; keep every prediction with its reasoning"
    params = EvaluateParams
    resumable: ClassVar[bool] = True
    checkpoint: ClassVar[tuple[str, ...]] = (PREDICTIONS,)

    def title(self, params: EvaluateParams) -> str:
        by = [str(params.guard)]
        if params.model is not None:
            kind, colon, target = params.model.partition(":")
            by.append(kind + colon + (Path(target).name if kind in ("gguf", "fake") else target))
        if params.guard is not GuardKind.GUARDREASONER:
            by.append(str(params.level))
        return cut_name(f"{params.benchmark}: {', '.join(by)}")

    def check(self, params: EvaluateParams, cwd: Path) -> None:
        from engine.evaluation.benchmark_data import find_place, how_to_get

        if is_own_file(params.benchmark):
            if not (cwd / of_home(params.benchmark)).is_file():
                raise JobError(f"There is no file {cwd / of_home(params.benchmark)} of cases.")
            return
        folder = None if params.data_dir is None else cwd / of_home(params.data_dir)
        if folder is not None and not folder.is_dir():
            raise JobError(f"There is no data folder {folder}.")
        chosen = chosen_benchmarks(params)
        missing = [benchmark for benchmark in chosen if find_place(benchmark, folder) is None]
        if missing:
            names = ", ".join(benchmark.name for benchmark in missing)
            raise JobError(f"The data of {names} is not here.", how_to_get(missing[0]))

    def pace_key(self, params: EvaluateParams) -> str:
        return " ".join(filter(None, (params.guard, params.model, params.level)))

    def estimate(self, params: EvaluateParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        if is_own_file(params.benchmark):
            with (cwd / of_home(params.benchmark)).open("rb") as file:
                sizes = [sum(1 for line in file if line.strip())]
        else:
            sizes = [benchmark.contents[0].size for benchmark in chosen_benchmarks(params)]
        cases = sum(min(size, params.limit or size) for size in sizes)
        key = self.pace_key(params)
        if key not in pace:
            return Estimate(f"{cases:,} cases", basis="No earlier run of this guard to tell the time by.")
        return Estimate(f"{cases:,} cases", cases / pace[key], basis=f"by {pace[key]:.3g} cases a second")


def is_own_file(benchmark: str) -> bool:
    """Tell whether this names a file of labelled cases rather than benchmarks."""
    return benchmark.strip().endswith(_OWN_FILE)


def chosen_benchmarks(params: EvaluateParams) -> list[Benchmark]:
    """Return the benchmarks that are named; of a group, those that the guard can be evaluated on.

    Raises:
        JobError: if a name is that of none, or the guard has nothing to say of what a benchmark asks.
    """
    from engine.cases import Task
    from engine.evaluation.benchmark_errors import BenchmarkError
    from engine.evaluation.benchmarks import select_benchmarks
    from engine.evaluation.items import Form

    try:
        chosen = select_benchmarks(params.benchmark)
    except BenchmarkError as error:
        raise JobError(error.message, error.hint) from error
    unfit = {
        benchmark.name: "asks questions, and a guard answers none"
        if benchmark.form is Form.CHOICE
        else f"is about refusal, of which the {params.guard} guard says nothing"
        for benchmark in chosen
        if benchmark.form is Form.CHOICE
        or (benchmark.task is Task.COMPLETION and params.guard is not GuardKind.GUARDREASONER)
    }
    fit = [benchmark for benchmark in chosen if benchmark.name not in unfit]
    named = {name.strip().casefold() for name in params.benchmark.split(",")}
    if not fit or (unfit and not named & {"all", "guardreasoner"}):
        name, why = next(iter(unfit.items()))
        raise JobError(f"{name} {why}.", "Leave it out.")
    return fit
