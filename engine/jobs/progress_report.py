"""How work tells, a few times a second, how far it is and what it finds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from engine.jobs.worker import Work

_REPORT_S = 0.2


class Report:
    """Progress in ``unit``, and curves: the mean latency since the last point, and shares since the start.

    ``phase`` may change on the way.
    """

    def __init__(self, work: Work, done: int, total: int, *, unit: str, phase: str) -> None:
        self._work = work
        self._done, self._total = done, total
        self._unit, self.phase = unit, phase
        self._told = time.monotonic()
        self._latencies: list[float] = []
        self._counts = Counter[str]()
        self._of = Counter[str]()
        self._progress()

    def skip(self) -> None:
        """Note one more that need not be done."""
        self._done += 1

    def after(self, latency_ms: float, shares: Mapping[str, tuple[int, int]]) -> None:
        """Note one more done: by the name of each share, how many more there are, of how many more."""
        self._done += 1
        self._latencies.append(latency_ms)
        for name, (count, of) in shares.items():
            self._counts[name] += count
            self._of[name] += of
        if time.monotonic() - self._told >= _REPORT_S:
            self.now()

    def now(self) -> None:
        """Tell it."""
        if self._latencies:
            self._work.metric("latency ms", sum(self._latencies) / len(self._latencies), self._done)
            for name, of in self._of.items():
                self._work.metric(f"{name} %", 100 * self._counts[name] / of, self._done)
        self._progress()
        self._told = time.monotonic()
        self._latencies.clear()

    def _progress(self) -> None:
        self._work.progress(self._done, self._total, self._unit, self.phase)
