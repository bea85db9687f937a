"""Reading a folder of policies.

One sub-folder a policy: ``policy.md`` is what a model reads, ``signals.toml`` the rule layer, and
``cases.jsonl`` the labelled cases the policy is tested by. Only ``policy.md`` is required.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.cases import Case


class PolicyError(Exception):
    """A policy folder that cannot be used; the message names the file, the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The text a gauntlet model applies. ``sha256`` is that of the file's bytes."""

    name: str
    text: str
    sha256: str
    folder: Path

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """A labelled case: ``violation`` is the verdict that its policy should reach."""

    case: Case
    violation: bool
    reason: str
    language: str
    source: str


def policy_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the policies in ``folder``, in alphabetical order.

    Raises:
        PolicyError: if the folder holds none.
    """
    names = tuple(sorted(path.parent.name for path in folder.glob("*/policy.md")))
    if not names:
        raise PolicyError(f"{folder} holds no policies. 'wizard101 init DIR' lays out a set to start from.")
    return names


def load_policies(folder: Path, names: Iterable[str] | None = None) -> tuple[Policy, ...]:
    """Read the named policies, or all of them, in alphabetical order.

    Raises:
        PolicyError: if a name is unknown or a text cannot be read as UTF-8.
    """
    return tuple(_load_policy(folder / name) for name in select_names(folder, names))


def select_names(folder: Path, names: Iterable[str] | None) -> tuple[str, ...]:
    """Return the wanted policies' names, or all, in alphabetical order without repetition.

    Raises:
        PolicyError: if one is unknown.
    """
    known = policy_names(folder)
    if names is None:
        return known
    wanted = sorted(set(names))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise PolicyError(f"no policy is called {', '.join(unknown)}. There are: {', '.join(known)}.")
    return tuple(wanted)


def _load_policy(folder: Path) -> Policy:
    path = folder / "policy.md"
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error
    return Policy(folder.name, text, hashlib.sha256(content).hexdigest(), folder)


def load_cases(folder: Path, name: str) -> tuple[PolicyCase, ...]:
    """Read the labelled cases of the policy ``name`` in ``folder``.

    Raises:
        PolicyError: if the file is missing or a line is not a case; the message has the line's number.
    """
    path = folder / name / "cases.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error
    cases = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise PolicyError(f"{path}, line {number}, is not a case: {error!r}") from error
    return tuple(cases)


def _case(row: dict[str, str | None]) -> PolicyCase:
    expected = row["expected"]
    if expected not in ("violation", "safe"):
        raise ValueError(f"expected is {expected!r}, not 'violation' or 'safe'")
    texts = [row["prompt"], row["reason"], row["language"], row["source"]]
    response = row.get("response")
    if not all(isinstance(text, str) for text in texts) or not isinstance(response, str | None):
        raise TypeError("prompt, reason, language and source are strings; response is a string or null")
    prompt, reason, language, source = (str(text) for text in texts)
    return PolicyCase(Case(prompt, response), expected == "violation", reason, language, source)
