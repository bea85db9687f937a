"""Everything a back end can do wrong, over real sockets and the real clients: none of it is ever "safe"."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cases import Case, Decision, Labels, Status, Verdict
from engine.events import Event, Failed, ReasoningDelta, VerdictReached
from engine.guards.gauntlet import Gauntlet
from engine.models.base import Model
from engine.models.fake import FakeModel
from engine.models.ollama import OllamaModel
from engine.models.streaming import Patience
from engine.policies.load import Policy
from tests.servers.http import wait_for
from tests.servers.ollama_server import SAFE, OllamaServer, Script, Step

NAMES = ("harassment", "hate", "illegal", "minors", "self_harm", "violence")
POLICIES = tuple(Policy(name, f"The policy on {name}.", name.encode().hex(), Path()) for name in NAMES)
PATIENCE = Patience(first_s=0.3, next_s=0.3)
POLICY_TIMEOUT_S = 0.8
MODEL = "gpt-oss-safeguard:20b"

THOUGHT: Step = {"thinking": "It asks about knives."}
DONE: Step = {"done": "stop"}
VIOLATION: list[Step] = [THOUGHT, {"content": "VIOLATION"}, DONE]


@dataclass(frozen=True)
class Fault:
    """What a back end does in one lane, and how the lane's finding must tell it."""

    script: Script
    status: Status
    said: str


def fault(status: Status, said: str, *steps: Step) -> Fault:
    return Fault(Script(steps=list(steps)), status, said)


def refusal(http_status: int, error: str) -> Fault:
    return Fault(Script(steps=[], status=http_status, error=error), Status.ERROR, error)


FAULTS = {
    "500": refusal(500, "no more memory"),
    "404": Fault(Script(status=404, steps=[]), Status.ERROR, "has no model"),
    "overlong": refusal(400, "the input length exceeds the context length"),
    "stalls at once": fault(Status.TIMEOUT, "0.3 seconds", {"stall": True}),
    "stalls in thought": fault(Status.TIMEOUT, "0.3 seconds", THOUGHT, {"stall": True}),
    "stalls after the word": fault(
        Status.TIMEOUT, "Answer: SAFE", THOUGHT, {"content": "SAFE"}, {"stall": True}
    ),
    "never ends": fault(Status.TIMEOUT, "0.8 seconds", *[THOUGHT, {"wait_ms": 100}] * 40),
    "closes at once": fault(Status.ERROR, "connection", {"close": True}),
    "closes in mid-token": fault(
        Status.ERROR, "connection", THOUGHT, {"raw": b'{"message": {"content": "SA'}, {"close": True}
    ),
    "closes after the word": fault(Status.ERROR, "connection", THOUGHT, {"content": "SAFE"}, {"close": True}),
    "ends without done": fault(Status.ERROR, "cut", THOUGHT, {"content": "SAFE"}, {"end": True}),
    "error under 200": fault(Status.ERROR, "runner gone", THOUGHT, {"error": "runner gone"}),
    "error after the word": fault(
        Status.ERROR, "runner gone", THOUGHT, {"content": "SAFE"}, {"error": "runner gone"}, DONE
    ),
    "malformed JSON": fault(Status.ERROR, "not JSON", THOUGHT, {"raw": b'data: {"message": \n\n'}, *SAFE),
    "not UTF-8": fault(Status.ERROR, "UTF-8", THOUGHT, {"raw": b"\xff\xfe\n\n"}, *SAFE),
    "empty content": fault(Status.UNPARSABLE, "There is no answer", {"content": ""}, DONE),
    "nothing at all": fault(Status.UNPARSABLE, "There is no answer", DONE),
    "thinking only": fault(Status.UNPARSABLE, "There is no answer", THOUGHT, {"thinking": " SAFE"}, DONE),
    "both words": fault(
        Status.UNPARSABLE, "VIOLATION SAFE", THOUGHT, {"content": "VIOLATION"}, {"content": " SAFE"}, DONE
    ),
    "unsafe": fault(Status.UNPARSABLE, "UNSAFE", THOUGHT, {"content": "UN"}, {"content": "SAFE"}, DONE),
    "prose": fault(Status.UNPARSABLE, "This is SAFE", THOUGHT, {"content": "This is SAFE"}, DONE),
    "cut by length": fault(Status.TRUNCATED, "cut off", THOUGHT, {"content": "SAFE"}, {"done": "length"}),
    "cut in thought": fault(Status.TRUNCATED, "no answer", THOUGHT, {"done": "length"}),
}  # fmt: skip
SPOKEN = ("error", "content", "thinking", "done", "end", "stall", "wait_ms")


