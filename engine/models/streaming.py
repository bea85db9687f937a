"""What every streaming back end shares: patience, framing of lines, and reading of untrusted JSON.

A back end talks to something that may stall, lie or break. Here its ways to fail become `ModelError`s,
once: nothing of asyncio, httpx or json leaks to a guard.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar, cast

import httpx

from engine.cases import Usage
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    ReasoningChunk,
    TokenLogprob,
)

T = TypeVar("T")

CHECK_SECONDS = 2.0
"""How long a `Model.check` may take."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""The longest line, event or body that is taken from a server: a token with its alternatives needs some
kilobytes."""

MAX_COUNT = (1 << 53) - 1
"""The largest count that is taken from a server: no JSON number above it is exact everywhere."""

CHARS_PER_TOKEN = 128
"""How much room a token has in an answer. Most have 4 characters."""

SPARE_CHARS = 64 * 1024
"""Room besides: some servers do not count what a model thinks."""

CHUNK_CHARS = 16
"""What a chunk takes of the room besides its text, so that tiny ones end, too."""

MAX_MESSAGE_CHARS = 500
"""How much of a server's own words goes into an error."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silent back end is waited for, in seconds.

    ``first_s`` until the first chunk (the model may have to be loaded and the prompt read), ``next_s``
    between two chunks.
    """

    first_s: float = 300.0
    next_s: float = 60.0


async def paced(source: AsyncGenerator[T, None], patience: Patience, who: str) -> AsyncGenerator[T, None]:
    """Yield what ``source`` yields, and close it when closed.

    Raises:
        ModelTimeout: when ``source`` is silent for longer than ``patience`` allows.
    """
    limit = patience.first_s
    async with aclosing(source):
        while True:
            try:
                async with asyncio.timeout(limit):
                    item = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ModelTimeout(
                    f"{who} sent nothing for {limit:g} seconds",
                    "The model may be too large for this machine, or the server may be stuck.",
                ) from None
            yield item
            limit = patience.next_s


async def bounded(
    source: AsyncGenerator[Chunk, None], max_tokens: int, who: str
) -> AsyncGenerator[Chunk, None]:
    """Yield what ``source`` yields, and close it when closed.

    Raises:
        ModelError: when that is far more than ``max_tokens`` can be: a server that ignores the limit may
            never end.
    """
    room = SPARE_CHARS + CHARS_PER_TOKEN * max_tokens
    async with aclosing(source):
        async for chunk in source:
            yield chunk
            room -= CHUNK_CHARS
            if isinstance(chunk, AnswerChunk | ReasoningChunk):
                room -= len(chunk.text)
            if room < 0:
                raise ModelError(f"{who} went on writing after the {max_tokens} tokens that it was asked for")


async def lines(response: httpx.Response, who: str) -> AsyncGenerator[str, None]:
    r"""Yield the lines of a response body, without their line ends.

    Only ``\n`` and ``\r\n`` end a line: models write U+2028 and U+0085, which `str.splitlines` cuts at.

    Raises:
        ModelError: on a line longer than `MAX_LINE_BYTES`, or on bytes that are not UTF-8.
    """
    held = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_raw())) as blocks:
        async for block in blocks:
            searched = len(held)
            held += block
            while (end := held.find(b"\n", searched)) >= 0:
                yield _text(bytes(held[:end]), who)
                del held[: end + 1]
                searched = 0
            if len(held) > MAX_LINE_BYTES:
                raise ModelError(f"{who} sent a line of more than {MAX_LINE_BYTES} bytes")
    if held:
        yield _text(bytes(held), who)


async def whole(response: httpx.Response, who: str) -> str:
    """Return a body that is short.

    Raises:
        ModelError: on one of more than `MAX_LINE_BYTES`, or on bytes that are not UTF-8.
    """
    body: list[str] = []
    room = MAX_LINE_BYTES
    async with aclosing(lines(response, who)) as received:
        async for line in received:
            room -= len(line) + 1
            if room < 0:
                raise ModelError(f"{who} sent a reply of more than {MAX_LINE_BYTES} bytes")
            body.append(line)
    return "\n".join(body)


def _text(line: bytes, who: str) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise ModelError(f"{who} sent bytes that are not UTF-8") from None


class Fields:
    """A JSON object from outside, read with the types that its reader expects.

    Raises:
        ModelError: from every method that meets a value of another type.
    """

    def __init__(self, value: object, who: str) -> None:
        if not isinstance(value, dict):
            raise ModelError(f"{who} sent {_excerpt(value)} where an object belongs")
        self._value: dict[str, Any] = value
        self.who = who

    @classmethod
    def parse(cls, text: str | bytes, who: str) -> Fields:
        """Read one JSON object. Infinity and NaN are not JSON."""
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise ModelError(f"{who} sent something that is not JSON: {_excerpt(text)}") from None
        return cls(value, who)

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def raw(self, name: str) -> object:
        """Return the value as it is, None where there is none."""
        return self._value.get(name)

    def text(self, name: str) -> str:
        """Return a string, "" where there is none."""
        value = self._value.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        return value

    def flag(self, name: str) -> bool:
        value = self._value.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def count(self, name: str) -> int:
        """Return a whole number from 0 to `MAX_COUNT`, 0 where there is none."""
        value = self._value.get(name)
        return 0 if value is None else self._counted(name, value)

    def counts(self, name: str) -> list[int]:
        """Return the list of whole numbers from 0 to `MAX_COUNT` below ``name``, none where none is."""
        return [self._counted(name, item) for item in self._list(name)]

    def _counted(self, name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
            raise self._wrong(name, "a count", value)
        return value

    def number(self, name: str) -> float:
        """Return a finite number, which must be there."""
        return self._finite(name, self._value.get(name))

    def numbers(self, name: str) -> list[float]:
        """Return the list of finite numbers below ``name``, an empty one where there is none."""
        return [self._finite(name, item) for item in self._list(name)]

    def _finite(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(name, "a finite number", value)
        return number

    def inner(self, name: str) -> Fields:
        """Return the object below ``name``, an empty one where there is none."""
        return Fields(self._value.get(name) or {}, self.who)

    def inners(self, name: str) -> list[Fields]:
        """Return the list of objects below ``name``, an empty one where there is none."""
        return [Fields(item, self.who) for item in self._list(name)]

    def _list(self, name: str) -> list[object]:
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return value

    def texts(self, name: str) -> list[str]:
        """Return the list of strings below ``name``, an empty one where there is none."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts", value)
        return list(value)

    def _wrong(self, name: str, expected: str, value: object) -> ModelError:
        return ModelError(f"{self.who} sent {_excerpt(value)} as {name!r} where {expected} belongs")


