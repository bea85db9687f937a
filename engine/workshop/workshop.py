"""The workshop: tries texts of policies on their cases by any judge, and asks nobody the same thing twice."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from engine.cases import Finding
from engine.guards.build import GuardKind
from engine.policies.load import PolicyCase, Texts
from engine.policies.signals import load_signals, signals_hash
from engine.tracker.policy_records import Trials
from engine.tracker.records import TrackerError
from engine.workshop.judges import Judge, Models
from engine.workshop.rules_process import RulesProcess
from engine.workshop.trials import KEPT, Outcome, lasting, try_cases
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.tracker.policies import PolicyHistory

_REMEMBERED = 64
_SAVE_S = 1.0

_Source = Callable[[Sequence[PolicyCase], Mapping[str, Finding]], AsyncGenerator[Outcome, None]]


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

    def __init__(
        self, workspace: Workspace, store: TrialStore | None = None, rules: RulesProcess | None = None
    ) -> None:
        """``rules`` is where rules judge; None: in this very process."""
        self._workspace = workspace
        self._store = store
        self._rules = rules
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
        applied, source = await self._source(judge, policy, texts)
        fingerprint = judge.fingerprint()
        remembered = self._memory(applied, fingerprint)
        known: Trials = {}
        if not afresh:
            known = {key: outcome.finding for key, outcome in remembered.items()}
            known = await self._look_up(judge, applied, fingerprint, cases, known) | known
        unsaved: list[Outcome] = []
        saved_at = time.monotonic()
        try:
            async with aclosing(source(cases, known)) as outcomes:
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

    async def _source(self, judge: Judge, policy: str, texts: Texts) -> tuple[str, _Source]:
        """Return the hash of what is applied, and what gives the outcomes of cases."""
        folder = self._workspace.policies
        if self._rules is not None and judge.kind is GuardKind.REASONER:
            return signals_hash(folder, policy, texts), partial(self._by_rules, judge, policy, texts)
        guard = judge.guard(self._workspace, policy, texts, self._models)
        await self._models.tidy()
        return guard.policies[0].sha256 if judge.reads else "", partial(try_cases, guard, policy)

    async def _by_rules(
        self,
        judge: Judge,
        policy: str,
        texts: Texts,
        cases: Sequence[PolicyCase],
        known: Mapping[str, Finding],
    ) -> AsyncGenerator[Outcome, None]:
        """Yield as `try_cases` does what rules find in their own process."""
        assert self._rules is not None
        keyed = [(case.case.key, case) for case in cases]
        asked = {key: case for key, case in keyed if key not in known}
        judged = await self._rules.judge(
            self._workspace.policies, policy, judge.level, texts, list(asked.values())
        )
        found = dict(zip(asked, judged, strict=True))
        for key, case in keyed:
            if key in known:
                yield Outcome(case, replace(known[key], policy=policy), known=True)
            else:
                yield replace(found[key], case=case)

    async def check_signals(self, policy: str | None, texts: Texts) -> None:
        """See whether signals can be used: those of a policy, or with None those of all.

        Raises:
            PolicyError: if they cannot.
            TrialStopped: if that cannot be seen.
        """
        folder = self._workspace.policies
        if self._rules is not None:
            await self._rules.check(folder, policy, texts)
        else:
            load_signals(folder, None if policy is None else [policy], texts)

    async def finding(self, judge: Judge, policy: str, case: PolicyCase, texts: Texts) -> Finding:
        """Return what one case is found to be; see `run`."""
        async with aclosing(self.run(judge, policy, [case], texts)) as outcomes:
            async for outcome in outcomes:
                return outcome.finding
        raise AssertionError("a case has an outcome")

    async def aclose(self) -> None:
        """Close the model, and the process of the rules."""
        await self._models.aclose()
        if self._rules is not None:
            await self._rules.aclose()

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
