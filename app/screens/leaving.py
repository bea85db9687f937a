"""Leaving the program while policies are not saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.screens.confirm import Answer, ConfirmScreen

if TYPE_CHECKING:
    from app.screens.policies import PoliciesScreen
    from app.wizard import WizardApp


async def leave_policies(app: WizardApp, pane: PoliciesScreen) -> bool:
    """Ask what is to become of what is not saved; return whether the program may be left."""
    files = ", ".join(buffer.file for buffer in pane.unsaved)
    answer = await app.push_screen_wait(
        ConfirmScreen(
            "Not saved",
            f"{files}: what was typed is not saved.",
            [
                Answer("s", "Save", "save all of it, and leave"),
                Answer("l", "Later", "leave; it is offered at the next start"),
                Answer("d", "Discard", "leave, and give it up"),
                Answer("k", "Keep on", "stay here"),
            ],
        )
    )
    if answer == "s":
        return await pane.save_all()
    if answer == "d":
        pane.discard_all()
    return answer in ("l", "d")
