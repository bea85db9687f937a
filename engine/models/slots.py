"""Which slot of a model a request should have, so that a prefix read once is found again."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future


class SlotTable:
    """Hands out slots 0 to ``count`` - 1, each to one request at a time.

    A free slot that last had the same prefix is preferred, then one never used, then the one unused
    for longest. With all slots taken, requests wait in the order of their coming. Slots may be given
    back from any thread, also when the event loop that took them is gone.
    """

    def __init__(self, count: int) -> None:
        self._free = deque(range(count))
        self._prefixes: dict[int, bytes] = {}
        self._waiting: deque[Future[int]] = deque()
        self._lock = threading.Lock()

    async def take(self, prefix: bytes) -> int:
        """Wait for a slot and take the best one for ``prefix``."""
        turn: Future[int] = Future()
        with self._lock:
            if self._free:
                had = (slot for slot in self._free if self._prefixes.get(slot) == prefix)
                slot = next(had, self._free[0])
                self._free.remove(slot)
                self._prefixes[slot] = prefix
                return slot
            self._waiting.append(turn)
        try:
            slot = await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            if not turn.cancel():
                self.give(turn.result())
            raise
        self._prefixes[slot] = prefix
        return slot

    def give(self, slot: int) -> None:
        """Give a slot back, to whoever has waited for longest."""
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(slot)
                    return
            self._free.append(slot)
