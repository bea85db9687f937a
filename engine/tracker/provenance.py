"""With what code, on which machine: what a run's record says of its surroundings. Standard library only."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from engine.tracker.run_records import Provenance

PACKAGES = (
    "torch", "transformers", "peft", "trl", "datasets", "unsloth", "bitsandbytes", "mlx", "mlx-lm",
    "xllamacpp", "ollama", "google-genai", "sqlmodel", "wizard101",
)  # fmt: skip
"""The packages whose versions decide what comes out of a run."""

_GIT_S = 5.0


def provenance(folder: Path, seeds: Mapping[str, int] | None = None) -> Provenance:
    """Return what can be told of a run that works in ``folder``. Never raises: what fails is left out."""
    revision, dirty = git_state(folder)
    return Provenance(socket.gethostname(), revision, dirty, versions(), dict(seeds or {}))


@cache
def versions() -> dict[str, str]:
    """Return Python's version and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the revision that the folder's repository is at, and whether tracked files differ from it.

    None where the folder is in no repository, or git is missing or slow.
    """
    try:
        # Without optional locks: nobody's own git command finds the index taken.
        asked = ["git", "--no-optional-locks", "-C", str(folder)]
        told = subprocess.run(  # noqa: S603
            [*asked, "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            capture_output=True,
            timeout=_GIT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return None, None
    lines = told.splitlines()
    revision = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), None)
    return (None if revision == "(initial)" else revision), any(not line.startswith("#") for line in lines)
