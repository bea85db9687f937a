"""``/tokenize`` on the loopback interface as llama-server and vLLM answer it, and as nobody should."""

from __future__ import annotations

import asyncio
import json

from tests.servers.http import LoopbackServer, Reply, Seen


class TokenizeServer(LoopbackServer):
    """Answers ``/tokenize`` with ``status`` and ``body``; without a body, every word is a token.

    Only with ``key``, where one is given; an error quotes the key that was sent.
    """

    def __init__(self, body: object = None, status: int = 200, *, vllm: bool = False, key: str = "") -> None:
        super().__init__()
        self.body = body
        self.status = status
        self.vllm = vllm
        self.key = key

    async def respond(self, seen: Seen, reply: Reply) -> None:
        if seen.path != "/tokenize":
            await reply.whole(404, {"detail": "Not Found"})
        elif self.key and seen.headers.get("authorization") != f"Bearer {self.key}":
            await reply.whole(401, {"error": {"message": f"wrong key {seen.headers.get('authorization')}"}})
        elif self.body is not None:
            body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
            await reply.whole(self.status, body)
        else:
            words = seen.json["prompt" if self.vllm else "content"].split()
            told = {"count": len(words), "max_model_len": 4096} if self.vllm else {}
            await reply.whole(200, told | {"tokens": list(range(len(words)))})


class Endless(TokenizeServer):
    """Begins an answer and never ends it, one byte after the other, or a megabyte."""

    def __init__(self, piece: bytes, pause: float) -> None:
        super().__init__()
        self._piece = piece
        self._pause = pause

    async def respond(self, seen: Seen, reply: Reply) -> None:
        await reply.start("application/json")
        await reply.send(b'{"tokens": [')
        while True:
            await reply.send(self._piece)
            await asyncio.sleep(self._pause)
