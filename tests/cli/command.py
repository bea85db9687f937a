"""Running the real command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def wizard(
    *arguments: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run ``python -m app`` with the repository's policies and a database in ``cwd``."""
    variables = {
        **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
        "PYTHONPATH": str(REPOSITORY),
        "WIZARD_DB": str(cwd / "wizard.db"),
        "WIZARD_POLICIES": str(REPOSITORY / "policies"),
        **(env or {}),
    }
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=variables,
        timeout=timeout,
        check=False,
    )
