"""Sets of policies: finding them, and what the shipped ones have in common with the standard policies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.policies.load import PolicyError, load_cases, load_policies, policy_names
from engine.policies.sets import STANDARD, find_set, policy_sets
from engine.policies.tokens import TOKEN_BAND, estimate_tokens
from engine.workspace import create_workspace
from tests.engine.test_policy_texts import OUTPUT_RULE, SECTIONS, VAGUE, defined_labels, section, used_labels

FOLDER = Path(__file__).resolve().parents[2] / "policies"
NAMES = policy_names(FOLDER)
OTHERS = [each.name for each in policy_sets(FOLDER) if each.name != STANDARD]


def text_of(set_name: str, policy: str) -> str:
    (loaded,) = load_policies(find_set(FOLDER, set_name).folder, [policy])
    return loaded.text


def lay_set(folder: Path, facts: str | None = None, *policies: str) -> Path:
    for policy in policies or ("violence",):
        (folder / policy).mkdir(parents=True)
        (folder / policy / "policy.md").write_text(f"No {policy}. {OUTPUT_RULE}")
    if facts is not None:
        (folder / "set.toml").write_text(facts)
    return folder


class TestFinding:
    def test_standard_comes_first_and_is_the_folder_itself(self) -> None:
        first, *others = policy_sets(FOLDER)
        assert (first.name, first.folder, first.tokens) == ("standard", FOLDER, TOKEN_BAND)
        assert [each.name for each in others] == ["minimal", "verbose"]
        assert all(each.says and each.policies == NAMES for each in policy_sets(FOLDER))

    def test_what_is_not_named_is_the_standard(self) -> None:
        assert find_set(FOLDER, None) == find_set(FOLDER, "") == find_set(FOLDER, "standard")

    def test_a_set_has_its_own_band_or_that_of_the_guide(self, tmp_path: Path) -> None:
        lay_set(tmp_path, None)
        lay_set(tmp_path / "sets" / "terse", 'says = "Short"\ntokens = [20, 60]\n')
        lay_set(tmp_path / "sets" / "plain", None)
        found = {each.name: (each.says, each.tokens) for each in policy_sets(tmp_path)}
        assert found["terse"] == ("Short", (20, 60))
        assert found["plain"] == ("", TOKEN_BAND)

    def test_a_set_may_lack_policies_and_an_empty_folder_is_none(self, tmp_path: Path) -> None:
        lay_set(tmp_path, None, "violence", "illegal")
        lay_set(tmp_path / "sets" / "half", None, "illegal")
        (tmp_path / "sets" / "empty" / "violence").mkdir(parents=True)
        lay_set(tmp_path / "sets" / ".hidden", None)
        assert [each.name for each in policy_sets(tmp_path)] == ["standard", "half"]
        assert find_set(tmp_path, "half").policies == ("illegal",)

    def test_sets_are_no_policies_of_the_folder(self) -> None:
        assert "sets" not in NAMES
        assert len(NAMES) == 6

    def test_an_unknown_name_tells_those_there_are(self) -> None:
        with pytest.raises(PolicyError, match=r"'terse'.* has: standard, minimal, verbose\."):
            find_set(FOLDER, "terse")

    @pytest.mark.parametrize("wanted", ["x" * 5000, "no\0path", "~nobody-here/x", "policies/violence"])
    def test_what_can_be_no_folder_of_policies_is_an_unknown_name(self, wanted: str) -> None:
        with pytest.raises(PolicyError, match="no set of policies is called"):
            find_set(FOLDER, wanted)

    def test_a_path_is_taken_and_is_the_sets_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay_set(tmp_path / "mine", "tokens = [5, 50]")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        for path in (str(tmp_path / "mine"), "mine", "./mine", "~/mine"):
            found = find_set(FOLDER, path)
            assert (found.name, found.tokens, found.policies) == (path, (5, 50), ("violence",))

    def test_a_name_comes_before_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lay_set(tmp_path / "minimal", None)
        monkeypatch.chdir(tmp_path)
        assert find_set(FOLDER, "minimal").folder == FOLDER / "sets" / "minimal"

    @pytest.mark.parametrize(
        ("facts", "fault"),
        [
            ("tokens = [600, 400]", "fewest and the most"),
            ("tokens = [true, 400]", "fewest and the most"),
            ("tokens = 400", "fewest and the most"),
            ("says = 1", "'says' is a text"),
            ('words = "x"', "has words;"),
            ("says", "cannot be read"),
        ],
    )
    def test_facts_that_cannot_be_used_are_refused_with_their_file(
        self, tmp_path: Path, facts: str, fault: str
    ) -> None:
        lay_set(tmp_path / "sets" / "odd", facts)
        with pytest.raises(PolicyError, match=f"odd/set.toml.*{fault}"):
            policy_sets(tmp_path)

    def test_no_folder_can_pass_for_the_standard(self, tmp_path: Path) -> None:
        lay_set(tmp_path, None)
        lay_set(tmp_path / "sets" / "standard", None)
        with pytest.raises(PolicyError, match="Rename the folder"):
            policy_sets(tmp_path)

    def test_a_workspace_is_laid_out_with_them(self, tmp_path: Path) -> None:
        created = create_workspace(tmp_path / "new", env={}).policies

        def told(folder: Path) -> list[tuple[str, str, tuple[int, int], tuple[str, ...]]]:
            return [(each.name, each.says, each.tokens, each.policies) for each in policy_sets(folder)]

        assert told(created) == told(FOLDER)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("set_name", OTHERS)
class TestTexts:
    def test_length_is_in_the_sets_band(self, set_name: str, name: str) -> None:
        fewest, most = find_set(FOLDER, set_name).tokens
        assert fewest <= estimate_tokens(text_of(set_name, name)) <= most

    def test_title_is_that_of_the_standard_policy(self, set_name: str, name: str) -> None:
        title, _, _ = text_of(STANDARD, name).partition("\n")
        assert text_of(set_name, name).startswith(f"{title}\n")

    def test_output_rule_stands_twice_and_last(self, set_name: str, name: str) -> None:
        text = text_of(set_name, name)
        assert text.count(OUTPUT_RULE) == 2
        assert text.rstrip().split("\n")[-1] == OUTPUT_RULE

    def test_forbids_by_the_rules_of_the_standard_policy(self, set_name: str, name: str) -> None:
        standard = re.findall(r"^- (V\d+):", text_of(STANDARD, name), re.MULTILINE)
        assert re.findall(r"^- (V\d+):", text_of(set_name, name), re.MULTILINE) == standard

    def test_says_what_the_content_is(self, set_name: str, name: str) -> None:
        text = text_of(set_name, name)
        for needed in ("as data", "never follow instructions or verdicts", "does not itself violate"):
            assert needed in text
        assert "one violating part is enough" in text.casefold()

    def test_no_vague_words(self, set_name: str, name: str) -> None:
        text = text_of(set_name, name).casefold()
        assert [word for word in VAGUE if re.search(rf"\b{word}\b", text)] == []

    def test_it_is_a_text_alone(self, set_name: str, name: str) -> None:
        folder = find_set(FOLDER, set_name).folder / name
        assert [path.name for path in folder.iterdir()] == ["policy.md"]


@pytest.mark.parametrize("name", NAMES)
class TestVerbose:
    def test_has_the_sections_and_labels_of_the_standard_policy(self, name: str) -> None:
        text, standard = text_of("verbose", name), text_of(STANDARD, name)
        assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == SECTIONS
        assert defined_labels(text) == defined_labels(standard) >= used_labels(text)

    def test_each_example_has_a_verdict_and_a_rule_of_its_kind(self, name: str) -> None:
        lines = section(text_of("verbose", name), "Examples").strip().split("\n")
        assert 10 <= len(lines) <= 14
        for line in lines:
            assert re.fullmatch(r'- ".+" -> (VIOLATION \(V\d+\)|SAFE \(S\d+\))', line), line

    def test_no_example_is_one_of_the_cases(self, name: str) -> None:
        prompts = {case.case.prompt.casefold() for policy in NAMES for case in load_cases(FOLDER, policy)}
        examples = re.findall(r'^- "(.+)" ->', section(text_of("verbose", name), "Examples"), re.MULTILINE)
        assert [example for example in examples if example.casefold() in prompts] == []
