"""Jobs that judge a file of cases: what they take. `engine.jobs.classify_work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from engine.guards.build import GuardKind
from engine.jobs.guard_params import GuardParams
from engine.jobs.kind import Kind, Params, cut_name
from engine.jobs.records import Estimate, JobError
from engine.workspace import of_home

PREDICTIONS = "predictions.jsonl"


class CaseFileParams(Params):
    """What is judged."""

    file: str = Field(
        title="Cases",
        description="A JSONL file: a prompt and, optionally, a response and a label a line",
        min_length=1,
        json_schema_extra={"format": "file", "argument": True},
    )


class ClassifyParams(GuardParams, CaseFileParams):
    """What a ``classify`` job takes."""

    guard: GuardKind = Field(GuardKind.REASONER, title="Guard", description="Who judges")
    limit: int | None = Field(None, title="Limit", description="Only the first so many cases", ge=1)


class Classify(Kind[ClassifyParams]):
    name: ClassVar[str] = "classify"
    does: ClassVar[str] = "Judge a file of cases; keep every verdict and its reasoning"
    params = ClassifyParams
    resumable: ClassVar[bool] = True
    checkpoint: ClassVar[tuple[str, ...]] = (PREDICTIONS,)

    def title(self, params: ClassifyParams) -> str:
        return cut_name(f"{Path(params.file).name}: {params.guard_words}")

    def check(self, params: ClassifyParams, cwd: Path) -> None:
        file = cwd / of_home(params.file)
        if not file.is_file():
            raise JobError(f"There is no file {file} to judge.")

    def pace_key(self, params: ClassifyParams) -> str:
        return params.pace_key

    def estimate(self, params: ClassifyParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        with (cwd / of_home(params.file)).open("rb") as file:
            cases = sum(1 for line in file if line.strip())
        cases = min(cases, params.limit or cases)
        key = self.pace_key(params)
        if key not in pace:
            return Estimate(f"{cases:,} cases", basis="No earlier run of this guard to tell the time by.")
        return Estimate(f"{cases:,} cases", cases / pace[key], basis=f"by {pace[key]:.3g} cases a second")