@pytest.fixture
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(parallel=6) as server:
        yield server


def gauntlet(model: Model) -> Gauntlet:
    return Gauntlet(model, POLICIES, policy_timeout_s=POLICY_TIMEOUT_S)


def ollama_model(server: OllamaServer, patience: Patience = PATIENCE) -> OllamaModel:
    return OllamaModel(MODEL, host=server.url, slots=6, patience=patience)


def only_in(policy: str, script: Script) -> Script:
    return Script(f"on {policy}.", script.steps, script.status, script.error, script.delay_ms)


async def judge(guard: Gauntlet, case: Case | None = None) -> list[Event]:
    try:
        async with aclosing(guard.judge(case or Case("How do I sharpen a knife?"))) as events:
            return [event async for event in events]
    finally:
        await guard.aclose()


def verdict_of(events: list[Event]) -> Verdict:
    assert isinstance(events[-1], VerdictReached)
    return events[-1].verdict


def check_one_failed(events: list[Event], failed: str, fault: Fault) -> None:
    """Check that the fault is in its own lane only, told as it was, with the reasoning before it."""
    verdict = verdict_of(events)
    assert (verdict.decision, verdict.status) == (Decision.ESCALATE, fault.status)
    assert verdict.labels == Labels()
    for finding in verdict.policies:
        if finding.policy == failed:
            assert (finding.violation, finding.status) == (None, fault.status)
            assert fault.said in finding.reasoning
            assert (THOUGHT["thinking"] in finding.reasoning) == (THOUGHT in fault.script.steps)
        else:
            assert (finding.violation, finding.status) == (False, Status.OK)
    assert not any(isinstance(event, Failed) for event in events)


def check_all_failed(events: list[Event], fault: Fault) -> None:
    verdict = verdict_of(events)
    assert (verdict.decision, verdict.status) == (Decision.ESCALATE, fault.status)
    assert [finding.status for finding in verdict.policies] == [fault.status] * 6
    assert verdict.labels == Labels()


# --- Ollama ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_ollama_one_of_six_fails(ollama: OllamaServer, fault: Fault) -> None:
    ollama.scripts = [only_in("illegal", fault.script)]
    check_one_failed(await judge(gauntlet(ollama_model(ollama))), "illegal", fault)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_ollama_all_fail(ollama: OllamaServer, fault: Fault) -> None:
    ollama.scripts = [fault.script]
    check_all_failed(await judge(gauntlet(ollama_model(ollama))), fault)


async def test_ollama_a_violation_blocks_though_others_failed(ollama: OllamaServer) -> None:
    ollama.scripts = [
        only_in("hate", Script(steps=VIOLATION)),
        only_in("violence", FAULTS["closes in mid-token"].script),
    ]
    verdict = verdict_of(await judge(gauntlet(ollama_model(ollama))))
    assert (verdict.decision, verdict.status) == (Decision.BLOCK, Status.ERROR)


async def test_ollama_without_faults_allows(ollama: OllamaServer) -> None:
    verdict = verdict_of(await judge(gauntlet(ollama_model(ollama))))
    assert (verdict.decision, verdict.status) == (Decision.ALLOW, Status.OK)


# --- a script in place of a model -----------------------------------------------------------------


def fake_model(path: Path, **scripts: Script) -> FakeModel:
    """Write Ollama's scripts as those of the fake model."""
    words = {"thinking": "reasoning", "content": "answer", "done": "finish", "end": "cut", "stall": "wait_ms"}
    replies = [
        {
            "match": f"on {policy}.",
            "steps": [
                {words.get(word, word): 60_000 if word == "stall" else value}
                for step in script.steps
                for word, value in step.items()
            ],
        }
        for policy, script in scripts.items()
    ]
    replies.append({"steps": [{"answer": "SAFE"}]})
    path.write_text("\n".join(map(json.dumps, replies)), "utf-8")
    return FakeModel(path, patience=PATIENCE)


SPEAKABLE = {
    name: fault
    for name, fault in FAULTS.items()
    if fault.script.status == 200 and all(word in SPOKEN for step in fault.script.steps for word in step)
}


