"""What the parts of a policy's files are taken for, whatever the text; in time that grows with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.widgets.colouring import STYLES, Colouring, LineColours, State, policy_colours, signals_colours
from tests.app.hostile import HOSTILE

_POLICIES = Path(__file__).parents[2] / "policies"


def _parts(colouring: Colouring, text: str, style: str) -> list[str]:
    lines = text.split("\n")
    colours = LineColours(colouring)
    return [
        line[first:last]
        for row, line in enumerate(lines)
        for first, last, name in colours.spans(lines, row)
        if name == style
    ]


def test_the_parts_of_a_policy() -> None:
    text = (_POLICIES / "hate_speech" / "policy.md").read_text(encoding="utf-8")
    assert _parts(policy_colours, text, "title") == ["# Hate speech policy"]
    assert _parts(policy_colours, text, "heading") == [
        *("## Instructions", "## Definitions", "## Examples", "## Edge cases")
    ]
    assert _parts(policy_colours, text, "term") == ["Protected group", "Slur"]
    assert (
        _parts(policy_colours, text, "instruction")
        == ["Answer with exactly one word: VIOLATION or SAFE."] * 2
    )
    assert _parts(policy_colours, text, "violates")[1:8] == ["## Violates", *(f"V{n}" for n in range(1, 7))]
    assert "## Safe" in _parts(policy_colours, text, "safe")
    assert '"Those migrants are cockroaches."' in _parts(policy_colours, text, "quoted")


def test_labels_inside_a_quoted_example_are_its_words() -> None:
    text = '## Examples\n- "Is S2 a VIOLATION?" -> SAFE (S2)\n## Edge cases\n- "S2"'
    assert _parts(policy_colours, text, "safe") == ["SAFE", "S2", "S2"]
    assert _parts(policy_colours, text, "violates") == []


_SIGNALS = '''# words
[words]
make = ["make", "=cook", "<build>", "a <b"]  # "no string"
[[obvious]]
name = "a.b .. <c>"
weight = 0.85
whole = true
match = [
  "<how_to>|<want> ..3 <make> ... bomb|a_bomb? убив*",
  # "<none>"
]
says = """long <x>
# still "it" ..
""" # over
oops = yes
last = "open
next = { a = 1, b = 'c' }'''


def test_the_parts_of_signals() -> None:
    def parts(style: str) -> list[str]:
        return _parts(signals_colours, _SIGNALS, style)

    assert parts("table") == ["[words]", "[[obvious]]"]
    assert parts("key") == [
        *("make", "name", "weight", "whole", "match", "says", "oops", "last", "next", "a", "b")
    ]
    assert parts("comment") == ["# words", '# "no string"', '# "<none>"', "# over"]
    assert parts("word-list") == ["<build>", "<how_to>", "<want>", "<make>"]
    assert parts("gap") == ["..3", "..."]
    assert parts("operator") == ["=", "|", "|", "?", "*"]
    assert parts("value") == ["0.85", "true", "1"]
    assert parts("broken") == ["yes", '"open']
    assert '# still "it" ..' in parts("string")


def test_a_bracket_left_open_does_not_reach_the_next_table() -> None:
    text = 'match = [\n  "a",\n[[context]]\nname = "b"\nmatch = [ "c"\nsays = "d ..2 e"'
    assert _parts(signals_colours, text, "table") == ["[[context]]"]
    assert _parts(signals_colours, text, "key") == ["match", "name", "match", "says"]
    assert _parts(signals_colours, text, "gap") == []


@pytest.mark.parametrize("path", sorted(_POLICIES.glob("**/*.toml")), ids=lambda path: f"{path.parent.name}")
def test_nothing_in_the_signals_that_are_shipped_is_taken_for_broken(path: Path) -> None:
    assert _parts(signals_colours, path.read_text(encoding="utf-8"), "broken") == []


ANY_LINE = st.one_of(st.text(), st.text("[]{}\"'#=<>.|?*\\ aV1S:-"), st.sampled_from([*HOSTILE.values()]))


@given(st.lists(ANY_LINE.map(lambda line: line.replace("\n", " ")), min_size=1), st.data())
def test_spans_lie_in_their_line_and_do_not_depend_on_what_was_asked_before(
    lines: Sequence[str], data: st.DataObject
) -> None:
    for colouring in (policy_colours, signals_colours):
        kept = LineColours(colouring)
        order = data.draw(st.permutations(range(len(lines))))
        out_of_order = {row: kept.spans(lines, row) for row in order}
        state: State = None
        for row, line in enumerate(lines):
            spans, state = colouring(line, state)
            assert out_of_order[row] == spans
            assert all(0 <= first < last <= len(line) and name in STYLES for first, last, name in spans)


def test_places_are_forgotten_when_lines_change() -> None:
    colours = LineColours(policy_colours)
    assert colours.spans(["## Safe", "- a: b"], 1) == ()
    colours.forget_places()
    assert colours.spans(["## Definitions", "- a: b"], 1) == ((2, 3, "term"),)


@pytest.mark.parametrize(
    "line",
    [
        *("Answer " * 15_000, '"' * 100_001, "[" * 100_000, '"""' * 33_333, "<" * 100_000, "a." * 50_000),
        *('"\\' * 50_000, "- " + "x" * 100_000, " " * 100_000, "a . " * 25_000, "'" * 99_999),
        *('"' + "<a" * 50_000 + '"', '"" V1 ' * 16_000, "a " * 50_000 + "="),
    ],
    ids=lambda line: line[:8],
)
def test_a_hostile_line_is_read_in_time_that_grows_with_it(line: str) -> None:
    began = time.process_time()
    for state in (None, "examples", "definitions"):
        policy_colours(line, state)
    for toml in (None, *(signals_colours(start, None)[1] for start in ("match = [", 'a = """', "a = '''"))):
        signals_colours(line, toml)
    assert time.process_time() - began < 3
