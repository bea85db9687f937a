"""Keeping a case that was looked at as a test case of a policy: which policy, what it should say, and why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.wording import finding_words
from engine.cases import Case, Finding, Status, Verdict

if TYPE_CHECKING:
    from app.wizard import WizardApp
    from engine.policies.load import PolicyCase


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A case, what a guard said of it, and the number of the probe that it was saved as, if it was."""

    case: Case
    verdict: Verdict | None = None
    probe: int | None = None


async def keep_case(wizard: WizardApp, looked_at: LookedAt) -> None:
    """Ask of which policy, have the case written, and add it to the policy's file; say what happened."""
    from app.screens.choice import ChoiceScreen

    names = await asyncio.to_thread(wizard.policy_names)
    if not names:
        wizard.notify(f"There are no policies in {wizard.workspace.policies}.", severity="warning")
        return
    findings = {
        finding.policy: finding for finding in (looked_at.verdict.policies if looked_at.verdict else ())
    }
    options = [f"{name:16}  {finding_words(findings[name])}" if name in findings else name for name in names]
    title = "Keep it as a test case of which policy?"
    chosen = await wizard.push_screen_wait(ChoiceScreen(title, options, _worst(names, findings)))
    if chosen is not None:
        await _write(wizard, names[chosen], looked_at)


async def _write(wizard: WizardApp, policy: str, looked_at: LookedAt) -> None:
    """Have the case written until it is saved, or given up."""
    from app.screens.case_edit import WRITTEN_HERE, CaseEditScreen
    from engine.policies.case_file import add_cases
    from engine.policies.load import CASES_NAME, PolicyCase, PolicyError

    folder = wizard.workspace.policies
    source = WRITTEN_HERE if looked_at.probe is None else f"probe #{looked_at.probe}"
    case: PolicyCase | None = PolicyCase(
        looked_at.case, expected(looked_at.verdict, policy), "", "en", source
    )
    while True:
        case = await wizard.push_screen_wait(CaseEditScreen(case, title=f"New case of {policy}"))
        if case is None:
            return
        try:
            added, _ = await asyncio.to_thread(add_cases, folder, policy, [case])
        except PolicyError as error:
            wizard.notify(f"{error} The case is still here.", severity="error", timeout=10)
            continue
        break
    path = folder / policy / CASES_NAME
    if added:
        says = "a violation" if case.violation else "safe"
        wizard.notify(f"Added to the cases of {policy}, expected to be {says}: {path}")
    else:
        wizard.notify(f"{policy} has this case already: nothing was added to {path}.", severity="warning")


def expected(verdict: Verdict | None, policy: str) -> bool:
    """Return whether to propose a violation: everywhere but where the policy was cleanly found safe.

    A guard without policies says it by its decision.
    """
    from engine.workshop.trials import finding_of

    if verdict is None or (verdict.policies and policy not in {each.policy for each in verdict.policies}):
        return True
    finding = finding_of(policy, verdict)
    return finding.status is not Status.OK or finding.violation is not False


def _worst(names: tuple[str, ...], findings: dict[str, Finding]) -> int:
    """Return the place of the policy that was violated most surely; the first, where none was."""
    violated = [name for name in names if name in findings and findings[name].violation]
    return names.index(max(violated, key=lambda name: findings[name].score or 0.0)) if violated else 0
