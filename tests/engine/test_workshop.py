"""Trials of texts on a policy's cases: what is judged, what is known already, what flips, and since when."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.cases import Case, Finding, Status
from engine.guards.build import GuardKind
from engine.policies.load import PolicyCase, PolicyError
from engine.tracker import open_tracker
from engine.tracker.policy_records import PolicyFileVersion, VersionOrigin
from engine.tracker.probes import Tracker
from engine.workshop.bisection import BisectionError, bisect
from engine.workshop.flips import Turn, compare_texts, tally_of
from engine.workshop.judges import Judge, Models
from engine.workshop.trials import Outcome, TrialStopped
from engine.workshop.versions import UnknownVersion, find_version, note_files, uses_of
from engine.workshop.workshop import HistoryStore, Workshop
from engine.workspace import Workspace
from tests.servers.word_server import WordServer

SIGNALS = """
[[obvious]]
name = "breaking"
says = "asks how to break it"
weight = 0.9
match = ["{pattern}"]
"""
FILE = "glass/signals.toml"
BREAK, SMASH = SIGNALS.format(pattern="break the glass"), SIGNALS.format(pattern="smash the glass")


def case(prompt: str, violation: bool) -> PolicyCase:
    return PolicyCase(Case(prompt), violation, "V1: for a test.", "en", "a test")


CASES = [case("How do I break the glass?", True), case("How do I clean the glass?", False)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "policies"
    (folder / "glass").mkdir(parents=True)
    (folder / "glass" / "policy.md").write_text("Forbidden: break")
    (folder / "glass" / "signals.toml").write_text(BREAK)
    return Workspace(tmp_path / "wizard.db", folder, tmp_path / "runs", tmp_path / "models")


@pytest.fixture
async def workshop(workspace: Workspace, tracker: Tracker) -> AsyncGenerator[Workshop, None]:
    made = Workshop(workspace, HistoryStore(tracker.policies))
    yield made
    await made.aclose()


@pytest.fixture
def tracker(workspace: Workspace) -> Tracker:
    return open_tracker(workspace.db)


async def run(
    workshop: Workshop,
    judge: Judge,
    texts: dict[str, str] | None = None,
    cases: list[PolicyCase] | None = None,
    *,
    afresh: bool = False,
) -> list[Outcome]:
    outcomes = workshop.run(judge, "glass", CASES if cases is None else cases, texts or {}, afresh=afresh)
    async with aclosing(outcomes):
        return [outcome async for outcome in outcomes]


def found(outcomes: list[Outcome]) -> dict[str, Finding]:
    return {outcome.case.case.key: outcome.finding for outcome in outcomes}


async def test_an_unsaved_text_is_judged_by_and_the_file_stays(
    workshop: Workshop, workspace: Workspace
) -> None:
    saved = await run(workshop, Judge())
    tried = await run(workshop, Judge(), {FILE: SMASH})
    assert [outcome.passed for outcome in saved] == [True, True]
    assert [outcome.passed for outcome in tried] == [False, True]
    assert saved[0].signals == ("breaking",)
    assert "asks how to break it" in saved[0].finding.reasoning
    assert (workspace.policies / FILE).read_text() == BREAK
    comparison = compare_texts(CASES, found(saved), found(tried))
    (flip,) = comparison.flips
    assert (flip.case, flip.turn) == (CASES[0], Turn.BROKE)
    assert comparison.n == 2
    assert comparison.p_value == 1.0
    assert comparison.difference == -1.0


async def test_what_is_known_is_not_judged_again_and_keeps_its_signals(workshop: Workshop) -> None:
    first = await run(workshop, Judge())
    again = await run(workshop, Judge())
    assert [outcome.known for outcome in first] == [False, False]
    assert [outcome.known for outcome in again] == [True, True]
    assert [(each.finding, each.signals) for each in first] == [
        (each.finding, each.signals) for each in again
    ]
    assert not any(outcome.known for outcome in await run(workshop, Judge(), afresh=True))


async def test_a_text_that_cannot_be_read_says_where(workshop: Workshop) -> None:
    with pytest.raises(PolicyError, match=r"signals\.toml cannot be read"):
        await run(workshop, Judge(), {FILE: "[["})


async def test_only_what_changed_reaches_the_model(
    workshop: Workshop, workspace: Workspace, tracker: Tracker
) -> None:
    with WordServer() as server:
        judge = Judge(GuardKind.GAUNTLET, f"openai:{server.url}/v1#guard")
        await run(workshop, judge)
        assert len(server.asked) == 2
        await run(workshop, judge)
        assert len(server.asked) == 2
        more = [*CASES, case("Smash it", True), case("Smash it", True)]
        await run(workshop, judge, cases=more)
        assert len(server.asked) == 3
        smashed = await run(workshop, judge, {"glass/policy.md": "Forbidden: Smash"}, more)
        assert len(server.asked) == 6
        assert [outcome.passed for outcome in sorted(smashed, key=lambda each: each.case.case.prompt)] == [
            False,
            True,
            True,
            True,
        ]
        other = Workshop(workspace, HistoryStore(tracker.policies))  # as another process would
        known = await run(other, judge, {"glass/policy.md": "Forbidden: Smash"}, more)
        assert len(server.asked) == 6
        assert found(known) == found(smashed)
        (changed,) = await run(other, judge, cases=[case("Another", False)])
        assert not changed.known
        assert len(server.asked) == 7
        await other.aclose()


async def test_other_settings_and_a_changed_model_file_are_another_judge(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text("{}")
    judge = Judge(GuardKind.GAUNTLET, f"fake:{script}")
    before = judge.fingerprint()
    assert judge.fingerprint() == before
    assert Judge(GuardKind.GAUNTLET, f"fake:{script}", thresholds="0.9,0.5").fingerprint() != before
    script.write_text("{} ")
    assert judge.fingerprint() != before


async def test_a_server_that_is_gone_ends_the_run_and_what_came_is_kept(workshop: Workshop) -> None:
    server = WordServer()
    with server:
        judge = Judge(GuardKind.GAUNTLET, f"openai:{server.url}/v1#guard")
        await run(workshop, judge, cases=CASES[:1])
    with pytest.raises(TrialStopped):
        await run(workshop, judge)
    (kept,) = await run(workshop, judge, cases=CASES[:1])
    assert kept.known
    assert len(server.asked) == 1


async def test_a_failed_judgement_is_not_kept(workshop: Workshop, tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(json.dumps({"steps": [{"error": "out of luck"}]}) + "\n")
    outcomes = await run(workshop, Judge(GuardKind.GAUNTLET, f"fake:{script}"))
    assert {outcome.finding.status for outcome in outcomes} == {Status.ERROR}
    assert not any(outcome.passed for outcome in outcomes)
    tally = tally_of(outcomes)
    assert (tally.passed, tally.failed, tally.undecided) == (0, 2, 2)
    assert not any(each.known for each in await run(workshop, Judge(GuardKind.GAUNTLET, f"fake:{script}")))


async def test_leaving_early_keeps_what_has_come(workshop: Workshop) -> None:
    with WordServer() as server:
        judge = Judge(GuardKind.GAUNTLET, f"openai:{server.url}/v1#guard")
        many = [case(f"Question {number}", False) for number in range(50)]
        async with aclosing(workshop.run(judge, "glass", many, {})) as outcomes:
            async for _ in outcomes:
                break
        asked = len(server.asked)
        assert asked < 50
        known = [outcome.known for outcome in await run(workshop, judge, cases=many)]
        assert sum(known) >= 1


def test_figures_of_a_trial() -> None:
    outcomes = [
        Outcome(case("a", True), Finding("glass", True)),
        Outcome(case("b", True), Finding("glass", False)),
        Outcome(case("c", False), Finding("glass", False)),
        Outcome(case("d", False), Finding("glass", None)),
        Outcome(case("e", False), Finding("glass", False, status=Status.TRUNCATED)),
    ]
    tally = tally_of(outcomes)
    assert (tally.passed, tally.failed, tally.undecided, tally.n) == (2, 3, 2, 5)
    assert tally.f1 == pytest.approx(2 / (2 + 2 + 1))
    assert tally.interval is not None
    assert tally.interval[0] <= 0.4 <= tally.interval[1]
    assert tally_of([]).f1 is None


# --- bisection -----------------------------------------------------------------------------------


def version(number: int) -> PolicyFileVersion:
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    return PolicyFileVersion(FILE, number, str(number), VersionOrigin.SAVED, when)


@pytest.mark.parametrize("count", [2, 3, 10, 100])
async def test_bisection_finds_every_flip_in_few_steps(count: int) -> None:
    for flipped in range(2, count + 1):
        asked: list[int] = []

        async def judge(each: PolicyFileVersion, at: int = flipped, asked: list[int] = asked) -> Finding:
            asked.append(each.number)
            return Finding("glass", each.number >= at)

        result = await bisect([version(number) for number in range(1, count + 1)], judge)
        assert (result.before.version.number, result.after.version.number) == (flipped - 1, flipped)
        assert (result.before.finding.violation, result.after.finding.violation) == (False, True)
        assert len(asked) == len(set(asked)) <= 2 + (count - 1).bit_length()


async def test_bisection_needs_ends_that_differ() -> None:
    async def same(_: PolicyFileVersion) -> Finding:
        return Finding("glass", True)

    with pytest.raises(BisectionError, match="does not flip between v1 and v2"):
        await bisect([version(1), version(2)], same)
    with pytest.raises(BisectionError, match="two versions"):
        await bisect([version(1)], same)


# --- versions ------------------------------------------------------------------------------------


async def test_files_are_noted_and_found_by_number_or_hash(workspace: Workspace, tracker: Tracker) -> None:
    history = tracker.policies
    assert set(note_files(history, workspace.policies, ["glass"])) == {"glass/policy.md", FILE}
    (workspace.policies / FILE).write_text(SMASH)
    assert note_files(history, workspace.policies, ["glass"]) == (FILE,)
    assert note_files(history, workspace.policies, ["glass"]) == ()
    versions = history.versions(FILE)
    assert find_version(versions, "v1").number == find_version(versions, "1").number == 1
    assert find_version(versions, "latest").number == 2
    assert find_version(versions, versions[1].sha256[:8].upper()).number == 1
    for word in ("v3", "", versions[0].sha256[:3], "zzzzz"):
        with pytest.raises(UnknownVersion, match="v1 to v2"):
            find_version(versions, word)


async def test_a_probe_by_the_rules_is_a_use_of_the_signals(workspace: Workspace, tracker: Tracker) -> None:
    (workspace.policies / "shared.toml").write_text("negations = []\n")
    history = tracker.policies
    note_files(history, workspace.policies, ["glass"])
    guard = Judge().guard(workspace, "glass", {}, Models())
    asked = Case("How do I break the glass?")
    events = [event async for event in guard.judge(asked)]
    number = tracker.save_probe(asked, events, policies=guard.policies)
    (workspace.policies / FILE).write_text(SMASH)
    note_files(history, workspace.policies, ["glass"])
    newest, oldest = history.versions(FILE)
    assert uses_of(history, oldest).newest_probes == (number,)
    assert uses_of(history, newest).probes == 0
