"""``wizard101 policies lint``: what is wrong in the files of policies, line by line."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from app.cli.exits import Exit, say, usage_error
from app.cli.options import DbOption, JsonOption, PoliciesOption
from app.cli.policy_access import SetOption
from app.safe_text import one_line

if TYPE_CHECKING:
    from engine.models.counting import TokenCount
    from engine.policies.lint_files import FileFinding
    from engine.workspace import Workspace

_LONG = 4_000


class _Counting(NamedTuple):
    """What counts tokens, and how, in words."""

    count: Callable[[str], int]
    how: str


@dataclass(frozen=True, slots=True)
class _Linted:
    """The files that were looked at, what was found in them, and what was mended in which."""

    files: tuple[Path, ...]
    findings: tuple[FileFinding, ...]
    mended: dict[Path, tuple[str, ...]]

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def lint_policies(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...",
            help="Policies by name, or files of policies by path; without: all policies and shared.toml.",
        ),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend in policy.md what is sure, and save it as a new version.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings, too.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="SPEC", help="Count tokens by this model's tokenizer."),
    ] = None,
    policy_set: SetOption = None,
    db: DbOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check the texts, signals and cases of policies. Each finding is a line: path:line: code: reason.

    Exit code 0: nothing is wrong; 1: there are findings; 2: wrong usage.
    """
    from engine.policies.sets import find_set
    from engine.workspace import find_workspace

    workspace = find_workspace(db, policies)
    files = _files(find_set(workspace.policies, policy_set).folder, what or [])
    mended = _mend(workspace, files) if fix else {}
    with _counting(model) as counting:
        linted = _Linted(tuple(files), _look(workspace.policies, files, counting), mended)
    if as_json:
        print(json.dumps(_json(linted)))
    else:
        for finding in linted.findings:
            print(_line(finding))
    _say(linted)
    is_wrong = linted.count("error") or (strict and linted.count("warning"))
    return Exit.FAILED if is_wrong else Exit.DONE


def _look(folder: Path, files: Sequence[Path], counting: _Counting) -> tuple[FileFinding, ...]:
    from engine.policies.lint_files import lint_file

    count, how = counting
    found: list[FileFinding] = []
    for file in files:
        found += lint_file(file, band=_band_of(folder, file), count=count, counted=how)
    return tuple(found)


def _band_of(folder: Path, file: Path) -> tuple[int, int]:
    """Return the fewest and the most tokens that the set of policies asks for which a text is in."""
    from engine.policies.load import TEXT_NAME
    from engine.policies.sets import find_set
    from engine.policies.tokens import TOKEN_BAND

    home = str(file.absolute().parent.parent)
    return find_set(folder, home).tokens if file.name == TEXT_NAME else TOKEN_BAND


def _files(folder: Path, what: Sequence[str]) -> list[Path]:
    """Return the files that are meant, each once.

    Raises:
        PolicyError: if the folder holds no policies.
        CommandError: if something is neither a policy nor a file of one.
    """
    from engine.policies.load import CASES_NAME, TEXT_NAME, policy_names
    from engine.policies.signals import FILE_NAME, SHARED_NAME

    names = policy_names(folder)
    own = (TEXT_NAME, FILE_NAME, CASES_NAME)

    def of(home: Path) -> list[Path]:
        return [home / file for file in own if file == TEXT_NAME or os.path.lexists(home / file)]

    found: list[Path] = []
    for word in what or names:
        path = Path(word) if os.path.lexists(word) else folder / word
        if word in names:
            found += of(folder / word)
        elif path.name in (*own, SHARED_NAME) and path.is_file():
            found.append(path)
        elif (path / TEXT_NAME).is_file():
            found += of(path)
        else:
            raise usage_error(
                f"{word} is neither a policy nor a file of one. There are: {', '.join(names)}. "
                f"Files of policies are {', '.join(own)} and {SHARED_NAME}."
            )
    if not what and (folder / SHARED_NAME).exists():
        found.append(folder / SHARED_NAME)
    return list(dict.fromkeys(found))


