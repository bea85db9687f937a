"""Fetching models from the hub, and what can go wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.models.base import ModelError, ModelUnreachable
from engine.models.hf.files import locate

PATTERNS = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
"""What is fetched: weights that are no pickles, configuration and tokenizers; no code."""

_WEIGHTS = ["*.safetensors", "*/*"]


def unreachable_hint(name: str) -> str:
    return f"fetch it where there is a network: `hf download {name}`, and copy the folder or the cache"


def fetched(name: str) -> Path:
    """Return the folder of a model, fetched from the hub where it is not on this machine as a whole.

    Raises:
        ModelUnreachable: where the hub cannot be reached or the model is not to be had now.
        ModelError: where the hub has no such model.
    """
    path = locate(name)
    if path is not None:
        return path
    with hub_errors(name):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=PATTERNS, ignore_patterns=["original/*"]))


def fetched_tokenizer(name: str) -> Path:
    """Return a folder with the tokenizer of a model that is not on this machine, fetched without weights.

    Raises:
        ModelError: and `ModelUnreachable`, as `fetched`.
    """
    with hub_errors(name):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=PATTERNS, ignore_patterns=_WEIGHTS))


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turn what asking the hub can raise into `ModelError`s, without any address or token."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except GatedRepoError:
        hint = "accept its terms on the hub, then log in with `hf auth login`"
        raise ModelError(f"the hub gives {name} only to those who accepted its terms", hint) from None
    except (RepositoryNotFoundError, HFValidationError):
        hint = "correct the name; for a private model log in with `hf auth login`"
        raise ModelError(f"{name} is no folder here, and the hub has no such model", hint) from None
    except Exception as error:  # of whichever HTTP client the hub's library has now
        raise ModelUnreachable(
            f"{name} is neither a folder here nor in the hub's cache, and the hub cannot be reached "
            f"({type(error).__name__})",
            unreachable_hint(name),
        ) from None
