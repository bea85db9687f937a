"""An Ollama whose slots keep their last prompt, as llama.cpp's do, and that takes the time a real one takes.

It counts the prompt tokens that it would have had to read. A token is four characters here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import takewhile

from tests.servers.http import Reply, Seen
from tests.servers.ollama_server import OllamaServer

TOKEN_CHARACTERS = 4
ALIKE = 0.1
"""The share of a prompt that a slot must have had, lest the slot unused for longest be taken (llama.cpp)."""


@dataclass(slots=True, eq=False)
class _Slot:
    """What a slot had last: a prompt, as tokens."""

    prompt: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens a second: read by all slots together, written by each slot."""

    prefill: float
    decode: float


class SlotServer(OllamaServer):
    """Answers every chat with ``thought`` tokens of reasoning and the word SAFE.

    ``read`` is how many prompt tokens were computed, ``asked`` how many there were. Without a ``pace`` it
    takes no time. ``keep_prefixes`` False reads every prompt as a whole.
    """

    def __init__(
        self, *, slots: int, pace: Pace | None = None, thought: int = 0, keep_prefixes: bool = True
    ) -> None:
        super().__init__(parallel=slots)
        self.slots = slots
        self.read = self.asked = 0
        self._free = [_Slot() for _ in range(slots)]
        self._pace = pace
        self._thought = thought
        self._keep_prefixes = keep_prefixes
        self._reading = asyncio.Lock()

    async def answer(self, seen: Seen, reply: Reply) -> None:
        text = seen.message("system") + "\n" + seen.message("user")
        prompt = [text[at : at + TOKEN_CHARACTERS] for at in range(0, len(text), TOKEN_CHARACTERS)]
        slot, kept = self._choose(prompt)
        self._free.remove(slot)
        try:
            left = len(prompt) - (min(kept, len(prompt) - 1) if self._keep_prefixes else 0)
            self.asked += len(prompt)
            self.read += left
            slot.prompt = prompt
            await reply.start("application/x-ndjson")
            async with self._reading:
                await self._take(left, self._pace and self._pace.prefill)
            await self._write(seen, reply, len(prompt))
        finally:
            self._free.append(slot)

    async def _write(self, seen: Seen, reply: Reply, read: int) -> None:
        room = seen.json["options"]["num_predict"]
        began = time.perf_counter()
        for number in range(min(self._thought + 1, room)):
            if self._pace:
                await asyncio.sleep(began + (number + 1) / self._pace.decode - time.perf_counter())
            done = number == self._thought
            await reply.send(self.said("SAFE") if done else self.said(thinking=f"thought {number} "))
        reason = "stop" if self._thought < room else "length"
        written = min(self._thought + 1, room)
        await reply.send(self.said(done=True, done_reason=reason, prompt_eval_count=read, eval_count=written))
        await reply.end()

    def _choose(self, prompt: list[str]) -> tuple[_Slot, int]:
        kept = [(_common(slot.prompt, prompt), slot) for slot in self._free]
        most, best = max(kept, key=lambda entry: entry[0])
        if most > ALIKE * len(prompt):
            return best, most
        return self._free[0], kept[0][0]

    async def _take(self, tokens: int, rate: float | None) -> None:
        if rate:
            await asyncio.sleep(tokens / rate)


def _common(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
