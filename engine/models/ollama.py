"""Models of an Ollama server, spoken to through Ollama's own client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import ollama

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
    TokenLogprob,
)
from engine.models.streaming import (
    CHECK_SECONDS,
    Fields,
    Patience,
    bounded,
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
    whole,
)

NOT_RUNNING_HINT = "start it with `ollama serve`, or set OLLAMA_HOST to where it runs"
MAX_TOP_LOGPROBS = 20


class Refused(Exception):
    """The server answered with an error status, and ``said`` why."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class OllamaClient(ollama.AsyncClient):
    """Ollama's client (host from OLLAMA_HOST, its headers), plus ways to ask that it does not offer.

    Its own methods cannot send ``truncate`` and ``shift``, without which a server silently drops what
    does not fit, cut the stream at every U+0085 that a model writes, and keep a reply of any length.
    """

    def __init__(self, host: str | None = None) -> None:
        try:
            super().__init__(host, follow_redirects=False, timeout=httpx.Timeout(None, connect=5.0))
        except (ValueError, httpx.InvalidURL) as error:
            raise ModelError(f"OLLAMA_HOST is no address: {error}", "correct OLLAMA_HOST") from None
        if is_loopback(server_address(self.url)):
            self._client = httpx.AsyncClient(
                base_url=self._client.base_url,
                headers=self._client.headers,
                timeout=self._client.timeout,
                trust_env=False,
            )

    @property
    def url(self) -> str:
        return str(self._client.base_url)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def stream(self, path: str, body: dict[str, Any], who: str) -> AsyncGenerator[str, None]:
        """Send one streaming request and yield the lines of the reply, once the server accepts it.

        Raises:
            Refused: where it does not.
        """
        headers = {"Accept-Encoding": "identity"}
        async with self._client.stream("POST", path, json=body, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise Refused(response.status_code, _words(await whole(response, who)))
            async with aclosing(lines(response, who)) as received:
                async for line in received:
                    yield line

    async def ask(self, method: str, path: str, who: str, body: dict[str, Any] | None = None) -> Fields:
        """Send one request and return the reply, which is short.

        Raises:
            Refused: where the server does not accept it.
        """
        headers = {"Accept-Encoding": "identity"}
        async with self._client.stream(method, path, json=body, headers=headers) as response:
            said = await whole(response, who)
        if response.status_code != httpx.codes.OK:
            raise Refused(response.status_code, _words(said))
        return Fields.parse(said, who)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the server says about a model. ``context`` is in tokens, 0 where unknown."""

    thinks: bool
    levels: bool
    context: int


class OllamaModel:
    """A chat model behind an Ollama server.

    ``num_ctx`` is the context in tokens, the same in every request, so that the server need not load the
    model again. ``slots`` should be the server's ``OLLAMA_NUM_PARALLEL``. ``keep_alive`` is how long
    the server keeps the model after a request.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str | None = None,
        num_ctx: int = 8192,
        slots: int = 1,
        keep_alive: str = "15m",
        patience: Patience | None = None,
    ) -> None:
        self.spec = f"ollama:{name}"
        self.slots = slots
        self._name = name
        self._num_ctx = num_ctx
        self._keep_alive = keep_alive
        self._patience = patience or Patience()
        self._facts: _Facts | None = None
        self._client = OllamaClient(host)
        self._who = f"Ollama at {self._client.url}"

    def chat(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Stream the answer of ``/api/chat``.

        Raises:
            PromptTooLong: also when only the token count at the end betrays that an old server cut the
                prompt; then it comes instead of the `FinishChunk`.
            ModelError: and its other subclasses, as the contract says.
        """
        stream = bounded(self._stream(request), request.max_tokens, self._who)
        return paced(stream, self._patience, self._who)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Stream the continuation that ``/api/generate`` gives, past the model's template."""
        stream = bounded(self._stream(request), request.max_tokens, self._who)
        return paced(stream, self._patience, self._who)

    async def _stream(self, request: ChatRequest | CompletionRequest) -> AsyncGenerator[Chunk, None]:
        with connection(self._who, NOT_RUNNING_HINT):
            try:
                facts = await self._learn()
                if isinstance(request, ChatRequest):
                    path, body = "/api/chat", self._chat_body(request, facts)
                else:
                    path, body = "/api/generate", self._completion_body(request)
                async with aclosing(self._client.stream(path, body, self._who)) as received:
                    async for line in received:
                        if not line.strip():
                            continue
                        part = Fields.parse(line, self._who)
                        if "error" in part:
                            raise self._failure(part.text("error"))
                        for chunk in _chunks(part):
                            yield chunk
                        if part.flag("done"):
                            yield self._finish(part, request, facts)
                            return
            except Refused as error:
                raise self._refusal(error) from error
        raise ModelError(f"{self._who} cut the answer off")

    async def _learn(self) -> _Facts:
        """Ask once what the model can do."""
        if self._facts is None:
            shown = await self._client.ask("POST", "/api/show", self._who, {"model": self._name})
            family = shown.inner("details").text("family")
            info = shown.inner("model_info")
            context = next((info.raw(name) for name in info if name.endswith(".context_length")), 0)
            self._facts = _Facts(
                thinks="thinking" in shown.texts("capabilities"),
                levels="gpt-oss" in self._name.casefold() or family == "gptoss",
                context=context if isinstance(context, int) else 0,
            )
        return self._facts

    def _body(self, request: ChatRequest | CompletionRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._name,
            "stream": True,
            "truncate": False,
            "shift": False,
            "keep_alive": self._keep_alive,
            "options": {
                "num_ctx": self._num_ctx,
                "num_predict": request.max_tokens,
                "temperature": request.temperature,
                "seed": request.seed,
            },
        }
        if request.top_logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = min(request.top_logprobs, MAX_TOP_LOGPROBS)
        return body

    def _chat_body(self, request: ChatRequest, facts: _Facts) -> dict[str, Any]:
        body = self._body(request) | {"messages": messages(request)}
        if facts.levels:
            body["think"] = request.effort.value
        elif facts.thinks:
            body["think"] = True
        return body

    def _completion_body(self, request: CompletionRequest) -> dict[str, Any]:
        """Sample from the distribution as asked, without the cuts and penalties that Ollama adds."""
        body = self._body(request) | {"prompt": sendable(request.prompt), "raw": True}
        body["options"] |= {"top_p": request.top_p, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
        return body

    def _finish(self, part: Fields, request: ChatRequest | CompletionRequest, facts: _Facts) -> FinishChunk:
        usage = Usage(part.count("prompt_eval_count"), part.count("eval_count"))
        context = min(self._num_ctx, facts.context or self._num_ctx)
        if was_cut(request, usage, context):
            raise self._too_long(f"it read {usage.prompt_tokens} tokens of a longer prompt")
        reason = FinishReason.LENGTH if part.text("done_reason") == "length" else FinishReason.STOP
        return FinishChunk(reason, usage)

    def _refusal(self, error: Refused) -> ModelError:
        said = short(error.said) or "nothing"
        if error.status == httpx.codes.NOT_FOUND:
            return ModelError(
                f"{self._who} has no model {self._name!r}", f"fetch it with `ollama pull {self._name}`"
            )
        if is_overflow(said):
            return self._too_long(said)
        if error.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return ModelUnreachable(f"{self._who} failed with HTTP {error.status}: {said}")
        return ModelError(f"{self._who} refused with HTTP {error.status}: {said}")

    def _failure(self, said: str) -> ModelError:
        return self._too_long(short(said)) if is_overflow(said) else ModelError(f"{self._who}: {short(said)}")

    def _too_long(self, why: str) -> PromptTooLong:
        return PromptTooLong(
            f"the prompt does not fit the context of {self._name} ({self._num_ctx} tokens): {why}",
            "shorten the text, or give the model a larger context",
        )

    async def check(self) -> Reachability:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                with connection(self._who, NOT_RUNNING_HINT):
                    try:
                        await self._learn()
                    except Refused as error:
                        raise self._refusal(error) from error
        except TimeoutError:
            return Reachability(False, f"{self._who} does not answer", NOT_RUNNING_HINT)
        except ModelError as error:
            return Reachability(False, str(error), error.hint)
        return Reachability(True, self._who)

    async def aclose(self) -> None:
        await self._client.aclose()


async def installed(client: OllamaClient) -> list[tuple[str, str]]:
    """Return name and size of each model that a server has.

    Raises:
        ModelError: and `ModelUnreachable`, for everything that may go wrong.
    """
    who = f"Ollama at {client.url}"
    with connection(who, NOT_RUNNING_HINT):
        try:
            listed = await client.ask("GET", "/api/tags", who)
        except Refused as error:
            raise ModelError(f"{who} refused to list its models: {short(error.said)}") from error
    return [
        (name, f"{size / 1e9:.1f} GB" if (size := entry.count("size")) else "installed")
        for entry in listed.inners("models")
        if (name := entry.text("model"))
    ]


def was_cut(request: ChatRequest | CompletionRequest, usage: Usage, context: int) -> bool:
    """Tell from the counts whether a server dropped a part of the prompt; ``context`` in tokens.

    Servers older than October 2025 do not know ``truncate`` and ``shift``, and answer as if nothing
    were missing. Of a prompt that is too long they read exactly as much as the context holds, or half
    of that and up to four; while writing they forget the beginning once all is more than the context.
    A prompt with fewer bytes than the context has tokens cannot have been cut. A whole prompt of just
    such a length is taken for a cut one, and its case escalated: that way round is the safe one.
    """
    if usage.prompt_tokens + usage.completion_tokens > context:
        return True
    text = request.system + request.user if isinstance(request, ChatRequest) else request.prompt
    size = len(text.encode("utf-8", "replace"))
    half = context // 2
    return size > context - 64 and (
        usage.prompt_tokens >= context - 1 or half <= usage.prompt_tokens <= half + 4
    )


def _words(body: str) -> str:
    """Return the message of an error reply, or the reply where it has another form."""
    try:
        return Fields.parse(body, "Ollama").text("error") or body
    except ModelError:
        return body


def _chunks(part: Fields) -> list[Chunk]:
    """Read a line of a chat, whose texts are in a message, or of a completion."""
    message = part.inner("message")
    thinking = message.text("thinking") or part.text("thinking")
    content = message.text("content") or part.text("response")
    chunks: list[Chunk] = []
    if thinking:
        chunks.append(ReasoningChunk(thinking))
    if content:
        logprobs = token_logprobs(part.inners("logprobs"))
        chunks.append(AnswerChunk(content, _of_answer(logprobs, content) if thinking else logprobs))
    return chunks


def _of_answer(logprobs: tuple[TokenLogprob, ...], content: str) -> tuple[TokenLogprob, ...]:
    """Return the tokens at the end that spell ``content``; none where that cannot be told."""
    for start in range(len(logprobs)):
        if re.fullmatch(r"\s*" + re.escape(content), "".join(entry.token for entry in logprobs[start:])):
            return logprobs[start:]
    return ()
