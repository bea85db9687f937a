"""GGUF models in this process, through xllamacpp (llama.cpp)."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import secrets
import struct
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from engine.cases import Usage
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelUnreachable,
    PromptTooLong,
    Reachability,
    ReasoningChunk,
)
from engine.models.slots import SlotTable
from engine.models.streaming import Fields, Patience, is_overflow, paced, sendable, short, token_logprobs

MISSING_HINT = "pip install 'wizard101[local]'"
SILENT = -1
"""llama.cpp's verbosity below which even errors are not printed: stdout and stderr are not its own."""

BATCH_TOKENS = 128
"""Prompt tokens read at a time. Between two batches a cancelled request is noticed."""

EXIT_SECONDS = 10.0

_open_models: weakref.WeakSet[GgufModel] = weakref.WeakSet()
_loading = threading.Lock()


class GgufModel:
    """A model file run by llama.cpp inside this process, with the file's own chat template.

    ``context`` is the tokens of prompt and answer of each of the ``slots``. The model is loaded by the
    first `chat`, in a thread of its own. Every slot keeps its last prompt, and a request goes to the
    slot that last had the same system text: a policy is read once.

    Log-probabilities are those of the model's distribution before sampling.
    """

    def __init__(
        self,
        path: Path,
        *,
        context: int = 4096,
        slots: int = 6,
        threads: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.spec = f"gguf:{path}"
        self.slots = slots
        self._path = path
        self._context = context
        self._threads = threads
        self._patience = patience or Patience()
        self._table = SlotTable(slots)
        self._server: Any = None
        self._load: asyncio.Task[None] | None = None
        self._runs: set[_Run] = set()
        self._closed = False

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        async with aclosing(paced(self._stream(request), self._patience, self._path.name)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        await self._loaded()
        slot = await self._table.take(hashlib.sha256(request.system.encode("utf-8", "replace")).digest())
        run = _Run(self._server, self._body(request, slot), asyncio.get_running_loop())
        run.when_ended(lambda: self._ended(run, slot))
        self._runs.add(run)
        run.start()
        finish: FinishReason | None = None
        usage: Usage | None = None
        try:
            while (said := await run.replies.get()) is not None:
                part = Fields(said, self._path.name)
                if "error" in part:
                    raise self._failure(part)
                for choice in part.inners("choices"):
                    for chunk in _chunks(choice):
                        yield chunk
                    if reason := choice.text("finish_reason"):
                        finish = FinishReason.LENGTH if reason == "length" else FinishReason.STOP
                if "usage" in part:
                    counts = part.inner("usage")
                    usage = Usage(counts.count("prompt_tokens"), counts.count("completion_tokens"))
        finally:
            run.cancel()
        if finish is None or usage is None:
            raise ModelError(f"{self._path.name} was closed before it had answered")
        yield FinishChunk(finish, usage)

    def _ended(self, run: _Run, slot: int) -> None:
        self._runs.discard(run)
        self._table.give(slot)

    def _body(self, request: ChatRequest, slot: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": [
                {"role": "system", "content": sendable(request.system)},
                {"role": "user", "content": sendable(request.user)},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
            "cache_prompt": True,
            "id_slot": slot,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "chat_template_kwargs": {"reasoning_effort": request.effort.value},
        }
        if request.top_logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = request.top_logprobs
        return body

    def _failure(self, part: Fields) -> ModelError:
        error = part.raw("error")
        said = Fields(error, self._path.name).text("message") if isinstance(error, dict) else str(error)
        if is_overflow(said):
            return PromptTooLong(
                f"the prompt does not fit the context of {self._path.name} ({self._context} tokens): {said}",
                "shorten the text, or give the model a larger context",
            )
        return ModelError(f"{self._path.name}: {short(said)}")

    async def _loaded(self) -> None:
        """Load the model once, however many ask, even if the first of them stops waiting."""
        if self._closed:
            raise ModelError(f"{self._path.name} is closed")
        if self._load is None:
            self._load = asyncio.create_task(asyncio.to_thread(self._open))
            self._load.add_done_callback(self._load_ended)
        await asyncio.shield(self._load)
        if self._server is None:
            raise ModelError(f"{self._path.name} is closed")

    def _load_ended(self, load: asyncio.Task[None]) -> None:
        if load.cancelled() or load.exception() is not None:
            self._load = None  # the next request tries again

    def _open(self) -> None:
        xllamacpp = _library()
        inspect(self._path)
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_parallel = self.slots
        params.n_ctx = self._context * self.slots
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.fit_params = False
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
        params.verbosity = SILENT
        if self._threads is not None:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        # The library always listens on a loopback port too. Nobody is given this key.
        params.api_keys = [secrets.token_urlsafe(32)]
        params.cors_origins = ""
        params.n_threads_http = 1
        params.ui = params.endpoint_slots = False
        try:
            with _loading:
                self._server = xllamacpp.Server(params)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{self._path} cannot be loaded: llama.cpp does not accept it",
                "The file may be damaged, or of a newer kind than this llama.cpp knows.",
            ) from error
        _open_models.add(self)

    async def check(self) -> Reachability:
        try:
            await asyncio.to_thread(_library)
            await asyncio.to_thread(inspect, self._path)
        except ModelError as error:
            return Reachability(False, str(error), error.hint)
        return Reachability(True, "loaded" if self._server is not None else "ready to load")

    async def aclose(self) -> None:
        """Stop all answers and free the model."""
        self._closed = True
        if self._load is not None:
            await asyncio.wait([self._load])
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Like `aclose`, from any thread, without an event loop: for the end of the process."""
        self._closed = True
        runs = list(self._runs)
        for run in runs:
            run.cancel()
        for run in runs:
            run.join(EXIT_SECONDS)
        self._server = None
        self._load = None
        _open_models.discard(self)


class _Run:
    """One request in a thread of its own; what the server replies arrives in ``replies``, None last."""

    def __init__(self, server: Any, body: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.replies: asyncio.Queue[object | None] = asyncio.Queue()
        self._server = server
        self._body = body
        self._loop = loop
        self._cancelled = threading.Event()
        self._on_end: Any = None
        self._thread = threading.Thread(target=self._work, name="gguf", daemon=True)

    def when_ended(self, callback: Any) -> None:
        self._on_end = callback

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Stop decoding: the server is told at the next token, or the next batch of the prompt."""
        self._cancelled.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self._server.handle_chat_completions(self._body, self._reply)
        except Exception as error:  # whatever a C++ library throws must reach the waiting generator
            self._tell(self.replies.put_nowait, {"error": {"message": str(error)}})
        finally:
            self._server = None
            self._tell(self.replies.put_nowait, None)
            self._tell(self._on_end)

    def _reply(self, part: object) -> bool:
        if not self._cancelled.is_set():
            self._tell(self.replies.put_nowait, part)
        return self._cancelled.is_set()

    def _tell(self, callback: Any, *values: object) -> None:
        if not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(callback, *values)
            except RuntimeError:  # closed just now: nobody listens any more
                self._cancelled.set()


def inspect(path: Path) -> None:
    """Look at a file before llama.cpp does.

    Raises:
        ModelError: where it is missing, unreadable or no GGUF file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except FileNotFoundError:
        hint = "`wizard101 models pull smollm2` fetches a small model"
        raise ModelError(f"there is no file {path}", hint) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    if len(head) < 24 or head[:4] != b"GGUF":
        raise ModelError(f"{path} is no GGUF file")
    version, tensors, pairs = struct.unpack("<IQQ", head[4:])
    if not 2 <= version <= 16 or not 0 < tensors < 1_000_000 or not 0 < pairs < 1_000_000:
        raise ModelError(f"{path} is damaged, or of another byte order")


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelUnreachable("GGUF models need xllamacpp, which is not installed", MISSING_HINT) from error
    return xllamacpp


def _chunks(choice: Fields) -> list[Chunk]:
    delta = choice.inner("delta")
    chunks: list[Chunk] = []
    if reasoning := delta.text("reasoning_content"):
        chunks.append(ReasoningChunk(reasoning))
    if content := delta.text("content"):
        chunks.append(AnswerChunk(content, token_logprobs(choice.inner("logprobs").inners("content"))))
    return chunks


@atexit.register
def _close_all() -> None:
    """A thread of llama.cpp that outlives the interpreter would crash it on its way out."""
    for model in list(_open_models):
        model.close_now()
