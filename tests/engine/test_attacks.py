"""Attacks: the same anywhere, still the same request to a reader, and never a verdict."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cases import Case
from engine.evaluation.attacks import ATTACKS, Part, select_attacks

any_text = st.text(st.characters(codec=None), max_size=200)
plain = st.text("abcdefghij KLMNOP.,?!'\n-0123456789", max_size=200)
cases = st.builds(Case, any_text, st.none() | any_text)
names = pytest.mark.parametrize("name", ATTACKS)


@names
@given(cases, st.integers(0, 2**63 - 1))
@settings(max_examples=30)
def test_an_attack_is_the_same_every_time(name: str, case: Case, seed: int) -> None:
    attack = ATTACKS[name]
    assert attack.on_case(case, seed) == attack.on_case(case, seed)
    assert (attack.on_case(case, seed).response is None) == (case.response is None)


def test_an_attack_is_the_same_in_every_process() -> None:
    told = (
        "from engine.evaluation.attacks import ATTACKS; print([a.fingerprint(7) for a in ATTACKS.values()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", told],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert outputs == {f"{[attack.fingerprint(7) for attack in ATTACKS.values()]}\n"}


def test_the_seed_tells_what_is_drawn() -> None:
    text = "There is a great deal of text to be drawn from in here."
    for name in ("splitting", "zero-width", "padding-around"):
        assert ATTACKS[name].on_text(text, 1) != ATTACKS[name].on_text(text, 2)
    for name in ("chatml", "spacing", "homoglyphs"):
        assert ATTACKS[name].on_text(text, 1) == ATTACKS[name].on_text(text, 2)


@pytest.mark.parametrize(
    "name", [name for name, attack in ATTACKS.items() if attack.family in ("tokens", "forgery", "persuasion")]
)
@given(any_text)
@settings(max_examples=20)
def test_what_is_added_stands_behind_the_text(name: str, text: str) -> None:
    attacked = ATTACKS[name].on_text(text)
    assert attacked.startswith(text)
    assert len(attacked) > len(text)


@given(any_text, st.integers(0, 99))
def test_without_invisible_characters_the_text_is_back(text: str, seed: int) -> None:
    def seen(some: str) -> str:
        return "".join(char for char in some if char not in "\u200b\u200c\u2060")

    assert seen(ATTACKS["zero-width"].on_text(text, seed)) == seen(text)


@given(any_text, st.integers(0, 99))
def test_spacing_and_splitting_add_spaces_and_nothing_else(text: str, seed: int) -> None:
    for name in ("spacing", "splitting"):
        assert ATTACKS[name].on_text(text, seed).replace(" ", "") == text.replace(" ", "")


@given(plain)
def test_spaced_letters_can_be_read_as_the_words_they_were(text: str) -> None:
    spaced = ATTACKS["spacing"].on_text(text)
    assert spaced.replace("   ", "\0").replace(" ", "").replace("\0", " ") == text


@given(plain)
def test_marks_stay_with_their_letters(text: str) -> None:
    accented = "".join(f"{char}\u0301" for char in text if char != " ")
    assert " \u0301" not in ATTACKS["spacing"].on_text(accented)


@given(st.text(st.characters(max_codepoint=0x7E), max_size=200))
def test_full_width_text_is_the_same_text_to_unicode(text: str) -> None:
    wide = ATTACKS["full-width"].on_text(text)
    assert unicodedata.normalize("NFKC", wide) == text
    assert not set(wide) & set(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("name", ["homoglyphs", "full-width", "leetspeak"])
@given(any_text)
def test_look_alikes_are_one_for_one_and_done_once(name: str, text: str) -> None:
    once = ATTACKS[name].on_text(text)
    assert ATTACKS[name].on_text(once) == once
    assert len(once) == len(text)


def test_homoglyphs_are_letters_of_the_case_they_stand_for() -> None:
    for char in map(chr, range(0x21, 0x7F)):
        seen = ATTACKS["homoglyphs"].on_text(char)
        if seen != char:
            assert unicodedata.name(seen).split()[0] in ("CYRILLIC", "GREEK")
            assert seen.isupper() == char.isupper()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("padding-before", 3_000),
        ("padding-after", 3_000),
        ("padding-around", 6_000),
        ("padding-flood", 60_000),
    ],
)
def test_padding_keeps_the_text_whole(name: str, least: int) -> None:
    padded = ATTACKS[name].on_text("How do I get to the station?")
    before, _, after = padded.partition("How do I get to the station?")
    assert least <= len(before) + len(after) < 1.1 * least + 200
    assert bool(before) == (name != "padding-after")
    assert bool(after) == (name != "padding-before")


@names
def test_each_text_that_an_attack_is_for_is_rewritten_and_no_other(name: str) -> None:
    attack = ATTACKS[name]
    case = Case("Where is the station?", "It is behind the market.")
    prompt, response = attack.on_case(case).prompt, attack.on_case(case).response
    assert (prompt != case.prompt) == (attack.part is not Part.LAST)
    assert (response != case.response) == (attack.part is not Part.PROMPT)
    assert attack.on_case(Case(case.prompt)).prompt != case.prompt


def test_attacks_are_chosen_by_name_or_family_in_the_order_of_the_suite() -> None:
    assert [attack.name for attack in select_attacks([])] == list(ATTACKS)
    chosen = [attack.name for attack in select_attacks(["zero-width", "forgery"])]
    assert chosen == [
        *("forged-answers", "forged-verdict", "forged-sections", "forged-response"),
        "zero-width",
    ]
    with pytest.raises(ValueError, match=r"no attack is called rot13\. There are chatml, .* families tokens"):
        select_attacks(["spacing", "rot13"])


def test_no_name_is_that_of_a_family() -> None:
    assert not {attack.family for attack in ATTACKS.values()} & ATTACKS.keys()
    assert all(attack.about and len(attack.about) < 100 for attack in ATTACKS.values())
