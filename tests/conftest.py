"""Fixtures for all tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from engine.models.base import ModelUnreachable
from engine.models.pull import pull

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The real SmolLM2-135M, fetched once for all test runs of this machine.

    Group its users with ``@pytest.mark.xdist_group("smollm2")``: two cores run one model at a time.
    """
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    cache = Path(os.environ.get("WIZARD_TEST_MODELS") or platformdirs.user_cache_path("wizard101-tests"))
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pull("smollm2", cache)
        except ModelUnreachable as error:
            pytest.skip(f"SmolLM2 cannot be fetched: {error}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Published benchmarks and outputs, which the repository does not hold: ``../shared/data``."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"there are no published data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def smollm2_hf(smollm2: Path) -> Path:
    """The same model as transformers keep it: safetensors in float32, made once beside the GGUF file."""
    pytest.importorskip("gguf", reason="the extra `train` is not installed")
    folder = smollm2.with_name("SmolLM2-135M-Instruct-float32")
    with (smollm2.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_suffix(".making")
            subprocess.run([sys.executable, "-c", _CONVERT, smollm2, making], check=True, capture_output=True)
            making.rename(folder)
    return folder


_CONVERT = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
source, target = Path(sys.argv[1]), sys.argv[2]
where = {"gguf_file": source.name}
model = AutoModelForCausalLM.from_pretrained(
    source.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **where
)
model.save_pretrained(target)
AutoTokenizer.from_pretrained(source.parent, **where).save_pretrained(target)
"""


@pytest.fixture(autouse=True)
def no_back_ends_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests meet only the servers that they start: 127.0.0.1:9 is the port that discards."""
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", os.devnull)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("HF_TOKEN", "OLLAMA_API_KEY", "WIZARD_OPENAI_URL", "WIZARD_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