def _mend(workspace: Workspace, files: Sequence[Path]) -> dict[Path, tuple[str, ...]]:
    """Mend the texts among the files; return what was done to those that were changed."""
    from engine.policies.files import read_file, save_file
    from engine.policies.lint import fixed
    from engine.policies.lint_files import sections_for, spared_for
    from engine.policies.load import TEXT_NAME, PolicyError

    changed: dict[Path, tuple[str, str, str | None, tuple[str, ...]]] = {}
    for file in files:
        if file.name == TEXT_NAME:
            try:
                content = read_file(file)
            except PolicyError:
                continue  # it is a finding
            sections = sections_for(file, content.text)
            text, mended = fixed(content.text, sections=sections, spared=spared_for(file))
            done = tuple(finding.fix.says for finding in mended if finding.fix is not None)
            if done and content.is_there:
                changed[file] = (content.text, text, content.sha256, done)
    _note(workspace, {file: before for file, (before, *_) in changed.items()}, saved=False)
    for file, (_, text, sha256, _) in changed.items():
        save_file(file, text, over=sha256)
    _note(workspace, {file: text for file, (_, text, *_) in changed.items()}, saved=True)
    return {file: done for file, (*_, done) in changed.items()}


def _note(workspace: Workspace, texts: dict[Path, str], *, saved: bool) -> None:
    """Record texts as versions, those of files in the folder of policies, or say why not."""
    from engine.tracker import TrackerError, open_tracker
    from engine.tracker.policy_records import VersionOrigin

    folder = workspace.policies.resolve()
    inside = {
        "/".join(place.parts): text
        for file, text in texts.items()
        for place in [_place(file.resolve(), folder)]
        if place is not None and len(place.parts) == 2
    }
    if not inside:
        return
    try:
        with open_tracker(workspace.db) as tracker:
            tracker.policies.note(inside, VersionOrigin.SAVED if saved else VersionOrigin.FOUND)
    except TrackerError as error:
        say(f"What was {'mended' if saved else 'there before'} was not recorded as a version: {error}")


def _place(file: Path, folder: Path) -> Path | None:
    return file.relative_to(folder) if file.is_relative_to(folder) else None


@contextmanager
def _counting(model: str | None) -> Iterator[_Counting]:
    """Give what counts tokens: a model's tokenizer, or the estimate, having said why."""
    from engine.policies.tokens import estimate_tokens

    if model is None:
        yield _Counting(estimate_tokens, "estimated")
        return
    from engine.models.counting import TokenCounter

    with asyncio.Runner() as runner:
        counter = TokenCounter(idle_s=3600)

        def count(text: str) -> TokenCount:
            (found,) = runner.run(counter.count(model, [text]))
            return found

        try:
            first = count("policy")
            if first.estimated:
                say(f"The tokens are estimated: {first.why}. {first.hint}".rstrip())
            yield _Counting(lambda text: count(text).tokens, first.source)
        finally:
            runner.run(counter.aclose())


def _line(finding: FileFinding) -> str:
    notes = " [warning]" if finding.severity == "warning" else ""
    notes += " [--fix mends it]" if finding.fix else ""
    return one_line(f"{_shown(finding.path)}:{finding.line}: {finding.code}: {finding.message}{notes}", _LONG)


def _shown(path: Path) -> str:
    """Return a path as an editor finds it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _say(linted: _Linted) -> None:
    for file, done in linted.mended.items():
        times = {says: done.count(says) for says in done}
        did = (f"{says} ({count} times)" if count > 1 else says for says, count in times.items())
        say(f"{_shown(file)} was mended: {' '.join(did)}")
    errors, warnings = linted.count("error"), linted.count("warning")
    looked = f"{len(linted.files):,} {'file' if len(linted.files) == 1 else 'files'}"
    if not linted.findings:
        say(f"{looked}: nothing is wrong.")
        return
    told = f"{errors:,} {'error' if errors == 1 else 'errors'}"
    told += f", {warnings:,} {'warning' if warnings == 1 else 'warnings'}"
    say(f"{told} in {looked}.")


def _json(linted: _Linted) -> dict[str, Any]:
    return {
        "files": [str(file) for file in linted.files],
        "errors": linted.count("error"),
        "warnings": linted.count("warning"),
        "findings": [
            {
                "path": str(finding.path),
                "line": finding.line,
                "code": finding.code,
                "severity": str(finding.severity),
                "message": finding.message,
                "fix": None if finding.fix is None else finding.fix.says,
            }
            for finding in linted.findings
        ],
        "mended": [{"path": str(file), "fixes": list(done)} for file, done in linted.mended.items()],
    }
