"""Who judges the cases of a policy: a guard of one policy, made for each text that is tried."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from engine.cases import Case
from engine.guards.base import Guard
from engine.guards.build import GuardKind, Level, PromptStyle, Speed, build_guard
from engine.models.base import Model
from engine.policies.load import TEXT_NAME, Texts
from engine.policies.signals import FILE_NAME as SIGNALS_NAME
from engine.workspace import Workspace, of_home


@dataclass(frozen=True, slots=True)
class Judge:
    """A guard and its settings: everything that decides an outcome, but for the text and the case."""

    kind: GuardKind = GuardKind.REASONER
    model_spec: str | None = None
    level: Level = Level.MEDIUM
    speed: Speed = Speed.FULL
    prompt_style: PromptStyle = PromptStyle.RAW
    thresholds: str | None = None

    @property
    def reads(self) -> str | None:
        """The file of a policy's folder that this judge goes by; None: it reads none of them."""
        return {GuardKind.REASONER: SIGNALS_NAME, GuardKind.GAUNTLET: TEXT_NAME}.get(self.kind)

    @property
    def words(self) -> str:
        """The judge in a few words."""
        said = [str(self.kind)]
        if self.model_spec is not None:
            said.append(self.model_spec)
        said.append(str(self.prompt_style if self.kind is GuardKind.GUARDREASONER else self.level))
        if self.speed is not Speed.FULL:
            said.append(f"speed {self.speed}")
        return " · ".join(said)

    @property
    def lasting(self) -> bool:
        """Whether outcomes are worth keeping beyond the process: a model took its time for them."""
        return self.kind.needs_model

    def fingerprint(self) -> str:
        """Return a hash of all that decides an outcome beside the text and the case.

        A model's file counts with its size and its time of change, how cases are put before a model as it is
        now. What a server has under a name is not known: it counts by its name.
        """
        told = {**asdict(self), "file": _stamp(self.model_spec)}
        if self.kind is GuardKind.GAUNTLET:
            from engine.guards.content import frame

            told["frame"] = frame(Case("request", "response")).text
        elif self.kind is GuardKind.GUARDREASONER:
            from engine.guards.guardreasoner import INSTRUCTION

            told["frame"] = INSTRUCTION
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def guard(self, workspace: Workspace, policy: str, texts: Texts, models: Models) -> Guard:
        """Return the guard that judges by one policy, with ``texts`` in place of files.

        Do not close it: its model is one of ``models``, which close it.

        Raises:
            GuardSetupError, PolicyError, ModelError: as `build_guard` does.
        """
        return build_guard(
            self.kind,
            workspace=workspace,
            model_spec=self.model_spec,
            level=self.level,
            policy_names=[policy] if self.reads else None,
            speed=self.speed,
            prompt_style=self.prompt_style,
            thresholds=self.thresholds,
            texts=texts,
            open_with=models.open,
        )

    def with_model(self, spec: str | None) -> Judge:
        """Return the judge with another model."""
        return replace(self, model_spec=spec)


class Models:
    """The model that judges share: it stays open from one text to the next, with the prompts it has kept."""

    def __init__(self) -> None:
        self._spec = ""
        self._model: Model | None = None
        self._outdated: list[Model] = []

    def open(self, spec: str) -> Model:
        """Return the model that a spec names. Another one that was open is closed at the next `tidy`."""
        from engine.models.registry import open_model

        if self._model is None or spec != self._spec:
            opened = open_model(spec)
            if self._model is not None:
                self._outdated.append(self._model)
            self._spec, self._model = spec, opened
        return self._model

    async def tidy(self) -> None:
        """Close what is no longer used."""
        while self._outdated:
            await self._outdated.pop().aclose()

    async def aclose(self) -> None:
        """Close all."""
        model, self._model = self._model, None
        if model is not None:
            self._outdated.append(model)
        await self.tidy()


def _stamp(spec: str | None) -> list[int] | None:
    kind, _, target = (spec or "").partition(":")
    if kind not in ("gguf", "hf", "fake"):
        return None
    path: Path = of_home(target.partition("+")[0] if kind == "hf" else target)
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    try:
        return [number for file in files for number in (file.stat().st_size, file.stat().st_mtime_ns)]
    except OSError:
        return None
