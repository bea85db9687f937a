"""Sets of policies: the same policies in other words, to compare what the wording does.

The folder of policies is itself the set ``standard``. Others lie in its sub-folder ``sets``, each a folder
with sub-folders of policies and a ``set.toml``: what the set is, and how long its texts are meant to be. A
set need not have every policy, and has neither signals nor cases: those belong to the policy of that name.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.policies.load import PolicyError, policy_names
from engine.policies.tokens import TOKEN_BAND

STANDARD = "standard"
"""The name of the set that the folder of policies itself is."""

SETS = "sets"
"""The sub-folder that the others lie in."""

_FACTS = "set.toml"


@dataclass(frozen=True, slots=True)
class PolicySet:
    """A set: ``folder`` has a sub-folder for each of its policies.

    ``says`` is what the set is, for people; ``tokens`` the fewest and the most that a text of it should
    have.
    """

    name: str
    folder: Path
    says: str = ""
    tokens: tuple[int, int] = TOKEN_BAND

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of the policies that the set has, in alphabetical order."""
        return policy_names(self.folder)


def policy_sets(folder: Path) -> tuple[PolicySet, ...]:
    """Return the sets of a folder of policies: ``standard`` first, the others in alphabetical order.

    A sub-folder of ``sets`` without a policy is none.

    Raises:
        PolicyError: if a ``set.toml`` cannot be used, or a folder has the name of the standard set.
    """
    found = {path.parent.parent for path in (folder / SETS).glob("*/*/policy.md")}
    others = sorted(other for other in found if not other.name.startswith("."))
    for other in others:
        if other.name == STANDARD:
            raise PolicyError(f"{other} cannot be a set: {STANDARD} is {folder} itself. Rename the folder.")
    standard = PolicySet(STANDARD, folder, "The policies themselves")
    return (standard, *(_set_in(other, other.name) for other in others))


def find_set(folder: Path, wanted: str | None, start: Path | None = None) -> PolicySet:
    """Return the set of that name; None means ``standard``.

    What is no set's name may be the path of a folder of policies, ``~`` included: that path is its name. It
    is seen from ``start``, by default the current folder.

    Raises:
        PolicyError: if there is neither a set nor a folder of policies by that name.
    """
    known = policy_sets(folder)
    for found in known:
        if found.name == (wanted or STANDARD):
            return found
    assert wanted is not None
    path = (start or Path()) / os.path.expanduser(wanted)  # noqa: PTH111 - that of Path raises RuntimeError
    if _holds_policies(path):
        return _set_in(path, wanted)
    names = ", ".join(each.name for each in known)
    raise PolicyError(
        f"no set of policies is called {wanted!r}, and no folder of policies lies there. "
        f"{folder} has: {names}."
    )


def _holds_policies(path: Path) -> bool:
    """Tell whether policies can be found there; what can be no path holds none."""
    try:
        return path.is_dir() and next(path.glob("*/policy.md"), None) is not None
    except OSError:  # a name that is too long, a folder that may not be read
        return False


def _set_in(folder: Path, name: str) -> PolicySet:
    path = folder / _FACTS
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return PolicySet(name, folder)
    except (OSError, ValueError) as error:  # a syntax error, and bytes that are no UTF-8, are ValueErrors
        raise PolicyError(f"{path} cannot be read: {error}.") from error
    if unknown := sorted(told.keys() - {"says", "tokens"}):
        raise PolicyError(f"{path} has {', '.join(unknown)}; 'says' and 'tokens' are possible.")
    says = told.get("says", "")
    if not isinstance(says, str):
        raise PolicyError(f"{path}: 'says' is a text.")
    return PolicySet(name, folder, says, _band(told.get("tokens", list(TOKEN_BAND)), path))


def _band(told: Any, path: Path) -> tuple[int, int]:
    match told:
        case [int(fewest), int(most)] if 0 < fewest <= most and bool not in (type(fewest), type(most)):
            return fewest, most
    raise PolicyError(f"{path}: 'tokens' is the fewest and the most, as in [400, 600].")
