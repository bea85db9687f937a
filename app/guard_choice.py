"""The guard that a person chose, and what it can be set to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.wording import GUARDREASONER

_KINDS = ("reasoner", "gauntlet", GUARDREASONER)
_LEVELS = ("low", "medium", "high")
_STYLES = ("raw", "chat")
_NO_MODEL = {
    "gauntlet": "The gauntlet needs a model. ctrl+o shows which can be reached, and how to get one.",
    GUARDREASONER: "GuardReasoner needs a model. ctrl+o chooses one: the released weights are "
    "hf:yueliu1999/GuardReasoner-8B, -3B and -1B; fake:SCRIPT replays a script.",
}


@dataclass(frozen=True, slots=True)
class GuardChoice:
    """``model_spec`` None: no model was chosen, or none is needed.

    ``prompt_style`` is a GuardReasoner model's, ``level`` the other guards'.
    """

    kind: str = "reasoner"
    level: str = "medium"
    model_spec: str | None = None
    prompt_style: str = "raw"

    @property
    def needs_model(self) -> bool:
        return self.kind in _NO_MODEL

    @property
    def does_tasks(self) -> bool:
        """Whether the guard's model does the three tasks."""
        return self.kind == GUARDREASONER

    @property
    def title(self) -> str:
        return "GuardReasoner" if self.does_tasks else f"the {self.kind}"

    @property
    def missing(self) -> str:
        """What to say where the guard cannot judge for want of a model, or nothing."""
        return _NO_MODEL.get(self.kind, "") if self.model_spec is None else ""

    @property
    def summary(self) -> str:
        """The guard and what it is set to, in a few words."""
        return f"{self.kind} · {f'{self.prompt_style} prompt' if self.does_tasks else self.level}"

    def next_guard(self) -> GuardChoice:
        return replace(self, kind=_after(self.kind, _KINDS))

    def next_setting(self) -> GuardChoice:
        """Return the choice with the next of what its guard can be set to."""
        if self.does_tasks:
            return replace(self, prompt_style=_after(self.prompt_style, _STYLES))
        return replace(self, level=_after(self.level, _LEVELS))

    def with_model(self, spec: str) -> GuardChoice:
        """Return the choice with this model; a guard that needs none gives way to the gauntlet."""
        return replace(self, kind=self.kind if self.needs_model else "gauntlet", model_spec=spec)

    def as_asked(self) -> GuardChoice:
        """Return the choice without what its guard has no use for."""
        return self if self.needs_model else replace(self, model_spec=None)


def _after(value: str, values: tuple[str, ...]) -> str:
    return values[(values.index(value) + 1) % len(values)]
