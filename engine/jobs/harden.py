"""Jobs that attack a guard's judgements: what they take. `engine.jobs.harden_work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from engine.evaluation.attacks import select_attacks
from engine.jobs.evaluate import (
    PREDICTIONS,
    Evaluate,
    EvaluateParams,
    choose,
    data_folder,
    is_own_file,
)
from engine.jobs.kind import Kind, cut_name
from engine.jobs.records import Estimate, JobError
from engine.workspace import find_workspace, of_home

ROBUSTNESS = "robustness.json"


class HardenParams(EvaluateParams):
    """What a ``harden`` job takes: what an evaluation does, but for where the cases come from."""

    benchmark: str = Field(
        "",
        title="Benchmarks",
        description="Take the cases from these, names with commas between them; default: those that the "
        "policies are tested by",
    )
    cases: str | None = Field(
        None,
        title="Cases",
        description="Take them from a JSONL file: a prompt and, optionally, a response and a label a line",
        json_schema_extra={"format": "file"},
    )
    attacks: list[str] = Field(
        default_factory=list,
        title="Attacks",
        description="Only these attacks or families of them; none named: all",
        json_schema_extra={"one": "attack"},
    )

    @model_validator(mode="after")
    def _names_what_there_is(self) -> HardenParams:
        if self.cases is not None and self.benchmark:
            raise ValueError("the cases come from a file or from benchmarks, not from both")
        if is_own_file(self.benchmark):
            raise ValueError("a file of cases is named as the cases, not as a benchmark")
        if self.guard is None:
            raise ValueError(
                f"{self.benchmark} asks questions: no guard judges them, and nothing is attacked"
            )
        select_attacks(self.attacks)
        return self


class Harden(Kind[HardenParams]):
    name: ClassVar[str] = "harden"
    does: ClassVar[str] = "Attack what a guard judges, and tell how often its judgement flips"
    params = HardenParams
    resumable: ClassVar[bool] = True
    checkpoint: ClassVar[tuple[str, ...]] = (PREDICTIONS,)

    def title(self, params: HardenParams) -> str:
        source = params.benchmark or (Path(params.cases).name if params.cases else "policy cases")
        return cut_name(f"{source} under attack: {params.guard_words}")

    def check(self, params: HardenParams, cwd: Path) -> None:
        if params.cases is not None:
            if not (cwd / of_home(params.cases)).is_file():
                raise JobError(f"There is no file {cwd / of_home(params.cases)} of cases.")
        elif params.benchmark:
            Evaluate().check(params, cwd)

    def pace_key(self, params: HardenParams) -> str:
        return params.pace_key

    def estimate(self, params: HardenParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        cases = sum(min(size, params.limit or size) for size in _sizes(params, cwd))
        judgements = cases * (1 + len(select_attacks(params.attacks)))
        work = f"{judgements:,} judgements of {cases:,} cases"
        key = self.pace_key(params)
        if key not in pace:
            return Estimate(work, basis="No earlier run of this guard to tell the time by.")
        return Estimate(work, judgements / pace[key], basis=f"by {pace[key]:.3g} judgements a second")


def policy_case_files(policies: Path, names: list[str]) -> list[Path]:
    """Return the files of cases that the policies are tested by, of those named or of all."""
    return [path for path in sorted(policies.glob("*/cases.jsonl")) if not names or path.parent.name in names]


def _sizes(params: HardenParams, cwd: Path) -> list[int]:
    """Return how many cases each source holds, as far as that can be told without reading them."""
    if params.benchmark:
        return [benchmark.contents[0].size for benchmark in choose(params, data_folder(params, cwd))[0]]
    if params.cases is not None:
        return [_lines(cwd / of_home(params.cases))]
    policies = find_workspace(start=cwd).policies
    return [sum(map(_lines, policy_case_files(policies, params.policies)))]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())
