"""A case that was looked at becomes a policy's test case, and no failure makes it a safe one."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.case_keeping import expected
from app.screens.case_edit import CaseEditScreen
from app.screens.choice import ChoiceScreen
from app.screens.probe import ProbeScreen
from engine.cases import Case, Decision, Finding, Status, Verdict
from engine.policies.load import PolicyCase, load_cases
from tests.app.scripted import ScriptedGuard
from tests.app.test_probe import judge, opened, shown, typed, until

SIZES = pytest.mark.parametrize("size", [(160, 48)])


@asynccontextmanager
async def probing(
    tmp_path: Path, size: tuple[int, int] = (80, 24), guard: ScriptedGuard | None = None
) -> AsyncIterator[tuple[Pilot[None], ProbeScreen, Path]]:
    """Open the probe pane over policies that may be written to."""
    async with opened(tmp_path, guard or ScriptedGuard(), size=size) as (pilot, screen):
        policies = tmp_path / "policies"
        shutil.copytree(screen.wizard.workspace.policies, policies)
        screen.wizard.workspace = dataclasses.replace(screen.wizard.workspace, policies=policies)
        yield pilot, screen, policies


async def at_edit(pilot: Pilot[None], *keys: str) -> CaseEditScreen:
    """Go on to the dialog for the case."""
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, ChoiceScreen) and pilot.app.focused)
    await pilot.press(*keys, "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, CaseEditScreen) and pilot.app.focused)
    dialog = pilot.app.screen
    assert isinstance(dialog, CaseEditScreen)
    return dialog


async def save(pilot: Pilot[None], dialog: CaseEditScreen, reason: str) -> None:
    dialog._reason.asked.focus()
    await pilot.pause()
    await typed(pilot, reason)
    await pilot.press("ctrl+s")


def told(pilot: Pilot[None], words: str) -> bool:
    return any(words in notification.message for notification in pilot.app._notifications)


@SIZES
async def test_a_case_is_kept_by_the_policy_that_it_violated(tmp_path: Path, size: tuple[int, int]) -> None:
    async with probing(tmp_path, size) as (pilot, screen, policies):
        before = load_cases(policies, "violence")
        await judge(pilot, screen, "an odd\nprompt")
        dialog = await at_edit(pilot)
        assert "New case of violence" in shown(dialog)
        assert "● violation" in shown(dialog)
        await save(pilot, dialog, "V1: odd.")
        await until(pilot, lambda: told(pilot, "Added to the cases of violence, expected to be a violation"))
        assert pilot.app.screen is screen
        kept = PolicyCase(Case("an odd\nprompt"), True, "V1: odd.", "en", "probe #1")
        assert load_cases(policies, "violence") == (*before, kept)
        await save(pilot, await at_edit(pilot), "V2: again.")
        await until(pilot, lambda: told(pilot, "violence has this case already"))
        assert load_cases(policies, "violence") == (*before, kept)


async def test_what_was_said_of_other_texts_does_not_count(tmp_path: Path) -> None:
    async with probing(tmp_path) as (pilot, screen, policies):
        await pilot.press("ctrl+s")
        assert told(pilot, "There is no case to keep yet")
        await judge(pilot, screen, "a prompt")
        dialog = await at_edit(pilot, "up")
        assert "New case of sexual_minors" in shown(dialog)
        assert dialog._verdict.value == "safe"
        assert dialog._source.value == "probe #1"
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await typed(pilot, " more")
        dialog = await at_edit(pilot, *"illegal")
        assert dialog._prompt.value.endswith(" more") or dialog._prompt.value.startswith(" more")
        assert dialog._verdict.value == "violation"
        assert "probe" not in dialog._source.value
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert load_cases(policies, "illegal") == load_cases(
            Path(__file__).parents[2] / "policies", "illegal"
        )


async def test_a_case_that_cannot_be_saved_is_still_there(tmp_path: Path) -> None:
    async with probing(tmp_path) as (pilot, screen, policies):
        path = policies / "violence" / "cases.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + b"no case\n")
        await judge(pilot, screen, "a prompt")
        dialog = await at_edit(pilot)
        await save(pilot, dialog, "V1: it.")
        await until(pilot, lambda: told(pilot, "is not a case"))
        again = pilot.app.screen
        assert isinstance(again, CaseEditScreen)
        assert again._reason.value == "V1: it."
        assert path.read_bytes() == whole + b"no case\n"
        path.write_bytes(whole)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: told(pilot, "Added to the cases of violence"))
        shutil.rmtree(policies)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: told(pilot, "There are no policies"))


@pytest.mark.parametrize(
    ("verdict", "violation"),
    [
        (None, True),
        (Verdict(Decision.BLOCK, "g", policies=(Finding("p", False), Finding("q", True))), False),
        (Verdict(Decision.BLOCK, "g", policies=(Finding("p", True),)), True),
        (Verdict(Decision.ESCALATE, "g", policies=(Finding("p", None),)), True),
        (Verdict(Decision.ESCALATE, "g", policies=(Finding("p", False, status=Status.TIMEOUT),)), True),
        (Verdict(Decision.ALLOW, "g", policies=(Finding("q", False),)), True),
        (Verdict(Decision.ALLOW, "g"), False),
        (Verdict(Decision.ESCALATE, "g", status=Status.ERROR), True),
    ],
)
def test_only_a_clean_finding_proposes_that_a_case_is_safe(verdict: Verdict | None, violation: bool) -> None:
    assert expected(verdict, "p") is violation
