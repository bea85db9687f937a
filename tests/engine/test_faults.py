"""Everything a back end can do wrong, over real sockets and the real clients: none of it is ever "safe"."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cases import Case, Decision, Labels, Status, Verdict
from engine.events import AnswerDelta, Event, Failed, PolicyFinished, ReasoningDelta, VerdictReached
from engine.guards.gauntlet import Gauntlet
from engine.models.base import Model
from engine.models.fake import FakeModel
from engine.models.gguf import GgufModel
from engine.models.ollama import OllamaModel
from engine.models.openai import OpenAIModel
from engine.models.streaming import Patience
from engine.policies.load import Policy
from tests.servers import openai_server
from tests.servers.http import Reply, Seen, wait_for
from tests.servers.ollama_server import SAFE, OllamaServer, Script, Step
from tests.servers.openai_server import OpenAIServer

NAMES = ("harassment", "hate", "illegal", "minors", "self_harm", "violence")
POLICIES = tuple(Policy(name, f"The policy on {name}.", name.encode().hex(), Path()) for name in NAMES)
PATIENCE = Patience(first_s=1.6, next_s=1.6)
POLICY_TIMEOUT_S = 3.2
MODEL = "gpt-oss-safeguard:20b"

THOUGHT: Step = {"thinking": "It asks about knives."}
DONE: Step = {"done": "stop"}
VIOLATION: list[Step] = [THOUGHT, {"content": "VIOLATION"}, DONE]


@dataclass(frozen=True)
class Fault:
    """What a back end does in one lane, in Ollama's words, and how the lane's finding must tell it."""

    script: Script
    status: Status
    said: str


def fault(status: Status, said: str, *steps: Step) -> Fault:
    return Fault(Script(steps=list(steps)), status, said)


def refusal(http_status: int, error: str) -> Fault:
    return Fault(Script(steps=[], status=http_status, error=error), Status.ERROR, error)


FAULTS = {
    "500": refusal(500, "no more memory"),
    "404": Fault(Script(steps=[], status=404, error="no such model"), Status.ERROR, "no (such )?model"),
    "overlong": refusal(400, "the input length exceeds the context length"),
    "stalls at once": fault(Status.TIMEOUT, r"1\.6 seconds", {"stall": True}),
    "stalls in thought": fault(Status.TIMEOUT, r"1\.6 seconds", THOUGHT, {"stall": True}),
    "stalls after the word": fault(
        Status.TIMEOUT, "Answer: SAFE", THOUGHT, {"content": "SAFE"}, {"stall": True}
    ),
    "never ends": fault(Status.TIMEOUT, r"3\.2 seconds", *[THOUGHT, {"wait_ms": 100}] * 80),
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
            assert re.search(fault.said, finding.reasoning)
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


# --- the OpenAI protocol --------------------------------------------------------------------------


class LanesServer(OpenAIServer):
    """Answers each lane by its own script."""

    lanes: tuple[Script, ...] = ()

    async def respond(self, seen: Seen, reply: Reply) -> None:
        one = copy(self)
        fitting = [script for script in self.lanes if script.match in seen.message("system")]
        one.script = in_openai(fitting[0]) if fitting else openai_server.Script()
        await OpenAIServer.respond(one, seen, reply)


def in_openai(script: Script) -> openai_server.Script:
    """Say a script of Ollama's in OpenAI's words."""
    said = {"error": {"message": script.error}}
    steps: list[Step] = []
    for step in script.steps:
        ((word, value),) = step.items()
        if word == "done":
            steps += [{"finish": value}, {"usage": [600, 10]}, {"done": True}]
        elif word == "error":
            steps.append({"error": {"message": value}})
        elif word != "end":
            steps.append({"reasoning" if word == "thinking" else word: value})
    return openai_server.Script(steps, script.status, json.dumps(said).encode())


@pytest.fixture
def openai() -> Iterator[LanesServer]:
    with LanesServer() as server:
        yield server


def openai_model(server: OpenAIServer) -> OpenAIModel:
    return OpenAIModel(f"{server.url}/v1", "guard", patience=PATIENCE)


PROMPT = {name: fault for name, fault in FAULTS.items() if name != "never ends"}


@pytest.mark.parametrize("fault", PROMPT.values(), ids=PROMPT)
async def test_openai_one_of_six_fails(openai: LanesServer, fault: Fault) -> None:
    openai.lanes = (only_in("illegal", fault.script),)
    check_one_failed(await judge(gauntlet(openai_model(openai))), "illegal", fault)


@pytest.mark.parametrize("fault", [fault for fault in PROMPT.values() if fault.status is not Status.TIMEOUT])
async def test_openai_all_fail(openai: LanesServer, fault: Fault) -> None:
    openai.lanes = (fault.script,)
    check_all_failed(await judge(gauntlet(openai_model(openai))), fault)


async def test_openai_without_faults_allows(openai: LanesServer) -> None:
    verdict = verdict_of(await judge(gauntlet(openai_model(openai))))
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


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_a_server_that_is_down(kind: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    model = OllamaModel(MODEL, host=url, slots=6) if kind == "ollama" else OpenAIModel(f"{url}/v1", "guard")
    events = await judge(gauntlet(model))
    failed = events[-2]
    assert isinstance(failed, Failed)
    assert failed.unreachable
    assert url in failed.message
    assert failed.hint
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
        verdict = verdict_of(asyncio.run(judge(Gauntlet(ollama_model(ollama, Patience()), POLICIES))))
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


class WatchedServer(OllamaServer):
    """Keeps the times at which clients left in the middle of an answer, `time.monotonic` seconds."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*scripts, parallel=6)
        self.deserted: list[float] = []

    async def respond(self, seen: Seen, reply: Reply) -> None:
        try:
            await super().respond(seen, reply)
        except (asyncio.CancelledError, ConnectionError):
            self.deserted.append(time.monotonic())
            raise


