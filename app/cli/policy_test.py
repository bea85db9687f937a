"""``wizard101 policies test``: the cases of policies, judged, and what changed since an older text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import CommandError, Exit, say, usage_error
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import (
    NamesArgument,
    SetOption,
    content_of,
    kept_text,
    known_versions,
    version_before,
)
from app.cli.policy_judges import (
    GuardOption,
    LevelOption,
    ModelOption,
    PromptStyleOption,
    SpeedOption,
    ThresholdsOption,
    history_for,
    open_workshop,
    unreachable_is_told,
)
from engine.guards.build import GuardKind, Level, PromptStyle, Speed
from engine.policies.load import TEXT_NAME, read_content, select_names

if TYPE_CHECKING:
    from app.cli.policy_trials import Teller, Tested
    from engine.cases import Finding
    from engine.policies.load import PolicyCase
    from engine.tracker.policies import PolicyHistory
    from engine.workshop.judges import Judge
    from engine.workshop.known_limits import KnownLimit
    from engine.workshop.workshop import Workshop
    from engine.workspace import Workspace

_SAVED = "saved"


def run_cases(
    names: NamesArgument = None,
    guard: GuardOption = GuardKind.REASONER,
    model: ModelOption = None,
    level: LevelOption = Level.MEDIUM,
    speed: SpeedOption = Speed.FULL,
    prompt_style: PromptStyleOption = PromptStyle.RAW,
    thresholds: ThresholdsOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="VERSION|saved",
            help="Judge by an older text, too, and tell what flipped: v3, the beginning of a hash, or saved: "
            "the newest version that is not what the file holds.",
        ),
    ] = None,
    policy_set: SetOption = None,
    stop_at_first: Annotated[
        bool, typer.Option("--stop-at-first", "-x", help="End with the first case that fails.")
    ] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Ask the model again, also for what it has said before.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: test again what changes, until interrupted.")
    ] = False,
    words: Annotated[
        str | None,
        typer.Option(
            "--filter", metavar="TEXT", help="Only cases with TEXT in a text, the reason or the source."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="L", help="Only cases in this language: en, de.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, too.")
    ] = None,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Show the cases' texts, which are blurred otherwise.")
    ] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Judge the cases of policies; tell those that are not judged as they should be.

    Exit code 0: all pass; 1: some do not; 2: wrong usage, or a policy that cannot be used; 3: the back end
    cannot be reached.
    """
    from app.cli.policy_trials import JsonTeller, LineTeller
    from engine.policies.sets import find_set
    from engine.workshop.judges import Judge
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    judge = Judge(guard, model, level, speed, prompt_style, thresholds)
    if against is not None and judge.reads is None:
        raise usage_error(f"--against compares texts of policies, and the {guard} reads none.")
    if policy_set is not None and judge.reads != TEXT_NAME:
        raise usage_error(f"--set is of texts that the gauntlet reads, and not the {guard}.")
    if policy_set is not None and against is not None:
        raise usage_error("--against compares with versions, and the texts of sets have none.")
    texts = find_set(workspace.policies, policy_set).folder
    chosen = select_names(texts, names or None)
    plan = _Plan(workspace, texts, judge, against, stop_at_first, afresh, words, language)
    teller = (JsonTeller if as_json else LineTeller)(texts=show_text)
    with ExitStack() as stack:
        history = stack.enter_context(
            history_for(workspace, judge) if against is None else known_versions(workspace, chosen)
        )
        session = _Session(plan, teller, history, junit, show_text)
        return asyncio.run(session.watch(chosen) if watch else session.once(chosen))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be tested, and how. ``folder`` holds the texts: the policies', or those of a set."""

    workspace: Workspace
    folder: Path
    judge: Judge
    against: str | None
    stop_at_first: bool
    afresh: bool
    words: str | None
    language: str | None

    def cases_of(self, name: str) -> dict[int, PolicyCase]:
        """Return the cases of a policy that are asked for, by their numbers.

        Raises:
            PolicyError: if they cannot be read.
        """
        from engine.policies.load import load_cases
        from engine.workshop.case_choice import matches

        return {
            number: case
            for number, case in enumerate(load_cases(self.workspace.policies, name), 1)
            if matches(case, self.words or "", self.language)
        }

    def texts(self, name: str) -> dict[str, str]:
        """Return the text of a set in place of the policy's own; nothing where that counts.

        Raises:
            PolicyError: if it cannot be read.
        """
        if self.folder == self.workspace.policies:
            return {}
        text = read_content(self.folder / name / TEXT_NAME).decode("utf-8")
        return {f"{name}/{TEXT_NAME}": text}

    def limits(self) -> tuple[KnownLimit, ...]:
        """Return the known limits, which are the reasoner's."""
        from engine.workshop.known_limits import load_limits

        return load_limits(self.workspace.policies) if self.judge.kind is GuardKind.REASONER else ()

    def before(self, history: PolicyHistory | None, name: str) -> tuple[str, dict[str, str]] | None:
        """Return the label of the older text, and that text in place of its file; None if there is none.

        Raises:
            PolicyError: if there is no such version, or the file cannot be read.
        """
        from engine.workshop.versions import find_version

        if self.against is None or history is None:
            return None
        file = f"{name}/{self.judge.reads}"
        versions = history.versions(file)
        if self.against == _SAVED:
            found = version_before(versions, content_of(self.workspace, file))
        else:
            found = find_version(versions, self.against)
        if found is None:
            say(f"{file} has one version only, which is what the file holds: there is nothing to compare.")
            return None
        return found.label, {file: kept_text(history, found)}


