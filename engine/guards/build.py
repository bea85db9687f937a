"""Making a guard from the words a person chose it by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.guards.base import Guard
from engine.policies.load import Texts
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.models.base import Model


class GuardKind(StrEnum):
    """The guards there are."""

    REASONER = "reasoner"
    GAUNTLET = "gauntlet"
    GUARDREASONER = "guardreasoner"

    @property
    def needs_model(self) -> bool:
        return self is not GuardKind.REASONER


class PromptStyle(StrEnum):
    """How a prompt reaches a GuardReasoner model.

    ``RAW``: as bare text, which is how the released weights were evaluated. ``CHAT``: as a user's message
    in the model's own chat template, which is how they were trained.
    """

    RAW = "raw"
    CHAT = "chat"


class Speed(StrEnum):
    """How much of an answer the gauntlet asks for.

    ``FULL``: all of it, with the reasoning before it. ``TWO``: one token first, with its probability, and
    all of it only where that token does not decide. ``ONE``: one token and nothing else; where it does
    not decide, nothing does.
    """

    FULL = "full"
    TWO = "two"
    ONE = "one"


class Level(StrEnum):
    """How thoroughly a guard works: the reasoner's level, or a model's reasoning effort."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class GuardSetupError(ValueError):
    """A guard that cannot be made from what was asked for."""


def build_guard(
    kind: GuardKind | str,
    *,
    workspace: Workspace,
    model_spec: str | None = None,
    level: Level | str = Level.MEDIUM,
    policy_names: Iterable[str] | None = None,
    serial: bool = False,
    speed: Speed | str = Speed.FULL,
    prompt_style: PromptStyle | str = PromptStyle.RAW,
    thresholds: str | None = None,
    texts: Texts | None = None,
    open_with: Callable[[str], Model] | None = None,
    policy_set: str | None = None,
) -> Guard:
    """Return the guard; no back end is contacted yet.

    ``policy_names`` None means all policies of the workspace. ``serial`` sends one policy at a time,
    ``speed`` is how much of an answer is asked for: only the gauntlet knows them. ``prompt_style`` is how
    a GuardReasoner model is prompted; level is nothing to it. ``thresholds`` are the gauntlet's, as
    `Thresholds.parse` reads them; None: its own. ``policy_set`` is the name or the folder of the set of
    policies that the gauntlet judges by; None: the standard one. ``texts`` count in place of the policies'
    files. ``open_with`` opens the model; None: `open_model`.

    Raises:
        GuardSetupError: if a model is missing or of no use to this guard.
        engine.policies.load.PolicyError: if a policy or the set is unknown or cannot be read.
        engine.models.registry.ModelSpecError: if the model's spec is not one.
    """
    kind = GuardKind(kind)
    if thresholds is not None and kind is not GuardKind.GAUNTLET:
        raise GuardSetupError(f"only the gauntlet takes thresholds, not the {kind}. Leave them out.")
    if policy_set is not None and kind is not GuardKind.GAUNTLET:
        raise GuardSetupError(f"only the gauntlet judges by a set of policies, not the {kind}. Leave it out.")
    if kind is GuardKind.REASONER:
        from engine.guards import reasoner

        if model_spec is not None:
            raise GuardSetupError(
                "the reasoner works without a model. Leave the model out, or choose another guard."
            )
        return reasoner.Reasoner(workspace.policies, policy_names, reasoner.Level(level), texts)

    from engine.models.registry import open_model

    open_with = open_with or open_model
    if kind is GuardKind.GUARDREASONER:
        from engine.guards.guardreasoner import GuardReasoner

        if model_spec is None:
            raise GuardSetupError(
                "guardreasoner needs a model. The released weights are hf:yueliu1999/GuardReasoner-8B, "
                "-3B and -1B; 'wizard101 models list' shows what can be reached."
            )
        if policy_names is not None:
            raise GuardSetupError("guardreasoner judges by no policies. Leave them out.")
        return GuardReasoner(open_with(model_spec), prompt_style=PromptStyle(prompt_style))

    from engine.guards.decision import Thresholds
    from engine.guards.gauntlet import Gauntlet
    from engine.models.base import Effort
    from engine.policies.load import load_policies
    from engine.policies.sets import find_set

    if model_spec is None:
        raise GuardSetupError(
            "the gauntlet needs a model. 'wizard101 models list' shows what can be reached; "
            "'wizard101 models pull smollm2' fetches a small one."
        )
    try:
        given = None if thresholds is None else Thresholds.parse(thresholds)
    except ValueError as error:
        raise GuardSetupError(f"{error}.") from error
    policies = load_policies(find_set(workspace.policies, policy_set).folder, policy_names, texts)
    return Gauntlet(
        open_with(model_spec),
        policies,
        effort=Effort(level),
        serial=serial,
        speed=Speed(speed),
        thresholds=given,
    )
