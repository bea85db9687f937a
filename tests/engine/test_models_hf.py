"""The back end of the Hugging Face format: with a random model, with the real SmolLM2, and with refusals."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

pytest.importorskip("torch", reason="the extra `train` is not installed")

from safetensors.torch import load_file, save_file

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
from engine.models.discover import discover
from engine.models.hf import model as hf_model
from engine.models.hf.files import Target, inspect, parse_target
from engine.models.hf.loading import load
from engine.models.hf.model import HfModel
from tests.engine import tiny_model

pytestmark = pytest.mark.xdist_group("smollm2")
together = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny(folder: Path) -> AsyncIterator[HfModel]:
    opened = HfModel(str(folder), slots=4, threads=1)
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(smollm2_hf: Path) -> AsyncIterator[HfModel]:
    opened = HfModel(str(smollm2_hf), slots=6, threads=1)
    yield opened
    await opened.aclose()


async def ask(model: HfModel, request: ChatRequest | CompletionRequest) -> list[Chunk]:
    stream = model.chat(request) if isinstance(request, ChatRequest) else model.complete(request)
    return [chunk async for chunk in stream]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, AnswerChunk))


def finish_of(chunks: list[Chunk]) -> FinishChunk:
    last = chunks[-1]
    assert isinstance(last, FinishChunk)
    return last


@together
async def test_a_chat_goes_through_the_models_template_and_says_what_it_used(tiny: HfModel) -> None:
    request = ChatRequest(system="Policy.", user="Text one.", max_tokens=9)
    finish = finish_of(await ask(tiny, request))
    rendered = ["<|system|>", *"Policy.", "<|end|>", "<|user|>", *"Text one.", "<|end|>", "<|assistant|>"]
    assert finish.usage.prompt_tokens == len(rendered)
    assert (finish.reason, finish.usage.completion_tokens) in (
        (FinishReason.LENGTH, 9),
        (FinishReason.STOP, 9),
    )
    assert finish.usage.cached_tokens == 0
    again = finish_of(await ask(tiny, ChatRequest(system="Policy.", user="Text two.", max_tokens=1)))
    assert again.usage.cached_tokens == rendered.index("o", rendered.index("<|user|>"))
    bare = finish_of(await ask(tiny, ChatRequest(system="", user="Text", max_tokens=1)))
    assert bare.usage.prompt_tokens == len(["<|user|>", *"Text", "<|end|>", "<|assistant|>"])


@together
async def test_a_prompt_and_an_answer_that_do_not_fit_are_refused(tiny: HfModel) -> None:
    with pytest.raises(PromptTooLong, match="512 tokens"):
        await ask(tiny, CompletionRequest(prefix="", rest="x" * 500, max_tokens=13))
    fits = CompletionRequest(prefix="", rest="x" * 500, max_tokens=12)
    assert finish_of(await ask(tiny, fits)).usage.prompt_tokens == 500
    with pytest.raises(ModelError, match="empty"):
        await ask(tiny, CompletionRequest(prefix="", rest=""))
    odd = ChatRequest(system="s", user="\ud800 \0 <|end|> \U0001f600", max_tokens=3)
    assert finish_of(await ask(tiny, odd)), "the model still works"


@together
async def test_closing_makes_room_for_the_next(tiny: HfModel) -> None:
    request = CompletionRequest(prefix="", rest="word " * 10, max_tokens=400)
    expected = text_of(await ask(tiny, CompletionRequest(prefix="", rest="Hello", max_tokens=8)))
    streams = [tiny.complete(request) for _ in range(4)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    waiting = asyncio.ensure_future(ask(tiny, CompletionRequest(prefix="", rest="Hello", max_tokens=8)))
    await asyncio.sleep(0.05)
    reading = asyncio.ensure_future(ask(tiny, request))
    for stream in streams:
        await stream.aclose()
    assert text_of(await waiting) == expected
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert tiny._process
    for _ in range(100):
        if not tiny._process._listeners:
            break
        await asyncio.sleep(0.02)
    assert not tiny._process._listeners, "the child let go of all that was closed"


async def test_a_dead_process_is_an_error_and_the_next_request_starts_another(folder: Path) -> None:
    model = HfModel(str(folder), threads=1)
    request = CompletionRequest(prefix="", rest="Count", max_tokens=450, top_logprobs=1)
    assert (await model.check()).detail == "loads at first use"
    stream = model.complete(request)
    await anext(stream)
    assert (await model.check()).detail == "loaded"
    assert model._process
    os.kill(model._process.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="SIGKILL"):
        _ = [chunk async for chunk in stream]
    assert finish_of(await ask(model, CompletionRequest(prefix="", rest="Count", max_tokens=2)))
    process = model._process
    await model.aclose()
    assert process._process.returncode is not None
    with pytest.raises(ModelError, match="closed"):
        await ask(model, request)


@together
async def test_an_adapter_changes_its_model_and_leaves_it_as_it_was(
    tiny: HfModel, folder: Path, tmp_path: Path
) -> None:
    adapter = await asyncio.to_thread(tiny_model.save_adapter, tmp_path / "lora", folder)
    request = CompletionRequest(prefix="", rest="Some text", max_tokens=12)
    base = text_of(await ask(tiny, request))
    adapted = HfModel(f"{folder}+{adapter}", threads=1)
    changed = text_of(await ask(adapted, request))
    await adapted.aclose()
    assert changed != base
    by_itself = HfModel(str(adapter))
    assert (await by_itself.check()).ok, "the adapter names its model"
    assert text_of(await ask(tiny, request)) == base


# --- the real model ------------------------------------------------------------------------------

POLICY = "You judge texts. " + " ".join(f"Rule {n}: the number {7 * n} is forbidden." for n in range(6))


@together
async def test_an_answer_streams_with_the_probabilities_of_the_model(real: HfModel) -> None:
    chunks = await ask(
        real, ChatRequest(system=POLICY, user="Is 14 forbidden?", max_tokens=8, top_logprobs=5)
    )
    answers = [chunk for chunk in chunks if isinstance(chunk, AnswerChunk)]
    assert len(answers) > 3, "it streams"
    entries = [entry for chunk in answers for entry in chunk.logprobs]
    assert "".join(entry.token for entry in entries) == text_of(chunks)
    for entry in entries:
        assert entry.logprob == max(value for _, value in entry.top), "greedy takes the likeliest"
        assert 0.0 < sum(math.exp(value) for _, value in entry.top) < 1.000_001
    raw = CompletionRequest(prefix="The capital of", rest=" France is", max_tokens=2)
    assert text_of(await ask(real, raw)).startswith(" Paris")


@together
async def test_six_lanes_with_kept_policies_say_what_each_says_alone(real: HfModel, smollm2_hf: Path) -> None:
    requests = [
        ChatRequest(system=f"Policy {n}. {POLICY}", user=text, max_tokens=10)
        for text in ("Is 21 forbidden?", "Tell me about cats.")
        for n in range(6)
    ]
    first = await asyncio.gather(*(ask(real, one) for one in requests[:6]))
    second = await asyncio.gather(*(ask(real, one) for one in requests[6:]))
    assert all(finish_of(chunks).usage.cached_tokens > 60 for chunks in second)
    alone = HfModel(str(smollm2_hf), slots=1, threads=1, keep_prefixes=False)
    expected = [text_of(await ask(alone, one)) for one in (*requests[:3], *requests[6:9])]
    await alone.aclose()
    assert [text_of(chunks) for chunks in (*first[:3], *second[:3])] == expected


# --- refusals ------------------------------------------------------------------------------------


def test_specs_are_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "a+b").mkdir()
    assert parse_target("org/name") == Target("org/name")
    assert parse_target("org/name+4bit") == Target("org/name", four_bit=True)
    assert parse_target("org/name+./lora+4bit") == Target("org/name", "./lora", True)
    assert parse_target(f"{tmp_path}/a+b") == Target(f"{tmp_path}/a+b")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("cut", "damaged"),
        ("noise", "damaged"),
        ("empty", "damaged"),
        ("gone", "has no model.safetensors"),
        ("pickle", "pickled"),
        ("shard", "missing"),
        ("index", "maps no weights"),
        ("name", "no name of a file"),
        ("config", "not JSON"),
    ],
)
async def test_damaged_and_pickled_weights_are_refused_before_anything_loads_them(
    copy: Path, damage: str, words: str
) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    match damage:
        case "cut":
            weights.write_bytes(whole[:-100])
        case "noise":
            weights.write_bytes(bytes(range(256)) * 40)
        case "empty":
            weights.write_bytes(b"")
        case "gone" | "pickle" | "shard" | "index" | "name":
            weights.unlink()
    if damage == "pickle":
        (copy / "pytorch_model.bin").write_bytes(whole)
    elif damage in ("shard", "index", "name"):
        maps = {"shard": {"a": "model-1.safetensors"}, "index": [], "name": {"a": "model\0"}}
        index = {"weight_map": maps[damage]}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    elif damage == "config":
        (copy / "config.json").write_text("{")
    model = HfModel(str(copy))
    reachability = await model.check()
    assert (reachability.ok, words in reachability.detail) == (False, True)
    with pytest.raises(ModelError, match=words):
        await ask(model, ChatRequest(system="s", user="u"))
    assert model._process is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "gpt-17"}, "does not accept it"),
        ({"num_hidden_layers": 3}, "lack"),
        ({"hidden_size": "wide"}, "does not accept it"),
        ({"vocab_size": 999}, "lack"),
        ({"auto_map": {"AutoModelForCausalLM": "code.Model"}, "model_type": "own"}, "does not accept it"),
    ],
)
def test_a_configuration_that_does_not_fit_is_an_error_with_words(
    copy: Path, change: dict[str, object], words: str
) -> None:
    (copy / "code.py").write_text("raise SystemExit('code of a model was run')")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=words):
        load(str(copy))


def test_four_bits_need_a_card(folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ModelError, match="NVIDIA"):
        load(str(folder), four_bit=True)


def test_an_adapter_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    adapter = tiny_model.save_adapter(tmp_path / "lora", folder)
    narrow = json.loads((adapter / "adapter_config.json").read_text()) | {"r": 2}
    (adapter / "adapter_config.json").write_text(json.dumps(narrow))
    with pytest.raises(ModelError, match="does not accept it"):
        load(str(folder), str(adapter))
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        inspect(adapter)


@pytest.mark.parametrize("change", ["lacks some", "has some too many"])
def test_an_adapter_that_fits_in_part_is_refused(folder: Path, tmp_path: Path, change: str) -> None:
    adapter = tiny_model.save_adapter(tmp_path / "lora", folder)
    weights = load_file(adapter / "adapter_model.safetensors")
    for name in [name for name in weights if "layers.1." in name]:
        if change == "lacks some":
            del weights[name]
        else:
            weights[name.replace("layers.1.", "layers.7.")] = weights[name].clone()
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="for another model"):
        load(str(folder), str(adapter))


async def test_a_name_that_is_too_long_for_a_file_names_none() -> None:
    assert not (await HfModel("./" + "a" * 300).check()).ok
    assert not (await HfModel("./base+./" + "a" * 300).check()).ok


async def test_a_model_that_is_nowhere_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    missing = await HfModel(str(tmp_path / "none")).check()
    assert (missing.ok, "no folder" in missing.detail) == (False, True)
    far = HfModel("yueliu1999/GuardReasoner-1B")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reachability = await far.check()
    assert not reachability.ok
    assert "neither a folder here nor in the hub's cache" in reachability.detail
    assert "hf download yueliu1999/GuardReasoner-1B" in reachability.hint
    assert time.monotonic() - began < 2
    with pytest.raises(ModelUnreachable, match="offline"):
        await ask(far, ChatRequest(system="s", user="u"))
    assert far._process is None


async def test_a_hub_that_cannot_be_reached_is_unreachable() -> None:
    far = HfModel("yueliu1999/GuardReasoner-8B")
    began = time.monotonic()
    reachability = await far.check()
    assert time.monotonic() - began < 2.5
    assert not reachability.ok
    with pytest.raises(ModelUnreachable) as caught:
        await ask(far, ChatRequest(system="s", user="u"))
    assert "hub cannot be reached" in str(caught.value)
    assert "hf download yueliu1999/GuardReasoner-8B" in caught.value.hint
    await far.aclose()


async def test_without_the_extra_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_model, "find_spec", lambda name: None)
    reachability = await HfModel(str(folder)).check()
    assert (reachability.ok, reachability.hint) == (False, "pip install 'wizard101[train]'")


async def test_a_model_in_the_hubs_cache_is_found_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(folder, cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert (await HfModel("org/tiny").check()).ok
    assert not (await HfModel("org/other").check()).ok
    assert "hf:org/tiny" in [option.spec for option in await discover(tmp_path)]
