"""``wizard101 policies cases``: the labelled cases that policies are tested by."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli.exits import CommandError, Exit, say, usage_error
from app.cli.options import LARGEST_ID, DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import KEY_SHOWN, NameArgument
from app.cli.policy_words import expected_word
from app.cli.tables import Column, room, table
from app.safe_text import blurred, one_line
from engine.policies.load import PolicyCase, load_cases, select_names

if TYPE_CHECKING:
    from engine.workshop.imports import Proposal
    from engine.workspace import Workspace

_TEXT = 500
_LONGEST_FILE = 64 << 20
_LIST = "list"


class _Cases(TyperGroup):
    """``policies cases NAME`` lists them: a word that is no command is the policy of 'list'."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = next((word for word in args if not word.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = [_LIST, *args]
        return list(super().parse_args(ctx, args))


cli = typer.Typer(
    cls=_Cases,
    help="Cases that policies are tested by. 'cases NAME' lists those of a policy.",
    no_args_is_help=True,
)


class ExpectedWord(StrEnum):
    """What a case expects."""

    VIOLATION = "violation"
    SAFE = "safe"


class ImportedWord(StrEnum):
    """The same, or what the probe found."""

    VIOLATION = "violation"
    SAFE = "safe"
    AS_JUDGED = "as-judged"


class ErrorWord(StrEnum):
    """False positives, or false negatives."""

    FALSE_POSITIVES = "fp"
    FALSE_NEGATIVES = "fn"


ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help='Why, as in "V1: names a target".')
]
LanguageOption = Annotated[str | None, typer.Option("--language", metavar="L", help="Default: en.")]
SourceOption = Annotated[str | None, typer.Option("--source", metavar="TEXT", help="Where it comes from.")]


@cli.command(_LIST)
def list_cases(
    name: NameArgument,
    words: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only cases with TEXT in them somewhere.")
    ] = "",
    language: Annotated[
        str | None, typer.Option("--language", metavar="L", help="Only cases in this language.")
    ] = None,
    expected: Annotated[
        ExpectedWord | None, typer.Option("--expected", help="Only cases that expect this.")
    ] = None,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Show their texts, which are blurred otherwise.")
    ] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a policy's cases: number, key, what is expected, and why."""
    from engine.workshop.case_choice import matches

    workspace = _workspace(db, policies, name)
    found = [
        (number, case)
        for number, case in enumerate(load_cases(workspace.policies, name), 1)
        if matches(case, words, language) and expected in (None, expected_word(case.violation))
    ]
    if as_json:
        print(json.dumps([_case_json(number, case) for number, case in found]))
        return
    columns = [
        Column("n", right=True),
        Column("key"),
        Column("expected"),
        Column("language", drop=2),
        Column("reason", least=12, drop=1),
        Column("text", least=12),
    ]
    if found:
        print("\n".join(table(columns, [_row(*each, texts=show_text) for each in found], room())))
    else:
        say("No case matches.")


