"""Memory is looked through while nobody types, and only if there is something to look for."""

import gc
import time
import weakref

import pytest

from app import garbage
from app.garbage import IdleCollector


class Loop:
    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def old_loop() -> weakref.ref[Loop]:
    """Return what only itself refers to, and lived through collections of the young."""
    gc.collect()
    loop = Loop()
    for _ in range(garbage._WORTH + 1):
        gc.collect(1)
    return weakref.ref(loop)


def test_it_collects_once_input_rests(monkeypatch: pytest.MonkeyPatch, old_loop: weakref.ref[Loop]) -> None:
    monkeypatch.setattr(garbage, "_REST_S", 0.05)
    collector = IdleCollector()
    collector.touch()
    assert not collector.look()
    assert old_loop() is not None
    time.sleep(0.06)
    assert collector.look()
    assert old_loop() is None
    assert not collector.look(), "nothing came since"
