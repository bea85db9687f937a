"""The two ends of the pipes to a model's process, where either end dies; models that start and close."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.models.base import ModelError
from engine.models.model_process import ModelProcess, ProcessModel

LOADS = """
import os, sys
os.write(1, b'{"loaded": true}\\n')
sys.stdin.read()
"""

DIES = """
import os
os.write(1, b'{"loaded": true}\\n')
os.read(0, 1000)
os.write(1, b'{"id": 0, "part": {"te')
os.kill(os.getpid(), 9)
"""


async def test_a_process_that_dies_in_the_middle_of_a_line_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ModelProcess("dies", {}, name="m.gguf", library="llama.cpp")
    async with asyncio.timeout(5):
        await asyncio.wrap_future(process.loaded)
        with pytest.raises(ModelError, match="SIGKILL") as killed:
            await anext(process.replies("chat", {}))
    assert "too little memory" in killed.value.hint
    assert not process.alive


@pytest.mark.parametrize("module", ["hf.child", "llama_child", "hf.token_child", "llama_token_child"])
def test_a_process_ends_with_a_parent_that_dies_in_the_middle_of_a_line(module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", f"engine.models.{module}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    try:
        process.communicate(b'{"load": {"mo', timeout=5)
    finally:
        process.kill()
    assert process.returncode == 0


class SlowlyFound(ProcessModel):
    """A model whose files take a moment to look at."""

    started = 0

    async def _settings(self) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {}

    def _start(self, settings: dict[str, Any]) -> ModelProcess:
        self.started += 1
        return ModelProcess("loads", settings, name="m.gguf", library="llama.cpp")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowlyFound:
    (tmp_path / "loads.py").write_text(LOADS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return SlowlyFound("m.gguf")


async def test_a_model_that_is_closed_while_it_starts_stays_closed(model: SlowlyFound) -> None:
    loading = asyncio.ensure_future(model._loaded())
    await asyncio.sleep(0)
    await model.aclose()
    with pytest.raises(ModelError, match="closed"):
        await loading
    assert model.started == 0


async def test_who_closes_a_model_is_not_told_that_its_file_may_be_damaged(model: SlowlyFound) -> None:
    process = await model._loaded()
    answer = asyncio.ensure_future(anext(process.replies("chat", {})))
    await asyncio.sleep(0)
    await model.aclose()
    with pytest.raises(ModelError, match=r"^m\.gguf is closed$"):
        await answer


def test_each_of_two_event_loops_can_start_a_model_for_many_requests(model: SlowlyFound) -> None:
    async def load() -> int:
        return (await asyncio.gather(*(model._loaded() for _ in range(3))))[0].pid

    os.kill(asyncio.run(load()), signal.SIGKILL)
    assert model._process
    while model._process.alive:
        time.sleep(0.001)
    asyncio.run(load())
    asyncio.run(model.aclose())
    assert model.started == 2
