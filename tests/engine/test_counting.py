"""Token counts as they are shown: counted where a model can, else estimated and why."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.models import counting
from engine.models.counting import CLOSED, NOT_YET, TokenCount, TokenCounter
from engine.models.gguf import GgufModel
from engine.policies.tokens import estimate_tokens
from tests.servers.http import LoopbackServer, wait_for
from tests.servers.ollama_server import OllamaServer
from tests.servers.tokenize_server import Endless, TokenizeServer

TEXT = "The policy forbids threats."


def spec_of(server: LoopbackServer) -> str:
    return f"openai:{server.url}/v1#guard"


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[TokenCounter]:
    made = TokenCounter(retry_s=0.2)
    yield made
    await made.aclose()


async def count(counter: TokenCounter, spec: str | None, text: str = TEXT) -> TokenCount:
    (said,) = await counter.count(spec, [text])
    return said


@pytest.mark.parametrize("spec", [None, ""])
async def test_without_a_model_it_is_an_estimate(counter: TokenCounter, spec: str | None) -> None:
    said = await count(counter, spec)
    assert said == TokenCount(estimate_tokens(TEXT)) == counter.now(spec, TEXT)
    assert (said.estimated, said.source, said.why) == (True, "estimated", "")
    assert await counter.count(spec, []) == []


async def test_a_count_says_whose_it_is_and_is_made_once(counter: TokenCounter) -> None:
    with TokenizeServer() as server:
        spec = spec_of(server)
        assert counter.now(spec, TEXT) == TokenCount(estimate_tokens(TEXT), why=NOT_YET)
        said = await count(counter, spec)
        assert said == TokenCount(4, spec)
        assert (said.estimated, said.source) == (False, f"counted by the tokenizer of {spec}")
        assert counter.now(spec, TEXT) == said
        assert [one.tokens for one in await counter.count(spec, [TEXT, "new one", TEXT, "new one"])] == [
            4,
            2,
            4,
            2,
        ]
        assert [seen.json["content"] for seen in server.requests] == [TEXT, "new one"]
        assert counter.now(spec.replace("guard", "other"), TEXT).estimated, "another model, another tokenizer"
    assert await count(counter, spec) == said, "what was counted is known without the server"


async def test_a_model_that_cannot_count_is_asked_once_and_the_estimate_says_why(
    counter: TokenCounter,
) -> None:
    with TokenizeServer({"detail": "Not Found"}, 404) as server:
        spec = spec_of(server)
        for _ in range(3):
            said = await count(counter, spec)
            assert (said.tokens, said.estimated) == (estimate_tokens(TEXT), True)
            assert said.why == f"the server at {server.url}/v1 cannot count tokens: it answered with HTTP 404"
            assert "llama-server and vLLM" in said.hint
            assert counter.now(spec, TEXT) == said
            await asyncio.sleep(0.11)
    assert len(server.requests) == 1


async def test_a_failure_that_may_pass_is_tried_again_after_a_while(counter: TokenCounter) -> None:
    with TokenizeServer({"error": {"message": "loading"}}, 503) as server:
        spec = spec_of(server)
        said = [await count(counter, spec, f"{n} {TEXT}") for n in range(5)]
        assert all(one.estimated and "HTTP 503: loading" in one.why for one in said)
        assert len(server.requests) == 1, "typing does not knock at its door"
        server.body = None
        server.status = 200
        await asyncio.sleep(0.21)
        assert await count(counter, spec) == TokenCount(4, spec)
        assert counter.now(spec, "something new").why == NOT_YET


async def test_who_cannot_be_asked_is_told_in_words(
    counter: TokenCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"steps": [{"answer": "SAFE"}]}\n')
    with OllamaServer() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        for spec, words in {
            "ollama:gpt-oss:20b": "has no way to count tokens",
            f"fake:{script}": "has no way to count tokens",
            "fake:/no/such.jsonl": "no/such.jsonl",
            "what is this": "names no model",
            "openai:http://user:secret@h/v1#m": "password",
            "openai:http://127.0.0.1:9/v1#m": "cannot be reached",
            f"gguf:{tmp_path}/none.gguf": "there is no file",
            f"hf:{tmp_path}/none": "no folder",
        }.items():
            said = await count(counter, spec)
            assert (said.tokens, said.estimated) == (estimate_tokens(TEXT), True)
            assert words in said.why
    assert server.requests == [], "counting asks no server that cannot count"


async def test_a_slow_server_does_not_keep_anybody_waiting() -> None:
    counter = TokenCounter(wait_s=0.3)
    with Endless(b"1,", 0.01) as server:
        spec = spec_of(server)
        began = time.monotonic()
        asked = asyncio.ensure_future(count(counter, spec))
        await asyncio.sleep(0)
        assert counter.now(spec, TEXT).why == NOT_YET
        assert (await asked).why == f"{spec} did not count within 0.3 seconds"
        assert time.monotonic() - began < 2
        await counter.aclose()


async def test_the_loop_goes_on_while_a_long_text_is_estimated(counter: TokenCounter) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.005)

    beating = asyncio.ensure_future(beat())
    said = await count(counter, None, TEXT * 20_000)
    beating.cancel()
    assert said.estimated
    assert beats > 5


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "KEPT_COUNTS", 8)
    counter = TokenCounter()
    with TokenizeServer() as server:
        spec = spec_of(server)
        for n in range(20):
            await counter.count(spec, ["first", f"number {n}"])
        assert len(counter._known) == 8
        assert counter.now(spec, "first").tokens == 1, "what is looked at stays"
        assert [seen.json["content"] for seen in server.requests].count("first") == 1
        await counter.aclose()


def test_nothing_heavy_is_imported_before_a_model_is_named() -> None:
    code = (
        "import sys; import engine.models.counting;"
        "print([m for m in ('ollama', 'httpx', 'xllamacpp', 'pydantic', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def child_of(counter: TokenCounter, spec: str) -> int:
    model = counter._open[spec].model
    assert isinstance(model, GgufModel)
    assert model._tokenizer._process
    return model._tokenizer._process.pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.xdist_group("smollm2")
async def test_the_process_of_a_model_ends_when_nobody_counts_and_starts_again(smollm2: Path) -> None:
    counter = TokenCounter(idle_s=0.4)
    spec = f"gguf:{smollm2}"
    assert await counter.count(spec, ["one", "one two"]) == [TokenCount(1, spec), TokenCount(2, spec)]
    first = child_of(counter, spec)
    await asyncio.sleep(0.25)
    await count(counter, spec, "one two three")
    await asyncio.sleep(0.25)
    assert child_of(counter, spec) == first, "it was used in between"
    await asyncio.to_thread(wait_for, lambda: is_gone(first))
    assert await count(counter, spec, "one two three") == TokenCount(3, spec), "known without a process"
    assert counter._open == {}
    assert (await count(counter, spec, "a b c d")).tokens == 4
    second = child_of(counter, spec)
    await counter.aclose()
    assert is_gone(second)
    assert (await count(counter, spec, "after the end")).why == CLOSED
    assert counter.now(spec, "one") == TokenCount(1, spec)


@pytest.mark.xdist_group("smollm2")
async def test_a_process_that_dies_costs_one_estimate(smollm2: Path) -> None:
    counter = TokenCounter(retry_s=0)
    spec = f"gguf:{smollm2}"
    await count(counter, spec)
    asked = asyncio.ensure_future(count(counter, spec, "word " * 1_000_000))
    await asyncio.sleep(0.2)
    assert not asked.done()
    os.kill(child_of(counter, spec), signal.SIGKILL)
    said = await asked
    assert said.estimated
    assert "llama.cpp was killed by SIGKILL" in said.why
    assert await count(counter, spec, "one two") == TokenCount(2, spec)
    await counter.aclose()


@pytest.mark.xdist_group("smollm2")
async def test_many_who_ask_at_once_share_a_process_and_closing_ends_it_while_they_wait(
    smollm2: Path,
) -> None:
    counter = TokenCounter()
    spec = f"gguf:{smollm2}"
    said = await asyncio.gather(*(count(counter, spec, "a " * n) for n in range(1, 9)))
    assert {one.counter for one in said} == {spec}
    child = child_of(counter, spec)
    asked = asyncio.ensure_future(count(counter, spec, "word " * 1_000_000))
    given_up = asyncio.ensure_future(count(counter, spec, "word " * 1_000_001))
    await asyncio.sleep(0.2)
    given_up.cancel()
    await counter.aclose()
    assert is_gone(child)
    assert "is closed" in (await asked).why
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert math.isfinite(counter._failures[spec].until)


@pytest.mark.xdist_group("smollm2")
async def test_a_counter_that_is_closed_while_a_model_opens_leaves_nothing_open(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    open_model = counting.open_model

    def slowly(spec: str) -> object:
        opening.set()
        go_on.wait(5)
        return open_model(spec)

    monkeypatch.setattr(counting, "open_model", slowly)
    counter = TokenCounter()
    asked = asyncio.ensure_future(count(counter, f"gguf:{smollm2}"))
    await asyncio.to_thread(opening.wait, 5)
    await counter.aclose()
    go_on.set()
    assert (await asked).why == CLOSED
    assert counter._open == {}
