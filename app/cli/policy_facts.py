"""What there is of each policy, as a table and as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.policy_access import versions_if_any
from app.cli.tables import Column, room, table
from engine.models.counting import TokenCount, TokenCounter
from engine.policies.files import read_file
from engine.policies.lint import Severity
from engine.policies.lint_files import lint_file
from engine.policies.load import CASES_NAME, TEXT_NAME, PolicyError, load_cases, policy_names
from engine.policies.signals import FILE_NAME as SIGNALS_NAME
from engine.policies.signals import load_signals
from engine.policies.tokens import TOKEN_BAND, estimate_tokens
from engine.workshop.versions import files_of

if TYPE_CHECKING:
    from engine.policies.sets import PolicySet
    from engine.workspace import Workspace

_NONE = "–"


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is of a policy; None for what is not there, not known, or cannot be read.

    ``cases`` counts those that violate it and those that do not, ``versions`` those of its text and of its
    signals, ``findings`` the linter's errors and warnings. ``faults`` say which of its
    files cannot be used, and why.
    """

    name: str
    tokens: TokenCount | None
    cases: tuple[int, int] | None
    signals: int | None
    versions: tuple[int, int] | None
    findings: tuple[int, int]
    faults: tuple[str, ...]
    band: tuple[int, int] = TOKEN_BAND

    @property
    def findings_words(self) -> str:
        """What the linter found, in words."""
        errors, warnings = self.findings
        if errors:
            return f"✖ {errors:,} {'error' if errors == 1 else 'errors'}"
        return f"! {warnings:,} {'warning' if warnings == 1 else 'warnings'}" if warnings else "✔ none"

    @property
    def band_words(self) -> str:
        """Whether the text is as long as it should be, in words."""
        if self.tokens is None:
            return _NONE
        fewest, most = self.band
        count = self.tokens.tokens
        return "! too short" if count < fewest else "! too long" if count > most else "✔ in band"


def facts_of(workspace: Workspace, chosen: PolicySet, model: str | None) -> list[Facts]:
    """Return what there is of every policy of a set, by name. ``model`` counts tokens, if one is named.

    Raises:
        PolicyError: if the folder holds no policies.
    """
    names = policy_names(chosen.folder)
    faults: dict[str, list[str]] = {name: [] for name in names}
    texts = {name: _text(chosen.folder / name, faults[name]) for name in names}
    read = {name: text for name, text in texts.items() if text is not None}
    tokens = dict(zip(read, asyncio.run(_count(model, list(read.values()))), strict=True))
    is_standard = chosen.folder == workspace.policies
    versions = _versions(workspace, names) if is_standard else {}
    return [
        Facts(
            name,
            tokens.get(name),
            _cases(workspace.policies, name, faults[name]),
            _signals(workspace.policies, name, faults[name]),
            versions.get(name),
            _findings(chosen, name, tokens.get(name), with_all=is_standard),
            tuple(faults[name]),
            chosen.tokens,
        )
        for name in names
    ]


def _text(folder: Path, faults: list[str]) -> str | None:
    try:
        return read_file(folder / TEXT_NAME).text
    except PolicyError as error:
        faults.append(str(error))
        return None


def _cases(folder: Path, name: str, faults: list[str]) -> tuple[int, int] | None:
    try:
        found = load_cases(folder, name)
    except PolicyError as error:
        faults.append(str(error))
        return None
    violations = sum(case.violation for case in found)
    return violations, len(found) - violations


def _signals(folder: Path, name: str, faults: list[str]) -> int | None:
    if not (folder / name / SIGNALS_NAME).exists():
        return None
    try:
        return len(load_signals(folder, [name])[1][0].signals)
    except PolicyError as error:
        faults.append(str(error))
        return None


