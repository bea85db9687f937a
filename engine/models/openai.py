"""Models behind the OpenAI protocol: vLLM, llama-server and the like."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import httpx

from engine.cases import Usage
from engine.models.base import (
    AnswerChunk,
    CannotCount,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    PromptTooLong,
    Reachability,
    ReasoningChunk,
)
from engine.models.streaming import (
    CHECK_SECONDS,
    MAX_LINE_BYTES,
    Fields,
    Patience,
    bounded,
    completion_chunks,
    connection,
    is_loopback,
    is_overflow,
    lines,
    messages,
    paced,
    sendable,
    server_address,
    short,
    token_logprobs,
    usage_of,
    whole,
)
from engine.models.tokenize_endpoint import count_in, tokenize_body, tokenize_url

KEY_VARIABLE = "WIZARD_OPENAI_API_KEY"
MAX_TOP_LOGPROBS = 20
COUNT_SECONDS = 10.0
"""How long a server may take to count the tokens of all texts that it is asked about at once."""

_PASSING = (401, 403, 408, 429)
_FINISHES = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class OpenAIModel:
    """The model ``name`` of a server at ``url``, which ends where ``/chat/completions`` begins.

    The API key comes from `KEY_VARIABLE` alone, and appears in no spec and no error.

    Raises:
        ModelError: for an address that is none, or a key that cannot be sent.
    """

    def __init__(self, url: str, name: str, *, slots: int = 6, patience: Patience | None = None) -> None:
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._client = client(url, self._key)
        self.spec = f"openai:{url}#{name}"
        self.slots = slots
        self._name = name
        self._who = f"the server at {url}"
        self._hint = "start the server, or correct its address"
        self._patience = patience or Patience()
        self._cannot_count = ""

    def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        stream = self._stream("chat/completions", self._chat_body(request), _chunks)
        return paced(bounded(stream, request.max_tokens, self._who), self._patience, self._who)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        stream = self._stream("completions", self._completion_body(request), completion_chunks)
        return paced(bounded(stream, request.max_tokens, self._who), self._patience, self._who)

    async def _stream(
        self, path: str, body: dict[str, Any], chunks_of: Callable[[Fields], list[Chunk]]
    ) -> AsyncGenerator[Chunk, None]:
        with connection(self._who, self._hint):
            async with self._client.stream("POST", path, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._refusal(response.status_code, await whole(response, self._who))
                finish: FinishReason | None = None
                usage = Usage()
                async with aclosing(events(response, self._who)) as received:
                    async for data in received:
                        if data == "[DONE]":
                            break
                        part = Fields.parse(data, self._who)
                        if "error" in part:
                            raise self._failure(_words(part))
                        for choice in part.inners("choices"):
                            for chunk in chunks_of(choice):
                                yield chunk
                            if reason := choice.text("finish_reason"):
                                finish = self._finish(reason)
                        if "usage" in part:
                            usage = usage_of(part.inner("usage"))
        if finish is None:
            raise ModelError(f"{self._who} cut the answer off")
        yield FinishChunk(finish, usage)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Ask the server's ``/tokenize``, which llama-server and vLLM have; others are asked once."""
        limit = min(COUNT_SECONDS, self._patience.first_s)
        try:
            async with asyncio.timeout(limit):
                return [await self._tokens(text) if text else 0 for text in texts]
        except TimeoutError:
            raise ModelTimeout(f"{self._who} did not count the tokens within {limit:g} seconds") from None

    async def _tokens(self, text: str) -> int:
        if self._cannot_count:
            raise self._counts_nothing(self._cannot_count)
        url, body = tokenize_url(self._client.base_url), tokenize_body(self._name, text)
        with connection(self._who, self._hint):
            async with self._client.stream("POST", url, json=body) as response:
                status = response.status_code
                try:
                    said = await whole(response, "it")
                    if status == httpx.codes.OK:
                        return count_in(said, text)
                except ModelError as error:
                    raise self._counts_nothing(str(error)) from None
        refusal = self._refusal(status, said)
        unreachable = isinstance(refusal, ModelUnreachable) and status != httpx.codes.NOT_IMPLEMENTED
        if unreachable or status in _PASSING or isinstance(refusal, PromptTooLong):
            raise refusal
        raise self._counts_nothing(f"it answered with HTTP {status}")

    def _counts_nothing(self, why: str) -> CannotCount:
        self._cannot_count = self._clean(why)
        hint = "llama-server and vLLM can, at the address that this one was asked at"
        return CannotCount(f"{self._who} cannot count tokens: {self._cannot_count}", hint)

    def _body(self, request: ChatRequest | CompletionRequest) -> dict[str, Any]:
        return {
            "model": self._name,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }

    def _chat_body(self, request: ChatRequest) -> dict[str, Any]:
        body = self._body(request) | {"messages": messages(request)}
        if "gpt-oss" in self._name.casefold():
            body["reasoning_effort"] = request.effort.value
        if request.top_logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = min(request.top_logprobs, MAX_TOP_LOGPROBS)
        return body

    def _completion_body(self, request: CompletionRequest) -> dict[str, Any]:
        body = self._body(request) | {"prompt": sendable(request.prompt), "top_p": request.top_p}
        if request.top_logprobs:
            body["logprobs"] = min(request.top_logprobs, MAX_TOP_LOGPROBS)
        return body

    def _finish(self, reason: str) -> FinishReason:
        if reason not in _FINISHES:
            raise ModelError(f"{self._who} ended the answer for another reason: {short(reason)}")
        return _FINISHES[reason]

    def _refusal(self, status: int, body: str) -> ModelError:
        try:
            said = _words(Fields.parse(body, self._who))
        except ModelError:
            said = body
        if is_overflow(said):
            return self._failure(said)
        said = self._clean(said)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return ModelUnreachable(f"{self._who} failed with HTTP {status}: {said}", self._hint)
        hint = f"set {KEY_VARIABLE}" if status in (401, 403) else ""
        return ModelError(f"{self._who} refused with HTTP {status}: {said}", hint)

    def _failure(self, said: str) -> ModelError:
        said = self._clean(said)
        if is_overflow(said):
            return PromptTooLong(
                f"the prompt does not fit the context of {self._name}: {said}",
                "shorten the text, or start the server with a larger context",
            )
        return ModelError(f"{self._who}: {said}")

    def _clean(self, said: str) -> str:
        """Servers quote the key they refuse."""
        return short(said.replace(self._key, "…") if self._key else said) or "nothing"

    async def check(self) -> Reachability:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                names = await served(self._client, self._who, self._hint)
        except TimeoutError:
            return Reachability(False, f"{self._who} does not answer", self._hint)
        except ModelError as error:
            return Reachability(False, self._clean(str(error)), error.hint)
        if self._name not in names:
            return Reachability(
                False, f"{self._who} has no model {self._name!r}", "it has " + ", ".join(names)
            )
        return Reachability(True, self._who)

    async def aclose(self) -> None:
        await self._client.aclose()


