"""The parent's end of a process that makes texts into tokens and holds no weights: see `model_process`, whose
protocol it speaks with one kind of request, ``{"id": n, "count": {"texts": [..]}}``, answered by
``{"counts": [..]}`` or ``{"error": why}``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from engine.models.base import ModelError
from engine.models.model_process import ModelProcess, ProcessModel
from engine.models.streaming import Fields, sendable, short


class TokenProcess(ProcessModel):
    """Counts tokens in a process that starts at the first count, and again where it died.

    ``module`` is what runs in the child, ``library`` names it in errors; ``settings`` returns what it has to
    know, or raises a `ModelError`.
    """

    def __init__(
        self, name: str, module: str, library: str, settings: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        super().__init__(name)
        self._module = module
        self._library = library
        self._settings_of = settings

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has.

        Raises:
            ModelError: where the process cannot start, fails or is gone.
        """
        process = await self._loaded()
        body = {"texts": [sendable(text) for text in texts]}
        async with aclosing(process.replies("count", body)) as parts:
            async for said in parts:
                part = Fields(said, self._name)
                if "error" in part:
                    raise ModelError(f"{self._name}: {short(part.text('error'))}")
                counts = part.counts("counts")
                if len(counts) == len(texts):
                    return counts
        raise ModelError(f"{self._library} did not count all texts with the tokenizer of {self._name}")

    async def _settings(self) -> dict[str, Any]:
        return await self._settings_of()

    def _start(self, settings: dict[str, Any]) -> ModelProcess:
        return ModelProcess(self._module, settings, name=self._name, library=self._library)
