"""What a stream of events amounts to, at every moment of it."""

from __future__ import annotations

import asyncio

from app.judgement import Judgement
from app.wording import REASONING, STOPPED, UNFINISHED, WAITING
from engine.cases import Case, Decision, Finding, Status, Verdict
from engine.events import Event, Notice, PolicyFinished, ReasoningDelta, StepFinished, VerdictReached
from tests.app.scripted import LANES, ScriptedGuard


async def _events() -> list[Event]:
    return [event async for event in ScriptedGuard().judge(Case("hello"))]


def test_a_whole_stream_leaves_every_lane_decided() -> None:
    judgement = Judgement()
    for event in asyncio.run(_events()):
        judgement.apply(event)
    assert list(judgement.lanes) == list(LANES)
    assert [lane.words for lane in judgement.lanes.values()] == ["✔ safe"] * 5 + ["✖ unsafe"]
    assert judgement.verdict is not None
    assert not judgement.stopped
    lane = judgement.lanes["violence"]
    assert lane.title == "Violence"
    assert lane.tokens == 96
    assert lane.reasoning.endswith("violation: yes")
    assert lane.first_token_ms is not None


def test_a_stream_cut_short_says_stopped_in_the_lanes_that_were_not_decided() -> None:
    events = asyncio.run(_events())
    cut = next(index for index, event in enumerate(events) if isinstance(event, PolicyFinished)) + 1
    judgement = Judgement()
    for event in events[:cut]:
        judgement.apply(event)
    judgement.stop()
    words = [lane.words for lane in judgement.lanes.values()]
    assert words == ["✔ safe"] + [STOPPED] * 5
    assert judgement.stopped


def test_lanes_wait_then_reason() -> None:
    judgement = Judgement.waiting_for(["one", "two"])
    judgement.apply(ReasoningDelta(seq=0, at_ms=5, lane="one", text="hm"))
    assert [lane.words for lane in judgement.lanes.values()] == [REASONING, WAITING]


def test_a_verdict_without_findings_leaves_no_lane_safe() -> None:
    judgement = Judgement.waiting_for(["one"])
    verdict = Verdict(Decision.ESCALATE, "g", status=Status.ERROR)
    judgement.apply(VerdictReached(seq=0, verdict=verdict))
    assert judgement.lanes["one"].words == UNFINISHED
    assert not judgement.stopped


def test_findings_that_only_the_verdict_has_are_shown() -> None:
    finding = Finding("one", None, status=Status.TIMEOUT, reasoning="It took too long.")
    judgement = Judgement.waiting_for(["one"])
    judgement.apply(
        VerdictReached(seq=0, verdict=Verdict(Decision.ESCALATE, "g", Status.TIMEOUT, policies=(finding,)))
    )
    assert judgement.lanes["one"].words == "! timeout"
    assert judgement.lanes["one"].reasoning == "It took too long."


def test_notices_go_to_their_lane_or_to_all() -> None:
    judgement = Judgement.waiting_for(["one"])
    judgement.apply(Notice(seq=0, message="everywhere"))
    judgement.apply(Notice(seq=1, message="here", lane="one"))
    assert judgement.notices == ["everywhere"]
    assert len(judgement.lanes["one"].pieces) == 1


def test_steps_read_as_plain_text_for_the_clipboard() -> None:
    judgement = Judgement.waiting_for(["one"])
    judgement.apply(
        StepFinished(seq=0, lane="one", step=1, title="Indicators", looked_for="signs", after=0.5)
    )
    assert judgement.lanes["one"].reasoning.startswith("1. Indicators  0.00 -> 0.50\n   looked for signs")