def client(url: str, key: str) -> httpx.AsyncClient:
    """Return a client for the server at ``url`` that sends ``key``, if there is one.

    Raises:
        ModelError: where ``url`` is no address, or the key cannot be sent, which its own error would show.
    """
    address = server_address(url)
    if not (key.isascii() and key.isprintable()):
        hint = f"correct {KEY_VARIABLE}"
        raise ModelError(f"{KEY_VARIABLE} holds more than one line, or signs that no key has", hint)
    headers = {"Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return httpx.AsyncClient(
        base_url=address,
        headers=headers,
        timeout=httpx.Timeout(None, connect=5.0),
        trust_env=not is_loopback(address),
    )


async def served(http: httpx.AsyncClient, who: str, hint: str) -> list[str]:
    """Return the names of the models that a server offers.

    Raises:
        ModelError: and `ModelUnreachable`, for everything that may go wrong.
    """
    with connection(who, hint):
        async with http.stream("GET", "models") as response:
            body = await whole(response, who)
    if response.status_code != httpx.codes.OK:
        raise ModelError(f"{who} refused to list its models with HTTP {response.status_code}", hint)
    return [entry.text("id") for entry in Fields.parse(body, who).inners("data")]


async def events(response: httpx.Response, who: str) -> AsyncGenerator[str, None]:
    """Yield the data of each server-sent event; comments and other fields carry nothing here.

    Raises:
        ModelError: on an event of more than `MAX_LINE_BYTES`, and as `lines` does.
    """
    data: list[str] = []
    room = MAX_LINE_BYTES
    async with aclosing(lines(response, who)) as received:
        async for line in received:
            if not line:
                if data:
                    yield "\n".join(data)
                data, room = [], MAX_LINE_BYTES
            elif line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
                room -= len(line)
                if room < 0:
                    raise ModelError(f"{who} sent an event of more than {MAX_LINE_BYTES} bytes")
    if data:
        yield "\n".join(data)


def _words(part: Fields) -> str:
    """Return the message of an error reply in any of the usual forms."""
    error = part.raw("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    for value in (error, part.raw("message"), part.raw("detail")):
        if isinstance(value, str) and value:
            return value
    return str(error)


def _chunks(choice: Fields) -> list[Chunk]:
    delta = choice.inner("delta")
    chunks: list[Chunk] = []
    if reasoning := delta.text("reasoning_content") or delta.text("reasoning"):
        chunks.append(ReasoningChunk(reasoning))
    if content := delta.text("content"):
        logprobs = choice.inner("logprobs").inners("content")
        chunks.append(AnswerChunk(content, () if reasoning else token_logprobs(logprobs)))
    return chunks