@pytest.mark.parametrize("fault", SPEAKABLE.values(), ids=SPEAKABLE)
async def test_fake_one_of_six_fails(tmp_path: Path, fault: Fault) -> None:
    model = fake_model(tmp_path / "script.jsonl", illegal=fault.script)
    check_one_failed(await judge(gauntlet(model)), "illegal", fault)


# --- a back end that is not there -----------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_ollama_down() -> None:
    events = await judge(gauntlet(OllamaModel(MODEL, host=f"http://127.0.0.1:{free_port()}", slots=6)))
    failed = events[-2]
    assert isinstance(failed, Failed)
    assert failed.unreachable
    assert "ollama serve" in failed.hint
    assert (verdict_of(events).decision, verdict_of(events).status) == (Decision.ESCALATE, Status.ERROR)


async def test_ollama_comes_back(ollama: OllamaServer) -> None:
    """A failure leaves nothing behind: the same guard judges the next case."""
    guard = gauntlet(ollama_model(ollama))
    ollama.scripts = [FAULTS["closes in mid-token"].script]
    async with aclosing(guard.judge(Case("a"))) as events:
        assert verdict_of([event async for event in events]).decision is Decision.ESCALATE
    ollama.scripts = []
    assert verdict_of(await judge(guard, Case("a"))).decision is Decision.ALLOW


# --- any mixture ------------------------------------------------------------------------------------

CLEAN = Fault(Script(steps=[THOUGHT, *SAFE]), Status.OK, "")
BROKEN = Fault(Script(steps=VIOLATION), Status.OK, "")
QUICK = [fault for fault in FAULTS.values() if fault.status is not Status.TIMEOUT]
STATUSES = [Status.ERROR, Status.TIMEOUT, Status.TRUNCATED, Status.UNPARSABLE, Status.OK]


def test_ollama_allows_only_what_all_six_found_safe(ollama: OllamaServer) -> None:
    outcomes = st.lists(
        st.sampled_from([CLEAN, CLEAN, CLEAN, BROKEN]) | st.sampled_from(QUICK), min_size=6, max_size=6
    )

    @settings(max_examples=40, deadline=None)
    @given(outcomes | st.just([CLEAN] * 6))
    def holds(lanes: list[Fault]) -> None:
        ollama.scripts = [only_in(name, lane.script) for name, lane in zip(NAMES, lanes, strict=True)]
        verdict = verdict_of(asyncio.run(judge(gauntlet(ollama_model(ollama)))))
        assert (verdict.decision is Decision.ALLOW) == all(lane is CLEAN for lane in lanes)
        assert (verdict.decision is Decision.BLOCK) == (BROKEN in lanes)
        assert [finding.status for finding in verdict.policies] == [lane.status for lane in lanes]
        assert verdict.status is min((lane.status for lane in lanes), key=STATUSES.index)

    holds()


# --- leaving in the middle --------------------------------------------------------------------------


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that no task outlives the block by more than the turns that closing sockets takes."""
    before = asyncio.all_tasks()
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


SILENT: list[Step] = [{"stall": True}]
THINKING: list[Step] = [THOUGHT, {"wait_ms": 5}] * 2000


@pytest.mark.parametrize("steps", [SILENT, THINKING], ids=["silent", "thinking"])
async def test_ollama_cancelling_closes_all_connections(ollama: OllamaServer, steps: list[Step]) -> None:
    ollama.scripts = [Script(steps=steps)]
    async with nothing_left():
        judging = asyncio.create_task(judge(Gauntlet(ollama_model(ollama, Patience()), POLICIES)))
        await asyncio.to_thread(wait_for, lambda: len(ollama.chats) == 6)
        await asyncio.sleep(0.05)
        left = time.monotonic()
        judging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await judging
    check_gone(ollama, left)


async def test_ollama_closing_closes_all_connections(ollama: OllamaServer) -> None:
    ollama.scripts = [Script(steps=THINKING)]
    thinking = set()
    guard = Gauntlet(ollama_model(ollama, Patience()), POLICIES)
    async with nothing_left():
        async with aclosing(guard.judge(Case("x"))) as events:
            async for event in events:
                if isinstance(event, ReasoningDelta):
                    thinking.add(event.lane)
                if len(thinking) == 6:
                    break
            left = time.monotonic()
        await guard.aclose()
    check_gone(ollama, left)


def check_gone(server: OllamaServer, left: float) -> None:
    wait_for(lambda: all(seen.client_closed for seen in server.chats))
    assert len(server.chats) == 6
    assert max(seen.client_closed or 0 for seen in server.chats) - left < 0.5
