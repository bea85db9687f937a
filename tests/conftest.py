"""Fixtures for all tests."""

from __future__ import annotations

import fcntl
import os
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


@pytest.fixture(autouse=True)
def no_back_ends_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests meet only the servers that they start: 127.0.0.1:9 is the port that discards."""
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    for name in ("OLLAMA_API_KEY", "WIZARD_OPENAI_URL", "WIZARD_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
