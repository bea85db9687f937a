"""``wizard101 policies``: the workshop of policies, for scripts and CI."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated

import typer

from app.cli.exits import Exit, say, usage_error
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import (
    NameArgument,
    SetOption,
    SignalsOption,
    bytes_there,
    file_of,
    kept_text,
    known_versions,
    print_exactly,
)
from app.cli.policy_bisect import bisect_policy
from app.cli.policy_cases import cli as cases_cli
from app.cli.policy_lint import lint_policies
from app.cli.policy_test import run_cases
from app.cli.policy_versions import restore_version, show_diff, show_versions
from engine.policies.load import CASES_NAME

cli = typer.Typer(
    help="Policies: their texts, cases and versions; checking, trying and comparing them.",
    no_args_is_help=True,
)
cli.add_typer(cases_cli, name="cases")
cli.command("bisect")(bisect_policy)
cli.command("diff")(show_diff)
cli.command("lint")(lint_policies)
cli.command("restore")(restore_version)
cli.command("test")(run_cases)
cli.command("versions")(show_versions)


@cli.command("list")
def list_policies(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="SPEC", help="Count tokens by this model's tokenizer."),
    ] = None,
    policy_set: SetOption = None,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """List the policies: how long their texts are, and what cases, signals and versions they have."""
    from app.cli.policy_facts import facts_json, facts_lines, facts_of
    from engine.policies.sets import find_set
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    facts = facts_of(workspace, find_set(workspace.policies, policy_set), model)
    if as_json:
        print(json.dumps(facts_json(facts)))
    else:
        print("\n".join(facts_lines(facts)))
    for why in dict.fromkeys(fact.tokens.why for fact in facts if fact.tokens and fact.tokens.why):
        say(f"The tokens are estimated: {why}.")
    faults = [fault for fact in facts for fault in fact.faults]
    for fault in faults:
        say(fault)
    return Exit.FAILED if faults else Exit.DONE


@cli.command("show")
def show_policy(
    name: NameArgument,
    signals: SignalsOption = False,
    cases: Annotated[
        bool, typer.Option("--cases", help="Its cases.jsonl, in place of its policy.md.")
    ] = False,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="V", help="An older version: v3, or the beginning of its hash."),
    ] = None,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a policy's text: byte for byte into a pipe; on a terminal, as it can be shown there."""
    from engine.workshop.versions import find_version
    from engine.workspace import find_workspace

    if cases and (signals or version is not None):
        raise usage_error("--cases goes with neither --signals nor --version: cases have no versions.")
    workspace = find_workspace(db, policies)
    file = file_of(workspace, name, signals=signals)
    if cases:
        file = f"{name}/{CASES_NAME}"
    if version is None:
        content = bytes_there(workspace.policies / file)
    else:
        with known_versions(workspace, [name]) as history:
            found = find_version(history.versions(file), version)
            content = kept_text(history, found).encode("utf-8")
            version = found.label
    if as_json:
        told = {"file": file, "version": version, "sha256": sha256(content).hexdigest()}
        print(json.dumps({**told, "text": content.decode("utf-8", "surrogateescape")}))
    else:
        print_exactly(content)
