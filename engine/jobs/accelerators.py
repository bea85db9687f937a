"""How many accelerators this machine has. Standard library only: asking torch would load it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_DEVICE = re.compile(r"nvidia\d+")


def accelerator_count() -> int:
    """Return ``WIZARD_ACCELERATORS``, else the number of NVIDIA devices, else 1 on Apple silicon."""
    told = os.environ.get("WIZARD_ACCELERATORS", "")
    if told.isdigit():
        return int(told)
    if platform.system() == "Darwin":
        return int(platform.machine() == "arm64")
    try:
        return sum(1 for path in Path("/dev").iterdir() if _DEVICE.fullmatch(path.name))
    except OSError:
        return 0
