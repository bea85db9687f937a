"""A server whose model goes by words: what it says follows from the policy and the request."""

from __future__ import annotations

import asyncio
import json

from tests.servers.http import LoopbackServer, Reply, Seen


class WordServer(LoopbackServer):
    """Says VIOLATION where the request has a word that the policy forbids ("Forbidden: break").

    It takes ``wait_s`` seconds for each answer. ``asked`` are the texts of system and user, in order.
    """

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__()
        self.wait_s = wait_s
        self.asked: list[tuple[str, str]] = []

    async def respond(self, seen: Seen, reply: Reply) -> None:
        if seen.path == "/v1/models":
            await reply.whole(200, {"object": "list", "data": [{"id": "guard", "object": "model"}]})
            return
        system, user = (message["content"] for message in json.loads(seen.body)["messages"])
        self.asked.append((system, user))
        await asyncio.sleep(self.wait_s)
        words = system.partition("Forbidden: ")[2].split()
        said = "VIOLATION" if any(word in user for word in words) else "SAFE"
        await reply.start("text/event-stream; charset=utf-8")
        for part in (
            {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ):
            await reply.send(b"data: " + json.dumps(part).encode() + b"\n\n")
        await reply.send(b"data: [DONE]\n\n")
        await reply.end()
