"""Decoding many rows at once, with random models: what is computed together is what is computed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.base import FinishReason
from engine.models.hf.decoding import Broken, Decoder, Done, Request, Sizes, Written
from engine.models.hf.loading import Loaded
from engine.models.hf.prefixes import PrefixStore
from engine.models.hf.sampling import Sampling, choose
from engine.models.hf.text import TextStream
from tests.engine import tiny_model


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other take ten times as long beside other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


POLICY = "Rule one: no numbers. Rule two: no names. "
SMALL = Sizes(piece=16, group=160)


def loaded(kind: str = "llama") -> Loaded:
    return Loaded(tiny_model.network(kind), tiny_model.tokenizer(), tiny_model.CONTEXT, frozenset(), 2)


@dataclass
class Answer:
    text: str = ""
    tokens: list[Any] = field(default_factory=list)
    end: Done | Broken | None = None


def request(
    model: Loaded, number: int, text: str, shared: str = "", max_tokens: int = 12, **how: Any
) -> Request:
    tokens = model.tokenizer(text)["input_ids"]
    sampling = Sampling.of(
        how.get("temperature", 0.0), how.get("top_p", 1.0), how.get("seed", 0), how.get("top_logprobs", 0)
    )
    return Request(number, tokens, shared, max_tokens, sampling)


def take(decoder: Decoder, answers: dict[int, Answer]) -> None:
    for number, piece in decoder.step():
        answer = answers.setdefault(number, Answer())
        assert answer.end is None, "nothing is said after the end"
        if isinstance(piece, Written):
            answer.text += piece.text
            answer.tokens += piece.tokens
        else:
            answer.end = piece


def run(decoder: Decoder, requests: Sequence[Request]) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    for one in requests:
        decoder.add(one)
    while decoder.busy:
        take(decoder, answers)
    return answers


def alone(model: Loaded, requests: Sequence[Request]) -> dict[int, str]:
    """Return what each request is answered with nothing beside it and nothing kept."""
    huge = Sizes(piece=10_000, group=10_000)
    return {one.number: run(Decoder(model, slots=1, sizes=huge), [one])[one.number].text for one in requests}


def texts(answers: dict[int, Answer]) -> dict[int, str]:
    return {number: answer.text for number, answer in answers.items()}


def various(model: Loaded, count: int = 9) -> list[Request]:
    chance = random.Random(5)
    return [
        request(
            model, n, POLICY[: chance.randrange(1, 40)] + "x" * chance.randrange(60), max_tokens=3 + 4 * n
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_greedy_is_what_the_library_itself_generates(kind: str) -> None:
    model = loaded(kind)
    one = request(model, 0, POLICY, max_tokens=30)
    ours = run(Decoder(model, slots=4, sizes=SMALL), [one])[0]
    ids = torch.tensor([one.tokens])
    theirs = model.model.generate(ids, max_new_tokens=30, do_sample=False, eos_token_id=-1)[0, ids.shape[1] :]
    assert ours.text == model.tokenizer.decode(theirs, skip_special_tokens=True)
    assert ours.end == Done(FinishReason.LENGTH, len(one.tokens), 30, 0)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("slots", [2, 6, 16])
def test_together_is_as_alone(kind: str, slots: int) -> None:
    model = loaded(kind)
    requests = various(model)
    assert texts(run(Decoder(model, slots=slots, sizes=SMALL), requests)) == alone(model, requests)


def test_rows_join_and_leave_between_any_two_steps() -> None:
    model = loaded()
    requests = various(model, 12)
    expected = alone(model, requests)
    decoder, answers = Decoder(model, slots=4, sizes=SMALL), dict[int, Answer]()
    for one in requests:
        decoder.add(one)
        for _ in range(one.number % 4):
            take(decoder, answers)
    decoder.cancel(3)
    decoder.cancel(11)
    while decoder.busy:
        take(decoder, answers)
    for number, text in expected.items():
        said = answers.get(number, Answer())
        assert said.text == text if said.end else number in (3, 11) and text.startswith(said.text)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_kept_beginnings_change_nothing_but_what_is_computed(kind: str) -> None:
    model = loaded(kind)
    policies = [f"Policy {n}. " + POLICY * (1 + n % 2) for n in range(4)]
    rounds = [
        [
            request(model, 10 * turn + n, f"{policy}TEXT {'ab'[turn % 2] * (3 + turn)}", f"p{n}")
            for n, policy in enumerate(policies)
        ]
        for turn in range(4)
    ]
    rounds.append(rounds[-1])
    decoder = Decoder(model, slots=6, store=PrefixStore(1 << 20), sizes=SMALL)
    for turn, requests in enumerate(rounds):
        answers = run(decoder, requests)
        assert texts(answers) == alone(model, requests)
        for one, policy in zip(requests, policies, strict=True):
            end = answers[one.number].end
            assert isinstance(end, Done)
            least = 0 if turn == 0 else len(one.tokens) - 1 if turn == 4 else len(policy) + 5
            assert least <= end.cached < len(one.tokens)
            assert turn or end.cached == 0


def test_of_many_with_one_beginning_only_the_first_computes_it() -> None:
    model = loaded()
    requests = [request(model, n, f"{POLICY}Text {n}", "policy") for n in range(8)]
    answers = run(Decoder(model, slots=8, store=PrefixStore(1 << 20), sizes=SMALL), requests)
    cached = [answer.end.cached for answer in answers.values() if isinstance(answer.end, Done)]
    assert cached.count(0) == 1
    assert sorted(cached)[1] >= len(POLICY)
    assert texts(answers) == alone(model, requests)


def test_the_store_holds_no_more_than_it_may_and_forgets_the_least_used() -> None:
    model = loaded()
    size = PrefixStore(1 << 30)
    run(Decoder(model, slots=1, store=size), [request(model, 0, POLICY + "text", "one")])
    store = PrefixStore(int(size.bytes * 2.5))
    decoder = Decoder(model, slots=1, store=store)
    for number, key in enumerate(["one", "two", "one", "three", "four"]):
        run(decoder, [request(model, number, f"{POLICY}text", key)])
        assert store.bytes <= size.bytes * 2.5
    assert [key for key in ("one", "two", "three", "four") if key in store] == ["three", "four"]


def test_a_long_prompt_does_not_stall_those_who_write() -> None:
    model = loaded()
    decoder, answers = Decoder(model, slots=4, sizes=SMALL), dict[int, Answer]()
    decoder.add(request(model, 0, "short", max_tokens=40))
    take(decoder, answers)
    decoder.add(request(model, 1, "long " * 60))
    for step in range(10):
        take(decoder, answers)
        assert decoder._cache.lengths == [len("short") + 2 + step], "a token is written in every step"
    assert decoder._group
    assert decoder._group.read == 160, "300 tokens are read 16 at a time"
    decoder.cancel(1)
    take(decoder, answers)
    assert decoder._group is None, "nobody wants the rest of the prompt"


def test_a_seed_says_what_is_drawn_whatever_is_beside_it() -> None:
    model = loaded()

    def drawn() -> list[Request]:
        how: dict[str, Any] = {"temperature": 1.3, "top_p": 0.9, "max_tokens": 20}
        return [request(model, n, POLICY, seed=n % 3, **how) for n in range(6)]

    answers = texts(run(Decoder(model, slots=6, sizes=SMALL), [*drawn(), *various(model)[6:]]))
    expected = alone(model, drawn())
    assert {n: answers[n] for n in expected} == expected
    assert expected[0] == expected[3] != expected[1] != expected[2]


def test_probabilities_are_the_models_own_before_temperature() -> None:
    model = loaded()
    one = request(model, 0, POLICY, temperature=2.0, top_logprobs=3, max_tokens=1)
    answer = run(Decoder(model, slots=1), [one])[0]
    with torch.inference_mode():
        logprobs = model.model(torch.tensor([one.tokens])).logits[0, -1].log_softmax(-1)
    (choice,) = answer.tokens
    assert choice.logprob == pytest.approx(float(logprobs[choice.token]), abs=1e-5)
    values, tokens = logprobs.topk(3)
    assert [token for token, _ in choice.top] == tokens.tolist()
    assert [value for _, value in choice.top] == pytest.approx(values.tolist(), abs=1e-5)


def test_top_p_leaves_out_the_tail_and_draws_by_probability() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()[None]

    def counts(top_p: float) -> list[int]:
        rows = [Sampling.of(1.0, top_p, seed, 0) for seed in range(3000)]
        chosen = [choice.token for choice in choose(logits.expand(3000, 4), rows) if choice]
        return [chosen.count(token) for token in range(4)]

    assert counts(1.0) == pytest.approx([1500, 900, 450, 150], abs=120)
    assert counts(0.79) == pytest.approx([1875, 1125, 0, 0], abs=120)
    assert counts(0.01) == [3000, 0, 0, 0]


def test_a_stop_token_ends_an_answer_and_is_no_text() -> None:
    model = loaded()
    one = request(model, 0, POLICY, max_tokens=30, top_logprobs=1)
    first = [choice.token for choice in run(Decoder(model, slots=1), [one])[0].tokens]
    stop = first[4]
    stopping = Loaded(model.model, model.tokenizer, model.context, frozenset({stop}), 2)
    answer = run(Decoder(stopping, slots=1), [one])[0]
    assert answer.text == model.tokenizer.decode(first[: first.index(stop)])
    assert isinstance(answer.end, Done)
    assert (answer.end.reason, answer.end.written) == (FinishReason.STOP, first.index(stop) + 1)


def test_numbers_that_are_none_are_an_error_not_an_answer() -> None:
    model = loaded()
    with torch.no_grad():
        model.model.lm_head.weight[7] = torch.nan
    answer = run(Decoder(model, slots=1), [request(model, 0, POLICY)])[0]
    assert isinstance(answer.end, Broken)
    assert answer.text == ""


def test_what_is_no_number_in_one_row_does_not_reach_the_next_in_its_place() -> None:
    model = loaded()

    def asked() -> list[Request]:
        texts = [POLICY, "Hello there", "x"]
        return [request(model, n, text, max_tokens=30, top_logprobs=1) for n, text in enumerate(texts)]

    whole = [run(Decoder(model, slots=1), [one])[one.number] for one in asked()]
    written = [[choice.token for choice in answer.tokens] for answer in whole]
    elsewhere = {*written[0], *written[2], *(token for one in asked() for token in one.tokens)}
    damaged = next(token for token in written[1] if token not in elsewhere)
    with torch.no_grad():
        model.model.model.embed_tokens.weight[damaged] = torch.nan
    first, second, third = asked()
    decoder, answers = Decoder(model, slots=2, sizes=SMALL), dict[int, Answer]()
    decoder.add(first)
    decoder.add(second)
    while 1 not in answers or not answers[1].end:
        take(decoder, answers)
    for _ in range(3):
        take(decoder, answers)
    answers |= run(decoder, [third])
    assert isinstance(answers[1].end, Broken)
    assert answers[2].text == whole[2].text


@given(text=st.text(), more=st.lists(st.integers(0, 255)))
@settings(max_examples=300, deadline=None)
def test_pieces_of_text_add_up_and_hold_no_half_characters(text: str, more: list[int]) -> None:
    tokenizer = _TOKENIZER
    tokens = tokenizer(text.encode("utf-8", "replace").decode())["input_ids"]
    for whole in (tokens, more):
        stream = TextStream(tokenizer)
        pieces = [stream.push(token) for token in whole]
        assert not any(piece.endswith("\ufffd") for piece in pieces)
        assert "".join(pieces) + stream.flush() == tokenizer.decode(whole, skip_special_tokens=True)


_TOKENIZER = tiny_model.tokenizer()
