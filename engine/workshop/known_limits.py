"""Cases known to be beyond the rules: ``known_limits.toml``, in the folder of policies, lists them.

Standard library only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.policies.files import read_file
from engine.policies.load import PolicyCase, PolicyError

FILE_NAME = "known_limits.toml"


@dataclass(frozen=True, slots=True)
class KnownLimit:
    """Cases of a policy, by how their prompt begins, that the reasoner gets wrong at its normal level."""

    policy: str
    prompt_begins: str
    why: str


def load_limits(folder: Path) -> tuple[KnownLimit, ...]:
    """Return the known limits of a folder of policies; none if it has no such file.

    Raises:
        PolicyError: if the file cannot be used.
    """
    path = folder / FILE_NAME
    try:
        rows = tomllib.loads(read_file(path).text).get("limit", [])
        return tuple(_limit(row) for row in rows)
    except (tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise PolicyError(
            f"{path} cannot be used: {error}. Each [[limit]] has policy, prompt_begins and why, all text."
        ) from error


def limit_of(limits: Sequence[KnownLimit], policy: str, case: PolicyCase) -> KnownLimit | None:
    """Return the limit that a case is listed under, if it is."""
    return next(
        (
            limit
            for limit in limits
            if limit.policy == policy and case.case.prompt.startswith(limit.prompt_begins)
        ),
        None,
    )


def _limit(row: dict[str, object]) -> KnownLimit:
    policy, begins, why = row["policy"], row["prompt_begins"], row["why"]
    if not isinstance(policy, str) or not isinstance(begins, str) or not isinstance(why, str):
        raise TypeError("one of them is not text")
    if not begins:
        raise TypeError("prompt_begins is empty")
    return KnownLimit(policy, begins, why)
