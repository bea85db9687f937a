"""The two pipes of a child process that a model works in: see `model_process` for what goes through them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import IO, Any, BinaryIO


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return where commands come from and where replies go.

    From here on standard output and error lead nowhere: libraries print where they like.
    """
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return sys.stdin.buffer, replies


def messages_from(pipe: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what the other end says until it closes the pipe or is gone, even in the middle of a line."""
    for line in pipe:
        if line.endswith(b"\n"):
            yield json.loads(line)