@cli.command("add")
def add_case(
    name: NameArgument,
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="The user's request.")],
    expected: Annotated[ExpectedWord, typer.Option("--expected", help="What the policy should find.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help='Why, as in "V1: names a target".')],
    response: Annotated[
        str | None, typer.Option("--response", metavar="TEXT", help="An assistant's response to it.")
    ] = None,
    language: LanguageOption = None,
    source: SourceOption = None,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Add a case at the end of a policy's file."""
    from engine.cases import Case
    from engine.workshop.imports import LANGUAGE

    workspace = _workspace(db, policies, name)
    case = PolicyCase(
        Case(prompt, response),
        expected is ExpectedWord.VIOLATION,
        reason,
        language or LANGUAGE,
        source or "written by hand",
    )
    return _add(workspace, name, [case], as_json=as_json)


@cli.command("remove")
def remove_case(
    name: NameArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The beginning of the case's key.")],
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a case out of a policy's file. What is taken out is printed, as a line of such a file."""
    from engine.policies import case_file
    from engine.workshop.case_choice import case_of_key

    workspace = _workspace(db, policies, name)
    case = case_of_key(load_cases(workspace.policies, name), key)
    case_file.remove_case(workspace.policies, name, case.case.key)
    if as_json:
        print(json.dumps({"policy": name, "removed": case.case.key}))
        return
    print(json.dumps(json.loads(case_file.written(case))))  # ASCII: nothing in it acts on a terminal
    say(f"Case {case.case.key[:KEY_SHOWN]} was removed from {name}. 'cases import {name} -' takes it back.")


@cli.command("import")
def import_cases(
    name: NameArgument,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|-]",
            help="JSON lines: cases of a policy, or prompts with response and label (harmful, unharmful).",
        ),
    ] = None,
    probes: Annotated[
        list[int] | None,
        typer.Option(
            "--probe", metavar="ID", min=1, max=LARGEST_ID, help="A probe; may be given several times."
        ),
    ] = None,
    run_id: Annotated[
        int | None,
        typer.Option("--run", metavar="ID", min=1, max=LARGEST_ID, help="The errors of an evaluation."),
    ] = None,
    errors: Annotated[
        list[ErrorWord] | None,
        typer.Option(
            "--errors",
            help="Which: fp, where this policy was found violated and should not be (the default), or fn: of "
            "these the benchmark does not say which policy they violate. May be given twice.",
        ),
    ] = None,
    expected: Annotated[
        ImportedWord | None,
        typer.Option("--expected", help="What the cases expect; as-judged: what the probe found."),
    ] = None,
    reason: ReasonOption = None,
    language: LanguageOption = None,
    source: SourceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be added; nothing is written.")
    ] = False,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Show their texts, which are blurred otherwise.")
    ] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Add cases from a file, from probes, or from the errors of an evaluation; not what is there already."""
    if sum((file is not None, bool(probes), run_id is not None)) != 1:
        raise usage_error("Give one of FILE, --probe and --run.")
    if errors and run_id is None:
        raise usage_error("--errors goes with --run.")
    if run_id is not None and expected is not None:
        raise usage_error("--run goes by what the benchmark says: leave --expected out.")
    if probes and expected is None:
        raise usage_error("A probe does not say what is expected: --expected violation, safe or as-judged.")
    if file is not None and expected is ImportedWord.AS_JUDGED:
        raise usage_error("A file was not judged: --expected violation or safe, or neither.")
    workspace = _workspace(db, policies, name)
    if file is not None:
        proposals = _of_file(file)
    elif probes:
        proposals = _of_probes(workspace, name, probes)
    else:
        assert run_id is not None
        proposals = _of_run(workspace, name, run_id, errors or [ErrorWord.FALSE_POSITIVES])
    cases = [_told(_decided(proposal, expected), reason, language, source) for proposal in proposals]
    if not cases:
        say("There is nothing to import.")
    return _add(workspace, name, cases, as_json=as_json, dry_run=dry_run, texts=show_text)


def _of_file(file: Path) -> Sequence[Proposal]:
    from engine.workshop.imports import of_file

    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_LONGEST_FILE + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise usage_error(f"{file} cannot be read: {error.strerror or error}.") from error
    if len(content) > _LONGEST_FILE:
        raise usage_error(f"{file} is larger than {_LONGEST_FILE >> 20} MB. Import it in parts.")
    return of_file(content, "standard input" if str(file) == "-" else str(file))


def _of_probes(workspace: Workspace, name: str, probes: Sequence[int]) -> Sequence[Proposal]:
    from engine.tracker import open_tracker
    from engine.workshop.imports import of_probe

    proposals = []
    with open_tracker(workspace.db) as tracker:
        for number in probes:
            probe = tracker.probe(number)
            if probe is None:
                raise usage_error(f"There is no probe {number}. Nothing was imported.")
            proposals.append(of_probe(probe, name))
    return proposals


def _of_run(workspace: Workspace, name: str, run_id: int, errors: Sequence[ErrorWord]) -> Sequence[Proposal]:
    from engine.jobs.evaluated import evaluated_run, kept_cases
    from engine.tracker import open_tracker
    from engine.workshop.imports import Errors, of_errors

    with open_tracker(workspace.db) as tracker:
        evaluated_run(tracker.runs, run_id)
    kept = list(kept_cases(workspace.runs / str(run_id), run_id).values())
    if not any(case.prompt for case in kept):
        raise CommandError(f"Run {run_id} has kept no texts: there is nothing to make cases of.", Exit.FAILED)
    kinds = {
        ErrorWord.FALSE_POSITIVES: Errors.FALSE_POSITIVES,
        ErrorWord.FALSE_NEGATIVES: Errors.FALSE_NEGATIVES,
    }
    return [found for error in errors for found in of_errors(kept, run_id, name, kinds[error])]


def _decided(proposal: Proposal, expected: ImportedWord | None) -> PolicyCase:
    """Return a proposal as a case that expects what was asked for, or what it says itself."""
    if expected in (ImportedWord.VIOLATION, ImportedWord.SAFE):
        return proposal.expecting(expected is ImportedWord.VIOLATION)
    if proposal.violation is None:
        raise usage_error(
            f"Nothing says what to expect of {one_line(proposal.source, _TEXT)}, case "
            f"{proposal.case.key[:KEY_SHOWN]}: say --expected violation or safe. Nothing was imported."
        )
    return proposal.expecting(proposal.violation)


def _told(case: PolicyCase, reason: str | None, language: str | None, source: str | None) -> PolicyCase:
    return PolicyCase(
        case.case,
        case.violation,
        case.reason if reason is None else reason,
        case.language if language is None else language,
        case.source if source is None else source,
    )


def _add(
    workspace: Workspace,
    name: str,
    cases: list[PolicyCase],
    *,
    as_json: bool,
    dry_run: bool = False,
    texts: bool = False,
) -> int:
    """Add cases, or only show them; say what was left out."""
    from engine.policies.case_file import add_cases, new_cases

    add = new_cases if dry_run else add_cases
    added, left_out = add(workspace.policies, name, cases)
    there = len(load_cases(workspace.policies, name)) if added and not dry_run else 0
    if as_json:
        first = there - len(added) + 1
        told = {
            "policy": name,
            "written": not dry_run,
            "added": [_case_json(None if dry_run else first + at, case) for at, case in enumerate(added)],
            "duplicates": len(left_out),
        }
        print(json.dumps(told))
        return Exit.DONE
    for case in added:
        key, expected = case.case.key[:KEY_SHOWN], expected_word(case.violation)
        text = one_line(case.case.prompt, 72)
        print(f"+ {key}  {expected:<9}  {text if texts else blurred(text)}")
    what = "would be added to" if dry_run else "added to"
    duplicates = f" Left out, as already there or given twice: {len(left_out):,}." if left_out else ""
    say(f"{len(added):,} {'case' if len(added) == 1 else 'cases'} {what} {name}.{duplicates}")
    return Exit.DONE


def _workspace(db: Path | None, policies: Path | None, name: str) -> Workspace:
    """Find the workspace, which must have the policy."""
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    select_names(workspace.policies, [name])
    return workspace


def _row(number: int, case: PolicyCase, *, texts: bool) -> list[str]:
    text = one_line(_text(case), _TEXT)
    reason = one_line(case.reason, _TEXT)
    return [
        f"{number:,}",
        case.case.key[:KEY_SHOWN],
        expected_word(case.violation),
        case.language,
        reason,
        text if texts else blurred(text),
    ]


def _text(case: PolicyCase) -> str:
    asked = case.case
    return asked.prompt if asked.response is None else f"{asked.prompt} → {asked.response}"


def _case_json(number: int | None, case: PolicyCase) -> dict[str, Any]:
    return {
        "number": number,
        "key": case.case.key,
        "prompt": case.case.prompt,
        "response": case.case.response,
        "expected": expected_word(case.violation),
        "reason": case.reason,
        "language": case.language,
        "source": case.source,
    }
