"""The Ollama back end, through Ollama's client, against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    Effort,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    PromptTooLong,
    ReasoningChunk,
    TokenLogprob,
)
from engine.models.ollama import OllamaModel
from engine.models.streaming import MAX_LINE_BYTES, Patience
from tests.servers.http import wait_for
from tests.servers.ollama_server import OllamaServer, Script

REQUEST = ChatRequest(system="The policy.", user="The text.")


def model_of(server: OllamaServer, **options: Any) -> OllamaModel:
    return OllamaModel(server.name, host=server.url, **options)


async def ask(server: OllamaServer, request: ChatRequest = REQUEST, **options: Any) -> list[Chunk]:
    model = model_of(server, **options)
    try:
        return [chunk async for chunk in model.chat(request)]
    finally:
        await model.aclose()


async def fails(
    server: OllamaServer, kind: type[ModelError], request: ChatRequest = REQUEST, **options: Any
) -> str:
    with pytest.raises(kind) as caught:
        await ask(server, request, **options)
    assert type(caught.value) is kind
    return f"{caught.value} {caught.value.hint}"


async def test_thinking_and_answer_come_apart_and_in_order() -> None:
    steps = [
        {"thinking": "The text "},
        {"thinking": "asks."},
        {"content": "SA"},
        {"content": "FE"},
        {"done": "stop"},
    ]
    with OllamaServer(Script(steps=steps)) as server:
        chunks = await ask(server)
    assert chunks[:2] == [ReasoningChunk("The text "), ReasoningChunk("asks.")]
    assert chunks[2:4] == [AnswerChunk("SA"), AnswerChunk("FE")]
    last = chunks[-1]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.prompt_tokens, last.usage.completion_tokens) == (
        FinishReason.STOP,
        600,
        10,
    )


async def test_a_request_is_what_the_method_asks_for() -> None:
    request = ChatRequest(
        system="The policy.", user="The text.", max_tokens=77, seed=5, effort=Effort.HIGH, top_logprobs=4
    )
    with OllamaServer() as server:
        await ask(server, request, num_ctx=2048)
        body = server.chats[0].json
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["options"] == {"num_ctx": 2048, "num_predict": 77, "temperature": 0.0, "seed": 5}
    assert (body["think"], body["logprobs"], body["top_logprobs"]) == ("high", True, 4)
    assert body["truncate"] is False
    assert body["shift"] is False
    assert "format" not in body


@pytest.mark.parametrize(
    ("name", "family", "capabilities", "think"),
    [
        ("qwen3:8b", "qwen3", ("completion", "thinking"), True),
        ("llama3.2:3b", "llama", ("completion",), None),
        ("my-guard", "gptoss", ("completion", "thinking"), "medium"),
        ("gpt-oss:20b", "", (), "medium"),
    ],
)
async def test_think_is_sent_as_the_model_takes_it(
    name: str, family: str, capabilities: tuple[str, ...], think: object
) -> None:
    with OllamaServer(name=name, family=family, capabilities=capabilities) as server:
        await ask(server)
        assert server.chats[0].json.get("think") == think


async def test_the_model_is_described_once_not_before_every_request() -> None:
    with OllamaServer() as server:
        model = model_of(server)
        for _ in range(3):
            _ = [chunk async for chunk in model.chat(REQUEST)]
        await model.aclose()
        assert [seen.path for seen in server.requests].count("/api/show") == 1


async def test_logprobs_belong_to_the_answer() -> None:
    steps = [
        {"thinking": "Hm.", "logprobs": [["Hm.", -0.5, {}]]},
        {
            "thinking": ".",
            "content": "VIO",
            "logprobs": [[".", -0.4, {}], ["VIO", -0.1, {"VIO": -0.1, "SAFE": -2.5}]],
        },
        {"content": "LATION", "logprobs": [["LATION", -0.01, {}]]},
        {"done": "stop"},
    ]
    with OllamaServer(Script(steps=steps)) as server:
        chunks = await ask(server, ChatRequest(system="", user="", top_logprobs=2))
    answers = [chunk for chunk in chunks if isinstance(chunk, AnswerChunk)]
    assert answers[0].logprobs == (TokenLogprob("VIO", -0.1, (("VIO", -0.1), ("SAFE", -2.5))),)
    assert answers[1].logprobs == (TokenLogprob("LATION", -0.01),)


async def test_length_is_told() -> None:
    with OllamaServer(Script(steps=[{"content": "SA"}, {"done": "length"}])) as server:
        last = (await ask(server))[-1]
    assert isinstance(last, FinishChunk)
    assert last.reason is FinishReason.LENGTH


async def test_only_line_feeds_end_lines() -> None:
    line = '{"message":{"role":"assistant","content":"a\u0085b\u2028c"},"done":false}\r\n'
    with OllamaServer(Script(steps=[{"raw": line.encode()}, {"done": "stop"}])) as server:
        assert (await ask(server))[0] == AnswerChunk("a\u0085b\u2028c")


async def test_lone_surrogates_are_sent_as_text() -> None:
    with OllamaServer() as server:
        await ask(server, ChatRequest(system="s", user="\ud800x"))
        assert server.chats[0].message("user") == "?x"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"content": "SA"}, {"error": "CUDA error: out of memory"}], "out of memory"),
        ([{"content": "SAFE"}, {"end": True}], "cut the answer off"),
        ([{"content": "SA"}, {"close": True}], "broke off"),
        ([{"raw": b'{"message": {"content": "SA'}, {"end": True}], "not JSON"),
        ([{"raw": b"<html>\n"}], "not JSON"),
        ([{"raw": b"[1, 2]\n"}], "object"),
        ([{"raw": b'{"message": {"thinking": "so "}}\n' * 40_000}], "went on writing"),
        ([{"raw": b'"text"\n'}], "object"),
        ([{"raw": b"[" * 100_000 + b"\n"}], "not JSON"),
        ([{"raw": b'{"message": {"content": 7}}\n'}], "'content'"),
        ([{"raw": b'{"message": [1]}\n'}], "object"),
        ([{"raw": b'{"message": {"content": "\xff\xfe"}}\n'}], "UTF-8"),
        ([{"raw": b'{"error": {"code": 5}}\n'}], "'error'"),
        (
            [{"raw": b'{"message": {"content": "x"}, "logprobs": [{"token": "x", "logprob": NaN}]}\n'}],
            "not JSON",
        ),
        ([{"raw": b'{"message": {"content": "x"}, "logprobs": [{"token": "x"}]}\n'}], "'logprob'"),
        ([{"raw": b'{"done": true, "prompt_eval_count": -3}\n'}], "'prompt_eval_count'"),
        ([{"raw": b'{"done": true, "eval_count": 1%s}\n' % (b"0" * 400)}], "'eval_count'"),
        ([{"raw": b"x" * (1024 * 1024)}] * (MAX_LINE_BYTES // (1024 * 1024) + 1), "line of more than"),
    ],
)
async def test_what_a_broken_server_sends_is_an_error(steps: list[dict[str, Any]], words: str) -> None:
    with OllamaServer(Script(steps=steps)) as server:
        assert words in await fails(server, ModelError)


async def test_statuses_and_their_hints() -> None:
    with OllamaServer(Script(status=500, error="model requires more system memory")) as server:
        assert "more system memory" in await fails(server, ModelUnreachable)
        server.scripts = [Script(status=400, error="top_logprobs must be between 0 and 20")]
        assert "between 0 and 20" in await fails(server, ModelError)
        missing = OllamaModel("nothere", host=server.url)
        with pytest.raises(ModelError) as caught:
            await anext(missing.chat(REQUEST))
        assert caught.value.hint == "fetch it with `ollama pull nothere`"
        await missing.aclose()


async def test_nothing_listens() -> None:
    model = OllamaModel("gpt-oss:20b", host="http://127.0.0.1:9")
    with pytest.raises(ModelUnreachable) as caught:
        await anext(model.chat(REQUEST))
    assert "ollama serve" in caught.value.hint
    reachability = await model.check()
    assert (reachability.ok, "ollama serve" in reachability.hint) == (False, True)
    await model.aclose()


async def test_a_prompt_that_does_not_fit_is_refused_by_a_new_server() -> None:
    words = "the input length exceeds the context length"
    with OllamaServer(Script(status=400, error=words)) as server:
        assert words in await fails(server, PromptTooLong)
        server.scripts = [Script(steps=[{"error": words}])]
        assert words in await fails(server, PromptTooLong)


@pytest.mark.parametrize("read", [2048, 2047, 1024, 1026])
async def test_an_old_server_that_cut_the_prompt_is_found_out(read: int) -> None:
    with OllamaServer(
        Script(steps=[{"content": "SAFE"}, {"done": "stop", "prompt_eval_count": read}])
    ) as server:
        request = ChatRequest(system="policy " * 100, user="word " * 3000)
        await fails(server, PromptTooLong, request, num_ctx=2048)


async def test_an_old_server_that_forgot_the_prompt_while_writing_is_found_out() -> None:
    steps = [{"content": "SAFE"}, {"done": "stop", "prompt_eval_count": 2000, "eval_count": 300}]
    with OllamaServer(Script(steps=steps)) as server:
        await fails(server, PromptTooLong, ChatRequest(system="s", user="u"), num_ctx=2048)


async def test_the_models_own_context_counts_where_it_is_the_smaller_one() -> None:
    steps = [{"content": "SAFE"}, {"done": "stop", "prompt_eval_count": 2048}]
    with OllamaServer(Script(steps=steps), context_length=2048) as server:
        await fails(server, PromptTooLong, ChatRequest(system="s", user="word " * 3000), num_ctx=8192)


async def test_a_long_prompt_that_fits_passes() -> None:
    steps = [{"content": "SAFE"}, {"done": "stop", "prompt_eval_count": 1900}]
    with OllamaServer(Script(steps=steps)) as server:
        chunks = await ask(server, ChatRequest(system="s", user="word " * 1800), num_ctx=2048)
    assert isinstance(chunks[-1], FinishChunk)


@pytest.mark.parametrize("steps", [[{"stall": True}], [{"content": "SA"}, {"stall": True}]])
async def test_a_stalled_stream_times_out(steps: list[dict[str, Any]]) -> None:
    with OllamaServer(Script(steps=steps)) as server:
        began = time.monotonic()
        words = await fails(server, ModelTimeout, patience=Patience(first_s=0.3, next_s=0.1))
        assert "sent nothing" in words
        assert time.monotonic() - began < 2
        wait_for(lambda: server.chats[0].client_closed is not None)


async def test_steady_tokens_slower_than_the_whole_limit_do_not_time_out() -> None:
    steps = [{"content": "x"}] * 10 + [{"done": "stop"}]
    with OllamaServer(Script(steps=steps, delay_ms=40)) as server:
        chunks = await ask(server, patience=Patience(first_s=5, next_s=0.3))
    assert len(chunks) == 11


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_closing_the_stream_closes_the_connection_at_once(how: str) -> None:
    with OllamaServer(Script(steps=[{"content": "x"}] * 1000, delay_ms=10)) as server:
        model = model_of(server)
        stream = model.chat(REQUEST)
        await anext(stream)
        if how == "aclose":
            closed_at = time.monotonic()
            await stream.aclose()
        else:
            waiting = asyncio.ensure_future(_drain(stream))
            await asyncio.sleep(0.05)
            closed_at = time.monotonic()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        wait_for(lambda: server.chats[0].client_closed is not None)
        seen = server.chats[0].client_closed
        assert seen is not None
        assert seen - closed_at < 0.2
        await model.aclose()


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_request_cancelled_while_the_server_reads_closes_too() -> None:
    with OllamaServer(Script(steps=[{"stall": True}])) as server:
        model = model_of(server)
        waiting = asyncio.ensure_future(_drain(model.chat(REQUEST)))
        await asyncio.to_thread(wait_for, lambda: server.chats)
        closed_at = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        wait_for(lambda: server.chats[0].client_closed is not None)
        assert (server.chats[0].client_closed or 0) - closed_at < 0.2
        await model.aclose()


async def test_six_lanes_at_once_each_get_their_own_answer() -> None:
    scripts = [
        Script(f"policy {n}", [{"content": f"answer {n}"}, {"done": "stop"}], delay_ms=20) for n in range(6)
    ]
    with OllamaServer(*scripts, parallel=6) as server:
        model = model_of(server, slots=6)

        async def lane(number: int) -> Chunk:
            stream = model.chat(ChatRequest(system=f"policy {number}", user="u"))
            first = await anext(stream)
            await stream.aclose()
            return first

        answers = await asyncio.gather(*map(lane, range(6)))
        await model.aclose()
    assert answers == [AnswerChunk(f"answer {n}") for n in range(6)]


async def test_check_knows_whether_the_model_is_there_and_generates_nothing() -> None:
    with OllamaServer() as server:
        here, missing = model_of(server), OllamaModel("nothere", host=server.url)
        assert (await here.check()).ok
        reachability = await missing.check()
        assert (reachability.ok, reachability.hint) == (False, "fetch it with `ollama pull nothere`")
        assert server.chats == []
        await here.aclose()
        await missing.aclose()


async def test_check_gives_up_on_a_silent_server_within_its_two_seconds() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    model = OllamaModel("gpt-oss:20b", host=f"http://127.0.0.1:{port}")
    began = time.monotonic()
    assert not (await model.check()).ok
    assert time.monotonic() - began < 2.5
    await model.aclose()
    listener.close()


def test_the_host_is_the_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "https://gpu.example:8443")
    assert "https://gpu.example:8443" in OllamaModel("x")._who


async def test_a_description_without_an_end_and_a_refusal_of_many_lines() -> None:
    replies = [
        b"200 OK\r\n\r\n" + b" " * (MAX_LINE_BYTES + 1),
        b'400 No\r\n\r\n{\n"error": "prompt too long"\n}',
    ]

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + replies.pop(0))
        if replies:
            await writer.drain()
            await reader.read()
        writer.close()

    listener = await asyncio.start_server(reply, "127.0.0.1", 0)
    model = OllamaModel("m", host=f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    async with listener, asyncio.timeout(5):
        with pytest.raises(ModelError, match="more than"):
            await anext(model.chat(ChatRequest(system="s", user="u")))
        with pytest.raises(PromptTooLong):
            await anext(model.chat(ChatRequest(system="s", user="u")))
    await model.aclose()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9"])
async def test_no_proxy_lies_between_this_machine_and_itself(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with OllamaServer() as server:
        assert isinstance((await ask(server))[-1], FinishChunk)


COMPLETION = CompletionRequest(
    prefix="Rules.\n", rest="Text:\n", max_tokens=77, temperature=0.7, top_p=0.9, seed=5
)


async def carry_on(
    server: OllamaServer, request: CompletionRequest = COMPLETION, **options: Any
) -> list[Chunk]:
    model = model_of(server, **options)
    try:
        return [chunk async for chunk in model.complete(request)]
    finally:
        await model.aclose()


async def test_an_empty_system_text_is_no_message() -> None:
    with OllamaServer() as server:
        await ask(server, ChatRequest(system="", user="u"))
        assert server.chats[0].json["messages"] == [{"role": "user", "content": "u"}]


async def test_a_completion_goes_past_the_template() -> None:
    steps = [
        {"content": "# Task", "logprobs": [["# Task", -0.1, {"# Task": -0.1, "The": -2.5}]]},
        {"content": " 1"},
        {"done": "length"},
    ]
    with OllamaServer(Script("Rules.", steps)) as server:
        chunks = await carry_on(server, replace(COMPLETION, top_logprobs=2), num_ctx=2048)
        body = server.completions[0].json
    assert chunks[:2] == [
        AnswerChunk("# Task", (TokenLogprob("# Task", -0.1, (("# Task", -0.1), ("The", -2.5))),)),
        AnswerChunk(" 1"),
    ]
    last = chunks[2]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.prompt_tokens) == (FinishReason.LENGTH, 600)
    assert (body["raw"], body["prompt"]) == (True, "Rules.\nText:\n")
    assert (body["truncate"], body["shift"], body["top_logprobs"]) == (False, False, 2)
    assert body["options"] == {
        "num_ctx": 2048, "num_predict": 77, "temperature": 0.7, "seed": 5,
        "top_p": 0.9, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0,
    }  # fmt: skip
    assert not {"messages", "system", "template", "think"} & set(body)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"content": "SA"}, {"error": "CUDA error: out of memory"}], "out of memory"),
        ([{"content": "SAFE"}, {"end": True}], "cut the answer off"),
        ([{"content": "SA"}, {"close": True}], "broke off"),
        ([{"raw": b'{"response": 7}\n'}], "'response'"),
        ([{"raw": b'{"response": "x", "logprobs": [{"token": "x"}]}\n'}], "'logprob'"),
        ([{"raw": b"[]\n"}], "object"),
    ],
)
async def test_a_broken_completion_is_an_error(steps: list[dict[str, Any]], words: str) -> None:
    with OllamaServer(Script(steps=steps)) as server, pytest.raises(ModelError) as caught:
        await carry_on(server)
    assert type(caught.value) is ModelError
    assert words in str(caught.value)


async def test_a_completion_whose_prompt_was_cut_is_found_out() -> None:
    steps = [{"content": "x"}, {"done": "stop", "prompt_eval_count": 2048}]
    with OllamaServer(Script(steps=steps)) as server, pytest.raises(PromptTooLong):
        await carry_on(server, replace(COMPLETION, rest="word " * 3000), num_ctx=2048)


async def test_a_missing_model_and_a_closed_completion() -> None:
    with OllamaServer(Script(steps=[{"content": "x"}] * 1000, delay_ms=10)) as server:
        missing = OllamaModel("nothere", host=server.url)
        with pytest.raises(ModelError, match="no model"):
            await anext(missing.complete(COMPLETION))
        await missing.aclose()
        model = model_of(server)
        stream = model.complete(COMPLETION)
        assert await anext(stream) == AnswerChunk("x")
        await stream.aclose()
        wait_for(lambda: server.completions[0].client_closed is not None)
        await model.aclose()
