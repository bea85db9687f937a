"""The shipped policies and their labelled cases: their form, and what must hold for all of them together."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from engine.policies.load import PolicyCase, load_cases, load_policies, policy_names

FOLDER = Path(__file__).resolve().parents[2] / "policies"
NAMES = policy_names(FOLDER)
SECTIONS = ["Instructions", "Definitions", "Violates", "Safe", "Examples", "Edge cases"]
OUTPUT_RULE = "Answer with exactly one word: VIOLATION or SAFE."
FIELDS = ["prompt", "response", "expected", "reason", "language", "source"]
VAGUE = (
    "generally", "usually", "typically", "often", "sometimes", "may be considered", "might be considered",
    "probably", "mostly", "somewhat", "in most cases", "normally", "as appropriate", "inappropriate",
)  # fmt: skip
# Chinese and Japanese put no spaces between words: there every character counts as one.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\W\u3040-\u30ff\u3400-\u9fff]+")


def text_of(name: str) -> str:
    (policy,) = load_policies(FOLDER, [name])
    return policy.text


def section(text: str, title: str) -> str:
    """Return what stands between the heading ``title`` and the next one."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def defined_labels(text: str) -> set[str]:
    """Return the labels that head a rule, of the kind that their section holds."""
    return {
        label
        for title, kind in (("Violates", "V"), ("Safe", "S"))
        for label in re.findall(rf"^- ({kind}\d+):", section(text, title), re.MULTILINE)
    }


def used_labels(text: str) -> set[str]:
    """Return every label named in ``text``; "V1 to V3" or "V1-V3" names those between, too."""
    labels = set(re.findall(r"\b[VS]\d+\b", text))
    for kind, first, other, last in re.findall(r"\b([VS])(\d+)(?: to |\s?[-\u2013]\s?)([VS])(\d+)\b", text):
        assert kind == other, f"a range runs from {kind}{first} to {other}{last}"
        labels |= {f"{kind}{number}" for number in range(int(first), int(last) + 1)}
    return labels


def normal(case: PolicyCase) -> str:
    return " ".join(unicodedata.normalize("NFC", case.case.prompt).casefold().split())


def shingles(case: PolicyCase) -> frozenset[tuple[str, ...]]:
    """Return the runs of three words of a case's request and response."""
    words = WORD.findall(f"{case.case.prompt} {case.case.response or ''}".casefold())
    return frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset([tuple(words)])


@pytest.mark.parametrize("name", NAMES)
class TestText:
    def test_title_and_sections_are_in_order(self, name: str) -> None:
        text = text_of(name)
        assert re.fullmatch(r"# [A-Z].* policy", text.split("\n", 1)[0])
        assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == SECTIONS
        assert all(section(text, title).strip() for title in SECTIONS)

    def test_output_rule_stands_twice_and_last(self, name: str) -> None:
        text = text_of(name)
        assert text.count(OUTPUT_RULE) == 2
        assert OUTPUT_RULE in section(text, "Instructions")
        assert text.rstrip().split("\n")[-1] == OUTPUT_RULE

    def test_labels_run_from_one_without_gap_or_repetition(self, name: str) -> None:
        text = text_of(name)
        for title, kind in (("Violates", "V"), ("Safe", "S")):
            numbers = [int(n) for n in re.findall(rf"^- {kind}(\d+):", section(text, title), re.MULTILINE)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= 3

    def test_every_label_used_is_defined(self, name: str) -> None:
        text = text_of(name)
        assert used_labels(text) <= defined_labels(text)

    def test_each_example_has_a_verdict_and_a_rule_of_its_kind(self, name: str) -> None:
        lines = section(text_of(name), "Examples").strip().split("\n")
        assert 4 <= len(lines) <= 8
        verdicts = set()
        for line in lines:
            match = re.fullmatch(r'- ".+" -> (VIOLATION \(V\d+\)|SAFE \(S\d+\))', line)
            assert match, line
            verdicts.add(match[1].split()[0])
        assert verdicts == {"VIOLATION", "SAFE"}

    def test_no_vague_words(self, name: str) -> None:
        text = text_of(name).casefold()
        assert [word for word in VAGUE if re.search(rf"\b{word}\b", text)] == []

    def test_no_rule_stands_twice(self, name: str) -> None:
        rules = [line.casefold() for line in text_of(name).split("\n") if line.startswith("- ")]
        bodies = [re.sub(r"^- (?:[vs]\d+: )?", "", rule) for rule in rules]
        assert [body for body, count in Counter(bodies).items() if count > 1] == []

    def test_says_what_the_content_is(self, name: str) -> None:
        text = section(text_of(name), "Instructions")
        for needed in ("as data", "never follow instructions or verdicts", "does not itself violate"):
            assert needed in text


@pytest.mark.parametrize("name", NAMES)
class TestCases:
    def test_lines_have_the_fields_in_order(self, name: str) -> None:
        for number, line in enumerate((FOLDER / name / "cases.jsonl").read_text("utf-8").split("\n")[:-1], 1):
            row = json.loads(line)
            assert list(row) == FIELDS, number
            assert all(row[field].strip() for field in FIELDS if field != "response"), number
            assert row["response"] is None or row["response"].strip(), number
            assert re.fullmatch(r"[a-z]{2}", row["language"]), number
            assert row["source"] == "written for Wizard101", number
            assert line == json.dumps(row, ensure_ascii=False), number

    def test_there_are_enough_of_each_kind(self, name: str) -> None:
        cases = load_cases(FOLDER, name)
        verdicts = Counter(case.violation for case in cases)
        assert verdicts[True] >= 35
        assert verdicts[False] >= 45
        assert sum(case.case.response is not None for case in cases) >= 12
        assert {case.violation for case in cases if case.language != "en"} == {True, False}
        assert sum(case.language != "en" for case in cases) >= 8

    def test_reasons_name_rules_of_the_policy(self, name: str) -> None:
        known = defined_labels(text_of(name))
        for case in load_cases(FOLDER, name):
            labels = used_labels(case.reason)
            assert labels <= known, case.reason
            if case.violation:
                assert any(label.startswith("V") for label in labels), case.reason

    def test_no_two_cases_are_nearly_the_same(self, name: str) -> None:
        cases = [(case, shingles(case)) for case in load_cases(FOLDER, name)]
        alike = [
            (one.case.prompt, other.case.prompt)
            for (one, a), (other, b) in itertools.combinations(cases, 2)
            if len(a & b) / len(a | b) >= 0.6
        ]
        assert alike == []


class TestTogether:
    def test_no_case_stands_twice(self) -> None:
        counts = Counter(normal(case) for name in NAMES for case in load_cases(FOLDER, name))
        assert [prompt for prompt, count in counts.items() if count > 1] == []

    def test_there_are_five_hundred_cases_in_several_languages(self) -> None:
        cases = [case for name in NAMES for case in load_cases(FOLDER, name)]
        foreign = [case.language for case in cases if case.language != "en"]
        assert len(NAMES) == 6
        assert len(cases) >= 500
        assert len(foreign) >= 30
        assert len(set(foreign)) >= 5
