"""Reading a folder of policies.

One sub-folder a policy: ``policy.md`` is what a model reads, ``signals.toml`` the rule layer, and
``cases.jsonl`` the labelled cases the policy is tested by. Only ``policy.md`` is required.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.cases import Case

TEXT_NAME = "policy.md"
CASES_NAME = "cases.jsonl"

Texts = Mapping[str, str]
"""Texts that count in place of what is in files, by the files' paths in the policies' folder.

"hate_speech/policy.md" is such a path, always with "/". So a text can be tried before it is saved.
"""


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
    names = tuple(sorted(path.parent.name for path in folder.glob(f"*/{TEXT_NAME}")))
    if not names:
        raise PolicyError(f"{folder} holds no policies. 'wizard101 init DIR' lays out a set to start from.")
    return names


def load_policies(
    folder: Path, names: Iterable[str] | None = None, texts: Texts | None = None
) -> tuple[Policy, ...]:
    """Read the named policies, or all of them, in alphabetical order.

    ``texts`` count in place of the files'.

    Raises:
        PolicyError: if a name is unknown or a text cannot be read as UTF-8.
    """
    return tuple(_load_policy(folder / name, texts or {}) for name in select_names(folder, names))


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


def _load_policy(folder: Path, texts: Texts) -> Policy:
    content = read_content(folder / TEXT_NAME, texts.get(f"{folder.name}/{TEXT_NAME}"))
    return Policy(folder.name, content.decode("utf-8"), hashlib.sha256(content).hexdigest(), folder)


def read_content(path: Path, instead: str | None = None) -> bytes:
    """Return a file's content, or that of the text that counts ``instead``. It is UTF-8.

    Raises:
        PolicyError: if the file cannot be read or is not UTF-8, or the text cannot be written as UTF-8.
    """
    try:
        content = path.read_bytes() if instead is None else instead.encode("utf-8")
        content.decode("utf-8")
    except (OSError, UnicodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error
    return content


def load_cases(folder: Path, name: str) -> tuple[PolicyCase, ...]:
    """Read the labelled cases of the policy ``name`` in ``folder``.

    Raises:
        PolicyError: if the file is missing or a line is not a case; the message has the line's number.
    """
    path = folder / name / CASES_NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error
    return tuple(case_of(path, number, line) for number, line in enumerate(lines, 1) if line.strip())


def case_of(path: Path, number: int, line: str) -> PolicyCase:
    """Return the case that a line of a file is.

    Raises:
        PolicyError: if it is none; the message has the line's number.
    """
    try:
        return _case(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}, line {number}, is not a case: {error!r}") from error


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
