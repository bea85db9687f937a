"""The cases of the policy that is open: adding, changing, deleting and importing them."""

from __future__ import annotations

import asyncio
from functools import partial

from app.screens.confirm import Answer, ConfirmScreen
from app.screens.policy_trials import PolicyTrials
from app.trial_words import expected_words
from engine.policies.case_file import CaseIsThere, add_cases, remove_case, replace_case
from engine.policies.load import PolicyCase, PolicyError


class PolicyCases(PolicyTrials):
    """Changes the file of cases line by line; what another program changes there is seen, too."""

    @property
    def chosen_case(self) -> PolicyCase | None:
        """The case chosen in the pane."""
        return None

    def do_new_case(self) -> None:
        self.begin_dialog(self._add_case(None))

    def do_edit_case(self) -> None:
        self.begin_dialog(self._edit_case())

    def do_delete_case(self) -> None:
        self.begin_dialog(self._delete_case())

    def do_import_cases(self) -> None:
        self.begin_dialog(self._import_cases())

    async def _add_case(self, like: PolicyCase | None) -> None:
        from app.screens.case_edit import CaseEditScreen

        case = await self.app.push_screen_wait(CaseEditScreen(like, title=f"New case of {self.policy}"))
        if case is not None:
            await self._keep([case])

    async def _keep(self, cases: list[PolicyCase]) -> None:
        """Add cases to the file, and say how many of them were there already."""
        try:
            added, left_out = await asyncio.to_thread(partial(add_cases, self.folder, self.policy, cases))
        except PolicyError as error:
            self.app.notify(str(error), severity="error", timeout=10)
            return
        said = f"{len(added):,} case{'' if len(added) == 1 else 's'} added to {self.policy}."
        if left_out:
            said += f" {len(left_out):,} were there already."
        self.app.notify(said, timeout=3)
        await self._cases_changed()

    async def _edit_case(self) -> None:
        from app.screens.case_edit import CaseEditScreen

        case = self.chosen_case
        assert case is not None
        changed = await self.app.push_screen_wait(CaseEditScreen(case, title=f"A case of {self.policy}"))
        if changed is None or changed == case:
            return
        try:
            await asyncio.to_thread(replace_case, self.folder, self.policy, case.case.key, changed)
        except CaseIsThere as error:
            self.app.notify(str(error), severity="warning", timeout=6)
        except PolicyError as error:
            self.app.notify(str(error), severity="error", timeout=10)
        await self._cases_changed()

    async def _delete_case(self) -> None:
        case = self.chosen_case
        assert case is not None
        answer = await self.app.push_screen_wait(
            ConfirmScreen(
                "Delete this case?",
                f"It expects {expected_words(case)}: {case.reason}",
                [Answer("d", "Delete", "take its line out of the file"), Answer("k", "Keep")],
            )
        )
        if answer != "d":
            return
        try:
            await asyncio.to_thread(remove_case, self.folder, self.policy, case.case.key)
        except PolicyError as error:
            self.app.notify(str(error), severity="error", timeout=10)
        await self._cases_changed()

    async def _import_cases(self) -> None:
        from app.screens.case_import import CaseImportScreen

        cases = await self.app.push_screen_wait(CaseImportScreen(self.policy, self.cases))
        if cases:
            await self._keep(cases)

    async def _cases_changed(self) -> None:
        """Read the cases anew; rules judge them at once."""
        await self.load_cases()
        if self.live or self.watching:
            self.run_trial()

    def why_not(self, name: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if name in ("new_case", "import_cases") and not self.policy:
            return "Open a policy first."
        if name in ("edit_case", "delete_case") and self.chosen_case is None:
            return "There is no case chosen."
        return None
