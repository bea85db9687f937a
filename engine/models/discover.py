"""What could judge right now: for pickers and ``wizard101 models list``."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.models.base import ModelError, Reachability
from engine.models.streaming import CHECK_SECONDS

OPENAI_URL_VARIABLE = "WIZARD_OPENAI_URL"


@dataclass(frozen=True, slots=True)
class ModelOption:
    """A model to choose, or, with an empty ``spec``, a back end that offers none and why."""

    spec: str
    label: str
    reachability: Reachability


async def discover(models_dir: Path) -> list[ModelOption]:
    """Ask every back end at once what it offers, within about two seconds.

    ``models_dir`` is where `engine.models.pull` puts files. Never raises for what a back end does.
    """
    found = await asyncio.gather(_ollama(), _files(models_dir), _hub_cache(), _openai())
    return [option for options in found for option in options]


async def _ollama() -> list[ModelOption]:
    from engine.models.ollama import NOT_RUNNING_HINT, OllamaClient, installed

    try:
        client = OllamaClient()
    except ModelError as error:
        return [_absent("Ollama", str(error), "correct OLLAMA_HOST")]
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            models = await installed(client)
    except TimeoutError:
        return [_absent("Ollama", f"{client.url} does not answer", NOT_RUNNING_HINT)]
    except ModelError as error:
        hint = error.hint if shutil.which("ollama") else "install Ollama, then run `ollama serve`"
        return [_absent("Ollama", str(error), hint)]
    finally:
        await client.aclose()
    if not models:
        return [_absent("Ollama", "it runs, without a model", "`ollama pull gpt-oss-safeguard:20b`")]
    return [ModelOption(f"ollama:{name}", name, Reachability(True, detail)) for name, detail in models]


async def _files(models_dir: Path) -> list[ModelOption]:
    from engine.models.gguf import GgufModel

    paths = await asyncio.to_thread(lambda: sorted(models_dir.glob("*.gguf")))
    if not paths:
        hint = "`wizard101 models pull smollm2` fetches a small one"
        return [_absent("GGUF file", f"none in {models_dir}", hint)]
    return [ModelOption(f"gguf:{path}", path.stem, await GgufModel(path).check()) for path in paths]


async def _hub_cache() -> list[ModelOption]:
    from engine.models.hf.files import cached_models
    from engine.models.hf.model import HfModel, missing_library

    if missing := missing_library():
        return [_absent("Hugging Face model", str(missing), missing.hint)]
    names = await asyncio.to_thread(cached_models)
    if not names:
        hint = "hf:OWNER/NAME fetches one at first use, hf:./FOLDER is one of yours"
        return [_absent("Hugging Face model", "none in the hub's cache", hint)]
    return [ModelOption(f"hf:{name}", name, await HfModel(name).check()) for name in names]


async def _openai() -> list[ModelOption]:
    from engine.models.openai import KEY_VARIABLE, client, served

    url = os.environ.get(OPENAI_URL_VARIABLE, "").strip()
    if not url:
        return []
    hint = f"start the server, or correct {OPENAI_URL_VARIABLE}"
    try:
        http = client(url, os.environ.get(KEY_VARIABLE, "").strip())
    except ModelError as error:
        return [_absent("OpenAI protocol", str(error), error.hint or hint)]
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            names = await served(http, f"the server at {url}", hint)
    except TimeoutError:
        return [_absent("OpenAI protocol", f"{url} does not answer", hint)]
    except ModelError as error:
        return [_absent("OpenAI protocol", str(error), error.hint)]
    finally:
        await http.aclose()
    return [ModelOption(f"openai:{url}#{name}", name, Reachability(True, url)) for name in names]


def _absent(label: str, detail: str, hint: str) -> ModelOption:
    return ModelOption("", label, Reachability(False, detail, hint))
