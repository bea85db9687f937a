"""When memory is cleared of what nothing refers to any more: while nobody types.

Python looks through all objects now and then. In a program of this size that takes some 50 ms, and a key
waits meanwhile.
"""

from __future__ import annotations

import gc
import time

LOOK_S = 0.5
"""How often to see whether this is the time."""

_REST_S = 1.0
"""How long input must rest."""

_YOUNG, _MIDDLE, _OLD = 2_000, 10, 1_000
"""Python's thresholds: it looks through all by itself only where input never rests."""

_WORTH = 20
"""From how many collections of the middle generation on it is worth looking through all."""


class IdleCollector:
    """Looks through all objects once input rests, if many came since."""

    def __init__(self) -> None:
        self._touched = time.monotonic()

    def begin(self) -> None:
        """Have Python leave it to this, for the whole process."""
        gc.set_threshold(_YOUNG, _MIDDLE, _OLD)

    def touch(self) -> None:
        """Take note that there was input."""
        self._touched = time.monotonic()

    def look(self) -> bool:
        """Collect if this is the time; return whether it was."""
        if gc.get_count()[2] < _WORTH or time.monotonic() - self._touched < _REST_S:
            return False
        gc.collect()
        return True
