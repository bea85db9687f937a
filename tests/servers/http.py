"""A small HTTP/1.1 server that streams, misbehaves on demand and notices when its client leaves."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Seen:
    """One request as the server saw it. Times are `time.monotonic` seconds; None: has not happened."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    client_closed: float | None = None

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    def message(self, role: str) -> str:
        """Return the chat message of ``role``."""
        return "".join(m["content"] for m in self.json.get("messages", []) if m["role"] == role)


class Reply:
    """What a server writes: one whole reply, or a chunked one bit by bit."""

    def __init__(self, writer: asyncio.StreamWriter, *, only_head: bool = False) -> None:
        self._writer = writer
        self._only_head = only_head
        self.streaming = False

    async def whole(self, status: int, body: bytes | dict[str, Any] | list[Any], *headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._head(status, "application/json", "\r\n".join([f"Content-Length: {len(data)}", *headers]))
        if not self._only_head:
            self._writer.write(data)
        await self._writer.drain()

    async def start(self, content_type: str) -> None:
        self._head(200, content_type, "Transfer-Encoding: chunked")
        self.streaming = True
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def abort(self) -> None:
        """Close the connection in the middle."""
        self._writer.transport.abort()

    def _head(self, status: int, content_type: str, length: str) -> None:
        self._writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{length}\r\n\r\n".encode()
        )


class LoopbackServer:
    """Serves on 127.0.0.1 at a free port, from a thread and an event loop of its own.

    A context manager. Subclasses answer in `respond`, which is cancelled when the client closes the
    connection.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.requests: list[Seen] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=type(self).__name__, daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def chats(self) -> list[Seen]:
        """The chat requests in the order of their coming: the order of prefixes, too."""
        return [seen for seen in self.requests if "/chat" in seen.path]

    @property
    def completions(self) -> list[Seen]:
        """The requests for raw completions in the order of their coming."""
        return [seen for seen in self.requests if seen.path in ("/api/generate", "/v1/completions")]

    async def respond(self, seen: Seen, reply: Reply) -> None:
        raise NotImplementedError

    async def close_backing(self) -> None:
        """Give back what stands behind the server."""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        assert self._server
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self.close_backing()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; tell whether the connection is good for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, path, headers, body)
        self.requests.append(seen)
        answering = asyncio.create_task(self.respond(seen, Reply(writer, only_head=method == "HEAD")))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                seen.client_closed = time.monotonic()
                return False
            answering.result()
            seen.ended = time.monotonic()
            if leaving.done():
                return False
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        return not writer.transport.is_closing()


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    """Wait until ``condition()`` holds, for at most ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)
