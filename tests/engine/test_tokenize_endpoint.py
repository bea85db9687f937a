"""Counting by a server that speaks the OpenAI protocol: as llama-server and vLLM do, and as nobody should."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from engine.models import openai
from engine.models.base import CannotCount, ModelError, ModelTimeout, ModelUnreachable, PromptTooLong
from engine.models.openai import OpenAIModel
from engine.models.tokenize_endpoint import count_in, tokenize_url
from tests.servers.http import LoopbackServer, Reply, Seen
from tests.servers.openai_server import OpenAIServer
from tests.servers.tokenize_server import Endless, TokenizeServer

SECRET = "sk-do-not-show-this"


async def counted(server: LoopbackServer, *texts: str, path: str = "/v1") -> list[int]:
    model = OpenAIModel(server.url + path, "guard")
    try:
        return await model.count_tokens(texts)
    finally:
        await model.aclose()


async def error_of(server: LoopbackServer) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await counted(server, "one two three")
    return caught.value


@pytest.mark.parametrize("vllm", [False, True])
async def test_each_of_the_two_protocols_is_understood(vllm: bool) -> None:
    with TokenizeServer(vllm=vllm) as server:
        assert await counted(server, "one two three", "", "one \ud800") == [3, 0, 2]
        body = server.requests[0].json
    assert len(server.requests) == 2, "an empty text has no tokens"
    assert (body["add_special"], body["add_special_tokens"], body["model"]) == (False, False, "guard")


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("http://h:8000/v1", "http://h:8000/tokenize"),
        ("http://h:8000/v1/", "http://h:8000/tokenize"),
        ("https://h/behind/a%20proxy/v1", "https://h/behind/a%20proxy/tokenize"),
        ("http://h:8000", "http://h:8000/tokenize"),
        ("http://h:8000/api", "http://h:8000/api/tokenize"),
    ],
)
def test_the_endpoint_lies_beside_the_protocol(base: str, asked: str) -> None:
    assert str(tokenize_url(httpx.URL(base))) == asked


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, {"detail": "Not Found"}, "HTTP 404"),
        (405, b"", "HTTP 405"),
        (501, {"error": {"message": "no"}}, "HTTP 501"),
        (302, b"", "HTTP 302"),
        (404, b"<html>\xff</html>", "UTF-8"),
        (200, b"<!DOCTYPE html><html>Welcome</html>", "not JSON"),
        (200, b"[1, 2, 3]", "where an object belongs"),
        (200, b"", "not JSON"),
        (200, {}, "no count"),
        (200, {"ok": True}, "no count"),
        (200, {"count": -1}, "a count"),
        (200, {"count": 1 << 53}, "a count"),
        (200, {"count": (1 << 53) - 1}, "of a text of 13 characters"),
        (200, {"count": 1_000}, "of a text of 13 characters"),
        (200, {"count": 3.0}, "a count"),
        (200, {"count": True}, "a count"),
        (200, {"count": "3"}, "a count"),
        (200, b'{"count": 1' + b"0" * 5000 + b"}", "not JSON"),
        (200, {"count": 3, "tokens": [1, 2]}, "two counts that differ"),
        (200, {"tokens": "abc"}, "a list"),
        (200, {"tokens": [1, -2, 3]}, "a count"),
        (200, {"tokens": [[1], [2]]}, "a count"),
        (200, {"tokens": list(range(1_000))}, "of a text of 13 characters"),
        (200, {"tokens": []}, "no tokens"),
        (200, {"count": 0}, "no tokens"),
        (200, b'{"tokens":' * 100_000, "not JSON"),
    ],
)
async def test_what_is_no_count_is_not_believed_and_not_asked_for_again(
    status: int, body: Any, words: str
) -> None:
    with TokenizeServer(body, status) as server:
        model = OpenAIModel(f"{server.url}/v1", "guard")
        for _ in range(3):
            with pytest.raises(CannotCount, match="cannot count tokens") as caught:
                await model.count_tokens(["one two three"])
            assert words in str(caught.value)
            assert "llama-server and vLLM" in caught.value.hint
            assert len(str(caught.value)) < 700
        await model.aclose()
    assert len(server.requests) == 1


async def test_a_server_that_only_chats_cannot_count() -> None:
    with OpenAIServer() as server:
        assert type(await error_of(server)) is CannotCount


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, ModelUnreachable),
        (503, ModelUnreachable),
        (429, ModelError),
        (401, ModelError),
        (403, ModelError),
    ],
)
async def test_what_may_pass_is_asked_for_again(status: int, kind: type[ModelError]) -> None:
    with TokenizeServer({"error": {"message": "not now"}}, status) as server:
        model = OpenAIModel(f"{server.url}/v1", "guard")
        with pytest.raises(ModelError, match="not now") as caught:
            await model.count_tokens(["one two three"])
        assert type(caught.value) is kind
        server.body, server.status = None, 200
        assert await model.count_tokens(["one two three"]) == [3]
        await model.aclose()


async def test_a_text_that_is_too_long_for_the_server_says_nothing_of_the_next() -> None:
    said = {
        "error": {"message": "This model's maximum context length is 4096 tokens, your prompt is too long"}
    }
    with TokenizeServer(said, 400) as server:
        model = OpenAIModel(f"{server.url}/v1", "guard")
        with pytest.raises(PromptTooLong):
            await model.count_tokens(["word " * 5000])
        server.body, server.status = None, 200
        assert await model.count_tokens(["one two three"]) == [3]
        await model.aclose()


async def test_a_key_is_sent_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openai.KEY_VARIABLE, SECRET)
    with TokenizeServer(key=SECRET) as server:
        assert await counted(server, "one two") == [2]
        server.key = "another"
        error = await error_of(server)
        assert SECRET not in str(error)
        assert openai.KEY_VARIABLE in error.hint
        server.key, server.body = "", {"count": SECRET}
        error = await error_of(server)
    assert type(error) is CannotCount
    assert SECRET not in str(error)


async def test_a_body_without_end_is_left_soon() -> None:
    with Endless(b"1," * 500_000, 0) as server:
        assert "a line of more than" in str(await error_of(server))
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patched, Endless(b"1,", 0.01) as server:
        patched.setattr(openai, "COUNT_SECONDS", 0.5)
        assert type(await error_of(server)) is ModelTimeout
    assert 0.4 < time.monotonic() - began < 3


async def test_a_server_that_is_gone_or_breaks_off_may_be_back() -> None:
    class Breaking(TokenizeServer):
        async def respond(self, seen: Seen, reply: Reply) -> None:
            await reply.start("application/json")
            reply.abort()

    with Breaking() as server:
        error = await error_of(server)
        assert (type(error), "broke off" in str(error)) == (ModelError, True)
    assert type(await error_of(server)) is ModelUnreachable


@pytest.mark.parametrize("text", ["", " ", "\n", "\u200b", "!?"])
def test_a_text_without_letters_may_have_no_tokens(text: str) -> None:
    assert count_in('{"count": 0}', text) == 0


def test_a_sign_may_stand_for_many_tokens() -> None:
    assert count_in('{"count": 33}', "\ufdfa") == 33
