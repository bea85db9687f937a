"""Spec strings, and what can be discovered."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.models.base import ModelError
from engine.models.discover import discover
from engine.models.registry import ModelSpecError, open_model, parse_spec
from tests.servers.ollama_server import OllamaServer
from tests.servers.openai_server import OpenAIServer


@pytest.mark.parametrize(
    ("spec", "kind", "target"),
    [
        ("ollama:gpt-oss:20b", "ollama", "gpt-oss:20b"),
        ("gguf:./a b.gguf", "gguf", "./a b.gguf"),
        ("openai:http://127.0.0.1:8000/v1#m", "openai", "http://127.0.0.1:8000/v1#m"),
        (" fake:x.jsonl ", "fake", "x.jsonl"),
        ("hf:org/name+./lora+4bit", "hf", "org/name+./lora+4bit"),
    ],
)
def test_specs_are_taken_apart(spec: str, kind: str, target: str) -> None:
    parsed = parse_spec(spec)
    assert (parsed.kind, parsed.target) == (kind, target)


@pytest.mark.parametrize("spec", ["", "ollama", "ollama:", "gpt-oss:20b", "http://x", "OLLAMA:x", "gguf: "])
def test_what_is_no_spec_is_refused_with_the_forms(spec: str) -> None:
    with pytest.raises(ModelSpecError, match=r"ollama:NAME|gguf:FILE"):
        open_model(spec)


@pytest.mark.parametrize("spec", ["openai:http://x/v1", "openai:http://x/v1#", "openai:x#m", "openai:#m"])
def test_an_openai_spec_needs_an_address_and_a_model(spec: str) -> None:
    with pytest.raises(ModelSpecError, match="openai:URL#MODEL"):
        open_model(spec)


@pytest.mark.parametrize("url", ["http://x:99999/v1", "http://user:secret@x/v1", "http:///v1"])
def test_an_address_is_checked_before_it_is_used_and_holds_no_password(url: str) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(f"openai:{url}#m")
    assert "secret" not in str(caught.value)


def test_a_model_keeps_its_spec() -> None:
    for spec in ("ollama:gpt-oss:20b", "gguf:/tmp/x.gguf", "hf:a/b+4bit", "openai:http://127.0.0.1:1/v1#m/n"):
        assert open_model(spec).spec == spec


def test_only_the_back_end_that_is_asked_for_is_imported() -> None:
    code = (
        "import sys; from engine.models.registry import open_model, parse_spec; parse_spec('ollama:x');"
        "print([m for m in ('ollama', 'httpx', 'xllamacpp', 'pydantic', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def test_nothing_there_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = await discover(tmp_path / "none")
    assert [(option.spec, option.reachability.ok) for option in options] == [("", False)] * 3
    assert "install Ollama" in options[0].reachability.hint
    assert "models pull smollm2" in options[1].reachability.hint


async def test_everything_there_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.gguf").write_bytes(b"GGUF" + b"\x03\0\0\0" + b"\x01\0\0\0\0\0\0\0" * 2)
    (tmp_path / "bad.gguf").write_bytes(b"not a model, but long enough")
    with OllamaServer() as ollama, OpenAIServer() as openai:
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        monkeypatch.setenv("WIZARD_OPENAI_URL", f"{openai.url}/v1")
        options = await discover(tmp_path)
    assert [(option.spec, option.reachability.ok) for option in options] == [
        ("ollama:gpt-oss-safeguard:20b", True),
        (f"gguf:{tmp_path}/bad.gguf", False),
        (f"gguf:{tmp_path}/good.gguf", True),
        ("", False),
        (openai.spec, True),
    ]
    assert options[0].reachability.detail == "13.8 GB"


@pytest.mark.parametrize("host", ["http://[", "http://127.0.0.1:99999", "::::"])
async def test_an_address_that_is_none_is_told(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    monkeypatch.setenv("WIZARD_OPENAI_URL", host)
    began = time.monotonic()
    options = await discover(tmp_path)
    assert not any(option.reachability.ok for option in options)
    assert time.monotonic() - began < 3
