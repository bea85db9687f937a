"""The vocabulary of a GGUF file without its weights.

llama.cpp's server takes only whole models. What is written here is one: the smallest that it accepts, with
zeros for weights and the tokenizer of the file that was read. It is loaded in a fraction of a second, takes
no more memory than the vocabulary, and makes the very tokens that the model reads.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.models.base import ModelError

DAMAGED_HINT = "fetch the model again"

WIDTH = 32
"""The embedding's width: the least of which attention heads can be made."""

_KEPT = ("tokenizer.", "general.name")  # the name tells how some models strip white space around a token
_LEFT_OUT = "tokenizer.chat_template"
_TOKENS = "tokenizer.ggml.tokens"

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UINT32, _FLOAT32, _STRING, _ARRAY = 4, 6, 8, 9
_TENSOR_FLOAT32, _TENSOR_FLOAT16 = 0, 1
_ALIGNMENT = 32
_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_HEAD = struct.Struct("<4sIQQ")


def write_vocabulary(model: Path, target: Path) -> None:
    """Write a model without weights that has the tokenizer of ``model``.

    Raises:
        ModelError: where ``model`` is damaged or has no vocabulary.
        OSError: where ``model`` cannot be read, or ``target`` not be written.
    """
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            found = _read(data)
        except (struct.error, IndexError, KeyError, OverflowError, UnicodeDecodeError):
            raise ModelError("its description of the model is damaged", DAMAGED_HINT) from None
    if not found.tokens:
        raise ModelError("it holds no vocabulary", "where a model is split, name the first of its files")
    with target.open("wb") as made:
        _write(made, found)


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What of a file's description is kept, as it is there, and how many tokens there are."""

    pairs: list[bytes]
    tokens: int


def _read(data: mmap.mmap) -> _Vocabulary:
    magic, version, _, count = _HEAD.unpack_from(data, 0)
    if magic != _MAGIC or version not in _VERSIONS:
        raise KeyError(magic)
    at = _HEAD.size
    pairs: list[bytes] = []
    tokens = 0
    for _ in range(count):
        began = at
        key, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        if key == _TOKENS:
            inner, tokens = struct.unpack_from("<IQ", data, at + 4)
            if kind != _ARRAY or inner != _STRING:
                raise KeyError(key)
        at = _end_of(data, at + 4, kind)
        if key.startswith(_KEPT) and not key.startswith(_LEFT_OUT):
            pairs.append(data[began:at])
    return _Vocabulary(pairs, tokens)


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise IndexError(end)
    return data[at + 8 : end].decode("utf-8"), end


def _end_of(data: mmap.mmap, at: int, kind: int) -> int:
    """Return where the value that begins at ``at`` ends."""
    if kind == _ARRAY:
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner != _STRING:
            at += _SIZES[inner] * count
        else:
            length_at = struct.Struct("<Q").unpack_from
            for _ in range(count):  # ends at the file's end at the latest, whatever the count claims
                at += 8 + length_at(data, at)[0]
    elif kind == _STRING:
        at += 8 + struct.unpack_from("<Q", data, at)[0]
    else:
        at += _SIZES[kind]
    if at > len(data):
        raise IndexError(at)
    return at


def _write(file: BinaryIO, found: _Vocabulary) -> None:
    sizes = {
        "context_length": WIDTH,
        "embedding_length": WIDTH,
        "feed_forward_length": WIDTH,
        "block_count": 1,
        "attention.head_count": 1,
        "rope.dimension_count": WIDTH,
    }
    pairs = [
        _pair("general.architecture", _STRING, _packed("llama")),
        *(_pair(f"llama.{name}", _UINT32, struct.pack("<I", size)) for name, size in sizes.items()),
        _pair("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        *found.pairs,
    ]
    tensors: list[bytes] = []
    end = 0
    for name, shape in _shapes(found.tokens).items():
        kind, width = (_TENSOR_FLOAT32, 4) if len(shape) == 1 else (_TENSOR_FLOAT16, 2)
        described = struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, end)
        tensors.append(_packed(name) + described)
        end += _aligned(math.prod(shape) * width)
    file.write(_HEAD.pack(_MAGIC, _VERSIONS[-1], len(tensors), len(pairs)))
    file.writelines([*pairs, *tensors])
    file.truncate(_aligned(file.tell()) + end)  # a hole where the weights belong takes no room


def _shapes(tokens: int) -> dict[str, tuple[int, ...]]:
    square, row = (WIDTH, WIDTH), (WIDTH,)
    return {
        "token_embd.weight": (WIDTH, tokens),
        "output_norm.weight": row,
        "blk.0.attn_norm.weight": row,
        "blk.0.attn_q.weight": square,
        "blk.0.attn_k.weight": square,
        "blk.0.attn_v.weight": square,
        "blk.0.attn_output.weight": square,
        "blk.0.ffn_norm.weight": row,
        "blk.0.ffn_gate.weight": square,
        "blk.0.ffn_up.weight": square,
        "blk.0.ffn_down.weight": square,
    }


def _pair(key: str, kind: int, value: bytes) -> bytes:
    return _packed(key) + struct.pack("<I", kind) + value


def _packed(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
