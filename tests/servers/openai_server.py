"""The OpenAI protocol on the loopback interface, as vLLM and llama-server speak it; scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.http import LoopbackServer, Reply, Seen

Step = dict[str, Any]

SAFE: list[Step] = [{"content": "SAFE"}, {"finish": "stop"}, {"usage": [600, 10]}, {"done": True}]


@dataclass
class Script:
    """What to do with every chat and every raw completion.

    Steps: ``{"content": text, "logprobs": [[token, logprob, {other: logprob}]]}``, ``{"reasoning": text}``,
    ``{"reasoning_content": text}``, ``{"finish": reason}``, ``{"usage": [prompt, completion]}``,
    ``{"done": True}`` for ``[DONE]``, ``{"error": object}``, ``{"raw": bytes}``, ``{"stall": True}``,
    ``{"close": True}``. ``status`` other than 200 sends ``body`` and nothing else. ``legacy``: a completion
    has OpenAI's old lists of log-probabilities, as vLLM sends them; llama-server sends those of a chat.
    """

    steps: list[Step] = field(default_factory=lambda: list(SAFE))
    status: int = 200
    body: bytes = b""
    legacy: bool = True


class OpenAIServer(LoopbackServer):
    """Answers every chat and completion with ``script``; only with ``key``, where one is given."""

    def __init__(self, script: Script | None = None, *, name: str = "guard", key: str = "") -> None:
        super().__init__()
        self.script = script or Script()
        self._name = name
        self._key = key

    @property
    def spec(self) -> str:
        return f"openai:{self.url}/v1#{self._name}"

    async def respond(self, seen: Seen, reply: Reply) -> None:
        if self._key and seen.headers.get("authorization") != f"Bearer {self._key}":
            said = (
                f"Incorrect API key provided: {seen.headers.get('authorization', '').removeprefix('Bearer ')}"
            )
            await reply.whole(401, {"error": {"message": said, "type": "invalid_request_error"}})
            return
        match seen.path:
            case "/v1/models":
                await reply.whole(200, {"object": "list", "data": [{"id": self._name, "object": "model"}]})
            case "/v1/chat/completions":
                await self._play(self._said, reply)
            case "/v1/completions":
                await self._play(self._continued, reply)
            case _:
                await reply.whole(404, {"detail": "Not Found"})

    async def _play(self, choice_of: Callable[[Step], dict[str, Any]], reply: Reply) -> None:
        if self.script.status != 200:
            await reply.whole(self.script.status, self.script.body)
            return
        await reply.start("text/event-stream; charset=utf-8")
        for step in self.script.steps:
            if "raw" in step:
                await reply.send(step["raw"])
            elif "stall" in step:
                await asyncio.Event().wait()
            elif "close" in step:
                reply.abort()
                return
            elif "done" in step:
                await reply.send(b"data: [DONE]\n\n")
            else:
                await reply.send(b"data: " + json.dumps(self._part(step, choice_of)).encode() + b"\n\n")
        await reply.end()

    def _part(self, step: Step, choice_of: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
        if "error" in step:
            return {"error": step["error"]}
        part: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion.chunk",
            "model": self._name,
            "choices": [],
        }
        if "usage" in step:
            prompt, completion = step["usage"]
            return part | {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
        choice = {"index": 0, "finish_reason": step.get("finish")} | choice_of(step)
        return part | {"choices": [choice]}

    def _said(self, step: Step) -> dict[str, Any]:
        delta = {key: step[key] for key in ("content", "reasoning", "reasoning_content") if key in step}
        if "logprobs" not in step:
            return {"delta": delta}
        return {"delta": delta, "logprobs": {"content": [_logprob(*entry) for entry in step["logprobs"]]}}

    def _continued(self, step: Step) -> dict[str, Any]:
        choice: dict[str, Any] = {"text": step.get("content", ""), "logprobs": None}
        if "logprobs" in step and self.script.legacy:
            tokens, values, tops = zip(*step["logprobs"], strict=True)
            choice["logprobs"] = {
                "text_offset": [0] * len(tokens),
                "tokens": tokens,
                "token_logprobs": values,
                "top_logprobs": tops,
            }
        elif "logprobs" in step:
            choice["logprobs"] = {"content": [_logprob(*entry) for entry in step["logprobs"]]}
        return choice


def _logprob(token: str, logprob: float, top: dict[str, float]) -> dict[str, Any]:
    others = [{"token": other, "logprob": value} for other, value in top.items()]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": others}
