"""The two pipes of a child process that a model works in: see `model_process` for what goes through them."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return where commands come from and where replies go.

    From here on standard output and error lead nowhere: libraries print where they like.
    """
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return sys.stdin.buffer, replies
