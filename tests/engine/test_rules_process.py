"""Rules that judge in a process of their own: the same outcomes, whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.cases import Case
from engine.guards.build import Level
from engine.guards.reasoner import Reasoner
from engine.policies.load import PolicyCase, PolicyError, load_cases
from engine.workshop.rules_process import RulesProcess
from engine.workshop.trials import try_cases

SHIPPED = Path(__file__).resolve().parents[2] / "policies"
NAME = "self_harm"
CASES = load_cases(SHIPPED, NAME)
FILE = f"{NAME}/signals.toml"


@pytest.fixture
async def rules() -> AsyncIterator[RulesProcess]:
    process = RulesProcess()
    yield process
    await process.aclose()


async def test_it_finds_what_rules_find_here(rules: RulesProcess) -> None:
    guard = Reasoner(SHIPPED, [NAME])
    here = [outcome async for outcome in try_cases(guard, NAME, CASES, {})]
    there = await rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, CASES)
    told = [
        [
            (each.case, each.finding.violation, each.finding.score, each.finding.reasoning, each.signals)
            for each in side
        ]
        for side in (here, there)
    ]
    assert told[0] == told[1]


async def test_texts_count_in_place_of_files_and_faults_say_where(rules: RulesProcess) -> None:
    text = (SHIPPED / FILE).read_text("utf-8")
    await rules.check(SHIPPED, NAME, {FILE: text + "# more\n"})
    await rules.check(SHIPPED, None, {})
    with pytest.raises(PolicyError, match=r"signals\.toml cannot be read"):
        await rules.check(SHIPPED, NAME, {FILE: "[["})
    with pytest.raises(PolicyError, match="no policy is called"):
        await rules.judge(SHIPPED, "none", Level.LOW, {}, CASES)
    half = PolicyCase(Case("half \ud800", "\x00"), False, "", "", "")
    (outcome,) = await rules.judge(SHIPPED, NAME, Level.HIGH, {}, [half])
    assert outcome.finding.violation is False


async def test_a_process_that_was_killed_is_started_anew(rules: RulesProcess) -> None:
    await rules.check(SHIPPED, NAME, {})
    first = rules.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert len(await rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, CASES)) == len(CASES)
    assert rules.pid != first


async def test_one_that_is_killed_while_it_judges_is_asked_again(rules: RulesProcess) -> None:
    await rules.check(SHIPPED, NAME, {})
    many = [
        PolicyCase(Case(f"{case.case.prompt} {number}"), True, "", "", "")
        for number in range(40)
        for case in CASES
    ]
    judging = asyncio.create_task(rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, many))
    await asyncio.sleep(0.05)
    assert rules.pid is not None
    os.kill(rules.pid, signal.SIGKILL)
    assert len(await judging) == len(many)


async def test_who_asks_again_does_not_wait_for_what_nobody_waits_for(rules: RulesProcess) -> None:
    await rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, CASES)
    many = [
        PolicyCase(Case(f"{case.case.prompt} {number}"), True, "", "", "")
        for number in range(120)
        for case in CASES
    ]
    began = time.perf_counter()
    given_up = asyncio.create_task(rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, many))
    await asyncio.sleep(0.15)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert len(await rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, CASES)) == len(CASES)
    quick = time.perf_counter() - began
    began = time.perf_counter()
    await rules.judge(SHIPPED, NAME, Level.MEDIUM, {}, many)
    assert quick < time.perf_counter() - began


def test_it_ends_with_whoever_started_it() -> None:
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from engine.workshop.rules_process import RulesProcess\n"
        "async def main():\n"
        "    rules = RulesProcess()\n"
        f"    await rules.check(Path({str(SHIPPED)!r}), {NAME!r}, {{}})\n"
        "    print(rules.pid, flush=True)\n"
        "    await asyncio.sleep(100)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while (
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    ):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)
