"""Which weights a spec names and whether they can be loaded, told from the files alone, without torch.

Only safetensors are taken: a pickle runs whatever code its author put there.
"""

from __future__ import annotations

import json
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from engine.models.base import ModelError
from engine.models.gguf import inspect as inspect_gguf
from engine.workspace import of_home

FOUR_BIT = "+4bit"
ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
DAMAGED_HINT = "fetch the model again, or take a newer transformers"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """A spec taken apart. ``adapter`` is "" for a model that comes whole."""

    model: str
    adapter: str = ""
    four_bit: bool = False


def parse_target(target: str) -> Target:
    """Take ``MODEL[+ADAPTER][+4bit]`` apart; a path that exists as it is written is a model's."""
    four_bit = target.endswith(FOUR_BIT)
    target = target.removesuffix(FOUR_BIT)
    model, _, adapter = ("", "", "") if _exists(of_home(target)) else target.rpartition("+")
    return Target(model, adapter, four_bit) if model and adapter else Target(target, "", four_bit)


def locate(name: str) -> Path | None:
    """Return where a model lies on this machine, None for a name that the hub would have to be asked for.

    Raises:
        ModelError: where it is neither here nor such a name.
    """
    path = of_home(name)
    if _exists(path):
        return path.resolve()
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(f"there is no folder {name}", "name a folder, or a model of the hub as OWNER/NAME")
    return cached_snapshot(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def cached_snapshot(name: str) -> Path | None:
    """Return the folder of a model in the hub's cache, None where it is not there as a whole."""
    folder = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    snapshot = folder / "snapshots" / commit
    try:
        inspect(snapshot)
    except ModelError:
        return None
    return snapshot


def cached_models() -> list[str]:
    """Return the names of the models that write text and lie in the hub's cache as a whole."""
    names = (
        folder.name.removeprefix("models--").replace("--", "/") for folder in hub_cache().glob("models--*")
    )
    return sorted(name for name in names if (path := cached_snapshot(name)) and _writes(path))


def _writes(path: Path) -> bool:
    if is_adapter(path):
        return True
    architectures = _json(path / "config.json").get("architectures")
    return isinstance(architectures, list) and any(str(name).endswith("CausalLM") for name in architectures)


def hub_cache() -> Path:
    """Return the folder of the hub's cache, found as huggingface_hub finds it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(variable):
            return of_home(value)
    if value := os.environ.get("HF_HOME"):
        return of_home(value) / "hub"
    return of_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def is_offline() -> bool:
    """Tell whether the environment forbids to ask the hub."""
    values = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


def is_adapter(path: Path) -> bool:
    return (path / ADAPTER_CONFIG).is_file()


def base_of(adapter: Path) -> str:
    """Return the name or path of the model that an adapter was made for.

    Raises:
        ModelError: where it does not say.
    """
    base = _json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{adapter} does not say for which model it is", "name both: hf:MODEL+ADAPTER")
    return base


def inspect(path: Path) -> None:
    """Look at a folder with a model or an adapter, or at a GGUF file, before anything loads it.

    Raises:
        ModelError: where something is missing, damaged, cut short or a pickle.
    """
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is neither a folder with a model nor a GGUF file")
        inspect_gguf(path)
    elif is_adapter(path):
        _json(path / ADAPTER_CONFIG)
        _inspect_weights(path, ADAPTER_WEIGHTS)
    else:
        _json(path / "config.json")
        _inspect_weights(path, WEIGHTS)


def _inspect_weights(folder: Path, name: str) -> None:
    index = folder / f"{name}.index.json"
    if (folder / name).is_file():
        shards = [name]
    elif index.is_file():
        weight_map = _json(index).get("weight_map")
        shards = list(weight_map.values()) if isinstance(weight_map, dict) else []
        if not shards or not all(isinstance(shard, str) for shard in shards):
            raise ModelError(f"{index} is damaged: it maps no weights to files")
        shards = sorted(set(shards))
    elif any(any(folder.glob(pattern)) for pattern in _PICKLES):
        raise ModelError(
            f"{folder} has pickled weights only, which can run code when they are loaded",
            "convert them to safetensors where you trust them, or take a model that has them",
        )
    else:
        raise ModelError(f"{folder} has no {name}", "fetch the model again, or name another folder")
    for shard in shards:
        _inspect_safetensors(folder / shard)


def _inspect_safetensors(path: Path) -> None:
    """Check that a file is as long as its own table of tensors says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
            head = file.read(length) if length <= min(size, _MAX_HEADER_BYTES) else b""
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", "fetch the model again") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError:
        raise ModelError(f"{path.parent} is damaged: {path.name!r} is no name of a file") from None
    try:
        table = json.loads(head)
        ends = [entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"]
        whole = 8 + length + max(ends)
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        raise ModelError(f"{path} is damaged, or no safetensors file", "fetch the model again") from None
    if size != whole:
        raise ModelError(f"{path} is damaged: {size} bytes instead of {whole}", "fetch the model again")


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"there is no {path}", "name a folder with a model or an adapter in it") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is damaged: it is not JSON", "fetch the model again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} is damaged: it is no JSON object", "fetch the model again")
    return value
