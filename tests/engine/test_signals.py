"""Reading signals.toml, the pattern language, and inflection."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.guards.text import Reading
from engine.policies.inflection import forms_of, inflect
from engine.policies.load import PolicyError
from engine.policies.patterns import PatternError, compile_pattern, expand_list
from engine.policies.signals import load_signals

SIGNAL = '[[obvious]]\nname = "n"\nsays = "s"\nweight = 0.8\nmatch = ["break the <thing>"]\n'
WORDS = '[words]\nthing = ["glass"]\n'


def folder_with(path: Path, signals: str | None, shared: str | None = None) -> Path:
    (path / "glass").mkdir()
    (path / "glass" / "policy.md").write_text("Glass must not be broken.")
    if signals is not None:
        (path / "glass" / "signals.toml").write_text(signals)
    if shared is not None:
        (path / "shared.toml").write_text(shared)
    return path


def matches(pattern: str, text: str, **lists: list[str]) -> bool:
    compiled = compile_pattern(pattern, {name: expand_list(words, True) for name, words in lists.items()})
    canonical = Reading(text).canonical
    return next(compiled.find(canonical, 0, len(canonical)), None) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("break glass", "Break, glass!", True),
        ("break glass", "break the glass", False),
        ("break glass", "breaking glass", False),
        ("break .. glass", "break one two three four five six glass", True),
        ("break .. glass", "break one two three four five six seven glass", False),
        ("break ..1 glass", "break it. glass", False),
        ("break ... glass", "Break it. All of it. The glass!", True),
        ("break the? glass", "break glass", True),
        ("break the? glass", "break the glass", True),
        ("break|smash glass", "smash glass", True),
        ("blow_up|smash glass", "blow up glass", True),
        ("dont break", "Don't break", True),
        ("step-by-step", "step by step", True),
        ("разби* стекло", "Разбить стекло", True),
        ("玻璃", "打破玻璃。", True),
        ("café", "CAFE", True),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_a_word_list_stands_for_its_inflections() -> None:
    for text in ("he smashes the glass", "smashing glasses", "SMASHED a glass"):
        assert matches("<smash> .. <glass>", text, smash=["smash"], glass=["glass"])
    assert matches("<smash>", "blowing up", smash=["blow up"])
    assert not matches("<smash>", "smashed", smash=["=smash"])


@pytest.mark.parametrize(
    "pattern", ["", "..", "word?", "<unknown> word", "a ..21 b", "!!", "stem*", "a ..20 b ..20 c ..20 d e"]
)
def test_bad_patterns_say_so(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern, {})


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("steal", "stole"),
        ("make", "making"),
        ("stab", "stabbing"),
        ("carry", "carried"),
        ("church", "churches"),
        ("wife", "wives"),
        ("traffic", "trafficking"),
    ],
)
def test_forms(word: str, form: str) -> None:
    assert form in forms_of(word)


def test_phrases_inflect_at_the_right_end() -> None:
    assert ("pipe", "bombs") in inflect(("pipe", "bomb"))
    assert ("burned", "down") in inflect(("burn", "down"))


def test_a_folder_is_read(tmp_path: Path) -> None:
    shared, (signals,) = load_signals(folder_with(tmp_path, WORDS + SIGNAL, 'negations = ["not"]\n'))
    assert shared.negations == {"not"}
    assert signals.name == "glass"
    assert signals.signals[0].weight == 0.8


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ("words = ]", "line 1"),
        ("[words]\nthing = 3\n", r"words\.thing"),
        (SIGNAL, "<thing>"),
        (WORDS + SIGNAL.replace("0.8", "3"), "weight"),
        (WORDS + SIGNAL.replace("0.8", "true"), "weight"),
        (WORDS + SIGNAL + "colour = 1\n", "colour"),
        (WORDS + SIGNAL + SIGNAL, "two signals"),
        (WORDS + SIGNAL.replace('"break the <thing>"', ""), "match"),
        (WORDS + SIGNAL.replace('name = "n"\n', ""), "name"),
        ("[[example]]\ntext = 1\nviolation = true\n", "example 1"),
        ("obvious = 3\n", "obvious"),
    ],
)
def test_mistakes_are_named_with_file_and_place(tmp_path: Path, signals: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message) as caught:
        load_signals(folder_with(tmp_path, signals))
    assert "signals.toml" in str(caught.value)


def test_a_policy_without_signals_is_skipped_unless_asked_for(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, WORDS + SIGNAL)
    (folder / "wood").mkdir()
    (folder / "wood" / "policy.md").write_text("Wood.")
    assert [signals.name for signals in load_signals(folder)[1]] == ["glass"]
    with pytest.raises(PolicyError, match="wood"):
        load_signals(folder, ["wood"])


def test_no_signals_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"signals\.toml"):
        load_signals(folder_with(tmp_path, None))
