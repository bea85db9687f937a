"""The two ends of the pipes to a model's process, where either end dies."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.model_process import ModelProcess

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
        said = [part async for part in process.replies("chat", {})]
    assert "SIGKILL" in str(said)
    assert not process.alive


@pytest.mark.parametrize("module", ["engine.models.hf.child", "engine.models.llama_child"])
def test_a_process_ends_with_a_parent_that_dies_in_the_middle_of_a_line(module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    )
    try:
        process.communicate(b'{"load": {"mo', timeout=5)
    finally:
        process.kill()
    assert process.returncode == 0