def _findings(chosen: PolicySet, name: str, tokens: TokenCount | None, *, with_all: bool) -> tuple[int, int]:
    """Return how many errors and warnings the linter has; ``tokens`` are those of the text."""
    folder = chosen.folder / name
    own = [folder / TEXT_NAME]
    if with_all:
        own += [path for path in (folder / SIGNALS_NAME, folder / CASES_NAME) if path.exists()]

    def count(text: str) -> int:
        return estimate_tokens(text) if tokens is None else tokens.tokens

    found = [finding for path in own for finding in lint_file(path, band=chosen.tokens, count=count)]
    errors = sum(finding.severity is Severity.ERROR for finding in found)
    return errors, len(found) - errors


def facts_lines(facts: Sequence[Facts]) -> list[str]:
    """Return the policies as a table, and what they come to."""
    columns = [
        Column("policy", least=8),
        Column("tokens", right=True),
        Column("length"),
        Column("violation", right=True),
        Column("safe", right=True),
        Column("signals", right=True, drop=1),
        Column("versions", right=True, drop=2),
        Column("findings"),
    ]
    rows = [
        [
            fact.name,
            _NONE if fact.tokens is None else _tokens_words(fact.tokens.tokens, fact.tokens.estimated),
            fact.band_words,
            *_cases_words(fact.cases),
            _NONE if fact.signals is None else f"{fact.signals:,}",
            _NONE if fact.versions is None else " + ".join(f"{count:,}" for count in fact.versions),
            fact.findings_words,
        ]
        for fact in facts
    ]
    total = _total(facts)
    estimated = any(fact.tokens.estimated for fact in facts if fact.tokens)
    rows.append(
        [
            f"all {len(facts)}",
            _tokens_words(total["tokens"], estimated),
            "",
            *_cases_words((total["cases"]["violation"], total["cases"]["safe"])),
            f"{total['signals']:,}",
            "",
            "",
        ]
    )
    return table(columns, rows, room())


def facts_json(facts: Sequence[Facts]) -> dict[str, Any]:
    """Return the same as an object."""
    return {"policies": [_fact_json(fact) for fact in facts], "total": _total(facts)}


def _fact_json(fact: Facts) -> dict[str, Any]:
    fewest, most = fact.band
    tokens = fact.tokens
    return {
        "name": fact.name,
        "tokens": None if tokens is None else tokens.tokens,
        "estimated": None if tokens is None else tokens.estimated,
        "band": [fewest, most],
        "in_band": None if tokens is None else fewest <= tokens.tokens <= most,
        "cases": None if fact.cases is None else {"violation": fact.cases[0], "safe": fact.cases[1]},
        "signals": fact.signals,
        "versions": None
        if fact.versions is None
        else dict(zip((TEXT_NAME, SIGNALS_NAME), fact.versions, strict=True)),
        "findings": dict(zip(("errors", "warnings"), fact.findings, strict=True)),
        "faults": list(fact.faults),
    }


def _total(facts: Sequence[Facts]) -> dict[str, Any]:
    return {
        "policies": len(facts),
        "tokens": sum(fact.tokens.tokens for fact in facts if fact.tokens),
        "cases": {
            "violation": sum(fact.cases[0] for fact in facts if fact.cases),
            "safe": sum(fact.cases[1] for fact in facts if fact.cases),
        },
        "signals": sum(fact.signals or 0 for fact in facts),
    }


async def _count(model: str | None, texts: Sequence[str]) -> list[TokenCount]:
    counter = TokenCounter()
    try:
        return await counter.count(model, texts)
    finally:
        await counter.aclose()


def _versions(workspace: Workspace, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    from engine.tracker import TrackerError

    with versions_if_any(workspace, names) as history, suppress(TrackerError):
        if history is not None:
            counts = history.counts()
            return {
                name: (counts.get(text, 0), counts.get(signals, 0))
                for name in names
                for text, signals in [files_of(name)]
            }
    return {}


def _tokens_words(tokens: int, estimated: bool) -> str:
    return f"{'~' if estimated else ''}{tokens:,}"


def _cases_words(cases: tuple[int, int] | None) -> list[str]:
    return [_NONE, _NONE] if cases is None else [f"{count:,}" for count in cases]
