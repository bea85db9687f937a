"""GGUF models on this machine, through xllamacpp (llama.cpp)."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.cases import Usage
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelUnreachable,
    PromptTooLong,
    Reachability,
    ReasoningChunk,
)
from engine.models.model_process import Kind, ModelProcess, ProcessModel
from engine.models.slots import SlotTable
from engine.models.streaming import (
    Fields,
    Patience,
    completion_chunks,
    is_overflow,
    messages,
    paced,
    sendable,
    short,
    token_logprobs,
    usage_of,
)
from engine.models.token_process import TokenProcess

MISSING_HINT = "pip install 'wizard101[local]'"


class GgufModel(ProcessModel):
    """A model file run by llama.cpp on this machine, with the file's own chat template.

    ``context`` is the tokens of prompt and answer of each of the ``slots``. The first `chat` loads the
    model, in a process of its own. Every slot keeps its last prompt, and a request goes to the slot
    that last had the same system text: a policy is read once. ``keep_prefixes`` False reads every
    prompt as a whole. ``threads`` None leaves their number to llama.cpp, except on two cores, where it
    takes one.

    An answer's last digits, and where two tokens are about as likely its words, depend on what else is
    decoded and on what was kept; ``exact`` computes attention in float32, which ends that (measured on a
    CPU) and takes twice the memory for the context.

    Log-probabilities are those of the model's distribution before sampling.
    """

    def __init__(
        self,
        path: Path,
        *,
        context: int = 4096,
        slots: int = 6,
        threads: int | None = None,
        keep_prefixes: bool = True,
        exact: bool = False,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(path.name)
        self.spec = f"gguf:{path}"
        self.slots = slots
        self._path = path
        self._context = context
        self._threads = threads
        self._keep_prefixes = keep_prefixes
        self._exact = exact
        self._patience = patience or Patience()
        self._table = SlotTable(slots)
        self._tokenizer = TokenProcess(
            self._name, "engine.models.llama_token_child", "llama.cpp", self._tokenizer_settings
        )

    def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        stream = self._stream("chat", request.system, _chat_body(request))
        return paced(stream, self._patience, self._name)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        stream = self._stream("completion", request.prefix, _completion_body(request))
        return paced(stream, self._patience, self._name)

    async def _stream(self, kind: Kind, shared: str, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Send ``body`` to the slot that last had a text which began with ``shared``."""
        process = await self._loaded()
        table = self._table
        slot = await table.take(hashlib.sha256(sendable(shared).encode("utf-8")).digest())
        finish: FinishReason | None = None
        usage: Usage | None = None
        placed = body | {"id_slot": slot, "cache_prompt": self._keep_prefixes}
        replies = process.replies(kind, placed, lambda: table.give(slot))
        async with aclosing(replies) as parts:
            async for said in parts:
                part = Fields(said, self._name)
                if "error" in part:
                    raise self._failure(part.inner("error").text("message"))
                for choice in part.inners("choices"):
                    for chunk in _chunks(choice) if kind == "chat" else completion_chunks(choice):
                        yield chunk
                    if reason := choice.text("finish_reason"):
                        finish = FinishReason.LENGTH if reason == "length" else FinishReason.STOP
                if "usage" in part:
                    usage = usage_of(part.inner("usage"))
        if finish is None or usage is None:
            raise ModelError(f"{self._name} cut the answer off")
        yield FinishChunk(finish, usage)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count in a process of its own, which has the file's vocabulary and llama.cpp, but no weights."""
        return await self._tokenizer.count(texts)

    def _failure(self, said: str) -> ModelError:
        if is_overflow(said):
            return PromptTooLong(
                f"the prompt does not fit the context of {self._name} ({self._context} tokens): {said}",
                "shorten the text, or give the model a larger context",
            )
        return ModelError(f"{self._name}: {short(said)}")

    async def _tokenizer_settings(self) -> dict[str, Any]:
        _find_library()
        await asyncio.to_thread(inspect, self._path)
        return {"path": str(self._path.resolve())}

    async def _settings(self) -> dict[str, Any]:
        return await self._tokenizer_settings() | {
            "slots": self.slots,
            "context": self._context,
            "threads": self._threads,
            "exact": self._exact,
        }

    def _start(self, settings: dict[str, Any]) -> ModelProcess:
        self._table = SlotTable(self.slots)
        return ModelProcess("engine.models.llama_child", settings, name=self._name, library="llama.cpp")

    async def aclose(self) -> None:
        await asyncio.gather(super().aclose(), self._tokenizer.aclose())

    async def check(self) -> Reachability:
        try:
            _find_library()
            await asyncio.to_thread(inspect, self._path)
        except ModelError as error:
            return Reachability(False, str(error), error.hint)
        return Reachability(True, self._readiness())


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


def _find_library() -> None:
    if find_spec("xllamacpp") is None:
        raise ModelUnreachable("GGUF models need xllamacpp, which is not installed", MISSING_HINT)


_BODY: dict[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "return_progress": True,
}


def _chat_body(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = _BODY | {
        "messages": messages(request),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "chat_template_kwargs": {"reasoning_effort": request.effort.value},
    }
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return body


def _completion_body(request: CompletionRequest) -> dict[str, Any]:
    """Sample from the distribution as asked, without the cuts that llama.cpp makes unless told."""
    return _BODY | {
        "prompt": sendable(request.prompt),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "seed": request.seed,
        "logprobs": request.top_logprobs,
    }


def _chunks(choice: Fields) -> list[Chunk]:
    delta = choice.inner("delta")
    chunks: list[Chunk] = []
    if reasoning := delta.text("reasoning_content"):
        chunks.append(ReasoningChunk(reasoning))
    if content := delta.text("content"):
        chunks.append(AnswerChunk(content, token_logprobs(choice.inner("logprobs").inners("content"))))
    return chunks