@dataclass(slots=True)
class _Session:
    """Tests policies, once or again and again, and remembers the last results of each."""

    plan: _Plan
    teller: Teller
    history: PolicyHistory | None
    junit: Path | None
    texts: bool
    tested: dict[str, Tested] = field(default_factory=dict)

    async def once(self, names: Sequence[str]) -> Exit:
        async with open_workshop(self.plan.workspace, self.history) as workshop:
            return await self._round(workshop, names)

    async def watch(self, names: Sequence[str]) -> Exit:
        """Test what changes, for ever."""
        from app.cli.policy_watch import changes
        from engine.policies.load import PolicyError

        async with open_workshop(self.plan.workspace, self.history) as workshop:
            async for changed in changes(
                self.plan.workspace.policies, self.plan.folder, names, self.plan.judge
            ):
                try:
                    await self._round(workshop, changed)
                except (CommandError, PolicyError) as error:
                    say(str(error))
                say("Waiting for changes; Ctrl+C ends it.")
        return Exit.DONE

    async def _round(self, workshop: Workshop, names: Sequence[str]) -> Exit:
        """Test policies one after the other. One that cannot be used does not keep the others from it."""
        from engine.policies.load import PolicyError

        worst = Exit.DONE
        now: list[Tested] = []
        try:
            with unreachable_is_told():
                limits = self.plan.limits()
                for name in names:
                    try:
                        await self._test(workshop, name, limits, now)
                    except PolicyError as error:
                        say(f"{name} was not tested: {error}")
                        worst = Exit.USAGE
                    if now and now[-1].failed:
                        worst = max(worst, Exit.FAILED)
                        if self.plan.stop_at_first:
                            break
        except asyncio.CancelledError:
            if self.plan.judge.lasting:
                say("Stopped. What was judged is kept.")
            raise
        finally:
            if workshop.trouble:
                say(f"What the model says could not be kept: {workshop.trouble}")
            self._sum_up(now)
        if not any(each.planned for each in now) and worst is Exit.DONE:
            raise usage_error("No case was judged: none is asked for, or there is none.")
        return worst

    async def _test(
        self, workshop: Workshop, name: str, limits: Sequence[KnownLimit], now: list[Tested]
    ) -> None:
        from app.cli.policy_trials import Result, Tested
        from engine.policies.load import PolicyError
        from engine.workshop.known_limits import limit_of

        plan = self.plan
        cases = plan.cases_of(name)
        older = plan.before(self.history, name)
        before: Mapping[str, Finding] = {}
        tested = Tested(name, len(cases), older[0] if older else "")
        if older is not None:
            try:
                before = await self._findings(workshop, name, cases.values(), older[1])
            except PolicyError as error:
                raise PolicyError(f"by {older[0]} nothing can be judged: {error}") from error
        now.append(tested)
        numbers = {id(case): number for number, case in cases.items()}
        judging = workshop.run(plan.judge, name, list(cases.values()), plan.texts(name), afresh=plan.afresh)
        async with aclosing(judging) as outcomes:
            async for outcome in outcomes:
                case = outcome.case
                result = Result(
                    name, numbers[id(case)], outcome, limit_of(limits, name, case), before.get(case.case.key)
                )
                tested.results.append(result)
                self.teller.tell(result)
                self.teller.progress(tested)
                if plan.stop_at_first and result.fails:
                    break

    async def _findings(
        self, workshop: Workshop, name: str, cases: Iterable[PolicyCase], texts: dict[str, str]
    ) -> dict[str, Finding]:
        judging = workshop.run(self.plan.judge, name, list(cases), texts, afresh=self.plan.afresh)
        async with aclosing(judging) as outcomes:
            return {outcome.case.case.key: outcome.finding async for outcome in outcomes}

    def _sum_up(self, now: Sequence[Tested]) -> None:
        judged = [each for each in now if each.results]
        if judged:
            self.teller.sum_up(judged)
        self.tested |= {each.policy: each for each in now if each.planned}
        if self.junit is not None:
            from app.cli.policy_junit import write_junit

            write_junit(self.junit, list(self.tested.values()), texts=self.texts)
