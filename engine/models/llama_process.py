"""The parent's end of a llama.cpp process.

llama.cpp gets a process of its own because its library holds Python's interpreter lock while it
loads a model, aborts the whole process on some damaged files, prints where it likes, and cannot be
stopped in the middle of a load.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import engine
from engine.models.base import ModelError

CLOSE_SECONDS = 2.0

Kind = Literal["chat", "completion"]

OnReply = Callable[[dict[str, Any] | None], None]
"""Called in the reader's thread with each part of an answer, and with None when there is no more."""


class LlamaProcess:
    """A running child. ``loaded`` is done when the model is, or has failed with a `ModelError`."""

    def __init__(self, path: Path, *, slots: int, context: int, threads: int | None) -> None:
        self.loaded: Future[None] = Future()
        self._name = path.name
        self._numbers = itertools.count()
        self._listeners: dict[int, OnReply] = {}
        self._lock = threading.Lock()
        self._ended = False
        roots = [str(Path(root).resolve().parent) for root in engine.__path__]
        inherited = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.models.llama_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*roots, inherited] if inherited else roots)},
            start_new_session=True,
        )
        threading.Thread(target=self._read, name="llama", daemon=True).start()
        settings = {"path": str(path.resolve()), "slots": slots, "context": context, "threads": threads}
        self._send({"load": settings})

    @property
    def alive(self) -> bool:
        return not self._ended

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, kind: Kind, body: dict[str, Any], on_reply: OnReply) -> int:
        """Start an answer or a completion and return its number."""
        number = next(self._numbers)
        with self._lock:
            if self._ended:
                raise self._gone()
            self._listeners[number] = on_reply
        self._send({"id": number, kind: body})
        return number

    def cancel(self, number: int) -> None:
        """Stop decoding at the next token, or the next batch of the prompt."""
        if number in self._listeners:
            self._send({"id": number, "cancel": True})

    def close(self) -> None:
        """End the process. Takes `CLOSE_SECONDS` at most."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        line = json.dumps(message).encode("ascii") + b"\n"
        with self._lock, suppress(OSError, ValueError):  # gone: the reader tells everybody who waits
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            message = json.loads(line)
            if "loaded" in message:
                self.loaded.set_result(None)
            elif "failed" in message:
                self.loaded.set_exception(
                    ModelError(
                        f"{self._name} cannot be loaded: llama.cpp does not accept it ({message['failed']})",
                        "The file may be damaged, or of a newer kind than this llama.cpp knows.",
                    )
                )
            elif "end" in message:
                self._listeners.pop(message["id"])(None)
            else:
                self._listeners[message["id"]](message["part"])
        self._process.wait()
        with self._lock:
            self._ended = True
            listeners = list(self._listeners.values())
            self._listeners.clear()
        if not self.loaded.done():
            self.loaded.set_exception(self._gone())
        for listener in listeners:
            listener({"error": {"message": str(self._gone())}})
            listener(None)

    def _gone(self) -> ModelError:
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else "ended"
        return ModelError(
            f"llama.cpp {how} while it had {self._name} in hand",
            "The file may be damaged, or this machine may have too little memory for it.",
        )
