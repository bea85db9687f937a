"""The process that llama.cpp runs in: ``python -m engine.models.llama_child``, started by `model_process`,
which says how the two speak.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from typing import Any, BinaryIO, NoReturn

from engine.models.child_pipes import messages_from, take_pipes

SILENT = -1
"""llama.cpp's verbosity at which it prints not even errors."""

REFUSED_HINT = "The file may be damaged, or of a newer kind than this llama.cpp knows."

BATCH_TOKENS = 256
"""Prompt tokens read at a time, of all slots. Between two batches a cancelled request is noticed; with
fewer, the short texts that follow six kept prefixes are read in pieces, which takes half as long again."""


class Child:
    """Answers one parent over two pipes."""

    def __init__(self, commands: BinaryIO, replies: BinaryIO) -> None:
        self._commands = commands
        self._replies = replies
        self._writing = threading.Lock()
        self._cancelled: dict[int, threading.Event] = {}

    def serve(self) -> NoReturn:
        """Work until the parent closes the pipe or is gone."""
        server: Any = None
        for command in messages_from(self._commands):
            if "load" in command:
                server = self._load(command["load"])
            elif "chat" in command:
                self._start(server.handle_chat_completions, command["id"], command["chat"])
            elif "completion" in command:
                self._start(server.handle_completions, command["id"], command["completion"])
            elif cancelled := self._cancelled.get(command["id"]):
                cancelled.set()
        os._exit(0)  # the kernel frees it all; llama.cpp's own way out waits for what is being decoded

    def _load(self, settings: dict[str, Any]) -> Any:
        try:
            import xllamacpp

            server = xllamacpp.Server(_parameters(xllamacpp, settings))
        except Exception as error:
            self._say({"failed": f"llama.cpp does not accept it ({error})", "hint": REFUSED_HINT})
            os._exit(1)
        self._say({"loaded": True})
        return server

    def _start(self, handler: Any, number: int, body: dict[str, Any]) -> None:
        self._cancelled[number] = threading.Event()
        threading.Thread(target=self._answer, args=(handler, number, body), daemon=True).start()

    def _answer(self, handler: Any, number: int, body: dict[str, Any]) -> None:
        cancelled = self._cancelled[number]

        def reply(part: object) -> bool:
            if not cancelled.is_set():
                self._say({"id": number, "part": part})
            return cancelled.is_set()

        try:
            handler(body, reply)
        except Exception as error:  # whatever the library throws must reach who waits
            self._say({"id": number, "part": {"error": {"message": str(error)}}})
        del self._cancelled[number]
        self._say({"id": number, "end": True})

    def _say(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode("ascii") + b"\n"
        try:
            with self._writing:
                self._replies.write(line)
                self._replies.flush()
        except OSError:
            os._exit(0)


def _parameters(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["context"] * settings["slots"]
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.fit_params = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.verbosity = SILENT
    if settings["exact"]:
        params.cont_batching = False  # a prompt that is read while others write is computed differently
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if threads := settings["threads"] or _modest_threads():
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # The library always listens on a loopback port, too. Nobody is given this key.
    params.api_keys = [secrets.token_urlsafe(32)]
    params.cors_origins = ""
    params.n_threads_http = 1
    params.ui = params.endpoint_slots = False
    return params


def _modest_threads() -> int | None:
    """Return 1 on one or two cores, None (llama.cpp's choice) on more.

    llama.cpp's threads wait for each other by spinning: where anything else runs on the second core,
    two of them take several times as long as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if cores <= 2 else None


def main() -> NoReturn:
    Child(*take_pipes()).serve()


if __name__ == "__main__":
    main()
