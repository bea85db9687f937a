"""A model of a few kilobytes with random weights, and a tokenizer of bytes: for structure, not sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONTEXT = 512
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "<|assistant|>"
)


def tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: number for number, letter in enumerate(bytes_)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    roles = ["<|system|>", "<|user|>", "<|assistant|>"]
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|end|>",
        extra_special_tokens=roles,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = TEMPLATE
    return made


def network(kind: str = "llama", seed: int = 0) -> Any:
    """Return a random model: ``llama``, or ``mistral`` with a sliding window of 12 tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.4,
        "eos_token_id": tokenizer().eos_token_id,
        "bos_token_id": None,
        "pad_token_id": None,
    }
    if kind == "mistral":
        return MistralForCausalLM(MistralConfig(sliding_window=12, **sizes)).eval()
    return LlamaForCausalLM(LlamaConfig(**sizes)).eval()


def save(folder: Path, seed: int = 0) -> Path:
    network(seed=seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_adapter(folder: Path, base: Path) -> Path:
    """Save a LoRA adapter for the model in ``base`` that changes what it says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"]))
    torch.manual_seed(1)
    for name, weights in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.5)
    adapted.save_pretrained(folder)
    return folder
