"""Verdicts by one token: when they count, and what is asked for when they do not."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from engine.cases import Case, Decision, Status, Usage
from engine.events import (
    AnswerDelta,
    Event,
    Failed,
    LaneStarted,
    Notice,
    PolicyFinished,
    Started,
    UsageReported,
)
from engine.guards.build import Speed
from engine.guards.decision import Thresholds, weigh_token
from engine.guards.gauntlet import Gauntlet
from engine.models.base import (
    AnswerChunk,
    FinishChunk,
    FinishReason,
    ModelError,
    ModelUnreachable,
    ReasoningChunk,
    TokenLogprob,
)
from tests.engine.told import NAMES, POLICIES, Script, Step, Told, finding_of, judge, says, scored, verdict_of

CUT = FinishChunk(FinishReason.LENGTH, Usage(500, 1))


def token(text: str, probability: float, **others: float) -> list[Step]:
    """Return a reply of one token, with its probability and those of its alternatives."""
    top = tuple((other, math.log(p)) for other, p in ({text: probability} | others).items())
    return [AnswerChunk(text, (TokenLogprob(text, math.log(probability), top),)), CUT]


SURE_SAFE = token("SA", 0.97, VI=0.02)
SURE_VIOLATION = token("VI", 0.97, SA=0.02)
ALL_SAFE = dict.fromkeys(NAMES, SURE_SAFE)

UNSURE: dict[str, tuple[Script, Status, str]] = {
    "a score in between": (token("VI", 0.7, SA=0.3), Status.OK, "'VI' with probability 0.700, score 0.700"),
    "a score against the word": (token("SA", 0.4, VI=0.3, V=0.3), Status.OK, "score 0.600"),
    "neither word": (token("Sure", 0.9, VI=0.05, SA=0.05), Status.UNPARSABLE, "'Sure' with probability 0.9"),
    "the wrong word": (token("UNSAFE", 0.99, SA=0.01), Status.UNPARSABLE, "begins neither word"),
    "one letter": (token("S", 0.99, V=0.01), Status.UNPARSABLE, "begins neither word"),
    "little of either word": (token("SA", 0.3, VI=0.01, The=0.29, It=0.2), Status.OK, "have only 0.310"),
    "a mark": (token("**", 0.99), Status.UNPARSABLE, "no word with a probability"),
    "no probabilities": ([AnswerChunk("SA"), CUT], Status.UNPARSABLE, "no word with a probability"),
    "nothing": ([FinishChunk(FinishReason.STOP, Usage(500, 1))], Status.UNPARSABLE, "no word with"),
    "no probability at all": (
        [AnswerChunk("SA", (TokenLogprob("SA", math.nan),)), CUT], Status.UNPARSABLE, "begins neither word"
    ),
}  # fmt: skip


def lengths(model: Told) -> list[int]:
    return [request.max_tokens for request in model.requests]


def lane_of(events: Sequence[Event], name: str) -> list[type[Event]]:
    return [
        type(event)
        for event in events
        if getattr(event, "lane", None) == name
        or (isinstance(event, PolicyFinished) and event.finding.policy == name)
    ]


@pytest.mark.parametrize("speed", [Speed.TWO, Speed.ONE])
async def test_one_sure_token_is_all_that_is_asked_for(speed: Speed) -> None:
    model = Told(one=ALL_SAFE | {"hate": SURE_VIOLATION})
    events = await judge(Gauntlet(model, POLICIES, speed=speed))
    assert lengths(model) == [1] * 6
    assert all(request.top_logprobs == 20 for request in model.requests)
    started = events[0]
    assert isinstance(started, Started)
    assert started.settings["speed"] == speed
    assert started.settings["certain"] == {"high": 0.85, "low": 0.5}
    assert [event.seq for event in events] == list(range(len(events)))
    for name in NAMES:
        assert lane_of(events, name) == [LaneStarted, AnswerDelta, UsageReported, PolicyFinished]
    verdict = verdict_of(events)
    assert (verdict.decision, verdict.status) == (Decision.BLOCK, Status.OK)
    assert verdict.usage == Usage(3000, 6)
    safe = finding_of(events, "illegal")
    assert (safe.violation, safe.score) == (False, pytest.approx(0.02 / 0.99))
    assert safe.reasoning == "Decided by one token: 'SA' with probability 0.970."
    assert finding_of(events, "hate").violation is True


async def test_all_sure_and_safe_allows() -> None:
    for speed in (Speed.TWO, Speed.ONE):
        events = await judge(Gauntlet(Told(one=ALL_SAFE), POLICIES, speed=speed))
        assert verdict_of(events).decision is Decision.ALLOW


@pytest.mark.parametrize(("script", "status", "said"), UNSURE.values(), ids=UNSURE)
async def test_in_doubt_that_policy_alone_is_asked_in_full(script: Script, status: Status, said: str) -> None:
    model = Told(one=ALL_SAFE | {"hate": script}, hate=scored("VIOLATION", 0.9))
    events = await judge(Gauntlet(model, POLICIES, speed=Speed.TWO, max_tokens=77))
    assert sorted(lengths(model)) == [1] * 6 + [77]
    assert [r.system for r in model.requests if r.max_tokens == 77] == [POLICIES[1].text]
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.lane == "hate"
    assert said in notice.message
    assert lane_of(events, "hate")[:3] == [LaneStarted, UsageReported, Notice]
    answer = "".join(e.text for e in events if isinstance(e, AnswerDelta) and e.lane == "hate")
    assert answer == "VIOLATION", "the token that decided nothing is not shown before the answer"
    finding = finding_of(events, "hate")
    assert (finding.violation, finding.status) == (True, Status.OK)
    assert "one token" not in finding.reasoning
    assert verdict_of(events).usage == Usage(3500, 16)


@pytest.mark.parametrize(("script", "status", "said"), UNSURE.values(), ids=UNSURE)
async def test_with_one_token_only_doubt_escalates(script: Script, status: Status, said: str) -> None:
    model = Told(one=ALL_SAFE | {"hate": script}, hate=says("SAFE"))
    events = await judge(Gauntlet(model, POLICIES, speed=Speed.ONE))
    assert lengths(model) == [1] * 6
    finding = finding_of(events, "hate")
    assert (finding.violation, finding.status) == (None, status)
    assert finding.reasoning.startswith("Not decided by one token")
    assert said in finding.reasoning
    assert (verdict_of(events).decision, verdict_of(events).status) == (Decision.ESCALATE, status)


THOUGHT: dict[str, Script] = {
    "reasoning came first": [ReasoningChunk("We"), CUT],
    "reasoning, then a word": [ReasoningChunk("We"), *SURE_SAFE],
    "nothing that is shown": [CUT],
    "an empty piece": [AnswerChunk(""), CUT],
}


@pytest.mark.parametrize("script", THOUGHT.values(), ids=THOUGHT)
async def test_a_model_that_thinks_is_asked_for_one_token_once(script: Script) -> None:
    model = Told(one=dict.fromkeys(NAMES, script))
    gauntlet = Gauntlet(model, POLICIES, speed=Speed.TWO, serial=True)
    events = await judge(gauntlet)
    assert lengths(model) == [1] + [2048] * 6
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "thinks before it answers" in notice.message
    assert verdict_of(events).decision is Decision.ALLOW
    await judge(gauntlet)
    assert lengths(model)[7:] == [2048] * 6


@pytest.mark.parametrize("script", THOUGHT.values(), ids=THOUGHT)
async def test_a_model_that_thinks_cannot_be_judged_by_one_token(script: Script) -> None:
    events = await judge(Gauntlet(Told(one=dict.fromkeys(NAMES, script)), POLICIES, speed=Speed.ONE))
    assert (verdict_of(events).decision, verdict_of(events).status) == (Decision.ESCALATE, Status.UNPARSABLE)
    assert "thinks before it answers" in finding_of(events, "hate").reasoning


@pytest.mark.parametrize("speed", [Speed.TWO, Speed.ONE])
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([ModelError("Boom")], Status.ERROR),
        ([*SURE_SAFE, ModelError("Boom")], Status.ERROR),
        ([SURE_SAFE[0]], Status.ERROR),
        ([60.0], Status.TIMEOUT),
        ([KeyError("choices")], Status.ERROR),
        ([asyncio.CancelledError()], Status.ERROR),
    ],
)
async def test_a_failure_costs_its_lane_and_is_not_asked_again(
    speed: Speed, script: Script, status: Status
) -> None:
    model = Told(one=ALL_SAFE | {"hate": script})
    events = await judge(Gauntlet(model, POLICIES, speed=speed, policy_timeout_s=0.2))
    assert lengths(model) == [1] * 6
    finding = finding_of(events, "hate")
    assert (finding.violation, finding.status) == (None, status)
    assert verdict_of(events).decision is Decision.ESCALATE
    assert all(f.violation is False for f in verdict_of(events).policies if f != finding)


async def test_the_time_limit_is_for_both_requests_together() -> None:
    model = Told(one={"hate": [0.15, *token("Well", 0.9)]}, hate=[0.15, *says("SAFE")])
    gauntlet = Gauntlet(model, POLICIES[1:2], speed=Speed.TWO, policy_timeout_s=0.25)
    assert finding_of(await judge(gauntlet), "hate").status is Status.TIMEOUT


async def test_a_server_that_gives_more_than_one_token_is_read_to_the_same_end() -> None:
    whole = says("SAFE", "", TokenLogprob("SA", math.log(0.97), (("SA", math.log(0.97)), ("VI", -5.0))))
    endless: list[Step] = [AnswerChunk("so on "), *[AnswerChunk("and so on ")] * 40, 60.0]
    model = Told(one={"hate": [AnswerChunk("**"), *whole], "illegal": endless})
    events = await judge(Gauntlet(model, POLICIES[1:3], speed=Speed.TWO))
    assert finding_of(events, "hate").reasoning.startswith("Decided by one token")
    assert finding_of(events, "illegal").violation is False
    assert lengths(model) == [1, 1, 2048]


async def test_the_thresholds_for_one_token_are_its_own() -> None:
    model = Told(one={"hate": token("SA", 0.9, VI=0.1)}, hate=scored("SAFE", 0.1))
    strict = Gauntlet(model, POLICIES[1:2], speed=Speed.TWO, certain=Thresholds(0.99, 0.01))
    assert finding_of(await judge(strict), "hate").violation is False
    assert lengths(model) == [1, 2048]


async def test_an_unreachable_back_end_is_told_once() -> None:
    dead = {name: [ModelUnreachable("Nobody there", "Start it.")] for name in NAMES}
    events = await judge(Gauntlet(Told(one=dead), POLICIES, speed=Speed.TWO))
    assert isinstance(events[-2], Failed)
    assert verdict_of(events).decision is Decision.ESCALATE


async def test_closing_stops_a_full_answer_as_well() -> None:
    model = Told(one={"hate": token("Well", 0.9)}, hate=[ReasoningChunk("hm"), 60.0])
    async with aclosing(Gauntlet(model, POLICIES[1:2], speed=Speed.TWO).judge(Case("x"))) as events:
        async for event in events:
            if isinstance(event, Notice):
                break
    await asyncio.sleep(0)
    assert model.running == []


def test_a_verdict_by_one_token_is_never_bolder_than_its_probabilities() -> None:
    """Whatever the probabilities: "safe" takes a token that begins SAFE, and little else."""
    chance = random.Random(5)
    words = ("SA", "SAFE", " Safe", "S", "VI", "VIOLATION", "V", "UNSAFE", "The", "**", "Sure", "")
    decided = 0
    for _ in range(5000):
        weights = [chance.expovariate(1) ** 4 for _ in words]
        shares = [weight / sum(weights) for weight in weights]
        top = sorted(zip(words, map(math.log, shares), strict=True), key=lambda entry: -entry[1])
        best = TokenLogprob(*top[0], tuple(top[: chance.randint(0, 12)]))
        low = chance.random() * 0.5
        violation, score, _ = weigh_token([best], Thresholds(0.85, low))
        share = dict(zip(words, shares, strict=True))
        safe = share["SA"] + share["SAFE"] + share[" Safe"] + share["S"]
        violating = share["VI"] + share["VIOLATION"] + share["V"]
        if violation is False:
            decided += 1
            assert best.token in ("SA", "SAFE", " Safe")
            assert score is not None
            assert score < low
            assert safe + violating >= 0.5
        if violation is True:
            decided += 1
            assert best.token in ("VI", "VIOLATION")
            assert violating > safe
    assert decided > 500
