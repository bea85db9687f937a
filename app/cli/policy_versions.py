"""``wizard101 policies versions``, ``diff`` and ``restore``: what a policy's files have been."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import CommandError, Exit, say
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import (
    KEY_SHOWN,
    NameArgument,
    SignalsOption,
    content_of,
    file_of,
    kept_text,
    known_versions,
    print_exactly,
    version_before,
)
from app.cli.tables import Column, room, table
from app.safe_text import one_line
from engine.policies.files import NOTHING, Content, save_file

if TYPE_CHECKING:
    from app.diffing import Diff, Side
    from engine.tracker.policies import PolicyHistory
    from engine.tracker.policy_records import PolicyFileVersion, Uses
    from engine.workspace import Workspace

_FILE = "file"
_LONG = 4_000
_NARROWEST = 60
_WIDTH = 160


def show_versions(
    name: NameArgument,
    signals: SignalsOption = False,
    uses: Annotated[
        bool, typer.Option("--uses", help="By how many probes and runs each was judged by.")
    ] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a policy's text, or its signals, have been; the newest first.

    What another program has saved counts as well: it is recorded when somebody looks.
    """
    from engine.policies.tokens import estimate_tokens
    from engine.workshop.versions import uses_of
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    file = file_of(workspace, name, signals=signals)
    with known_versions(workspace, [name]) as history:
        versions = history.versions(file)
        texts = history.texts({version.sha256 for version in versions})
        used = [uses_of(history, version) if uses else None for version in versions]
    tokens = {sha: estimate_tokens(text) for sha, text in texts.items()}
    rows = [
        _version_json(version, tokens.get(version.sha256), use)
        for version, use in zip(versions, used, strict=True)
    ]
    if as_json:
        print(json.dumps({"file": file, "versions": rows}))
        return
    columns = [
        Column("version"),
        Column("recorded (UTC)"),
        Column("came"),
        Column("hash"),
        Column("tokens", right=True, drop=1),
        *([Column("probes", right=True), Column("runs", right=True)] if uses else []),
    ]
    cells = [
        [
            row["version"],
            version.created_at.strftime("%Y-%m-%d %H:%M:%S"),
            row["origin"],
            version.sha256[:KEY_SHOWN],
            "–" if row["tokens"] is None else f"~{row['tokens']:,}",
            *([f"{use.probes:,}", f"{use.runs:,}"] if use is not None else []),
        ]
        for row, version, use in zip(rows, versions, used, strict=True)
    ]
    print("\n".join(table(columns, cells, room())))


def show_diff(
    name: NameArgument,
    old: Annotated[
        str | None,
        typer.Argument(
            metavar="[A]",
            help="The older text: v3, the beginning of a hash, latest, or file. Default: the newest version "
            "that is not what the file holds.",
        ),
    ] = None,
    new: Annotated[
        str | None, typer.Argument(metavar="[B]", help="The newer text, likewise. Default: file.")
    ] = None,
    signals: SignalsOption = False,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", "-y", help="Both texts beside each other; no patch.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 where they differ, as 'git diff' does.")
    ] = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show what differs between two versions of a policy, or a version and the file.

    Standard output is a patch that 'patch -p1' takes; what differs in all is said on standard error.
    """
    from app.diffing import diff
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    file = file_of(workspace, name, signals=signals)
    with known_versions(workspace, [name]) as history:
        before, after = _texts(history, workspace, file, old, new)
    difference = diff(before[1], after[1], rows=side_by_side)
    if as_json:
        told = {
            "file": file,
            "old": before[0],
            "new": after[0],
            "differs": bool(difference.changes),
            "added": difference.added,
            "removed": difference.removed,
            "patch": "".join(_patch(difference, file, before[0], after[0])),
        }
        print(json.dumps(told))
    elif side_by_side:
        for line in _beside(difference, before[0], after[0]):
            print(line)
    else:
        print_exactly("".join(_patch(difference, file, before[0], after[0])).encode("utf-8"))
    say(f"{file}, {before[0]} to {after[0]}: {difference.summary}.")
    return Exit.FAILED if exit_code and difference.changes else Exit.DONE


def restore_version(
    name: NameArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="v3, or the beginning of a hash; see 'versions'.")
    ],
    signals: SignalsOption = False,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write an older version into the policy's file. What is there now becomes a version first."""
    from engine.tracker import TrackerError, open_tracker
    from engine.tracker.policy_records import VersionOrigin
    from engine.workshop.versions import find_version, note_files
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    file = file_of(workspace, name, signals=signals)
    path = workspace.policies / file
    with open_tracker(workspace.db) as tracker:
        history = tracker.policies
        content = _content_to_lose(workspace, file)
        note_files(history, workspace.policies, [name])
        chosen = find_version(history.versions(file), version)
        text = kept_text(history, chosen)
        changed = content.sha256 != chosen.sha256
        if changed:
            save_file(path, text, over=content.sha256)
            try:
                history.note({file: text}, VersionOrigin.RESTORED)
            except TrackerError as error:
                say(f"The file has {chosen.label} again, but that was not recorded: {error}")
                return Exit.FAILED
        label = history.versions(file)[0].label
    if as_json:
        print(json.dumps({"file": file, "restored": chosen.label, "version": label, "changed": changed}))
    elif changed:
        print(one_line(f"{path} holds {chosen.label} again, as {label}.", _LONG))
    else:
        print(one_line(f"{path} holds {chosen.label} already. Nothing was changed.", _LONG))
    return Exit.DONE


