"""Reading ``signals.toml``: what the rule-based reasoner knows of a policy.

``shared.toml``, beside the policies' folders, holds the vocabulary, intents, contexts and exceptions that
all of them share. docs/reasoner.md describes the format.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.policies.load import PolicyError, Texts, read_content, select_names
from engine.policies.patterns import Pattern, PatternError, WordLists, compile_pattern, expand_list

FILE_NAME = "signals.toml"
SHARED_NAME = "shared.toml"

Table = dict[str, Any]


class Kind(StrEnum):
    """What a signal does to the confidence, and in which step of the reasoning."""

    OBVIOUS = "obvious"
    INDICATOR = "indicator"
    INTENT = "intent"
    CONTEXT = "context"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class Signal:
    """Something to look for, and what finding it means.

    ``weight`` is in (0, 1]: how far it raises the confidence, or for contexts and exceptions lowers it.
    ``excusable`` signals give way to contexts; ``negatable`` ones do not count after a negation,
    ``firm`` ones do not yield to exceptions. An exception with ``whole`` concerns the whole text, one
    without only the matches that it overlaps.
    """

    name: str
    kind: Kind
    says: str
    weight: float
    patterns: tuple[Pattern, ...]
    excusable: bool = True
    negatable: bool = True
    firm: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A known text and whether it violates its policy."""

    text: str
    violation: bool


@dataclass(frozen=True, slots=True)
class SignalSet:
    """The signals of one policy, or the shared ones. ``text`` is its file and, behind it, the shared one."""

    name: str
    text: str
    signals: tuple[Signal, ...] = ()
    examples: tuple[Example, ...] = ()
    refusals: tuple[Pattern, ...] = ()
    compliances: tuple[Pattern, ...] = ()
    negations: frozenset[str] = field(default_factory=frozenset)

    def of(self, *kinds: Kind) -> tuple[Signal, ...]:
        """Return the signals of these kinds."""
        return tuple(signal for signal in self.signals if signal.kind in kinds)


_FIELDS = {
    Kind.OBVIOUS: {"excusable", "negatable", "firm"},
    Kind.INDICATOR: {"excusable", "negatable", "firm"},
    Kind.INTENT: set(),
    Kind.CONTEXT: set(),
    Kind.EXCEPTION: {"whole"},
}
_TOP_LEVEL = {*(kind.value for kind in Kind), "words", "phrases", "example"}
_SHARED_TOP_LEVEL = {
    *("words", "phrases", "intent", "context", "exception"),
    *("refusals", "compliances", "negations"),
}


def load_signals(
    folder: Path, names: Iterable[str] | None = None, texts: Texts | None = None
) -> tuple[SignalSet, tuple[SignalSet, ...]]:
    """Return the shared signals of ``folder`` and those of the named policies, or of all that have any.

    ``texts`` count in place of the files'.

    Raises:
        PolicyError: if a policy asked for by name has no signals, none has, or a file cannot be used.
    """
    wanted = select_names(folder, names)
    texts = texts or {}
    missing = [name for name in wanted if not _is_there(folder, f"{name}/{FILE_NAME}", texts)]
    if names is not None and missing:
        path = folder / missing[0] / FILE_NAME
        raise PolicyError(
            f"the policy {missing[0]} has no signals: {path} does not exist. See docs/reasoner.md."
        )
    present = [name for name in wanted if name not in missing]
    if not present:
        raise PolicyError(f"no policy in {folder} has a {FILE_NAME}. See docs/reasoner.md.")
    shared_path = folder / SHARED_NAME
    is_shared = _is_there(folder, SHARED_NAME, texts)
    shared_bytes, shared_table = _read(folder, SHARED_NAME, texts) if is_shared else (b"", {})
    shared_words = _word_lists(shared_path, shared_table, {})
    shared = _shared_set(shared_path, shared_bytes, shared_table, shared_words)
    return shared, tuple(_policy_set(folder, name, texts, shared_bytes, shared_words) for name in present)


def signals_hash(folder: Path, name: str, texts: Texts | None = None) -> str:
    """Return the SHA-256 of what rules judge by: a policy's signals and, behind them, the shared ones.

    Raises:
        PolicyError: if a file cannot be read, or the policy has no signals.
    """
    texts = texts or {}
    content = read_content(folder / name / FILE_NAME, texts.get(f"{name}/{FILE_NAME}"))
    if _is_there(folder, SHARED_NAME, texts):
        content += read_content(folder / SHARED_NAME, texts.get(SHARED_NAME))
    return sha256(content).hexdigest()


def _shared_set(path: Path, content: bytes, table: Table, words: WordLists) -> SignalSet:
    _reject_unknown(path, "", table, _SHARED_TOP_LEVEL)
    return SignalSet(
        name="shared",
        text=content.decode(),
        signals=_signals(path, table, words),
        refusals=_patterns(path, "refusals", table.get("refusals", []), words),
        compliances=_patterns(path, "compliances", table.get("compliances", []), words),
        negations=frozenset(_strings(path, "negations", table.get("negations", []))),
    )


