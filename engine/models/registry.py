"""From a spec string to a model: `open_model` is the one place that knows all back ends.

Back ends are imported only when a spec asks for them: they bring heavy libraries along.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.models.base import Model
from engine.workspace import of_home

FORMS = {
    "ollama": "ollama:NAME",
    "gguf": "gguf:FILE",
    "hf": "hf:MODEL[+ADAPTER][+4bit]",
    "openai": "openai:URL#MODEL",
    "fake": "fake:FILE",
}
"""The kinds of models, each with the form of its spec."""


class ModelSpecError(ValueError):
    """A spec names no model; the message says what would."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A spec taken apart: ``gguf:model.gguf`` has the kind ``gguf`` and the target ``model.gguf``."""

    kind: str
    target: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}"


def parse_spec(spec: str) -> ModelSpec:
    """Take a spec apart without opening anything.

    Raises:
        ModelSpecError: naming the valid forms.
    """
    kind, colon, target = spec.strip().partition(":")
    if kind not in FORMS:
        raise ModelSpecError(f"{spec!r} names no model; valid forms: {', '.join(FORMS.values())}")
    if not colon or not target.strip():
        raise ModelSpecError(f"{spec!r} does not say which model; the form is {FORMS[kind]}")
    return ModelSpec(kind, target.strip())


def open_model(
    spec: str, *, host: str | None = None, context: int | None = None, slots: int | None = None
) -> Model:
    """Return the model that ``spec`` names, not yet connected or loaded.

    Args:
        spec: one of `FORMS`.
        host: address of the Ollama server instead of OLLAMA_HOST; other kinds have theirs in the spec.
        context: tokens of prompt and answer together, instead of the back end's own default. Servers
            of the ``openai`` kind have their context fixed.
        slots: requests at once, instead of the back end's own default.

    Raises:
        ModelSpecError: for a spec that names nothing.
        ModelError: for an address that is none, or a missing or broken script of a fake model.
    """
    parsed = parse_spec(spec)
    match parsed.kind:
        case "ollama":
            from engine.models.ollama import OllamaModel

            return OllamaModel(parsed.target, host=host, num_ctx=context or 8192, slots=slots or 1)
        case "gguf":
            from engine.models.gguf import GgufModel

            path = of_home(parsed.target)
            return GgufModel(path, context=context or 4096, slots=slots or 6)
        case "hf":
            from engine.models.hf.model import HfModel

            return HfModel(parsed.target, context=context, slots=slots or 16)
        case "openai":
            from engine.models.openai import OpenAIModel

            url, hash_sign, name = parsed.target.rpartition("#")
            if not hash_sign or not name or not url.startswith(("http://", "https://")):
                raise ModelSpecError(f"{spec!r}: the form is {FORMS['openai']}, http:// or https://")
            return OpenAIModel(url, name, slots=slots or 6)
        case _:
            from engine.models.fake import FakeModel

            return FakeModel(of_home(parsed.target), slots=slots or 6)
