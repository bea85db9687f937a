"""What every job takes that has a guard judge."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from engine.guards.build import GuardKind, Level, PromptStyle, Speed
from engine.jobs.kind import Params
from engine.policies.sets import STANDARD


def short_model(spec: str) -> str:
    """Return a model's spec without the folder of its file, if it is one."""
    kind, colon, target = spec.partition(":")
    return kind + colon + (Path(target).name if kind in ("gguf", "fake") else target)


class GuardParams(Params):
    """The guard, its model, and how they are to work. ``guard`` None: there is nothing for one to judge."""

    guard: GuardKind | None = Field(GuardKind.REASONER, title="Guard", description="Who judges")
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
    policy_set: str | None = Field(
        None,
        title="Policy set",
        description="The gauntlet's policies in other words: minimal, verbose or a folder; default: standard",
        min_length=1,
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

    @model_validator(mode="after")
    def _guard_fits_its_settings(self) -> GuardParams:
        if self.model:
            from engine.models.registry import parse_spec

            parse_spec(self.model)
        guard = self.guard
        if guard is None:
            return self
        if guard.needs_model and not self.model:
            raise ValueError(f"the {guard} guard needs a model")
        if self.model and not guard.needs_model:
            raise ValueError(f"the {guard} guard works without a model")
        if self.policies and guard is GuardKind.GUARDREASONER:
            raise ValueError("the guardreasoner guard judges by no policies")
        if self.policy_set is not None and guard is not GuardKind.GAUNTLET:
            raise ValueError("only the gauntlet guard judges by a set of policies")
        if self.thresholds is not None:
            from engine.guards.decision import Thresholds

            if guard is not GuardKind.GAUNTLET:
                raise ValueError("only the gauntlet guard takes thresholds")
            Thresholds.parse(self.thresholds)
        return self

    @property
    def guard_words(self) -> str:
        """What a job's name says of its guard."""
        by = ["answers" if self.guard is None else str(self.guard)]
        if self.policy_set is not None:
            by.append(f"set {Path(self.policy_set).name or self.policy_set}")
        if self.model is not None:
            by.append(short_model(self.model))
        if self.guard is not GuardKind.GUARDREASONER:
            by.append(str(self.level))
        if self.speed is not Speed.FULL:
            by.append(f"speed {self.speed}")
        return ", ".join(by)

    @property
    def pace_key(self) -> str:
        """What runs of a like pace have in common."""
        speed = None if self.speed is Speed.FULL else f"speed {self.speed}"
        policies = None if self.policy_set in (None, STANDARD) else f"set {self.policy_set}"
        return " ".join(filter(None, (self.guard or "answers", self.model, self.level, speed, policies)))
