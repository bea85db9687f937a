"""Loading a tokenizer, in a child, as it is loaded with its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer


def tokenizer_of(path: Path) -> Any:
    """Return the tokenizer of the model in a folder or a GGUF file; no code that comes with it is run.

    Raises whatever the library raises where there is none.
    """
    folder, which = source_of(path)
    return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, **which)


def source_of(path: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder that the library is to look into, and which file there it has to read."""
    return (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
