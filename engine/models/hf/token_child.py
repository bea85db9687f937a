"""The process that makes texts into tokens as transformers does: ``python -m engine.models.hf.token_child``,
started by `token_process`.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from engine.models.base import ModelError
from engine.models.hf.files import DAMAGED_HINT, locate
from engine.models.hf.hub import fetched_tokenizer
from engine.models.streaming import short
from engine.models.token_child import Counting, serve


def _load(settings: dict[str, Any]) -> Counting:
    path = locate(settings["model"]) or fetched_tokenizer(settings["model"])
    if path.suffix != ".gguf":
        # transformers imports PyTorch where it finds it: seconds and 200 MB for what only weights need.
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        from engine.models.hf.tokenizer import tokenizer_of
    except Exception as error:  # a broken installation fails in any way
        raise ModelError(f"transformers does not start ({error})") from error
    try:
        tokenizer = tokenizer_of(path)
    except Exception as error:  # the library raises whatever a damaged or hostile file leads to
        why = short(str(error).partition("\n")[0]) or type(error).__name__
        raise ModelError(f"transformers does not accept its tokenizer ({why})", DAMAGED_HINT) from error
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def main() -> NoReturn:
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    serve(_load)


if __name__ == "__main__":
    main()
