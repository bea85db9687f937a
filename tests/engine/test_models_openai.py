"""The OpenAI back end against a real server on the loopback interface."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    Model,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    PromptTooLong,
    ReasoningChunk,
    TokenLogprob,
)
from engine.models.discover import _openai
from engine.models.openai import OpenAIModel
from engine.models.registry import open_model
from engine.models.streaming import Patience
from tests.servers.http import wait_for
from tests.servers.openai_server import OpenAIServer, Script

REQUEST = ChatRequest(system="The policy.", user="The text.", max_tokens=50, seed=3)
SECRET = "sk-do-not-show-this"


async def ask(model: Model, request: ChatRequest = REQUEST) -> list[Chunk]:
    try:
        return [chunk async for chunk in model.chat(request)]
    finally:
        await model.aclose()


async def error_of(server: OpenAIServer) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(open_model(server.spec))
    return caught.value


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_answer_logprobs_and_usage(field: str) -> None:
    steps: list[dict[str, Any]] = [
        {field: "Hm."},
        {"content": "SAFE", "logprobs": [["SAFE", -0.1, {"VIOLATION": -2.4}]]},
        {"finish": "stop"},
        {"usage": [321, 7]},
        {"done": True},
    ]
    with OpenAIServer(Script(steps)) as server:
        chunks = await ask(open_model(server.spec))
    assert chunks[:2] == [
        ReasoningChunk("Hm."),
        AnswerChunk("SAFE", (TokenLogprob("SAFE", -0.1, (("VIOLATION", -2.4),)),)),
    ]
    last = chunks[2]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.prompt_tokens, last.usage.completion_tokens) == (
        FinishReason.STOP,
        321,
        7,
    )


async def test_a_request_is_what_the_protocol_asks_for() -> None:
    with OpenAIServer(name="gpt-oss-safeguard-20b") as server:
        await ask(open_model(server.spec), ChatRequest(system="s", user="u", top_logprobs=5, max_tokens=9))
        body = server.chats[0].json
    assert body["stream_options"] == {"include_usage": True}
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 5, 9)
    assert body["reasoning_effort"] == "medium"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_frames_may_be_cut_anywhere_and_hold_comments_and_carriage_returns() -> None:
    text = (
        ": ping\r\n\r\nevent: message\r\n"
        'data: {"choices":[{"delta":{"content":"SÄ\u2028"}}]}\r\n\r\n'
        'data:{"choices":[{"delta":{},"finish_reason":"length"}]}\n\n: ping\n\ndata: [DONE]\n\n'
    ).encode()
    with OpenAIServer(Script([{"raw": text[at : at + 1]} for at in range(len(text))])) as server:
        chunks = await ask(open_model(server.spec))
    assert chunks[0] == AnswerChunk("SÄ\u2028")
    assert isinstance(chunks[1], FinishChunk)
    assert chunks[1].reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"content": "SAFE"}, {"done": True}], "cut the answer off"),
        ([{"content": "SAFE"}], "cut the answer off"),
        ([{"content": "SAFE"}, {"close": True}], "broke off"),
        ([{"content": "SA"}, {"error": {"message": "CUDA failure", "code": 500}}], "CUDA failure"),
        ([{"error": "out of memory"}], "out of memory"),
        ([{"raw": b"data: {oops\n\n"}], "not JSON"),
        ([{"raw": b'data: {"choices": {"a": 1}}\n\n'}], "'choices'"),
        ([{"raw": b'data: {"choices": [{"delta": {"content": ["x"]}}]}\n\n'}], "'content'"),
        ([{"raw": b"data: \xff\n\n"}], "UTF-8"),
        ([{"content": "SAFE"}, {"finish": "content_filter"}], "content_filter"),
        ([{"raw": b'data: {"choices":[{"delta":{"reasoning":"so "}}]}\n\n' * 8_000}], "went on writing"),
        ([{"raw": b'data: {"choices":[{"delta":{"content":"so"}}]}\n\n' * 8_000}], "went on writing"),
        ([{"raw": b"data: x\n" * 700_000}], "an event of more than"),
    ],
)
async def test_what_a_broken_server_sends_is_an_error(steps: list[dict[str, Any]], words: str) -> None:
    with OpenAIServer(Script(steps)) as server:
        error = await error_of(server)
    assert type(error) is ModelError
    assert words in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, b'{"error": {"message": "temperature must be positive"}}', ModelError, "must be positive"),
        (400, b'{"object": "error", "message": "unknown field"}', ModelError, "unknown field"),
        (422, b'{"detail": "unprocessable"}', ModelError, "unprocessable"),
        (503, b'{"error": {"message": "Loading model"}}', ModelUnreachable, "Loading model"),
        (502, b"<html>bad gateway</html>", ModelUnreachable, "bad gateway"),
        (502, b"bad\n" * (1 << 21), ModelError, "a reply of more than"),
        (
            400,
            b'{"error": {"message": "This model\'s maximum context length is 4096 tokens. However, you"}}',
            PromptTooLong,
            "4096",
        ),
        (
            400,
            b'{"error": {"code": 400, "type": "exceed_context_size_error", "message": '
            b'"request (6834 tokens) exceeds the available context size (2048 tokens), try increasing it"}}',
            PromptTooLong,
            "6834",
        ),
    ],
)
async def test_statuses(status: int, body: bytes, kind: type[ModelError], words: str) -> None:
    with OpenAIServer(Script(status=status, body=body)) as server:
        error = await error_of(server)
    assert type(error) is kind
    assert words in str(error)


async def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIZARD_OPENAI_API_KEY", SECRET)
    with OpenAIServer(key=SECRET) as server:
        model = open_model(server.spec)
        assert (await model.check()).ok
        assert isinstance((await ask(model))[-1], FinishChunk)
        assert SECRET not in model.spec
    with OpenAIServer(key="another") as server:
        error = await error_of(server)
        reachability = await open_model(server.spec).check()
    assert "Incorrect API key" in str(error)
    assert "WIZARD_OPENAI_API_KEY" in error.hint
    assert SECRET not in f"{error!r} {error} {error.hint} {reachability}"


@pytest.mark.parametrize("end", ["\nsecond line", "\u00e9", "\udcff"])
async def test_a_key_that_cannot_be_sent_is_not_shown_either(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("WIZARD_OPENAI_API_KEY", SECRET + end)
    monkeypatch.setenv("WIZARD_OPENAI_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="WIZARD_OPENAI_API_KEY") as refused:
        await ask(open_model("openai:http://127.0.0.1:9/v1#guard"))
    assert SECRET not in f"{refused.value!r} {await _openai()}"


async def test_nothing_listens() -> None:
    model = open_model("openai:http://127.0.0.1:9/v1#guard")
    assert not (await model.check()).ok
    with pytest.raises(ModelUnreachable):
        await ask(model)


async def test_check_names_what_there_is_where_the_model_is_not() -> None:
    with OpenAIServer(name="guard") as server:
        model = open_model(server.spec.replace("#guard", "#other"))
        reachability = await model.check()
        await model.aclose()
    assert (reachability.ok, reachability.hint) == (False, "it has guard")


async def test_a_stall_times_out_and_closing_closes_the_connection() -> None:
    with OpenAIServer(Script([{"content": "SA"}, {"stall": True}])) as server:
        url, name = server.spec.removeprefix("openai:").split("#")
        with pytest.raises(ModelTimeout):
            await ask(OpenAIModel(url, name, patience=Patience(first_s=5, next_s=0.1)))
        wait_for(lambda: server.chats[0].client_closed is not None)
        model = open_model(server.spec)
        stream = model.chat(REQUEST)
        await anext(stream)
        closed_at = time.monotonic()
        await stream.aclose()  # type: ignore[attr-defined]
        wait_for(lambda: server.chats[1].client_closed is not None)
        assert (server.chats[1].client_closed or 0) - closed_at < 0.2
        await model.aclose()


COMPLETION = CompletionRequest(
    prefix="Rules.\n", rest="Text:\n", max_tokens=50, top_p=0.9, seed=3, top_logprobs=3
)


async def carry_on(server: OpenAIServer, request: CompletionRequest = COMPLETION) -> list[Chunk]:
    model = open_model(server.spec)
    try:
        return [chunk async for chunk in model.complete(request)]
    finally:
        await model.aclose()


async def test_an_empty_system_text_is_no_message() -> None:
    with OpenAIServer() as server:
        await ask(open_model(server.spec), ChatRequest(system="", user="u"))
        assert server.chats[0].json["messages"] == [{"role": "user", "content": "u"}]


@pytest.mark.parametrize("legacy", [True, False])
async def test_a_completion_streams_with_its_probabilities_in_either_form(legacy: bool) -> None:
    steps: list[dict[str, Any]] = [
        {"content": "# Task", "logprobs": [["#", -0.5, {"#": -0.5, "The": -1.5}], [" Task", -0.1, {}]]},
        {"content": " 1"},
        {"finish": "length"},
        {"usage": [321, 7]},
        {"done": True},
    ]
    with OpenAIServer(Script(steps, legacy=legacy)) as server:
        chunks = await carry_on(server)
        body = server.completions[0].json
    assert chunks[:2] == [
        AnswerChunk(
            "# Task", (TokenLogprob("#", -0.5, (("#", -0.5), ("The", -1.5))), TokenLogprob(" Task", -0.1))
        ),
        AnswerChunk(" 1"),
    ]
    last = chunks[2]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.completion_tokens) == (FinishReason.LENGTH, 7)
    assert body["prompt"] == "Rules.\nText:\n"
    assert (body["max_tokens"], body["top_p"], body["seed"], body["logprobs"]) == (50, 0.9, 3, 3)
    assert "messages" not in body


async def test_tokens_read_from_a_kept_prefix_are_told() -> None:
    usage = b'{"prompt_tokens": 600, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 512}}'
    steps = [
        {"content": "x"},
        {"finish": "stop"},
        {"raw": b'data: {"choices": [], "usage": ' + usage + b"}\n\n"},
    ]
    with OpenAIServer(Script(steps)) as server:
        last = (await carry_on(server))[-1]
    assert isinstance(last, FinishChunk)
    assert (last.usage.prompt_tokens, last.usage.cached_tokens) == (600, 512)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"content": "x"}, {"done": True}], "cut the answer off"),
        ([{"content": "x"}, {"close": True}], "broke off"),
        ([{"content": "x"}, {"error": "out of memory"}], "out of memory"),
        ([{"content": "x"}, {"finish": "abort"}], "abort"),
        ([{"raw": b'data: {"choices": [{"text": ["x"]}]}\n\n'}], "'text'"),
        ([{"raw": b'data: {"choices": [{"text": "x", "logprobs": [1]}]}\n\n'}], "object"),
    ],
)
async def test_a_broken_completion_is_an_error(steps: list[dict[str, Any]], words: str) -> None:
    with OpenAIServer(Script(steps)) as server, pytest.raises(ModelError) as caught:
        await carry_on(server)
    assert type(caught.value) is ModelError
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("logprobs", "words"),
    [
        ({"tokens": ["x", "y"], "token_logprobs": [-1]}, "do not belong"),
        ({"tokens": ["x"], "token_logprobs": [-1], "top_logprobs": [{"x": -1}] * 2}, "do not belong"),
        ({"tokens": ["x"], "token_logprobs": [None]}, "'token_logprobs'"),
        ({"tokens": ["x"], "token_logprobs": [-1], "top_logprobs": [{"x": "1"}]}, "a number"),
        ({"tokens": "x"}, "'tokens'"),
    ],
)
async def test_broken_probabilities_of_a_completion_are_an_error(logprobs: object, words: str) -> None:
    part = json.dumps({"choices": [{"text": "x", "logprobs": logprobs}]}).encode()
    steps: list[dict[str, Any]] = [{"raw": b"data: " + part + b"\n\n"}]
    with OpenAIServer(Script(steps)) as server, pytest.raises(ModelError, match=words):
        await carry_on(server)


async def test_a_server_without_completions_and_a_prompt_too_long() -> None:
    body = b'{"error": {"message": "This model\'s maximum context length is 4096 tokens. However, you"}}'
    with OpenAIServer(Script(status=400, body=body)) as server:
        with pytest.raises(PromptTooLong, match="4096"):
            await carry_on(server)
        server.script = Script(status=404, body=b'{"detail": "Not Found"}')
        with pytest.raises(ModelError, match="HTTP 404: Not Found"):
            await carry_on(server)


async def test_closing_a_completion_closes_the_connection() -> None:
    with OpenAIServer(Script([{"content": "SA"}, {"stall": True}])) as server:
        model = open_model(server.spec)
        stream = model.complete(COMPLETION)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        wait_for(lambda: server.completions[0].client_closed is not None)
        await model.aclose()
