"""Models of the Hugging Face format on this machine, through transformers in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import Any

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
)
from engine.models.hf.files import Target, base_of, inspect, is_adapter, is_offline, locate, parse_target
from engine.models.hf.hub import hub_errors, unreachable_hint
from engine.models.model_process import Kind, ModelProcess, ProcessModel
from engine.models.streaming import (
    CHECK_SECONDS,
    Fields,
    Patience,
    messages,
    paced,
    sendable,
    short,
    token_logprobs,
    usage_of,
)
from engine.models.token_process import TokenProcess

MISSING_HINT = "pip install 'wizard101[train]'"
CUDA_HINT = "pip install 'wizard101[cuda]', on a machine with an NVIDIA card"


class HfModel(ProcessModel):
    """A model in a folder, in the hub's cache or on the hub: ``MODEL[+ADAPTER][+4bit]``.

    ``slots`` requests are decoded together; they come and go between two tokens. The keys and values
    of what prompts with the same system text (or the same prefix) begin with are computed once;
    ``keep_prefixes`` False computes every prompt as a whole. ``context`` bounds the tokens of prompt and
    answer below what the model can take; ``threads`` is for a CPU. In float32, as on a CPU, an answer does
    not depend on what else is decoded, nor on what was kept.

    Only safetensors are loaded, and no code that comes with a model is run.
    """

    def __init__(
        self,
        target: str,
        *,
        context: int | None = None,
        slots: int = 16,
        threads: int | None = None,
        keep_prefixes: bool = True,
        patience: Patience | None = None,
    ) -> None:
        self._target = parse_target(target)
        super().__init__(self._target.model)
        self.spec = f"hf:{target}"
        self.slots = slots
        self._options = {
            "slots": slots,
            "context": context,
            "threads": threads,
            "keep_prefixes": keep_prefixes,
            "four_bit": self._target.four_bit,
        }
        self._patience = patience or Patience()
        self._tokenizer = TokenProcess(
            self._name, "engine.models.hf.token_child", "transformers", self._tokenizer_settings
        )

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        body = {
            "messages": messages(request),
            "shared": sendable(request.system),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": 1.0,
            "seed": request.seed,
            "top_logprobs": request.top_logprobs,
            "effort": request.effort.value,
        }
        async with aclosing(self._stream("chat", body)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        body = {
            "prompt": sendable(request.prompt),
            "shared": sendable(request.prefix),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "top_logprobs": request.top_logprobs,
        }
        async with aclosing(self._stream("completion", body)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _stream(self, kind: Kind, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        # Loading is not silence: a model may have to be fetched, and a process that fails says so.
        process = await self._loaded()
        async with aclosing(paced(process.replies(kind, body), self._patience, self._name)) as parts:
            async for said in parts:
                part = Fields(said, self._name)
                if "error" in part:
                    raise self._failure(part.inner("error"))
                if "finish" in part:
                    yield FinishChunk(FinishReason(part.text("finish")), usage_of(part.inner("usage")))
                    return
                yield AnswerChunk(part.text("text"), token_logprobs(part.inners("logprobs")))
        raise ModelError(f"{self._name} cut the answer off")

    def _failure(self, error: Fields) -> ModelError:
        said = f"{self._name}: {short(error.text('message'))}"
        return (PromptTooLong if error.flag("too_long") else ModelError)(said, error.text("hint"))

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count in a process of its own, which has the model's tokenizer, but neither weights nor PyTorch.

        Where the model is on the hub only, its tokenizer is fetched, and nothing else.
        """
        return await self._tokenizer.count(texts)

    async def _tokenizer_settings(self) -> dict[str, Any]:
        return {"model": await asyncio.to_thread(_find_tokenizer, self._target)}

    async def _settings(self) -> dict[str, Any]:
        model, adapter = await asyncio.to_thread(_find, self._target)
        return self._options | {"model": model, "adapter": adapter}

    def _start(self, settings: dict[str, Any]) -> ModelProcess:
        return ModelProcess("engine.models.hf.child", settings, name=self._name, library="PyTorch")

    async def aclose(self) -> None:
        await asyncio.gather(super().aclose(), self._tokenizer.aclose())

    async def check(self) -> Reachability:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                model, adapter = await asyncio.to_thread(_find, self._target)
                for name in (model, adapter):
                    if name and locate(name) is None:
                        await asyncio.to_thread(_ask_hub, name)
                        return Reachability(True, "the hub has it; it is fetched at first use")
        except TimeoutError:
            return Reachability(False, "the hub does not answer", unreachable_hint(self._name))
        except ModelError as error:
            return Reachability(False, str(error), error.hint)
        return Reachability(True, self._readiness())


def _find(target: Target) -> tuple[str, str]:
    """Return model and adapter ("" for none), each as a path or as a name that the hub has to be asked for.

    Raises:
        ModelUnreachable: where a library is missing, or the hub may not be asked.
        ModelError: where the files cannot be loaded.
    """
    model, adapter = target.model, target.adapter
    if missing := missing_library():
        raise missing
    if target.four_bit:
        _find_library("bitsandbytes", CUDA_HINT)
    path = _inspected(model)
    if path and not adapter and is_adapter(path):
        model, adapter = base_of(path), str(path)
    if adapter:
        _find_library("peft", MISSING_HINT)
    found = []
    for name in (model, adapter):
        path = _inspected(name) if name else None
        if path and path.suffix == ".gguf":
            _find_library("gguf", MISSING_HINT)
        found.append(str(path) if path else name)
    return found[0], found[1]


def _find_tokenizer(target: Target) -> str:
    """Return the model whose tokenizer a target has, as a path or as a name of the hub.

    Raises:
        ModelError: and `ModelUnreachable`, as `_find`; but nothing has to be there that only weights need.
    """
    _find_library("transformers", MISSING_HINT)
    model = target.model
    path = locate(model)
    if path and not target.adapter and is_adapter(path):
        model = base_of(path)
        path = locate(model)
    if path and path.is_file():
        inspect(path)
        _find_library("torch", MISSING_HINT)
        _find_library("gguf", MISSING_HINT)
    return str(path or model)


def _inspected(name: str) -> Any:
    path = locate(name)
    if path is not None:
        inspect(path)
    elif is_offline():
        raise ModelUnreachable(
            f"{name} is neither a folder here nor in the hub's cache, and the environment says to stay "
            "offline (HF_HUB_OFFLINE)",
            unreachable_hint(name),
        )
    return path


def missing_library(*names: str, hint: str = MISSING_HINT) -> ModelUnreachable | None:
    """Return what is wrong where one of ``names``, or of what every model here needs, is not installed."""
    for name in names or ("torch", "transformers"):
        if find_spec(name) is None:
            return ModelUnreachable(f"this needs {name}, which is not installed", hint)
    return None


def _find_library(name: str, hint: str) -> None:
    if missing := missing_library(name, hint=hint):
        raise missing


def _ask_hub(name: str) -> None:
    """Ask whether the hub has a model.

    Raises:
        ModelError: and `ModelUnreachable`.
    """
    with hub_errors(name):
        from huggingface_hub import HfApi

        HfApi().model_info(name, timeout=CHECK_SECONDS)
