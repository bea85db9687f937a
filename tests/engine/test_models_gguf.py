"""The GGUF back end with the real SmolLM2, and with files that are none."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from engine.models import gguf
from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelUnreachable,
    PromptTooLong,
)
from engine.models.gguf import GgufModel
from engine.models.ollama import OllamaModel
from engine.models.openai import OpenAIModel
from engine.models.slots import SlotTable
from tests.servers.http import wait_for
from tests.servers.llama_server import llama_server
from tests.servers.ollama_server import OllamaServer

pytestmark = pytest.mark.xdist_group("smollm2")

POLICY = "You judge texts. " + " ".join(f"Rule {n}: the number {7 * n} is forbidden." for n in range(20))
real = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(smollm2: Path) -> AsyncIterator[GgufModel]:
    opened = GgufModel(smollm2, context=1024, slots=3, threads=1)
    yield opened
    await opened.aclose()


async def ask(model: GgufModel, request: ChatRequest) -> tuple[list[Chunk], float]:
    """Return the chunks and the seconds until the first."""
    began = time.monotonic()
    first = 0.0
    chunks: list[Chunk] = []
    async for chunk in model.chat(request):
        first = first or time.monotonic() - began
        chunks.append(chunk)
    return chunks, first


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, AnswerChunk))


@real
async def test_an_answer_streams_with_the_probabilities_of_the_model(model: GgufModel) -> None:
    request = ChatRequest(system=POLICY, user="Is 14 forbidden?", max_tokens=8, top_logprobs=5)
    chunks, _ = await ask(model, request)
    answers = [chunk for chunk in chunks if isinstance(chunk, AnswerChunk)]
    entries = [entry for chunk in answers for entry in chunk.logprobs]
    assert "".join(entry.token for entry in entries) == text_of(chunks)
    for entry in entries:
        assert len(entry.top) == 5
        assert entry.logprob == max(value for _, value in entry.top), "greedy takes the likeliest"
        assert 0.0 < sum(math.exp(value) for _, value in entry.top) < 1.000_001
    assert any(entry.logprob < -0.1 for entry in entries), "before sampling, not every token is certain"
    last = chunks[-1]
    assert isinstance(last, FinishChunk)
    assert last.reason is FinishReason.LENGTH
    assert last.usage.completion_tokens == 8
    assert 200 < last.usage.prompt_tokens < 500


@real
async def test_a_policy_is_read_once(model: GgufModel) -> None:
    policy = "Another policy. " + POLICY
    _, cold = await ask(model, ChatRequest(system=policy, user="Is 15 forbidden?", max_tokens=1))
    _, warm = await ask(model, ChatRequest(system=policy, user="And what about 16?", max_tokens=1))
    assert warm < cold / 2, f"cold {cold:.2f} s, warm {warm:.2f} s"


@real
async def test_lanes_do_not_mix(model: GgufModel) -> None:
    requests = [ChatRequest(system=POLICY, user="word " * size, max_tokens=4) for size in (1, 5, 9, 13)]

    def prompt_size(chunks: list[Chunk]) -> int:
        last = chunks[-1]
        assert isinstance(last, FinishChunk)
        return last.usage.prompt_tokens

    together = [
        prompt_size(chunks) for chunks, _ in await asyncio.gather(*(ask(model, one) for one in requests))
    ]
    assert [size - together[0] for size in together] == [0, 4, 8, 12]


@real
@pytest.mark.parametrize("when", ["reading", "writing"])
async def test_closing_stops_decoding(model: GgufModel, when: str) -> None:
    def numbers(limit: int) -> ChatRequest:
        policy = f"{when} {time.monotonic()} " + POLICY
        return ChatRequest(system=policy, user="Count to a thousand in words.", max_tokens=limit)

    _, reading = await ask(model, numbers(1))
    request = numbers(700)
    stream = model.chat(request)
    if when == "writing":
        await anext(stream)
        await stream.aclose()
    else:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    began = time.monotonic()
    await asyncio.gather(*(model._table.take(bytes([n])) for n in range(3)))
    freed = time.monotonic() - began
    for slot in range(3):
        model._table.give(slot)
    assert freed < max(reading, 3), f"the slot was kept for {freed:.2f} s; 700 tokens take more than 10"


@real
async def test_a_prompt_that_does_not_fit_is_refused(model: GgufModel) -> None:
    with pytest.raises(PromptTooLong, match="1024 tokens"):
        await ask(model, ChatRequest(system=POLICY, user="word " * 2000))
    chunks, _ = await ask(model, ChatRequest(system="s", user="\ud800 \0 <|im_end|>", max_tokens=2))
    assert isinstance(chunks[-1], FinishChunk), "the model still works"


@real
async def test_a_completion_carries_the_text_on_without_a_template(model: GgufModel) -> None:
    request = CompletionRequest(
        prefix=POLICY, rest="\nThe capital of France is", max_tokens=3, top_logprobs=2
    )
    chunks = [chunk async for chunk in model.complete(request)]
    assert text_of(chunks).startswith(" Paris")
    entries = [entry for chunk in chunks if isinstance(chunk, AnswerChunk) for entry in chunk.logprobs]
    assert [len(entry.top) for entry in entries] == [2, 2, 2]
    last = chunks[-1]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.completion_tokens) == (FinishReason.LENGTH, 3)
    again = [chunk async for chunk in model.complete(replace(request, rest="\nThe capital of Italy is"))][-1]
    assert isinstance(again, FinishChunk)
    assert again.usage.cached_tokens > 200, "the prefix was kept"
    with pytest.raises(PromptTooLong):
        await anext(model.complete(CompletionRequest(prefix="", rest="word " * 2000)))


@real
async def test_a_sampled_completion_follows_its_seed(model: GgufModel) -> None:
    async def sample(seed: int) -> str:
        request = CompletionRequest(
            prefix="", rest="Once upon a time", max_tokens=12, temperature=1.0, top_p=0.95, seed=seed
        )
        return text_of([chunk async for chunk in model.complete(request)])

    one, same, other = [await sample(seed) for seed in (1, 1, 2)]
    assert one == same != other


@real
async def test_closing_a_completion_frees_its_slot(model: GgufModel) -> None:
    stream = model.complete(CompletionRequest(prefix="Count: ", rest="1 2 3", max_tokens=700))
    await anext(stream)
    await stream.aclose()
    slots = await asyncio.wait_for(asyncio.gather(*(model._table.take(bytes([n])) for n in range(3))), 3)
    for slot in slots:
        model._table.give(slot)


@real
async def test_a_dead_process_is_an_error_and_the_next_request_starts_another(smollm2: Path) -> None:
    model = GgufModel(smollm2, context=256, slots=1, threads=1)
    stream = model.chat(ChatRequest(system="s", user="Count.", max_tokens=200))
    await anext(stream)
    assert model._process
    os.kill(model._process.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="SIGKILL"):
        _ = [chunk async for chunk in stream]
    chunks, _ = await ask(model, ChatRequest(system="s", user="Count.", max_tokens=2))
    assert isinstance(chunks[-1], FinishChunk)
    process = model._process
    await model.aclose()
    assert not process.alive or process._process.returncode is not None
    with pytest.raises(ModelError, match="closed"):
        await ask(model, ChatRequest(system="s", user="u"))


def test_a_request_left_behind_by_one_event_loop_does_not_block_the_next(smollm2: Path) -> None:
    model = GgufModel(smollm2, context=256, slots=1, threads=1)
    left: list[object] = []

    async def leave() -> None:
        stream = model.chat(ChatRequest(system="s", user="Count.", max_tokens=200))
        left.append(stream)
        await anext(stream)

    async def finish() -> list[Chunk]:
        try:
            return (await ask(model, ChatRequest(system="s", user="Count.", max_tokens=2)))[0]
        finally:
            await model.aclose()

    asyncio.run(leave())
    assert isinstance(asyncio.run(asyncio.wait_for(finish(), 20))[-1], FinishChunk)


def test_a_program_that_just_ends_prints_nothing_hangs_nowhere_and_leaves_no_process(smollm2: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from engine.models.base import ChatRequest
from engine.models.gguf import GgufModel
async def main():
    model = GgufModel(Path(sys.argv[1]), context=256, slots=2, threads=1)
    stream = model.chat(ChatRequest(system="s", user="Count.", max_tokens=200))
    await anext(stream)
    return model, stream
model, stream = asyncio.run(main())
print(model._process.pid)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(smollm2)], capture_output=True, text=True, timeout=30
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    pid = int(ran.stdout)
    wait_for(
        lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    )


@real
async def test_the_ollama_back_end_speaks_with_the_real_model(smollm2: Path) -> None:
    backing = GgufModel(smollm2, context=512, slots=2, threads=1)
    with OllamaServer(model=backing, name="smollm2", capabilities=("completion",), family="llama") as server:
        model = OllamaModel("smollm2", host=server.url, num_ctx=512)
        request = ChatRequest(system="Answer.", user="Say hello.", max_tokens=5, top_logprobs=2)
        chunks = [chunk async for chunk in model.chat(request)]
        raw = CompletionRequest(prefix="The capital of", rest=" France is", max_tokens=2)
        continuation = text_of([chunk async for chunk in model.complete(raw)])
        with pytest.raises(PromptTooLong):
            await anext(model.chat(ChatRequest(system="s", user="word " * 900)))
        await model.aclose()
    assert continuation.startswith(" Paris")
    assert isinstance(chunks[-1], FinishChunk)
    assert all(len(chunk.logprobs[0].top) == 2 for chunk in chunks if isinstance(chunk, AnswerChunk))


@real
async def test_the_openai_back_end_carries_a_text_on_through_llama_cpps_own_server(smollm2: Path) -> None:
    with llama_server(smollm2) as address:
        model = OpenAIModel(f"{address}/v1", "smollm2")
        raw = CompletionRequest(prefix="The capital of", rest=" France is", max_tokens=2, top_logprobs=2)
        chunks = [chunk async for chunk in model.complete(raw)]
        await model.aclose()
    assert text_of(chunks).startswith(" Paris")
    assert isinstance(chunks[-1], FinishChunk)
    assert all(len(chunk.logprobs[0].top) == 2 for chunk in chunks if isinstance(chunk, AnswerChunk))


@pytest.mark.parametrize("damage", ["half", "header", "noise", "counts"])
async def test_a_damaged_file_is_an_error_and_this_process_lives(
    smollm2: Path, tmp_path: Path, damage: str
) -> None:
    whole = await asyncio.to_thread(smollm2.read_bytes)
    damaged = {
        "half": whole[: len(whole) // 2],
        "header": whole[:2000],
        "noise": whole[:24] + bytes(range(256)) * 400,
        "counts": whole[:8] + b"\xff\xff\0\0\0\0\0\0" + whole[16:100_000],
    }[damage]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    model = GgufModel(path, context=256, slots=1)
    with pytest.raises(ModelError) as caught:
        await ask(model, ChatRequest(system="s", user="u"))
    assert "damaged" in f"{caught.value} {caught.value.hint}"
    await model.aclose()


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"<!DOCTYPE html><html>not found</html>", b"GGUF" + b"\xff" * 40]
)
async def test_what_is_no_gguf_file_never_reaches_llama_cpp(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(content)
    model = GgufModel(path)
    assert not (await model.check()).ok
    with pytest.raises(ModelError):
        await ask(model, ChatRequest(system="s", user="u"))
    assert model._process is None


async def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    missing = await GgufModel(tmp_path / "none.gguf").check()
    assert (missing.ok, "models pull smollm2" in missing.hint) == (False, True)
    assert not (await GgufModel(tmp_path).check()).ok


async def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    model = GgufModel(tmp_path / "x.gguf")
    with pytest.raises(ModelUnreachable) as caught:
        await ask(model, ChatRequest(system="s", user="u"))
    assert caught.value.hint == "pip install 'wizard101[local]'"
    assert not (await model.check()).ok


async def test_slots_go_to_those_who_had_them_then_to_the_longest_unused() -> None:
    table = SlotTable(3)
    a, b = await table.take(b"a"), await table.take(b"b")
    table.give(a)
    table.give(b)
    assert await table.take(b"c") not in (a, b), "an unused slot before another's prefix"
    assert await table.take(b"b") == b
    assert await table.take(b"d") == a
    waiting = [asyncio.ensure_future(table.take(name)) for name in (b"e", b"f")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    table.give(b)
    assert await waiting[1] == b
