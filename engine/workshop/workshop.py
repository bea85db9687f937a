"""The workshop: tries texts of policies on their cases by any judge, and asks nobody the same thing twice."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from engine.cases import Finding
from engine.policies.load import PolicyCase, Texts
from engine.tracker.policies import PolicyHistory
from engine.tracker.policy_records import Trials
from engine.tracker.records import TrackerError
from engine.workshop.judges import Judge, Models
from engine.workshop.trials import KEPT, Outcome, lasting, try_cases
from engine.workspace import Workspace

_REMEMBERED = 64
_SAVE_S = 1.0


class TrialStore(Protocol):
    """Where outcomes are kept beyond the process. Both raise `TrackerError`."""

    async def trials(self, text_sha256: str, judge: str, case_keys: Iterable[str]) -> Trials: ...

    async def keep(self, text_sha256: str, judge: str, trials: Trials) -> None: ...


class HistoryStore:
    """The tracker as such a place."""

    def __init__(self, history: PolicyHistory) -> None:
        self._history = history

    async def trials(self, text_sha256: str, judge: str, case_keys: Iterable[str]) -> Trials:
        return await asyncio.to_thread(self._history.trials, text_sha256, judge, case_keys)

    async def keep(self, text_sha256: str, judge: str, trials: Trials) -> None:
        await asyncio.to_thread(self._history.keep_trials, text_sha256, judge, trials)


class Workshop:
    """Remembers outcomes by the hash of the text applied, the judge and the case.

    Those of models are kept in ``store``, if there is one; those of rules for as long as this object lives.
    All methods belong to one event loop.
    """

    def __init__(self, workspace: Workspace, store: TrialStore | None = None) -> None:
        self._workspace = workspace
        self._store = store
        self._models = Models()
        self._remembered: OrderedDict[tuple[str, str], dict[str, Outcome]] = OrderedDict()
        self.trouble = ""
        """Why outcomes could not be kept, or looked up, in the last run; empty if they could."""

    async def run(
        self,
        judge: Judge,
        policy: str,
        cases: Sequence[PolicyCase],
        texts: Texts,
        *,
        afresh: bool = False,
    ) -> AsyncGenerator[Outcome, None]:
        """Yield what each case is found to be, those that are known first.

        ``texts`` count in place of files; ``afresh`` asks for what is known, too. Leave it through
        `contextlib.aclosing`: what has come is kept then.

        Raises:
            TrialStopped: if the back end cannot be reached.
            PolicyError, GuardSetupError, ModelError: if the guard cannot be made, of this text for instance.
        """
        self.trouble = ""
        guard = judge.guard(self._workspace, policy, texts, self._models)
        await self._models.tidy()
        applied = guard.policies[0].sha256 if judge.reads else ""
        fingerprint = judge.fingerprint()
        remembered = self._memory(applied, fingerprint)
        known: Trials = {}
        if not afresh:
            known = {key: outcome.finding for key, outcome in remembered.items()}
            known = await self._look_up(judge, applied, fingerprint, cases, known) | known
        unsaved: list[Outcome] = []
        saved_at = time.monotonic()
        try:
            async with aclosing(try_cases(guard, policy, cases, known)) as outcomes:
                async for outcome in outcomes:
                    earlier = remembered.get(outcome.case.case.key)
                    if outcome.known and earlier is not None:
                        outcome = replace(outcome, signals=earlier.signals)
                    elif outcome.finding.status in KEPT:
                        remembered[outcome.case.case.key] = outcome
                        unsaved.append(outcome)
                    yield outcome
                    if time.monotonic() - saved_at >= _SAVE_S:
                        await self._save(judge, applied, fingerprint, unsaved)
                        saved_at = time.monotonic()
        finally:
            await asyncio.shield(self._save(judge, applied, fingerprint, unsaved))

    async def finding(self, judge: Judge, policy: str, case: PolicyCase, texts: Texts) -> Finding:
        """Return what one case is found to be; see `run`."""
        async with aclosing(self.run(judge, policy, [case], texts)) as outcomes:
            async for outcome in outcomes:
                return outcome.finding
        raise AssertionError("a case has an outcome")

    async def aclose(self) -> None:
        """Close the model."""
        await self._models.aclose()

    def _memory(self, applied: str, fingerprint: str) -> dict[str, Outcome]:
        key = (applied, fingerprint)
        found = self._remembered.setdefault(key, {})
        self._remembered.move_to_end(key)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _look_up(
        self, judge: Judge, applied: str, fingerprint: str, cases: Sequence[PolicyCase], known: Trials
    ) -> Trials:
        asked = {case.case.key for case in cases} - known.keys()
        if self._store is None or not judge.lasting or not asked:
            return {}
        try:
            return await self._store.trials(applied, fingerprint, asked)
        except TrackerError as error:
            self.trouble = str(error)
            return {}

    async def _save(self, judge: Judge, applied: str, fingerprint: str, outcomes: list[Outcome]) -> None:
        trials = lasting(outcomes)
        outcomes.clear()
        if self._store is None or not judge.lasting or not trials:
            return
        try:
            await self._store.keep(applied, fingerprint, trials)
        except TrackerError as error:
            self.trouble = str(error)
