"""Jobs that judge a file of cases: what they take. `engine.jobs.classify_work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from engine.guards.build import GuardKind, Level, PromptStyle, Speed
from engine.jobs.kind import Kind, Params, cut_name
from engine.jobs.records import Estimate, JobError
from engine.workspace import of_home

PREDICTIONS = "predictions.jsonl"


class ClassifyParams(Params):
    """What a ``classify`` job takes."""

    file: str = Field(
        title="Cases",
        description="A JSONL file: a prompt and, optionally, a response and a label a line",
        min_length=1,
        json_schema_extra={"format": "file"},
    )
    guard: GuardKind = Field(GuardKind.REASONER, title="Guard", description="Who judges")
    model: str | None = Field(
        None,
        title="Model",
        description="What the gauntlet or GuardReasoner judges by: ollama:NAME, gguf:FILE, hf:NAME",
        json_schema_extra={"format": "model"},
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
    speed: Speed = Field(
        Speed.FULL,
        title="Speed",
        description="Of the gauntlet: full answers; two, one token where that decides; one token only",
    )
    prompt_style: PromptStyle = Field(
        PromptStyle.RAW,
        title="Prompt style",
        description="For GuardReasoner models: raw text, or the model's chat template",
    )
    thresholds: str | None = Field(
        None,
        title="Thresholds",
        description="The gauntlet's HIGH,LOW: it blocks from the first score, escalates from the second",
    )
    limit: int | None = Field(None, title="Limit", description="Only the first so many cases", ge=1)

    @model_validator(mode="after")
    def _model_fits_guard(self) -> ClassifyParams:
        if self.guard.needs_model and not self.model:
            raise ValueError(f"the {self.guard} guard needs a model")
        if self.model and not self.guard.needs_model:
            raise ValueError(f"the {self.guard} guard works without a model")
        if self.policies and self.guard is GuardKind.GUARDREASONER:
            raise ValueError("the guardreasoner guard judges by no policies")
        if self.thresholds is not None:
            from engine.guards.decision import Thresholds

            if self.guard is not GuardKind.GAUNTLET:
                raise ValueError("only the gauntlet guard takes thresholds")
            Thresholds.parse(self.thresholds)
        if self.model:
            from engine.models.registry import parse_spec

            parse_spec(self.model)
        return self


class Classify(Kind[ClassifyParams]):
    name: ClassVar[str] = "classify"
    does: ClassVar[str] = "Judge a file of cases; keep every verdict and its reasoning"
    params = ClassifyParams
    resumable: ClassVar[bool] = True
    checkpoint: ClassVar[tuple[str, ...]] = (PREDICTIONS,)

    def title(self, params: ClassifyParams) -> str:
        by = [f"{params.guard} {params.level}"]
        if params.speed is not Speed.FULL:
            by.append(f"speed {params.speed}")
        if params.model is not None:
            kind, colon, target = params.model.partition(":")
            by.append(kind + colon + (Path(target).name if kind in ("gguf", "fake") else target))
        return cut_name(f"{Path(params.file).name}: {', '.join(by)}")

    def check(self, params: ClassifyParams, cwd: Path) -> None:
        file = cwd / of_home(params.file)
        if not file.is_file():
            raise JobError(f"There is no file {file} to judge.")

    def pace_key(self, params: ClassifyParams) -> str:
        speed = None if params.speed is Speed.FULL else f"speed {params.speed}"
        return " ".join(filter(None, (params.guard, params.model, params.level, speed)))

    def estimate(self, params: ClassifyParams, cwd: Path, pace: Mapping[str, float]) -> Estimate:
        with (cwd / of_home(params.file)).open("rb") as file:
            cases = sum(1 for line in file if line.strip())
        cases = min(cases, params.limit or cases)
        key = self.pace_key(params)
        if key not in pace:
            return Estimate(f"{cases:,} cases", basis="No earlier run of this guard to tell the time by.")
        return Estimate(f"{cases:,} cases", cases / pace[key], basis=f"by {pace[key]:.3g} cases a second")
