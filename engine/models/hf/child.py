"""The process that torch runs in: ``python -m engine.models.hf.child``, started by `model_process`, which
says how the two speak.

One thread reads what is asked, this one computes. The parts of an answer: ``{"text": .., "logprobs": [..]}``,
last ``{"finish": reason, "usage": {..}}``, or ``{"error": {"message": .., "hint": .., "too_long": ..}}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from engine.models.base import ModelError, ModelUnreachable
from engine.models.child_pipes import messages_from, take_pipes

if TYPE_CHECKING:
    from engine.models.hf.decoding import Decoder, Piece, Request
    from engine.models.hf.loading import Loaded
    from engine.models.hf.sampling import Choice

KEPT_BYTES = 1 << 30
"""How much memory the beginnings of prompts may take."""


class Child:
    """Answers one parent over two pipes."""

    def __init__(self, commands: BinaryIO, replies: BinaryIO) -> None:
        self._commands = commands
        self._replies = replies
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._open: set[int] = set()

    def serve(self) -> NoReturn:
        """Work until the parent closes the pipe or is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        settings = self._inbox.get()["load"]
        try:
            loaded, decoder = self._load(settings)
        except ModelError as error:
            unreachable = isinstance(error, ModelUnreachable)
            self._say({"failed": str(error), "hint": error.hint, "unreachable": unreachable})
            os._exit(1)
        self._say({"loaded": True})
        while True:
            if not decoder.busy:
                self._take(loaded, decoder, self._inbox.get())
            while not self._inbox.empty():
                self._take(loaded, decoder, self._inbox.get())
            decoder = self._step(loaded, decoder, settings)

    def _listen(self) -> None:
        for command in messages_from(self._commands):
            self._inbox.put(command)
        os._exit(0)  # in the middle of whatever is computed or loaded

    def _load(self, settings: dict[str, Any]) -> tuple[Loaded, Decoder]:
        try:
            import torch

            from engine.models.hf.loading import load
        except Exception as error:  # a broken installation fails in any way
            raise ModelError(f"PyTorch or transformers does not start ({error})") from error
        if settings["threads"]:
            torch.set_num_threads(settings["threads"])
        loaded = load(
            settings["model"],
            settings["adapter"],
            four_bit=settings["four_bit"],
            context=settings["context"],
        )
        if loaded.device.type == "cpu":  # its kernels take heads that share keys as they are, masked or not
            os.environ.setdefault("TRANSFORMERS_SDPA_FORCE_GQA", "1")
        return loaded, _decoder(loaded, settings)

    def _take(self, loaded: Loaded, decoder: Decoder, command: dict[str, Any]) -> None:
        number = command["id"]
        if "cancel" in command:
            decoder.cancel(number)
            self._end(number)
            return
        self._open.add(number)
        try:
            decoder.add(_request(loaded, number, command))
        except ModelError as error:
            self._fail(number, str(error), error.hint, too_long=isinstance(error, _TooLong))
        except Exception as error:  # templates and tokenizers come with the model
            self._fail(number, f"the prompt cannot be made into tokens ({error})")

    def _step(self, loaded: Loaded, decoder: Decoder, settings: dict[str, Any]) -> Decoder:
        """Compute a step; a card whose memory is full fails the answers in hand and goes on."""
        import torch

        try:
            for number, piece in decoder.step():
                self._tell(loaded, number, piece)
        except torch.OutOfMemoryError:
            hint = "shorten the texts, or give the model fewer slots"
            for number in list(self._open):
                self._fail(number, "there is too little memory for the prompts in hand", hint)
            decoder = _decoder(loaded, settings)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        except Exception as error:  # after this nothing here can be trusted: the next request starts anew
            for number in list(self._open):
                self._fail(number, f"decoding failed ({type(error).__name__}: {error})")
            os._exit(1)
        return decoder

    def _tell(self, loaded: Loaded, number: int, piece: Piece) -> None:
        from engine.models.hf.decoding import Broken, Done, Written

        match piece:
            case Written(text, tokens):
                part: dict[str, Any] = {"text": text}
                if tokens:
                    part["logprobs"] = [_spelled(loaded, choice) for choice in tokens]
                self._say({"id": number, "part": part})
            case Done(reason, prompt_tokens, written, cached):
                usage = {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": written,
                    "prompt_tokens_details": {"cached_tokens": cached},
                }
                self._say({"id": number, "part": {"finish": reason.value, "usage": usage}})
                self._end(number)
            case Broken(why):
                self._fail(number, why)

    def _fail(self, number: int, message: str, hint: str = "", *, too_long: bool = False) -> None:
        error = {"message": message, "hint": hint, "too_long": too_long}
        self._say({"id": number, "part": {"error": error}})
        self._end(number)

    def _end(self, number: int) -> None:
        if number in self._open:
            self._open.remove(number)
            self._say({"id": number, "end": True})

    def _say(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode("ascii") + b"\n"
        try:
            self._replies.write(line)
            self._replies.flush()
        except OSError:
            os._exit(0)


class _TooLong(ModelError):
    """A prompt and its answer do not fit the context."""


def _decoder(loaded: Loaded, settings: dict[str, Any]) -> Decoder:
    from engine.models.hf.decoding import Decoder
    from engine.models.hf.prefixes import PrefixStore

    store = PrefixStore(KEPT_BYTES) if settings["keep_prefixes"] else None
    return Decoder(loaded, slots=settings["slots"], store=store)


def _request(loaded: Loaded, number: int, command: dict[str, Any]) -> Request:
    """Make a request of a command.

    Raises:
        ModelError: and `_TooLong`.
    """
    from engine.models.hf.decoding import Request
    from engine.models.hf.prompts import tokens_of_chat, tokens_of_prompt
    from engine.models.hf.sampling import Sampling

    if "chat" in command:
        body = command["chat"]
        tokens = tokens_of_chat(loaded, body["messages"], body["effort"])
    else:
        body = command["completion"]
        tokens = tokens_of_prompt(loaded, body["prompt"])
    if len(tokens) + body["max_tokens"] > loaded.context:
        raise _TooLong(
            f"{len(tokens)} tokens of prompt and up to {body['max_tokens']} of answer do not fit its context "
            f"of {loaded.context} tokens",
            "shorten the text, or ask for a shorter answer",
        )
    kind = "chat" if "chat" in command else "completion"
    shared = hashlib.sha256(f"{kind} {body['shared']}".encode()).hexdigest() if body["shared"] else ""
    sampling = Sampling.of(body["temperature"], body["top_p"], body["seed"], body["top_logprobs"])
    return Request(number, tokens, shared, body["max_tokens"], sampling)


def _spelled(loaded: Loaded, choice: Choice) -> dict[str, Any]:
    def entry(token: int, logprob: float) -> dict[str, Any]:
        return {"token": loaded.tokenizer.decode([token]), "logprob": max(logprob, -1e30)}

    others = [entry(*other) for other in choice.top]
    return entry(choice.token, choice.logprob) | {"top_logprobs": others}


def main() -> NoReturn:
    # Threads that wait by spinning take several times as long where anything else runs on their cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    Child(*take_pipes()).serve()


if __name__ == "__main__":
    main()
