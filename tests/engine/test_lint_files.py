"""Linting all the files of a policy: what is found, and at which line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from engine.policies import lint_files
from engine.policies.lint import CODES, Severity
from engine.policies.lint_files import lint_file
from engine.policies.load import PolicyError
from engine.workspace import shipped_policies
from tests.cli.policy_folder import case_line

FILES = ("policy.md", "signals.toml", "cases.jsonl")


@pytest.fixture
def violence(tmp_path: Path) -> Path:
    """The shipped policy on violence, with the shared signals beside it."""
    shutil.copytree(shipped_policies() / "violence", tmp_path / "violence")
    shutil.copy(shipped_policies() / "shared.toml", tmp_path)
    return tmp_path / "violence"


def found(path: Path) -> list[tuple[int, str]]:
    return [(finding.line, finding.code) for finding in lint_file(path)]


def test_the_shipped_files_are_clean() -> None:
    folder = shipped_policies()
    names = sorted(path.parent.name for path in folder.glob("*/policy.md"))
    assert len(names) == 6
    for path in [folder / "shared.toml", *(folder / name / file for name in names for file in FILES)]:
        assert lint_file(path) == (), path


def test_cases_that_are_none_repeated_or_contradictory(violence: Path) -> None:
    path = violence / "cases.jsonl"
    first = path.read_text().splitlines()[0]
    lines = [
        first,
        "{",
        "",
        case_line({"prompt": "x", "expected": "perhaps"}).strip(),
        first,
        first.replace('"violation"', '"safe"').replace("V1:", "S1:"),
        "[" * 100_000,
    ]
    path.write_text("\n".join(lines))
    assert found(path) == [
        (2, "case-unreadable"),
        (4, "case-unreadable"),
        (5, "case-repeated"),
        (6, "case-contradictory"),
        (7, "case-unreadable"),
    ]
    assert "line 1" in lint_file(path)[2].message.casefold()


@pytest.mark.parametrize(
    ("reason", "expected", "codes"),
    [
        ("V1: a threat.", "violation", []),
        ("V1, V4 and V5: several.", "violation", []),
        ("V1 or S2: both kinds.", "safe", []),
        ("V12: no such rule.", "violation", ["case-unknown-label"]),
        ("V1, V77: one such rule.", "violation", ["case-unknown-label"]),
        ("S1: the other kind.", "violation", ["case-wrong-label"]),
        ("V2: the other kind.", "safe", ["case-wrong-label"]),
        ("A Galaxy S23: a telephone, and V99 no rule.", "safe", []),
        ("no label at all", "safe", []),
        ("V1" + ", V1" * 50_000, "safe", []),
    ],
)
def test_labels_that_a_reason_begins_with(
    violence: Path, reason: str, expected: str, codes: list[str]
) -> None:
    path = violence / "cases.jsonl"
    path.write_text(case_line({"prompt": "x", "expected": expected, "reason": reason}))
    assert [finding.code for finding in lint_file(path)] == codes


def test_without_a_readable_text_labels_are_not_judged(violence: Path) -> None:
    (violence / "policy.md").write_bytes(b"\xff")
    assert found(violence / "cases.jsonl") == []
    assert found(violence / "policy.md") == [(1, "unreadable")]
    (violence / "policy.md").unlink()
    assert found(violence / "cases.jsonl") == []
    assert found(violence / "policy.md") == [(1, "unreadable")]


def test_signals_are_found_at_their_line(violence: Path) -> None:
    path = violence / "signals.toml"
    good = path.read_text()
    lines = good.split("\n")
    heads = [number for number, line in enumerate(lines, 1) if line == "[[indicator]]"]
    path.write_text(good + '\n[[indicator]]\nname = "x"\nsays = "x"\nweight = 7\nmatch = ["x"]\n')
    assert found(path) == [(len(lines) + 1, "signals-unusable")]
    lines[heads[1]] = "name = 3"
    path.write_text("\n".join(lines))
    (finding,) = lint_file(path)
    assert (finding.line, finding.severity) == (heads[1], Severity.ERROR)
    assert str(path) not in finding.message
    path.write_text("x = 1\n[[\n")
    assert found(path) == [(2, "signals-unusable")]
    path.write_text('surprise = "x"\n')
    assert found(path) == [(1, "signals-unusable")]


def test_a_fault_of_the_shared_signals_is_found_in_their_file_alone(violence: Path) -> None:
    shared = violence.parent / "shared.toml"
    shared.write_text(shared.read_text() + "\nsurprise = \n")
    assert [code for _, code in found(shared)] == ["signals-unusable"]
    assert found(violence / "signals.toml") == []


def test_the_documentation_has_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    told = re.findall(r"^\| `([a-z-]+)` \| (.+?) \|", page, re.MULTILINE)
    assert told[: len(CODES)] == list(CODES.items())
    source = (Path(lint_files.__file__)).read_text()
    assert {code for code, _ in told[len(CODES) :]} == set(
        re.findall(r'"((?:case|signals)-[a-z-]+|unreadable)"', source)
    )


def test_other_files_are_none_of_a_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"README\.md is no file of a policy"):
        lint_file(tmp_path / "README.md")


def test_a_megabyte_of_cases_is_linted_quickly(violence: Path) -> None:
    path = violence / "cases.jsonl"
    path.write_text("".join(case_line({"prompt": f"{n}" * 20, "expected": "safe"}) for n in range(8_000)))
    assert path.stat().st_size > 1 << 20
    assert found(path) == []