def token_logprobs(entries: list[Fields]) -> tuple[TokenLogprob, ...]:
    """Read log-probabilities in the form that OpenAI, Ollama and llama.cpp share."""
    return tuple(
        TokenLogprob(
            entry.text("token"),
            entry.number("logprob"),
            tuple((other.text("token"), other.number("logprob")) for other in entry.inners("top_logprobs")),
        )
        for entry in entries
    )


def legacy_logprobs(logprobs: Fields) -> tuple[TokenLogprob, ...]:
    """Read the log-probabilities of a completion: OpenAI's old lists side by side, or those of a chat."""
    if "content" in logprobs:
        return token_logprobs(logprobs.inners("content"))
    tokens, values = logprobs.texts("tokens"), logprobs.numbers("token_logprobs")
    tops = logprobs.inners("top_logprobs") or [Fields({}, logprobs.who)] * len(tokens)
    if not len(tokens) == len(values) == len(tops):
        raise ModelError(f"{logprobs.who} sent log-probabilities that do not belong to its tokens")
    return tuple(
        TokenLogprob(token, value, tuple((other, top.number(other)) for other in top))
        for token, value, top in zip(tokens, values, tops, strict=True)
    )


def completion_chunks(choice: Fields) -> list[Chunk]:
    """Read a piece of a raw completion in the form that OpenAI, vLLM and llama.cpp share."""
    text = choice.text("text")
    return [AnswerChunk(text, legacy_logprobs(choice.inner("logprobs")))] if text else []


def usage_of(counts: Fields) -> Usage:
    """Read token counts in the form that OpenAI, vLLM and llama.cpp share."""
    return Usage(
        counts.count("prompt_tokens"),
        counts.count("completion_tokens"),
        counts.inner("prompt_tokens_details").count("cached_tokens"),
    )


def messages(request: ChatRequest) -> list[dict[str, str]]:
    """Return the messages of a chat, in the form that all back ends share."""
    said = [("system", request.system)] if request.system else []
    return [{"role": role, "content": sendable(text)} for role, text in [*said, ("user", request.user)]]


def sendable(text: str) -> str:
    """Replace lone surrogates, which are no Unicode text and cannot be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def short(text: str) -> str:
    """Return a server's words, short enough for a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_MESSAGE_CHARS else flat[: MAX_MESSAGE_CHARS - 1] + "…"


def is_overflow(message: str) -> bool:
    """Tell whether a server's words say that the prompt does not fit the context.

    Wordings of Ollama, llama.cpp, vLLM and OpenAI; there is no common code for it.
    """
    low = message.casefold()
    about_context = any(word in low for word in ("context", "prompt", "input length", "maximum model length"))
    too_much = any(
        word in low for word in ("exceed", "too long", "longer than", "larger than", "maximum context length")
    )
    return about_context and too_much


def server_address(url: str) -> httpx.URL:
    """Return ``url`` parsed.

    Raises:
        ModelError: where it is no HTTP address, or holds a password, which would be shown everywhere.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise ModelError(f"{short(url)} is no address") from None
    if parsed.userinfo:
        raise ModelError("an address must not hold a user name or a password")
    if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 1) > 65535:
        raise ModelError(f"{short(url)} is no address")
    return parsed


def is_loopback(url: httpx.URL) -> bool:
    """Tell whether ``url`` names this machine: then no proxy of the environment lies between."""
    host = url.host
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def connection(who: str, hint: str) -> Iterator[None]:
    """Turn what an HTTP exchange can raise into `ModelError`s.

    Raises:
        ModelUnreachable: where no connection came about, with ``hint``.
        ModelError: where a connection broke.
    """
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
        raise ModelUnreachable(f"{who} cannot be reached ({_reason(error)})", hint) from error
    except ConnectionError as error:
        raise ModelUnreachable(f"{who} cannot be reached", hint) from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
        raise ModelError(f"the connection to {who} broke off ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return short(str(error)) or type(error).__name__


def _excerpt(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    flat = " ".join(text[:200].split())
    return repr(flat if len(flat) <= 80 else flat[:79] + "…")


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
