"""Ollama's protocol on the loopback interface: scripted, or with a real model behind it.

    python -m tests.servers.ollama_server --gguf FILE --port 0

prints its address and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    CompletionRequest,
    FinishChunk,
    Model,
    ModelError,
    PromptTooLong,
    ReasoningChunk,
)
from tests.servers.http import LoopbackServer, Reply, Seen

Step = dict[str, Any]
Line = Callable[..., bytes]

SAFE: list[Step] = [{"content": "SAFE"}, {"done": "stop"}]


@dataclass
class Script:
    """What to do with chats whose system or user text contains ``match``, and with such raw prompts.

    Steps: ``{"content": text, "logprobs": [[token, logprob, {other: logprob}]]}``, ``{"thinking": text}``
    (both keys together make one chunk), ``{"wait_ms": n}``, ``{"stall": True}`` (for ever),
    ``{"raw": bytes}``, ``{"error": text}`` (a line under HTTP 200), ``{"close": True}`` (in mid-stream),
    ``{"end": True}`` (the stream ends without ``done``), ``{"done": reason, ...counts}``.
    ``status`` other than 200 sends ``error`` and nothing else. ``delay_ms`` comes before every text.
    """

    match: str = ""
    steps: list[Step] = field(default_factory=lambda: list(SAFE))
    status: int = 200
    error: str = ""
    delay_ms: float = 0.0


class OllamaServer(LoopbackServer):
    """A loopback Ollama.

    The first of ``scripts`` that matches answers; the list may be changed at any time. With ``model``
    the real model answers whatever no script matches. ``parallel`` is OLLAMA_NUM_PARALLEL: further
    chats wait.
    """

    def __init__(
        self,
        *scripts: Script,
        model: Model | None = None,
        name: str = "gpt-oss-safeguard:20b",
        parallel: int = 1,
        capabilities: tuple[str, ...] = ("completion", "thinking"),
        family: str = "gptoss",
        context_length: int = 131072,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.scripts = list(scripts)
        self.name = name
        self._model = model
        self._parallel = asyncio.Semaphore(parallel)
        self._capabilities = capabilities
        self._family = family
        self._context_length = context_length

    async def close_backing(self) -> None:
        if self._model:
            await self._model.aclose()

    async def respond(self, seen: Seen, reply: Reply) -> None:
        match seen.path:
            case "/api/version":
                await reply.whole(200, {"version": "0.33.3"})
            case "/api/tags":
                await reply.whole(200, {"models": [self._listed()]})
            case "/api/show" if seen.json.get("model") == self.name:
                await reply.whole(200, self._shown())
            case "/api/chat" | "/api/generate" if seen.json.get("model") == self.name:
                async with self._parallel:
                    await self.answer(seen, reply)
            case "/api/show" | "/api/chat" | "/api/generate":
                await reply.whole(404, {"error": f"model '{seen.json.get('model')}' not found"})
            case _:
                await reply.whole(404, b"404 page not found")

    def _listed(self) -> dict[str, Any]:
        details = {"family": self._family, "parameter_size": "20.9B", "quantization_level": "MXFP4"}
        return {"name": self.name, "model": self.name, "size": 13_793_441_244, "details": details}

    def _shown(self) -> dict[str, Any]:
        return {
            "details": {"family": self._family, "format": "gguf"},
            "model_info": {f"{self._family}.context_length": self._context_length},
            "capabilities": list(self._capabilities),
        }

    async def answer(self, seen: Seen, reply: Reply) -> None:
        texts = (seen.message("system"), seen.message("user"), seen.json.get("prompt", ""))
        line = self._generated if seen.path == "/api/generate" else self.said
        for script in self.scripts:
            if any(script.match in text for text in texts):
                await self._play(script, line, reply)
                return
        if self._model:
            await self._generate(self._model, seen, line, reply)
        else:
            await self._play(Script(), line, reply)

    async def _play(self, script: Script, line: Line, reply: Reply) -> None:
        if script.status != 200:
            await reply.whole(script.status, {"error": script.error})
            return
        await reply.start("application/x-ndjson")
        for step in script.steps:
            if "wait_ms" in step:
                await asyncio.sleep(step["wait_ms"] / 1000)
            elif "stall" in step:
                await asyncio.Event().wait()
            elif "raw" in step:
                await reply.send(step["raw"])
            elif "error" in step:
                await reply.send(json.dumps({"error": step["error"]}).encode() + b"\n")
            elif "close" in step:
                reply.abort()
                return
            elif "end" in step:
                break
            elif "done" in step:
                counts = {key: value for key, value in step.items() if key != "done"}
                await reply.send(line(done=True, done_reason=step["done"], **(_COUNTS | counts)))
            else:
                await asyncio.sleep(script.delay_ms / 1000)
                logprobs = [_logprob(*entry) for entry in step.get("logprobs", ())]
                await reply.send(
                    line(step.get("content", ""), step.get("thinking", ""), logprobs=logprobs or None)
                )
        await reply.end()

    async def _generate(self, model: Model, seen: Seen, line: Line, reply: Reply) -> None:
        body = seen.json
        options = body.get("options", {})
        asked: dict[str, Any] = {
            "max_tokens": options.get("num_predict", 128),
            "temperature": options.get("temperature", 0.8),
            "seed": options.get("seed", 0),
            "top_logprobs": body.get("top_logprobs", 0) if body.get("logprobs") else 0,
        }
        stream: Any
        if seen.path == "/api/generate":
            top_p = options.get("top_p", 0.9)
            stream = model.complete(CompletionRequest(prefix="", rest=body["prompt"], top_p=top_p, **asked))
        else:
            stream = model.chat(
                ChatRequest(system=seen.message("system"), user=seen.message("user"), **asked)
            )
        started = False
        try:
            async with aclosing(stream) as chunks:
                async for chunk in chunks:
                    if not started:
                        await reply.start("application/x-ndjson")
                        started = True
                    await reply.send(self._of(chunk, line))
        except PromptTooLong as error:
            await reply.whole(400, {"error": f"the input length exceeds the context length: {error}"})
        except ModelError as error:
            if started:
                await reply.send(json.dumps({"error": str(error)}).encode() + b"\n")
                await reply.end()
            else:
                await reply.whole(500, {"error": str(error)})
        else:
            await reply.end()

    def _of(self, chunk: ReasoningChunk | AnswerChunk | FinishChunk, line: Line) -> bytes:
        match chunk:
            case ReasoningChunk(text):
                return line(thinking=text)
            case AnswerChunk(text, entries):
                logprobs = [_logprob(entry.token, entry.logprob, dict(entry.top)) for entry in entries]
                return line(text, logprobs=logprobs or None)
            case FinishChunk(reason, usage):
                counts = {"prompt_eval_count": usage.prompt_tokens, "eval_count": usage.completion_tokens}
                return line(done=True, done_reason=reason.value, **(_COUNTS | counts))

    def said(self, content: str = "", thinking: str = "", **more: Any) -> bytes:
        """Return a line of a chat."""
        message = {"role": "assistant", "content": content}
        if thinking:
            message["thinking"] = thinking
        return self._line(message=message, **more)

    def _generated(self, content: str = "", thinking: str = "", **more: Any) -> bytes:
        """Return a line of a raw completion."""
        return self._line(response=content, thinking=thinking or None, **more)

    def _line(self, *, done: bool = False, **more: Any) -> bytes:
        line = {"model": self.name, "created_at": "2026-11-23T20:00:00Z", "done": done}
        line |= {key: value for key, value in more.items() if value is not None}
        return json.dumps(line).encode() + b"\n"


_COUNTS = {
    "total_duration": 900_000_000,
    "load_duration": 50_000_000,
    "prompt_eval_count": 600,
    "prompt_eval_duration": 600_000_000,
    "eval_count": 10,
    "eval_duration": 250_000_000,
}


def _logprob(token: str, logprob: float, top: dict[str, float] | None = None) -> dict[str, Any]:
    others = [
        {"token": other, "logprob": value, "bytes": list(other.encode())}
        for other, value in (top or {}).items()
    ]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": others}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve Ollama's protocol, with SmolLM2 or a script behind it."
    )
    parser.add_argument("--gguf", type=Path, help="model file; without one every answer is SAFE")
    parser.add_argument("--name", default="smollm2", help="name under which it is served")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1, help="OLLAMA_NUM_PARALLEL")
    arguments = parser.parse_args()
    model: Model | None = None
    if arguments.gguf:
        from engine.models.gguf import GgufModel

        model = GgufModel(arguments.gguf, slots=6)
    options: dict[str, Any] = {"capabilities": ("completion",), "family": "llama"} if model else {}
    server = OllamaServer(
        model=model, name=arguments.name, parallel=arguments.parallel, port=arguments.port, **options
    )
    with server:
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
