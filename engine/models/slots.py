"""Which slot of a model a request should have, so that a prefix read once is found again."""

from __future__ import annotations

import asyncio
from collections import deque


class SlotTable:
    """Hands out slots 0 to ``count`` - 1, each to one request at a time.

    A free slot that last had the same prefix is preferred, then one never used, then the one unused
    for longest. With all slots taken, requests wait in the order of their coming.
    """

    def __init__(self, count: int) -> None:
        self._free = deque(range(count))
        self._prefixes: dict[int, bytes] = {}
        self._waiting: deque[asyncio.Future[int]] = deque()

    async def take(self, prefix: bytes) -> int:
        """Wait for a slot and take the best one for ``prefix``."""
        if self._free:
            slot = next((slot for slot in self._free if self._prefixes.get(slot) == prefix), self._free[0])
            self._free.remove(slot)
        else:
            turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                slot = await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.give(turn.result())
                raise
        self._prefixes[slot] = prefix
        return slot

    def give(self, slot: int) -> None:
        """Give a slot back, to whoever has waited for longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(slot)
                return
        self._free.append(slot)
