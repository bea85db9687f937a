"""The parent's end of a model that works in a process of its own.

llama.cpp holds Python's interpreter lock while it loads a model, aborts the whole process on some
damaged files, prints where it likes, and cannot be stopped in the middle of a load; PyTorch holds
gigabytes and the lock, and a driver's fault ends its process. None of that may happen to a terminal.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import engine
from engine.models.base import ModelError, ModelUnreachable
from engine.models.child_pipes import messages_from

CLOSE_SECONDS = 2.0

Kind = Literal["chat", "completion", "count"]


class ModelProcess:
    """A running child. ``loaded`` is done when the model is, or has failed with a `ModelError`.

    ``module`` is run in the child and speaks JSON lines. To it: ``{"load": settings}`` first, then ``{"id":
    n, "chat": body}`` or ``{"id": n, "completion": body}`` and ``{"id": n, "cancel": true}``; the end of its
    input ends it. From it: ``{"loaded": true}`` or ``{"failed": why, "hint": .., "unreachable": ..}``, then
    for each request ``{"id": n, "part": reply}`` and last ``{"id": n, "end": true}``. A child that counts
    tokens takes ``{"id": n, "count": body}`` alone: see `token_process`.

    ``name`` and ``library`` name the model and what runs it in errors.
    """

    def __init__(self, module: str, settings: Mapping[str, Any], *, name: str, library: str) -> None:
        self.loaded: Future[None] = Future()
        self._name = name
        self._library = library
        self._numbers = itertools.count()
        self._listeners: dict[int, Callable[[object | None], None]] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._closed = False
        roots = [str(Path(root).resolve().parent) for root in engine.__path__]
        inherited = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(  # noqa: S603 - this Python, with a module of this program
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*roots, inherited] if inherited else roots)},
            start_new_session=True,
        )
        threading.Thread(target=self._read, name=library, daemon=True).start()
        self._send({"load": dict(settings)})

    @property
    def alive(self) -> bool:
        return not self._ended

    @property
    def pid(self) -> int:
        return self._process.pid

    async def replies(
        self, kind: Kind, body: Mapping[str, Any], on_end: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[object, None]:
        """Ask and yield the parts of the answer; closing stops it at the next token or piece of prompt.

        ``on_end`` is called once, from any thread, when the child has let go of the request.

        Raises:
            ModelError: where the process is gone.
        """
        queue: asyncio.Queue[object | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(part: object | None) -> None:
            if part is None:
                on_end()
            with suppress(RuntimeError):  # the loop is closed: nobody waits for this answer any more
                loop.call_soon_threadsafe(queue.put_nowait, part)

        number = next(self._numbers)
        with self._lock:
            gone = self._ended
            if not gone:
                self._listeners[number] = listen
        if gone:
            on_end()
            raise self._gone()
        self._send({"id": number, kind: dict(body)})
        try:
            while (part := await queue.get()) is not None:
                if isinstance(part, ModelError):
                    raise part
                yield part
        finally:
            if number in self._listeners:
                self._send({"id": number, "cancel": True})

    def close(self) -> None:
        """End the process. Takes `CLOSE_SECONDS` at most."""
        self._closed = True
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
        for message in messages_from(self._process.stdout):
            if "loaded" in message:
                self.loaded.set_result(None)
            elif "failed" in message:
                kind = ModelUnreachable if message.get("unreachable") else ModelError
                said = f"{self._name} cannot be loaded: {message['failed']}"
                self.loaded.set_exception(kind(said, message.get("hint", "")))
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
            listener(self._gone())
            listener(None)

    def _gone(self) -> ModelError:
        if self._closed:
            return ModelError(f"{self._name} is closed")
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else "ended"
        return ModelError(
            f"{self._library} {how} while it had {self._name} in hand",
            "The file may be damaged, or this machine may have too little memory for it.",
        )


class ProcessModel(ABC):
    """What models in a process of their own share: it starts at the first use, and again where it died."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: ModelProcess | None = None
        self._starting = threading.Lock()  # two event loops may use a model; nothing is awaited under it
        self._closed = False

    @abstractmethod
    async def _settings(self) -> dict[str, Any]:
        """Return what a process has to know to load the model.

        Raises:
            ModelError: where it is clear before that it could not.
        """

    @abstractmethod
    def _start(self, settings: dict[str, Any]) -> ModelProcess:
        """Start a process with these settings."""

    async def _loaded(self) -> ModelProcess:
        """Return the process once it has loaded the model."""
        process = self._running()
        if process is None:
            settings = await self._settings()
            with self._starting:
                process = self._running()
                if process is None:
                    process = self._process = self._start(settings)
        await asyncio.shield(asyncio.wrap_future(process.loaded))
        return process

    def _running(self) -> ModelProcess | None:
        if self._closed:
            raise ModelError(f"{self._name} is closed")
        return self._process if self._process is not None and self._process.alive else None

    def _readiness(self) -> str:
        return "loaded" if self._process is not None and self._process.alive else "loads at first use"

    async def aclose(self) -> None:
        """Stop all answers and free the model."""
        with self._starting:
            self._closed = True
            process = self._process
        if process is not None:
            await asyncio.to_thread(process.close)
