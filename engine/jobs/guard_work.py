"""What the work of every job has in common that has a guard judge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.events import Event, Failed
from engine.guards.base import Guard
from engine.guards.build import build_guard
from engine.jobs.guard_params import GuardParams
from engine.jobs.worker import Work, WorkFailed, sha256_of
from engine.workspace import find_workspace, of_home


def guard_of(params: GuardParams) -> Guard:
    """Return the guard that a job is about."""
    assert params.guard is not None
    return build_guard(
        params.guard,
        workspace=find_workspace(),
        model_spec=params.model,
        level=params.level,
        policy_names=params.policies or None,
        serial=params.serial,
        speed=params.speed,
        prompt_style=params.prompt_style,
        thresholds=params.thresholds,
        policy_set=params.policy_set,
    )


async def tell_of_guard(work: Work, guard: Guard) -> None:
    """Say what policies and what model the work is made from."""
    for policy in guard.policies:
        work.made_from("policy", policy.name, policy.sha256)
    if guard.model is not None:
        await tell_of_model(work, guard.model)


async def tell_of_model(work: Work, spec: str) -> None:
    """Say what model the work is made from; one that is a file by its hash, too."""
    kind, _, target = spec.partition(":")
    file = of_home(target)
    sha256 = await asyncio.to_thread(sha256_of, file) if kind == "gguf" and file.is_file() else None
    work.made_from("model", spec, sha256)


def stop_if_unreachable(events: Sequence[Event], so_far: str) -> None:
    """End the work where a case could not be put to its guard; ``so_far`` says what is done, and kept.

    Raises:
        WorkFailed: if the back end was out of reach.
    """
    for event in events:
        if isinstance(event, Failed) and event.unreachable:
            raise WorkFailed(
                event.message,
                kept=f"{so_far}, and kept.",
                hint=f"{event.hint} Then resume the job.".strip(),
                unreachable=True,
            )
