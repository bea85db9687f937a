"""Loading a model, in the child. Everything that can go wrong becomes a `ModelError` with words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    DynamicCache,
    GgufConfig,
)
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from engine.models.base import ModelError
from engine.models.hf.files import ADAPTER_WEIGHTS, DAMAGED_HINT, inspect
from engine.models.hf.hub import fetched
from engine.models.hf.tokenizer import source_of, tokenizer_of
from engine.models.streaming import short

DEFAULT_CONTEXT = 4096
"""Tokens of context for a model that says nothing about it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to compute. ``context`` is in tokens; ``stops`` are the tokens that end an answer."""

    model: Any
    tokenizer: Any
    context: int
    stops: frozenset[int]
    layers: int

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


def load(model: str, adapter: str = "", *, four_bit: bool = False, context: int | None = None) -> Loaded:
    """Load a model, in float32 on a CPU and in its own type elsewhere, with an adapter where one is named.

    An adapter is merged into the weights, except into those of 4 bits.

    Args:
        model: a folder, a GGUF file or a name on the hub.
        adapter: a folder or a name, "" for none.
        four_bit: NF4 with bitsandbytes, on CUDA only.
        context: tokens of prompt and answer, below what the model can take.

    Raises:
        ModelUnreachable: where the model has to be fetched and cannot be.
        ModelError: where it cannot be loaded.
    """
    path = fetched(model)
    adapter_path = fetched(adapter) if adapter else None
    for found in (path, adapter_path):
        if found:
            inspect(found)
    if four_bit and not torch.cuda.is_available():
        raise ModelError("4 bits need an NVIDIA card (CUDA), and there is none", "leave +4bit out")
    try:
        network = _network(path, four_bit)
        tokenizer = tokenizer_of(path)
        if adapter_path:
            network = _adapted(network, adapter_path, merge=not four_bit)
    except torch.OutOfMemoryError:
        raise ModelError("there is too little memory for it", "take a smaller model, or +4bit") from None
    except SafetensorError as error:
        raise ModelError(f"its weights are damaged ({short(str(error))})", DAMAGED_HINT) from error
    except ModelError:
        raise
    except Exception as error:  # the library raises whatever a hostile or unknown configuration leads to
        raise ModelError(f"transformers does not accept it ({_words(error)})", DAMAGED_HINT) from error
    network.eval()
    return Loaded(
        network,
        tokenizer,
        _context(network.config, context),
        _stops(network, tokenizer),
        _layers(network.config),
    )


def _network(path: Path, four_bit: bool) -> Any:
    device = _device()
    options: dict[str, Any] = {"dtype": torch.float32 if device.type == "cpu" else "auto"}
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        options["dtype"] = torch.bfloat16
    elif path.is_file():
        options["quantization_config"] = GgufConfig(dequantize=True)
        options["dtype"] = torch.float32 if device.type == "cpu" else torch.bfloat16
    if device.type != "cpu":
        options["device_map"] = {"": device}
    folder, which = source_of(path)
    load: Any = AutoModelForCausalLM.from_pretrained
    network, report = load(
        str(folder),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **which,
        **options,
    )
    # The library fills what a file lacks with random numbers.
    missing = [*report["missing_keys"], *report["mismatched_keys"]]
    if missing:
        raise ModelError(f"its files lack {len(missing)} of its weights, such as {short(str(missing[0]))}")
    return network


def _adapted(network: Any, adapter: Path, *, merge: bool) -> Any:
    from peft import PeftConfig, PeftModel

    before = set(network.state_dict())
    adapted = PeftModel(network, PeftConfig.from_pretrained(str(adapter), local_files_only=True))
    if not any("lora_" in name for name in set(adapted.state_dict()) - before):
        raise ModelError(f"{ADAPTER_WEIGHTS} in {adapter} changes nothing of the model")
    report = adapted.load_adapter(str(adapter), "default", use_safetensors=True, local_files_only=True)
    # The library leaves out what belongs nowhere, and what a file lacks changes nothing.
    if amiss := [*report.missing_keys, *report.unexpected_keys]:
        raise ModelError(
            f"{ADAPTER_WEIGHTS} in {adapter} is for another model: {len(amiss)} weights are missing or "
            f"belong nowhere, such as {short(str(amiss[0]))}"
        )
    return adapted.merge_and_unload() if merge else adapted.get_base_model()


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _context(config: Any, asked: int | None) -> int:
    text = config.get_text_config()
    known = (getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    own = next((value for value in known if isinstance(value, int) and value > 0), DEFAULT_CONTEXT)
    return min(own, asked or own)


def _stops(network: Any, tokenizer: Any) -> frozenset[int]:
    stops: set[int] = set()
    for ends in (network.generation_config.eos_token_id, network.config.eos_token_id, tokenizer.eos_token_id):
        stops |= {ends} if isinstance(ends, int) else set(ends or ())
    return frozenset(stops)


def _layers(config: Any) -> int:
    """Return how many layers keep keys and values.

    Raises:
        ModelError: where a layer keeps something else, which cannot be cut at a token as prefixes are.
    """
    layers = DynamicCache(config=config.get_text_config()).layers
    kinds = {type(layer) for layer in layers}
    if not layers or not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
        raise ModelError("its layers keep more than keys and values; such models are not supported here")
    return len(layers)


def _words(error: Exception) -> str:
    return short(str(error).partition("\n")[0]) or type(error).__name__
