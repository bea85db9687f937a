"""The process that makes texts into tokens as llama.cpp does: ``python -m engine.models.llama_token_child``,
started by `token_process`.
"""

from __future__ import annotations

import json
import secrets
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from urllib.parse import urlsplit

from engine.models.base import ModelError
from engine.models.gguf_vocabulary import write_vocabulary
from engine.models.llama_child import REFUSED_HINT, SILENT
from engine.models.token_child import Counting, serve

CONTEXT_TOKENS = 64
"""What llama.cpp makes room for in a context that nobody uses. It splits texts of any length."""

ANSWER_SECONDS = 300.0


class Tokenizer:
    """llama.cpp's own tokenizer. It is reached through the library's port on the loopback interface only,
    with a key that nobody else is given."""

    def __init__(self, model: Path) -> None:
        import xllamacpp

        self._key = secrets.token_urlsafe(32)
        with TemporaryDirectory(prefix="wizard101-") as folder:
            path = Path(folder) / "vocabulary.gguf"
            write_vocabulary(model, path)
            try:
                self._server = xllamacpp.Server(_parameters(xllamacpp, path, self._key))
            except Exception as error:
                said = f"llama.cpp does not accept its vocabulary ({error})"
                raise ModelError(said, REFUSED_HINT) from error
        self._address = urlsplit(self._server.listening_address).netloc

    def __call__(self, text: str) -> int:
        connection = HTTPConnection(self._address, timeout=ANSWER_SECONDS)
        try:
            body = json.dumps({"content": text, "add_special": False})
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
            connection.request("POST", "/tokenize", body, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ModelError(f"llama.cpp refuses the text with HTTP {answer.status}")
        return len(json.loads(said)["tokens"])


def _parameters(xllamacpp: Any, path: Path, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = 1
    params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT_TOKENS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = params.warmup = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.verbosity = SILENT
    params.api_keys = [key]
    params.cors_origins = ""
    params.n_threads_http = 1
    params.ui = params.endpoint_slots = False
    return params


def _load(settings: dict[str, Any]) -> Counting:
    return Tokenizer(Path(settings["path"]))


def main() -> NoReturn:
    serve(_load)


if __name__ == "__main__":
    main()
