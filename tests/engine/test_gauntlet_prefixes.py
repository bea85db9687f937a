"""What the gauntlet saves: prefixes that are read once, by a real small model and by a simulated server."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.cases import Case
from engine.events import AnswerDelta, Event, UsageReported
from engine.guards.build import Speed
from engine.guards.gauntlet import Gauntlet
from engine.guards.many import judge_many
from engine.models.gguf import GgufModel
from engine.models.ollama import OllamaModel
from engine.policies.load import load_policies
from tests.engine.told import judge
from tests.servers.slot_server import Pace, SlotServer

POLICIES = load_policies(Path(__file__).resolve().parents[2] / "policies")
CASES = [
    Case("How do I bake bread without yeast?"),
    Case("My neighbour's dog barks all night.", "Talk to her first: she may not know."),
]


def client(server: SlotServer) -> OllamaModel:
    return OllamaModel(server.name, host=server.url, slots=server.slots)


async def judged(gauntlet: Gauntlet, cases: list[Case]) -> dict[int, list[Event]]:
    async with aclosing(judge_many(gauntlet, enumerate(cases))) as stream:
        return {number: events async for number, events in stream}


async def test_policy_by_policy_a_server_with_one_slot_reads_a_fifth_at_most() -> None:
    cases = [Case(f"What is the capital of country number {number}?") for number in range(12)]
    with SlotServer(slots=1) as server:
        gauntlet = Gauntlet(client(server), POLICIES)
        for case in cases:
            await judge(gauntlet, case)
        by_case, asked = server.read, server.asked
    with SlotServer(slots=1) as server:
        await judged(Gauntlet(client(server), POLICIES), cases)
        assert server.asked == asked
        assert server.read <= 0.2 * by_case
    assert by_case > 0.99 * asked, "case by case, the policies push each other out"


async def test_six_slots_read_each_policy_once_in_either_order() -> None:
    cases = [Case(f"What is the capital of country number {number}?") for number in range(12)]
    read = []
    for together in (True, False):
        with SlotServer(slots=6) as server:
            gauntlet = Gauntlet(client(server), POLICIES)
            await gauntlet.warm()
            warm = server.read
            if together:
                await judged(gauntlet, cases)
            else:
                for case in cases:
                    await judge(gauntlet, case)
            read.append((server.read - warm) / len(cases) / len(POLICIES))
    assert max(read) < 60, "tokens of a case, read anew for each policy"


async def test_warm_prefixes_and_six_lanes_are_several_times_the_serial_loop() -> None:
    pace = Pace(prefill=4000, decode=120)
    with SlotServer(slots=1, pace=pace, thought=30, keep_prefixes=False) as server:
        began = time.perf_counter()
        await judge(Gauntlet(client(server), POLICIES, serial=True), CASES[0])
        serial = time.perf_counter() - began
    with SlotServer(slots=6, pace=pace, thought=30) as server:
        gauntlet = Gauntlet(client(server), POLICIES)
        await gauntlet.warm()
        began = time.perf_counter()
        await judge(gauntlet, CASES[0])
        assert serial / (time.perf_counter() - began) > 3.5


@pytest.mark.xdist_group("smollm2")
async def test_kept_prefixes_and_lanes_at_once_change_no_token(smollm2: Path) -> None:
    policies = [replace(policy, text=policy.text[:600]) for policy in POLICIES[:2]]
    plain = GgufModel(smollm2, context=1024, slots=2, threads=1, exact=True, keep_prefixes=False)
    kept = GgufModel(smollm2, context=1024, slots=2, threads=1, exact=True)
    try:
        serial = Gauntlet(plain, policies, serial=True, max_tokens=4, policy_timeout_s=120)
        one_by_one = {number: await judge(serial, case) for number, case in enumerate(CASES)}
        batch = Gauntlet(kept, policies, max_tokens=4, policy_timeout_s=120)
        await batch.warm()
        together = await judged(batch, CASES)
        one_token = await judged(Gauntlet(kept, policies, speed=Speed.ONE, policy_timeout_s=120), CASES)
    finally:
        await plain.aclose()
        await kept.aclose()
    for number in range(len(CASES)):
        for policy in policies:
            whole = tokens(one_by_one[number], policy.name)
            assert 1 <= len(whole) <= 4
            assert tokens(together[number], policy.name) == whole
            assert tokens(one_token[number], policy.name) == whole[:1]
    assert all(usage == 0 for events in one_by_one.values() for usage, _ in cached(events))
    for events in (*together.values(), *one_token.values()):
        for had, prompt in cached(events):
            assert prompt - had < 80, "all but the case was kept"
            assert had > 120


def tokens(events: list[Event], policy: str) -> list[str]:
    return [event.text for event in events if isinstance(event, AnswerDelta) and event.lane == policy]


def cached(events: list[Event]) -> list[tuple[int, int]]:
    """Return how many prompt tokens each lane had kept, and had in all."""
    usages = [event.usage for event in events if isinstance(event, UsageReported)]
    return [(usage.cached_tokens, usage.prompt_tokens) for usage in usages]
