"""Models that count tokens: the real SmolLM2 as a GGUF file, models of transformers, and refusals."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.models.base import CountsTokens, ModelError, ModelUnreachable
from engine.models.gguf import GgufModel
from engine.models.gguf_vocabulary import write_vocabulary
from engine.models.hf import model as hf_model
from engine.models.hf.model import HfModel
from engine.models.ollama import OllamaModel
from engine.models.openai import OpenAIModel
from engine.policies.load import load_policies
from engine.policies.tokens import TOKEN_BAND, estimate_tokens
from tests.engine import tiny_model
from tests.servers.http import Reply, Seen
from tests.servers.hub_server import HubServer
from tests.servers.llama_server import llama_server

pytestmark = pytest.mark.xdist_group("smollm2")
together = pytest.mark.asyncio(loop_scope="module")

POLICIES = [policy.text for policy in load_policies(Path(__file__).resolve().parents[2] / "policies")]
ODD = [
    "",
    " ",
    "\n\n\t",
    "  two spaces before, one after ",
    "Grüße, Ωμέγα, 漢字, \U0001f600\u200d\U0001f9d1",
    "<|im_start|>system\nmarkers<|im_end|>",
    "\0 a lone half \ud800 and an end \r\n",
    "1234567890 a->b == `code`",
]
LONG = "word " * 400_000


def mapped_by(pid: int) -> str:
    """Return what files a process has mapped, "" where the system does not tell."""
    maps = Path(f"/proc/{pid}/maps")
    return maps.read_text() if maps.exists() else ""


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gguf(smollm2: Path) -> AsyncIterator[GgufModel]:
    opened = GgufModel(smollm2)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    return tiny_model.save(tmp_path_factory.mktemp("models") / "tiny")


# --- llama.cpp -----------------------------------------------------------------------------------


@together
async def test_a_gguf_file_counts_as_llama_cpp_with_the_whole_model_does(
    gguf: GgufModel, smollm2: Path
) -> None:
    with llama_server(smollm2) as address:
        whole = OpenAIModel(f"{address}/v1", "smollm2")
        expected = await whole.count_tokens([*POLICIES, *ODD])
        await whole.aclose()
    assert await gguf.count_tokens([*POLICIES, *ODD]) == expected
    assert expected[len(POLICIES)] == 0, "an empty text has no tokens"


@together
async def test_a_gguf_file_counts_as_the_tokenizers_library_does(gguf: GgufModel, smollm2_hf: Path) -> None:
    from tokenizers import Tokenizer

    library = Tokenizer.from_file(str(smollm2_hf / "tokenizer.json"))
    expected = [len(library.encode(text, add_special_tokens=False).ids) for text in POLICIES]
    assert await gguf.count_tokens(POLICIES) == expected


@together
async def test_policies_are_7_to_9_percent_longer_for_smollm2_than_by_the_estimate(gguf: GgufModel) -> None:
    fewest, most = TOKEN_BAND
    counts = await gguf.count_tokens(POLICIES)
    assert len(counts) == 6
    assert all(fewest <= count <= most for count in counts)
    estimates = [estimate_tokens(text) for text in POLICIES]
    assert 1.07 < sum(counts) / sum(estimates) < 1.09
    for count, estimate in zip(counts, estimates, strict=True):
        assert 1.05 < count / estimate < 1.11  # the estimate itself is off by up to 1.5 %


@together
async def test_counting_loads_no_weights_and_leaves_no_file(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    model = GgufModel(smollm2)
    assert await model.count_tokens(["one two three"]) == [3]
    assert model._process is None
    child = model._tokenizer._process
    assert child
    assert str(smollm2) not in mapped_by(child.pid)
    assert contents_of(tmp_path) == {}
    await model.aclose()
    assert child._process.returncode is not None
    with pytest.raises(ModelError, match=r"^SmolLM2-135M-Instruct\.Q4_1\.gguf is closed$"):
        await model.count_tokens(["one"])


@together
async def test_a_child_that_is_killed_while_it_counts_is_an_error_and_the_next_count_starts_another(
    gguf: GgufModel,
) -> None:
    assert await gguf.count_tokens(["one"]) == [1]
    child = gguf._tokenizer._process
    assert child
    counting = asyncio.ensure_future(gguf.count_tokens([LONG] * 20))
    await asyncio.sleep(0.3)
    assert not counting.done()
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match=r"llama\.cpp was killed by SIGKILL while it had SmolLM2") as killed:
        await counting
    assert type(killed.value) is ModelError, "it may be asked again"
    assert await gguf.count_tokens(["one two"]) == [2]


@together
async def test_who_stops_waiting_for_a_count_does_not_stop_the_next(gguf: GgufModel) -> None:
    counting = asyncio.ensure_future(gguf.count_tokens([LONG]))
    await asyncio.sleep(0.05)
    counting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await counting
    assert await gguf.count_tokens(["one two three four"]) == [4]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("header", "is damaged"),
        ("noise", "is damaged"),
        ("lengths", "is damaged"),
        ("no vocabulary", "holds no vocabulary"),
        ("no such tokenizer", "does not accept its vocabulary"),
    ],
)
async def test_a_damaged_file_is_an_error_with_words(
    smollm2: Path, tmp_path: Path, damage: str, words: str
) -> None:
    whole = await asyncio.to_thread(smollm2.read_bytes)
    at = whole.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 8
    damaged = {
        "header": whole[:2000],
        "noise": whole[:24] + bytes(range(256)) * 400,
        "lengths": whole[:at] + b"\xff" * 8 + whole[at + 8 :],
        "no vocabulary": whole.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.nothin", 1),
        "no such tokenizer": whole.replace(
            b"tokenizer.ggml.model" + struct.pack("<IQ", 8, 4) + b"gpt2",
            b"tokenizer.ggml.model" + struct.pack("<IQ", 8, 4) + b"gptX",
            1,
        ),
    }[damage]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    model = GgufModel(path)
    for _ in range(2):
        with pytest.raises(ModelError, match=rf"^damaged\.gguf cannot be loaded: .*{words}") as caught:
            await model.count_tokens(["one"])
        assert caught.value.hint
    await model.aclose()


def test_a_file_that_is_cut_anywhere_in_its_vocabulary_is_damaged(smollm2: Path, tmp_path: Path) -> None:
    whole = smollm2.read_bytes()
    path, target = tmp_path / "cut.gguf", tmp_path / "vocabulary.gguf"
    end = whole.index(b"tokenizer.ggml.merges")
    for cut in (*range(24, 400, 23), *range(400, end, end // 20)):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError, match="damaged"):
            write_vocabulary(path, target)
    assert not target.exists()


async def test_what_is_no_gguf_file_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<!DOCTYPE html><html>not found</html>")
    for name, words in (("page.gguf", "no GGUF file"), ("none.gguf", "there is no file")):
        model = GgufModel(tmp_path / name)
        with pytest.raises(ModelError, match=words):
            await model.count_tokens(["one"])
        assert model._tokenizer._process is None


# --- transformers --------------------------------------------------------------------------------


@together
async def test_a_model_of_transformers_counts_as_the_library_does(
    folder: Path, smollm2_hf: Path, gguf: GgufModel
) -> None:
    from transformers import AutoTokenizer

    for path in (folder, smollm2_hf):
        library: Any = AutoTokenizer.from_pretrained(path)
        texts = [*POLICIES, *ODD[:-2], ODD[-1]]
        expected = [len(library(text, add_special_tokens=False)["input_ids"]) for text in texts]
        model = HfModel(str(path))
        assert await model.count_tokens(texts) == expected
        assert await model.count_tokens([ODD[-2]]) != [0], "what is no Unicode is counted, too"
        assert model._process is None
        await model.aclose()
    assert expected[: len(POLICIES)] == await gguf.count_tokens(POLICIES)


async def test_neither_pytorch_nor_weights_are_needed_to_count(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "model.safetensors").unlink()
    model = HfModel(str(copy))
    assert await model.count_tokens(["one two"]) == [7]
    child = model._tokenizer._process
    assert child
    assert "libtorch" not in mapped_by(child.pid)
    counting = asyncio.ensure_future(model.count_tokens([LONG]))
    await asyncio.sleep(0.2)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="transformers was killed by SIGKILL"):
        await counting
    assert await model.count_tokens(["one"]) == [3]
    await model.aclose()
    monkeypatch.setattr(hf_model, "find_spec", lambda name: None if name == "torch" else object())
    assert hf_model._find_tokenizer(hf_model.parse_target(str(copy))) == str(copy)


async def test_a_model_with_an_adapter_counts_as_its_base(folder: Path, tmp_path: Path) -> None:
    adapter = await asyncio.to_thread(tiny_model.save_adapter, tmp_path / "lora", folder)
    for target in (f"{folder}+{adapter}", str(adapter)):
        assert await asyncio.to_thread(hf_model._find_tokenizer, hf_model.parse_target(target)) == str(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"tokenizer.json": b"{"}, "does not accept its tokenizer"),
        ({"tokenizer.json": b'{"model": {"type": "BPE", "vocab": [], "merges": 7}}'}, "does not accept"),
        ({"tokenizer.json": None, "tokenizer_config.json": None}, "does not accept its tokenizer"),
    ],
)
async def test_a_tokenizer_that_is_damaged_or_missing_is_an_error_with_words(
    folder: Path, tmp_path: Path, damage: dict[str, bytes | None], words: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name, content in damage.items():
        (copy / name).unlink()
        if content is not None:
            (copy / name).write_bytes(content)
    model = HfModel(str(copy))
    with pytest.raises(ModelError, match=words):
        await model.count_tokens(["one"])
    await model.aclose()


class ModelHub(HubServer):
    """A hub with models instead of data sets."""

    async def respond(self, seen: Seen, reply: Reply) -> None:
        for name in self.data_sets:
            seen.path = seen.path.replace(f"/api/models/{name}", f"/api/datasets/{name}")
            seen.path = seen.path.replace(f"/{name}/resolve", f"/datasets/{name}/resolve", 1)
        await super().respond(seen, reply)


async def test_of_a_model_on_the_hub_the_tokenizer_is_fetched_and_nothing_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = contents_of(folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    model = HfModel("org/tiny")
    with ModelHub({"org/tiny": files}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert await model.count_tokens(["one two"]) == [7]
        asked = " ".join(seen.path for seen in hub.requests)
        await model.aclose()
    assert "tokenizer.json" in asked
    assert "safetensors" not in asked
    again = HfModel("org/tiny")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert await again.count_tokens(["one"]) == [3], "it is kept"
    assert not (await again.check()).ok, "the model itself is not there"
    await again.aclose()
    far = HfModel("org/other")
    with pytest.raises(ModelUnreachable, match="neither a folder here nor in the hub's cache"):
        await far.count_tokens(["one"])
    await far.aclose()


async def test_without_the_extra_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_model, "find_spec", lambda name: None)
    with pytest.raises(ModelUnreachable, match="transformers") as caught:
        await HfModel(str(folder)).count_tokens(["one"])
    assert caught.value.hint == "pip install 'wizard101[train]'"


def test_ollama_does_not_pretend_to_count(tmp_path: Path) -> None:
    assert not isinstance(OllamaModel("gpt-oss:20b"), CountsTokens)
    assert isinstance(GgufModel(tmp_path / "x.gguf"), CountsTokens)
    assert isinstance(OpenAIModel("http://127.0.0.1:9/v1", "m"), CountsTokens)