def _content_to_lose(workspace: Workspace, file: str) -> Content:
    """Return what a file holds, which must be readable: what cannot become a version would be lost."""
    from engine.policies.load import PolicyError

    try:
        return content_of(workspace, file)
    except PolicyError as error:
        raise CommandError(
            f"{error} It cannot become a version, and would be lost: move it away, then restore.", Exit.USAGE
        ) from error


def _texts(
    history: PolicyHistory, workspace: Workspace, file: str, old: str | None, new: str | None
) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the label and the text of both sides."""
    versions = history.versions(file)
    content = content_of(workspace, file) if _FILE in (old, new or _FILE) else NOTHING
    if old is None:
        earlier = version_before(versions, content)
        if earlier is None:
            say(f"{file} has one version only, which is what the file holds.")
        old = _FILE if earlier is None else earlier.label
    return _text(history, versions, content, old), _text(history, versions, content, new or _FILE)


def _text(
    history: PolicyHistory, versions: Sequence[PolicyFileVersion], content: Content, word: str
) -> tuple[str, str]:
    from engine.workshop.versions import find_version

    if word == _FILE:
        return _FILE, content.text
    version = find_version(versions, word)
    return version.label, kept_text(history, version)


def _patch(difference: Diff, file: str, old: str, new: str) -> Iterator[str]:
    """Yield a patch. What each side is stands behind a tab, where `patch` looks for no name."""
    from app.diffing import unified

    lines = unified(difference, f"a/{file}", f"b/{file}")
    for number, line in enumerate(lines):
        label = (old, new)[number] if number < 2 else ""
        yield f"{line[:-1]}\t{label}\n" if label else line


def _beside(difference: Diff, old: str, new: str) -> Iterator[str]:
    """Yield both texts beside each other; a long line goes on below itself."""
    from rich.cells import set_cell_size

    from app.diffing import Fold, folded

    half = (max(room() or _WIDTH, _NARROWEST) - 3) // 2
    number = len(str(max(len(difference.old), len(difference.new), 1)))
    yield f"{set_cell_size(old, half)}   {new}".rstrip()
    for row in folded(difference.rows):
        if isinstance(row, Fold):
            yield str(row)
            continue
        sign = " " if row.same else "<" if row.new is None else ">" if row.old is None else "|"
        pieces = zip_longest(_pieces(row.old, number, half), _pieces(row.new, number, half), fillvalue="")
        for left, right in pieces:
            yield f"{set_cell_size(left, half)} {sign} {right}".rstrip()


def _pieces(side: Side | None, number: int, width: int) -> list[str]:
    """Return a line as it fits into ``width`` cells, its number before the first piece."""
    from rich.cells import chop_cells

    if side is None:
        return []
    pieces = chop_cells(one_line(side.text, _LONG), width - number - 1) or [""]
    return [f"{'' if place else side.number:>{number}} {piece}" for place, piece in enumerate(pieces)]


def _version_json(version: PolicyFileVersion, tokens: int | None, uses: Uses | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version": version.label,
        "recorded_at": version.created_at.isoformat(),
        "origin": version.origin.value,
        "sha256": version.sha256,
        "tokens": tokens,
    }
    if uses is not None:
        row |= {
            "probes": uses.probes,
            "runs": uses.runs,
            "newest_probes": list(uses.newest_probes),
            "newest_runs": list(uses.newest_runs),
        }
    return row
