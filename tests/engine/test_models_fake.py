"""Scripts in the place of models."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from engine.models.base import (
    AnswerChunk,
    ChatRequest,
    Chunk,
    CompletionRequest,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    PromptTooLong,
    ReasoningChunk,
    TokenLogprob,
)
from engine.models.fake import FakeModel


def script(path: Path, *replies: dict[str, Any]) -> FakeModel:
    file = path / "script.jsonl"
    file.write_text("\n".join(json.dumps(reply) for reply in replies) + "\n\n")
    return FakeModel(file)


async def ask(model: FakeModel, system: str = "", user: str = "", **more: Any) -> list[Chunk]:
    return [chunk async for chunk in model.chat(ChatRequest(system=system, user=user, **more))]


def answer(text: str) -> list[dict[str, Any]]:
    return [{"answer": text}]


async def test_a_reply_is_replayed(tmp_path: Path) -> None:
    steps = [
        {"reasoning": "Two words"},
        {"answer": "SAFE", "logprobs": [["SA", -0.1, {"VI": -2.0}], ["FE", -0.01]]},
    ]
    chunks = await ask(script(tmp_path, {"steps": steps}), "a b", "c")
    assert chunks[:2] == [ReasoningChunk("Two"), ReasoningChunk(" words")]
    assert chunks[2:4] == [
        AnswerChunk("SA", (TokenLogprob("SA", -0.1, (("VI", -2.0),)),)),
        AnswerChunk("FE", (TokenLogprob("FE", -0.01),)),
    ]
    last = chunks[4]
    assert isinstance(last, FinishChunk)
    assert (last.reason, last.usage.prompt_tokens, last.usage.completion_tokens) == (FinishReason.STOP, 3, 4)


async def test_the_first_matching_reply_answers(tmp_path: Path) -> None:
    model = script(
        tmp_path,
        {"match": {"system": "hate", "user": "bomb"}, "steps": answer("both")},
        {"match": "bomb", "steps": answer("either")},
        {"steps": answer("any")},
    )
    assert (await ask(model, "hate speech", "a bomb"))[0] == AnswerChunk("both")
    assert (await ask(model, "violence", "a bomb"))[0] == AnswerChunk("either")
    assert (await ask(model, "violence", "a cake"))[0] == AnswerChunk("any")


async def test_no_matching_reply_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no reply"):
        await ask(script(tmp_path, {"match": "x", "steps": answer("y")}), "a", "b")


async def test_replies_with_one_match_come_in_turn_whatever_the_other_lanes_do(tmp_path: Path) -> None:
    lanes = [f"policy-{n}" for n in range(6)]
    replies = [{"match": lane, "steps": answer(f"{lane}-{turn}")} for turn in range(3) for lane in lanes]
    model = script(tmp_path, *replies)
    for turn in (0, 1, 2, 0):
        together = await asyncio.gather(*(ask(model, lane) for lane in lanes))
        assert [chunks[0] for chunks in together] == [AnswerChunk(f"{lane}-{turn}") for lane in lanes]


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("error", ModelError),
        ("unreachable", ModelUnreachable),
        ("timeout", ModelTimeout),
        ("too_long", PromptTooLong),
    ],
)
async def test_errors_are_raised_after_what_came_before(
    tmp_path: Path, kind: str, raised: type[ModelError]
) -> None:
    model = script(
        tmp_path, {"steps": [{"answer": "SA"}, {"error": "broke", "kind": kind, "hint": "mend it"}]}
    )
    stream = model.chat(ChatRequest(system="", user=""))
    assert await anext(stream) == AnswerChunk("SA")
    with pytest.raises(raised, match="broke") as caught:
        await anext(stream)
    assert (type(caught.value), caught.value.hint) == (raised, "mend it")


async def test_a_cut_stream_ends_without_a_finish(tmp_path: Path) -> None:
    assert await ask(script(tmp_path, {"steps": [{"answer": "SA"}, {"cut": True}]})) == [AnswerChunk("SA")]


async def test_max_tokens_and_finish_cut_with_length(tmp_path: Path) -> None:
    model = script(tmp_path, {"steps": answer("one two three four")})
    chunks = await ask(model, max_tokens=2)
    assert chunks[:2] == [AnswerChunk("one"), AnswerChunk(" two")]
    assert isinstance(chunks[2], FinishChunk)
    assert chunks[2].reason is FinishReason.LENGTH
    chunks = await ask(script(tmp_path, {"steps": [{"answer": "x"}, {"finish": "length"}]}))
    assert isinstance(chunks[-1], FinishChunk)
    assert chunks[-1].reason is FinishReason.LENGTH


async def test_time_passes_as_the_script_says(tmp_path: Path) -> None:
    steps = [{"wait_ms": 100}, {"answer": "a b c d e"}]
    model = script(tmp_path, {"tokens_per_second": 50, "steps": steps})
    began = time.monotonic()
    await ask(model)
    assert 0.2 <= time.monotonic() - began < 0.6


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2"),
        ('{"steps": [{"anwser": "x"}]}', "anwser"),
        ('{"steps": [{"answer": "SAFE", "logprobs": [["SA", -1]]}]}', "spell"),
        ('{"steps": [{"finish": "tired"}]}', "finish"),
        ('{"match": 5, "steps": []}', "match"),
    ],
)
def test_a_broken_script_is_refused_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "script.jsonl"
    file.write_text('{"steps": []}\n' + line)
    with pytest.raises(ModelError, match="line 2") as caught:
        FakeModel(file)
    assert words in str(caught.value)


def test_a_missing_script_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        FakeModel(tmp_path / "none.jsonl")


async def test_a_completion_is_matched_by_its_prompt_and_has_no_reasoning_apart(tmp_path: Path) -> None:
    model = script(
        tmp_path,
        {
            "match": {"system": "Human user", "user": "bomb"},
            "steps": [{"reasoning": "Hm."}, {"answer": " harmful"}],
        },
        {"steps": answer("other")},
    )

    async def carry_on(rest: str, **more: Any) -> list[Chunk]:
        request = CompletionRequest(prefix="Human ", rest=rest, **more)
        return [chunk async for chunk in model.complete(request)]

    chunks = await carry_on("user: a bomb")
    assert chunks[:2] == [AnswerChunk("Hm."), AnswerChunk(" harmful")]
    assert isinstance(chunks[2], FinishChunk)
    assert (chunks[2].usage.prompt_tokens, chunks[2].usage.completion_tokens) == (4, 2)
    assert (await carry_on("user: a cake"))[0] == AnswerChunk("other")
    cut = (await carry_on("user: a bomb", max_tokens=1))[-1]
    assert isinstance(cut, FinishChunk)
    assert cut.reason is FinishReason.LENGTH
