"""How fast a model writes: the clock of one lane, or of one output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Pace:
    """Times are in milliseconds since the stream began; a delta is a piece of text as it came."""

    began_ms: float | None = None
    first_ms: float | None = None
    finished_ms: float | None = None
    deltas: int = 0
    tokens: int | None = None

    @property
    def first_token_ms(self) -> float | None:
        """Time from the beginning to the first piece of text."""
        return None if self.began_ms is None or self.first_ms is None else self.first_ms - self.began_ms

    def tokens_per_second(self, now_ms: float) -> float | None:
        """Tokens a second since the first: counted by the model where it says, else one for each delta."""
        if self.first_ms is None or not self.deltas:
            return None
        seconds = ((self.finished_ms or now_ms) - self.first_ms) / 1000
        return (self.tokens or self.deltas) / seconds if seconds > 0 else None