def _policy_set(
    folder: Path, name: str, texts: Texts, shared_bytes: bytes, shared_words: WordLists
) -> SignalSet:
    content, table = _read(folder, f"{name}/{FILE_NAME}", texts)
    path = folder / name / FILE_NAME
    _reject_unknown(path, "", table, _TOP_LEVEL)
    words = _word_lists(path, table, shared_words)
    return SignalSet(
        name=path.parent.name,
        text=(content + shared_bytes).decode(),
        signals=_signals(path, table, words),
        examples=tuple(_example(path, place, row) for place, row in _rows(path, table, "example")),
    )


def _is_there(folder: Path, file: str, texts: Texts) -> bool:
    return file in texts or (folder / file).is_file()


def _read(folder: Path, file: str, texts: Texts) -> tuple[bytes, Table]:
    content = read_content(folder / file, texts.get(file))
    try:
        return content, tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"{folder / file} cannot be read: {error}") from error


def _word_lists(path: Path, table: Table, inherited: WordLists) -> WordLists:
    """Read ``[phrases]``, which stand as they are, then ``[words]``, which are inflected."""
    lists = dict(inherited)
    for section, inflected in (("phrases", False), ("words", True)):
        rows = table.get(section, {})
        if not isinstance(rows, dict):
            raise PolicyError(f"{path}: {section} is a table of lists")
        for name, entries in rows.items():
            place = f"{section}.{name}"
            if name in lists:
                raise PolicyError(f"{path}, {place}: there is a list of this name already")
            plain = [entry for entry in _strings(path, place, entries) if not entry.startswith("<")]
            nested = [entry[1:-1] for entry in entries if entry.startswith("<")]
            unknown = [entry for entry in nested if entry not in lists]
            if unknown:
                raise PolicyError(f"{path}, {place}: there is no list <{unknown[0]}> above")
            try:
                lists[name] = expand_list(plain, inflected, [lists[entry] for entry in nested])
            except PatternError as error:
                raise PolicyError(f"{path}, {place}: {error}") from error
    return lists


def _signals(path: Path, table: Table, words: WordLists) -> tuple[Signal, ...]:
    signals = [
        _signal(path, place, row, kind, words)
        for kind in Kind
        for place, row in _rows(path, table, kind.value)
    ]
    names = [signal.name for signal in signals]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise PolicyError(f"{path}: two signals are called {repeated!r}")
    return tuple(signals)


def _signal(path: Path, place: str, row: Table, kind: Kind, words: WordLists) -> Signal:
    _reject_unknown(path, place, row, {"name", "says", "weight", "match", *_FIELDS[kind]})
    name, says, weight = row.get("name"), row.get("says"), row.get("weight")
    if not isinstance(name, str) or not isinstance(says, str) or not name or not says:
        raise PolicyError(f"{path}, {place}: name and says are needed, both text")
    place = f"{place} ({name})"
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
        raise PolicyError(f"{path}, {place}: weight is a number above 0 and at most 1, not {weight!r}")
    flags = {flag: row[flag] for flag in _FIELDS[kind] if flag in row}
    if not all(isinstance(value, bool) for value in flags.values()):
        raise PolicyError(f"{path}, {place}: {', '.join(flags)} are true or false")
    patterns = _patterns(path, place, row.get("match"), words)
    if not patterns:
        raise PolicyError(f"{path}, {place}: match needs at least one pattern")
    return Signal(name, kind, says, float(weight), patterns, **flags)


def _patterns(path: Path, place: str, rows: Any, words: WordLists) -> tuple[Pattern, ...]:
    compiled = []
    for number, text in enumerate(_strings(path, place, rows), 1):
        try:
            compiled.append(compile_pattern(text, words))
        except PatternError as error:
            raise PolicyError(f"{path}, {place}, pattern {number}: {error}") from error
    return tuple(compiled)


def _example(path: Path, place: str, row: Table) -> Example:
    _reject_unknown(path, place, row, {"text", "violation"})
    text, violation = row.get("text"), row.get("violation")
    if not isinstance(text, str) or not isinstance(violation, bool):
        raise PolicyError(f"{path}, {place}: text is a string, violation true or false")
    return Example(text, violation)


def _rows(path: Path, table: Table, name: str) -> list[tuple[str, Table]]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PolicyError(f"{path}: {name} is written [[{name}]]")
    return [(f"{name} {number}", row) for number, row in enumerate(rows, 1)]


def _strings(path: Path, place: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PolicyError(f"{path}, {place}: a list of texts is needed")
    return value


def _reject_unknown(path: Path, place: str, table: Table, known: set[str]) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        where = f"{path}, {place}" if place else str(path)
        raise PolicyError(f"{where}: unknown key {unknown[0]!r}. There are: {', '.join(sorted(known))}.")
