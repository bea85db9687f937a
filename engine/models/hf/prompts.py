"""From what a request says to the tokens that a model reads."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError

from engine.models.base import ModelError
from engine.models.hf.loading import Loaded
from engine.models.streaming import short


def tokens_of_chat(loaded: Loaded, messages: list[dict[str, str]], effort: str) -> list[int]:
    """Return the tokens of a chat in the model's own template, up to where the answer begins.

    A template that knows no system messages gets the system text as the beginning of the user's.

    Raises:
        ModelError: where the model has no template, or one that fails.
    """
    if not loaded.tokenizer.chat_template:
        raise ModelError("it has no chat template", "it is a model for raw completions")
    try:
        text = _rendered(loaded, messages, effort)
    except TemplateError as error:
        if len(messages) == 1:
            raise _broken(error) from error
        together = "\n\n".join(message["content"] for message in messages)
        try:
            text = _rendered(loaded, [{"role": "user", "content": together}], effort)
        except TemplateError:
            raise _broken(error) from error
    return _tokens(loaded, text, add_special_tokens=False)


def tokens_of_prompt(loaded: Loaded, prompt: str) -> list[int]:
    """Return the tokens of a raw prompt, with the tokenizer's own beginning of text.

    Raises:
        ModelError: where nothing is left to read.
    """
    return _tokens(loaded, prompt, add_special_tokens=True)


def _rendered(loaded: Loaded, messages: list[dict[str, str]], effort: str) -> str:
    text: str = loaded.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, reasoning_effort=effort
    )
    return text


def _tokens(loaded: Loaded, text: str, **options: Any) -> list[int]:
    tokens: list[int] = loaded.tokenizer(text, **options)["input_ids"]
    if not tokens:
        raise ModelError("the prompt is empty")
    return tokens


def _broken(error: TemplateError) -> ModelError:
    return ModelError(f"its chat template fails ({short(str(error))})")
