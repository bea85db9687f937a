"""Asking a server how many tokens a text has, as llama-server and vLLM answer it: ``POST /tokenize``.

It is no part of the OpenAI protocol and lies beside it, not below ``/v1``. What anything else answers at that
address is not believed.
"""

from __future__ import annotations

from typing import Any

import httpx

from engine.models.base import ModelError
from engine.models.streaming import Fields, sendable

TOKENS_PER_BYTE = 16
"""More than this no tokenizer makes: most have a token for each byte at the worst, and some first spell out
signs that stand for several letters."""

SPARE_TOKENS = 16
"""What a tokenizer may put before and after a text that is all but empty."""


def tokenize_url(base: httpx.URL) -> httpx.URL:
    """Return where the server at ``base``, which may end in ``/v1``, is asked."""
    return base.copy_with(path=base.path.rstrip("/").removesuffix("/v1") + "/tokenize")


def tokenize_body(model: str, text: str) -> dict[str, Any]:
    """Return a request that both understand: each takes its own fields and passes over the other's."""
    content = sendable(text)
    return {
        "model": model,
        "prompt": content,
        "add_special_tokens": False,
        "content": content,
        "add_special": False,
    }


def count_in(reply: str, text: str) -> int:
    """Return the number of tokens that ``reply`` gives for ``text``.

    Raises:
        ModelError: where it gives none, two, or one that cannot be; "it" is the server in the message.
    """
    part = Fields.parse(reply, "it")
    counts = set()
    if "count" in part:
        counts.add(part.count("count"))
    if "tokens" in part:
        counts.add(len(part.counts("tokens")))
    if len(counts) != 1:
        raise ModelError(f"it sent {'two counts that differ' if counts else 'no count'}")
    count = counts.pop()
    if count > SPARE_TOKENS + TOKENS_PER_BYTE * len(sendable(text).encode("utf-8")):
        raise ModelError(f"it sent {count} as the number of tokens of a text of {len(text)} characters")
    if not count and any(letter.isalnum() for letter in text):
        raise ModelError("it sent no tokens for a text that has letters or digits")
    return count
