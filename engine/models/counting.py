"""How long texts are in tokens, for whoever shows it: counted by a model's tokenizer where there is one, else
estimated, and always with which of the two it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.models.base import CannotCount, CountsTokens, ModelError, ModelTimeout
from engine.models.registry import ModelSpecError, open_model
from engine.policies.tokens import estimate_tokens

KEPT_COUNTS = 4096
"""How many counts are remembered: the versions of a policy that an afternoon of typing makes."""

NOT_YET = "it was not counted yet"
CLOSED = "the counter is closed"


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How long a text is, and who says so.

    ``counter`` is the spec of the model whose tokenizer counted; "" means an estimate. ``why`` says why there
    is only an estimate, ``hint`` what to do about it; both are "" where no model was named. They quote files
    and servers, and are untrusted text.
    """

    tokens: int
    counter: str = ""
    why: str = ""
    hint: str = ""

    @property
    def estimated(self) -> bool:
        return not self.counter

    @property
    def source(self) -> str:
        return "estimated" if self.estimated else f"counted by the tokenizer of {self.counter}"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a model did not count; until ``until``, by `time.monotonic`, it is not asked again."""

    why: str
    hint: str
    until: float


@dataclass(slots=True)
class _Open:
    """A model in use by ``users`` counts at once, or waiting for ``timer`` to ``close`` it."""

    model: CountsTokens
    close: Callable[[], Awaitable[None]]
    users: int = 0
    timer: asyncio.TimerHandle | None = None


class TokenCounter:
    """Counts tokens for one event loop. Nothing here raises, and nothing keeps the loop waiting.

    A count is known from then on, by model and text. What counts is closed ``idle_s`` seconds after the last
    count and opened again at the next. A model that does not count within ``wait_s`` seconds, or fails, is
    asked again after ``retry_s`` seconds; one that cannot count at all, never.
    """

    def __init__(self, *, idle_s: float = 60.0, wait_s: float = 30.0, retry_s: float = 20.0) -> None:
        self._idle_s = idle_s
        self._wait_s = wait_s
        self._retry_s = retry_s
        self._known: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._failures: dict[str, _Failure] = {}
        self._open: dict[str, _Open] = {}
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def count(self, spec: str | None, texts: Sequence[str]) -> list[TokenCount]:
        """Return how long each text is for the model ``spec``: counted, or estimated with the reason.

        With None or "" for ``spec`` it is estimated.
        """
        if spec:
            unknown = {text: None for text in texts if (spec, _digest(text)) not in self._known}
            if unknown:
                await self._learn(spec, list(unknown))
        return [await self._said(spec, text) for text in texts]

    def now(self, spec: str | None, text: str) -> TokenCount:
        """Return what is known of a text at once: its count, or an estimate until it is counted."""
        digest = _digest(text)
        if spec and (tokens := self._recall(spec, digest)) is not None:
            return TokenCount(tokens, spec)
        tokens = self._recall("", digest)
        if tokens is None:
            tokens = estimate_tokens(text)
            self._keep("", [(digest, tokens)])
        if not spec:
            return TokenCount(tokens)
        if failure := self._failures.get(spec):
            return TokenCount(tokens, "", failure.why, failure.hint)
        return TokenCount(tokens, "", NOT_YET)

    async def aclose(self) -> None:
        """End everything that counts; what is asked from now on is estimated."""
        self._closed = True
        for spec in list(self._open):
            self._retire(spec)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _said(self, spec: str | None, text: str) -> TokenCount:
        digest = _digest(text)
        if not (spec and (spec, digest) in self._known) and ("", digest) not in self._known:
            self._keep("", [(digest, await asyncio.to_thread(estimate_tokens, text))])
        return self.now(spec, text)

    async def _learn(self, spec: str, texts: list[str]) -> None:
        """Have ``texts`` counted, or keep why they could not be."""
        if (failure := self._failures.get(spec)) and time.monotonic() < failure.until:
            return
        try:
            async with asyncio.timeout(self._wait_s), self._model(spec) as model:
                counts = await model.count_tokens(texts)
            self._keep(spec, zip(map(_digest, texts), counts, strict=True))
            self._failures.pop(spec, None)
        except TimeoutError:
            self._fail(spec, ModelTimeout(f"{spec} did not count within {self._wait_s:g} seconds"))
        except Exception as error:  # whoever shows a number has an estimate to fall back to
            self._fail(spec, error)

    def _fail(self, spec: str, error: Exception) -> None:
        why = str(error) or type(error).__name__
        hint = error.hint if isinstance(error, ModelError) else ""
        final = isinstance(error, CannotCount | ModelSpecError)
        self._failures[spec] = _Failure(why, hint, math.inf if final else time.monotonic() + self._retry_s)

    @asynccontextmanager
    async def _model(self, spec: str) -> AsyncIterator[CountsTokens]:
        """Keep the model open for as long as somebody counts with it, and a while after."""
        if self._closed:
            raise ModelError(CLOSED)
        async with self._opening:
            if spec not in self._open:
                self._open[spec] = await self._opened(spec)
        held = self._open[spec]
        held.users += 1
        if held.timer:
            held.timer.cancel()
        try:
            yield held.model
        finally:
            held.users -= 1
            if not held.users and self._open.get(spec) is held:
                held.timer = asyncio.get_running_loop().call_later(self._idle_s, self._retire, spec)

    async def _opened(self, spec: str) -> _Open:
        model = await asyncio.to_thread(open_model, spec)  # back ends import much, and look at files
        if isinstance(model, CountsTokens) and not self._closed:
            return _Open(model, model.aclose)
        await model.aclose()
        raise ModelError(CLOSED) if self._closed else CannotCount(f"{spec} has no way to count tokens")

    def _retire(self, spec: str) -> None:
        held = self._open.pop(spec)
        if held.timer:
            held.timer.cancel()
        task = asyncio.ensure_future(held.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _recall(self, spec: str, digest: bytes) -> int | None:
        tokens = self._known.get((spec, digest))
        if tokens is not None:
            self._known.move_to_end((spec, digest))
        return tokens

    def _keep(self, spec: str, counts: Iterable[tuple[bytes, int]]) -> None:
        for digest, tokens in counts:
            self._known[spec, digest] = tokens
        while len(self._known) > KEPT_COUNTS:
            self._known.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