SILENT: list[Step] = [{"stall": True}]
THINKING: list[Step] = [THOUGHT, {"wait_ms": 5}] * 2000


@pytest.mark.parametrize("steps", [SILENT, THINKING], ids=["silent", "thinking"])
async def test_ollama_cancelling_closes_all_connections(steps: list[Step]) -> None:
    with WatchedServer(Script(steps=steps)) as server:
        async with nothing_left():
            judging = asyncio.create_task(judge(Gauntlet(ollama_model(server, Patience()), POLICIES)))
            await asyncio.to_thread(wait_for, lambda: len(server.chats) == 6)
            await asyncio.sleep(0.05)
            left = time.monotonic()
            judging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await judging
        check_gone(server, left)


async def test_ollama_closing_closes_all_connections() -> None:
    with WatchedServer(Script(steps=THINKING)) as server:
        thinking = set()
        guard = Gauntlet(ollama_model(server, Patience()), POLICIES)
        async with nothing_left():
            async with aclosing(guard.judge(Case("x"))) as events:
                async for event in events:
                    if isinstance(event, ReasoningDelta):
                        thinking.add(event.lane)
                    if len(thinking) == 6:
                        break
                left = time.monotonic()
            check_gone(server, left)
            await guard.aclose()


def check_gone(server: WatchedServer, left: float) -> None:
    wait_for(lambda: len(server.deserted) == 6)
    assert max(server.deserted) - left < 1.0


# --- a real model -----------------------------------------------------------------------------------


@pytest.mark.xdist_group("smollm2")
async def test_smollm2_streams_six_lanes_and_can_be_left(smollm2: Path) -> None:
    model = GgufModel(smollm2, context=512)
    try:
        guard = Gauntlet(model, POLICIES, max_tokens=12)
        async with aclosing(guard.judge(Case("How do I sharpen a knife?"))) as events:
            seen = [event async for event in events]
        assert {event.lane for event in seen if isinstance(event, AnswerDelta)} == set(NAMES)
        assert sum(isinstance(event, PolicyFinished) for event in seen) == 6
        verdict = verdict_of(seen)
        assert verdict.usage.prompt_tokens > 300
        assert all(finding.status is not Status.ERROR for finding in verdict.policies)
        assert (verdict.decision is Decision.ALLOW) == all(f.violation is False for f in verdict.policies)

        async with nothing_left():
            long = Gauntlet(model, POLICIES, max_tokens=400)
            async with aclosing(long.judge(Case("Write a long story about a knife."))) as events:
                async for event in events:
                    if isinstance(event, AnswerDelta):
                        break
                left = time.monotonic()
            assert time.monotonic() - left < 0.5
        async with aclosing(Gauntlet(model, POLICIES, max_tokens=1).judge(Case("x"))) as events:
            assert verdict_of([event async for event in events]).usage.completion_tokens == 6
    finally:
        await model.aclose()
