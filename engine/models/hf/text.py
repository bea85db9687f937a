"""Text from tokens as they come, never half a character."""

from __future__ import annotations

from typing import Any

UNFINISHED = "\ufffd"


class TextStream:
    """The text of one answer. What `push` and `flush` return adds up to all its tokens decoded at once.

    A token may hold a part of a character, and some tokenizers decode a token differently at the
    beginning: each is decoded together with those of the last piece of text. Special tokens have none.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._before: list[int] = []
        self._held: list[int] = []

    def push(self, token: int) -> str:
        """Return the text that is complete with this token."""
        if token in self._special:
            return ""
        self._held.append(token)
        text = self._text()
        if not text or text.endswith(UNFINISHED):
            return ""
        self._before, self._held = self._held, []
        return text

    def flush(self) -> str:
        """Return what was held back at the end."""
        text = self._text()
        self._before, self._held = self._held, []
        return text

    def _text(self) -> str:
        return self._decode(self._before + self._held)[len(self._decode(self._before)) :]

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
