"""``wizard101 policies bisect``: the version of a policy at which a case flipped."""

from __future__ import annotations

import asyncio
import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import CommandError, Exit, usage_error
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import KEY_SHOWN, NameArgument, file_of, kept_text, known_versions, print_exactly
from app.cli.policy_judges import (
    GuardOption,
    LevelOption,
    ModelOption,
    PromptStyleOption,
    SpeedOption,
    ThresholdsOption,
    open_workshop,
    unreachable_is_told,
)
from app.cli.policy_words import found_of, found_words
from app.safe_text import visible
from app.wording import score_words
from engine.guards.build import GuardKind, Level, PromptStyle, Speed

if TYPE_CHECKING:
    from engine.cases import Finding
    from engine.policies.load import PolicyCase
    from engine.tracker.policies import PolicyHistory
    from engine.tracker.policy_records import PolicyFileVersion
    from engine.workshop.bisection import Bisection, Judged
    from engine.workshop.judges import Judge
    from engine.workspace import Workspace


def bisect_policy(
    name: NameArgument,
    key: Annotated[
        str | None, typer.Option("--case", metavar="KEY", help="The case: the beginning of its key.")
    ] = None,
    number: Annotated[
        int | None, typer.Option("--number", min=1, metavar="N", help="The case: its number in cases.jsonl.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="In place of a case: a user's request.")
    ] = None,
    response: Annotated[
        str | None, typer.Option("--response", metavar="TEXT", help="An assistant's response to --prompt.")
    ] = None,
    oldest: Annotated[
        str | None, typer.Option("--from", metavar="V", help="The oldest version to look at. Default: v1.")
    ] = None,
    newest: Annotated[
        str | None, typer.Option("--to", metavar="V", help="The newest version to look at. Default: latest.")
    ] = None,
    guard: GuardOption = GuardKind.REASONER,
    model: ModelOption = None,
    level: LevelOption = Level.MEDIUM,
    speed: SpeedOption = Speed.FULL,
    prompt_style: PromptStyleOption = PromptStyle.RAW,
    thresholds: ThresholdsOption = None,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Find the version of a policy from which on a case is judged otherwise, by judging few of them.

    A version that nothing can be judged by counts as an outcome of its own. The reasoner's versions are those
    of signals.toml, the gauntlet's those of policy.md. Exit code 1: the case does not flip between the oldest
    and the newest version.
    """
    from engine.workshop.judges import Judge
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    judge = Judge(guard, model, level, speed, prompt_style, thresholds)
    if judge.reads is None:
        raise usage_error(f"The {guard} reads no file of a policy: there are no versions to look at.")
    file = file_of(workspace, name, signals=guard is GuardKind.REASONER)
    case = _case_asked_for(workspace, name, key, number, prompt, response)
    with known_versions(workspace, [name]) as history:
        versions = _between(history.versions(file), oldest, newest)
        found = asyncio.run(_bisect(workspace, judge, name, case, history, versions, as_json=as_json))
        texts = kept_text(history, found.before.version), kept_text(history, found.after.version)
    if as_json:
        print(json.dumps(_bisection_json(file, case, found)))
    else:
        _print(file, found, texts)
    return Exit.DONE


async def _bisect(
    workspace: Workspace,
    judge: Judge,
    name: str,
    case: PolicyCase,
    history: PolicyHistory,
    versions: Sequence[PolicyFileVersion],
    *,
    as_json: bool,
) -> Bisection:
    from engine.cases import Finding, Status
    from engine.policies.load import PolicyError
    from engine.workshop.bisection import BisectionError, bisect

    async with open_workshop(workspace, history) as workshop:

        async def judged(version: PolicyFileVersion) -> Finding:
            text = await asyncio.to_thread(kept_text, history, version)
            try:
                finding = await workshop.finding(judge, name, case, {version.file: text})
            except PolicyError as error:  # an outcome of its own: nothing can be judged by this version
                finding = Finding(name, None, status=Status.ERROR, reasoning=str(error))
            if not as_json:
                told = f"{version.label:<5} {version.sha256[:KEY_SHOWN]}  {found_words(finding):<15}"
                print(visible(f"{told} {score_words(finding.score):>4}"), flush=True)
            return finding

        with unreachable_is_told():
            try:
                return await bisect(versions, judged)
            except BisectionError as error:
                raise CommandError(str(error), Exit.FAILED) from error


def _between(
    versions: Sequence[PolicyFileVersion], oldest: str | None, newest: str | None
) -> list[PolicyFileVersion]:
    """Return the versions from one to another, oldest first. ``versions`` are the newest first."""
    from engine.workshop.versions import find_version

    first = find_version(versions, oldest or "v1").number
    last = find_version(versions, newest or "latest").number
    if first > last:
        raise usage_error(f"--from v{first} is newer than --to v{last}. Give the older one first.")
    return [version for version in reversed(versions) if first <= version.number <= last]


def _case_asked_for(
    workspace: Workspace,
    name: str,
    key: str | None,
    number: int | None,
    prompt: str | None,
    response: str | None,
) -> PolicyCase:
    from engine.cases import Case
    from engine.policies.load import PolicyCase, load_cases
    from engine.workshop.case_choice import case_numbered, case_of_key

    if sum(given is not None for given in (key, number, prompt)) != 1:
        raise usage_error("Give one of --case, --number and --prompt.")
    if response is not None and prompt is None:
        raise usage_error("--response goes with --prompt.")
    if prompt is not None:
        return PolicyCase(Case(prompt, response), False, "", "", "")
    cases = load_cases(workspace.policies, name)
    return case_of_key(cases, key) if key is not None else case_numbered(cases, number or 0)


def _print(file: str, found: Bisection, texts: tuple[str, str]) -> None:
    from app.diffing import diff, unified

    before, after = found.before, found.after
    print(
        visible(
            f"\nFlipped at {after.version.label}: {found_words(before.finding)} under "
            f"{before.version.label}, {found_words(after.finding)} since.\n",
        )
    )
    for judged in (before, after):
        reasoning = judged.finding.reasoning.strip() or "(no reasoning)"
        print(visible(f"{judged.version.label}: {found_words(judged.finding)}"))
        print(visible(textwrap.indent(reasoning, "    ")))
    print(flush=True)
    names = (f"a/{file}", f"b/{file}")
    print_exactly("".join(unified(diff(*texts, rows=False), *names)).encode("utf-8"))


def _bisection_json(file: str, case: PolicyCase, found: Bisection) -> dict[str, Any]:
    return {
        "file": file,
        "key": case.case.key,
        "before": _judged_json(found.before),
        "after": _judged_json(found.after),
        "judged": [_judged_json(judged) for judged in found.judged],
    }


def _judged_json(judged: Judged) -> dict[str, Any]:
    return {
        "version": judged.version.label,
        "sha256": judged.version.sha256,
        "found": found_of(judged.finding),
        "status": judged.finding.status.value,
        "score": judged.finding.score,
        "reasoning": judged.finding.reasoning,
    }
