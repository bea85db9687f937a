"""``wizard101 classify``: judge one text, or a file of cases."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from app.cli.batch import judge_file
from app.cli.exits import Exit, exit_of_judgement, say, usage_error
from app.cli.options import DbOption, PoliciesOption
from app.cli.report import Report
from engine.case_files import CaseFileError, read_cases
from engine.cases import Case
from engine.events import Event, Failed, VerdictReached, encode, to_jsonable
from engine.guards.base import Guard
from engine.guards.build import GuardKind, Level, PromptStyle, Speed, build_guard
from engine.workspace import Workspace, find_workspace


def classify(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT|-", help="The user's request; - reads it from standard input."),
    ] = None,
    response: Annotated[
        str | None,
        typer.Option("--response", metavar="TEXT", help="An assistant's response to judge with it."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="CASES.jsonl",
            help="Judge every line's prompt and response; prints one JSON verdict a line, in this order.",
        ),
    ] = None,
    guard: Annotated[GuardKind, typer.Option("--guard", help="Who judges.")] = GuardKind.REASONER,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="SPEC",
            help="What the gauntlet or guardreasoner judges by: ollama:NAME, gguf:FILE, hf:NAME, "
            "openai:URL#MODEL or fake:FILE.",
        ),
    ] = None,
    level: Annotated[
        Level, typer.Option("--level", help="How thoroughly to look, or to think.")
    ] = Level.MEDIUM,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME", help="Only this policy; may be given several times."),
    ] = None,
    policy_set: Annotated[
        str | None,
        typer.Option(
            "--policy-set",
            metavar="NAME|DIR",
            help="The gauntlet's policies in other words: minimal, verbose, or a folder of them. Default: "
            "standard, the folder of policies itself.",
        ),
    ] = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="One policy after the other, for servers with one slot.")
    ] = False,
    speed: Annotated[
        Speed,
        typer.Option(
            "--speed",
            help="How much the gauntlet asks for: full answers; two speeds, one token where that decides and "
            "a full answer where not; or one token only.",
        ),
    ] = Speed.FULL,
    prompt_style: Annotated[
        PromptStyle,
        typer.Option("--prompt-style", help="GuardReasoner's prompt: raw text, or in the chat template."),
    ] = PromptStyle.RAW,
    thresholds: Annotated[
        str | None,
        typer.Option(
            "--thresholds",
            metavar="HIGH,LOW",
            help="The gauntlet's: it blocks from the first score, and escalates from the second. Default: "
            "0.85,0.5.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object: the verdict.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Print every event as it happens, one JSON object a line.")
    ] = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep nothing in the tracker.")] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
) -> int:
    """Judge a request and, optionally, a response to it.

    Exit code 0: judged (whatever the verdict); 1: the judging failed; 2: wrong usage; 3: the back end
    cannot be reached. A case that could not be judged is escalated, never allowed.
    """
    if as_json and events:
        raise usage_error("--json and --events exclude each other: events end in the verdict.")
    workspace = find_workspace(db, policies)
    cases = None if file is None else _cases_of_file(file, text, response)
    case = None if cases is not None else Case(_prompt(text), response)
    judge = build_guard(
        guard,
        workspace=workspace,
        model_spec=model,
        level=level,
        policy_names=policy or None,
        serial=serial,
        speed=speed,
        prompt_style=prompt_style,
        thresholds=thresholds,
        policy_set=policy_set,
    )
    if case is None:
        assert cases is not None
        return asyncio.run(judge_file(judge, cases, None if no_save else workspace, with_events=events))
    show = _show_events if events else _show_verdict_json if as_json else Report()
    return asyncio.run(_judge_one(judge, case, show, None if no_save else workspace))


def _prompt(text: str | None) -> str:
    if text is None:
        raise usage_error("nothing to judge: give a TEXT, - for standard input, or --file.")
    if text != "-":
        return text
    return sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")


def _cases_of_file(file: Path, text: str | None, response: str | None) -> list[Case]:
    """Read a file of cases, all of it before the first is judged: a bad line is known at once."""
    if text is not None or response is not None:
        raise usage_error("--file takes the place of TEXT and --response.")
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise usage_error(f"{file} cannot be read: {error.strerror}.") from error
    try:
        return [labelled.case for labelled in read_cases(content)]
    except CaseFileError as error:
        raise usage_error(f"{file}, {error}. Nothing was judged.") from error


def _show_events(event: Event) -> None:
    print(encode(event), flush=True)


def _show_verdict_json(event: Event) -> None:
    if isinstance(event, VerdictReached):
        print(json.dumps(to_jsonable(event.verdict)))
    elif isinstance(event, Failed):
        Report()(event)


async def _judge_one(
    guard: Guard, case: Case, show: Callable[[Event], None], workspace: Workspace | None
) -> int:
    judged: list[Event] = []
    try:
        async with aclosing(guard.judge(case)) as events:
            async for event in events:
                judged.append(event)
                show(event)
    finally:
        await guard.aclose()
    code = exit_of_judgement(judged)
    if workspace is None:
        return code
    from engine.tracker import TrackerError, open_tracker

    try:
        with open_tracker(workspace.db) as tracker:
            tracker.save_probe(case, judged, policies=guard.policies, source="cli")
    except TrackerError as error:
        say(f"The verdict stands, but it was not saved: {error}")
        return code or Exit.FAILED
    return code
