"""What the processes share that make texts into tokens: the child's end of `token_process`."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from engine.models.base import ModelError, ModelUnreachable
from engine.models.child_pipes import messages_from, take_pipes

Counting = Callable[[str], int]
"""Returns how many tokens a text has."""


def serve(load: Callable[[dict[str, Any]], Counting]) -> NoReturn:
    """Count for one parent over two pipes, until it closes its end or is gone.

    ``load`` makes what counts from the settings that the parent sends, or raises a `ModelError`.
    """
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        os.environ[name] = ""  # the card belongs to those who compute
    commands, replies = take_pipes()
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for command in messages_from(commands):
            inbox.put(command)
        os._exit(0)  # in the middle of whatever is loaded or counted

    def say(message: dict[str, Any]) -> None:
        try:
            replies.write(json.dumps(message).encode("ascii") + b"\n")
            replies.flush()
        except OSError:
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        counting = load(inbox.get()["load"])
    except Exception as error:  # whatever a library makes of a damaged file must reach who waits
        hint = error.hint if isinstance(error, ModelError) else ""
        unreachable = isinstance(error, ModelUnreachable)
        say({"failed": str(error) or type(error).__name__, "hint": hint, "unreachable": unreachable})
        os._exit(1)
    say({"loaded": True})
    while True:
        command = inbox.get()
        if "count" in command:
            say({"id": command["id"], "part": _counted(counting, command["count"]["texts"])})
            say({"id": command["id"], "end": True})


def _counted(counting: Counting, texts: list[str]) -> dict[str, Any]:
    try:
        return {"counts": [counting(text) for text in texts]}
    except Exception as error:
        return {"error": str(error) or type(error).__name__}
