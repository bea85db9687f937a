"""The index of signals finds what searching for every pattern in the whole text would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.guards.matching import SignalIndex
from engine.guards.text import Reading
from engine.policies.patterns import Pattern, compile_pattern, expand_list
from engine.policies.signals import Kind, Signal

LISTS = {
    "glass": expand_list(["glass", "window pane", "looking glass", "=pane of glass"], inflected=True),
    "break": expand_list(["break", "smash up", "take to pieces", "разби"], inflected=True),
}
PATTERNS = tuple(
    compile_pattern(text, LISTS)
    for text in (
        "<glass>",
        "the <glass>",
        "<break> ..3 <glass>",
        "<break> the? old? <glass>|it",
        "how|where to ..20 <break> ..20 <glass> ..15 tonight",
        "<break> ... <glass> ... tonight",
        "one two three four five",
        "разб* ..2 стекл*",
    )
)
VOCABULARY = (
    "break broke smash up take takes to pieces glass glasses window pane panes looking"
    " of the old it how where tonight one two three four five x y z разбить разбей стекло окно"
)
WORDS = VOCABULARY.split()
BREAKS = (" ", " ", " ", " ", " ", " ", ". ", ", ", "\n\n", "! ")


def index_of(patterns: tuple[Pattern, ...], kind: Kind = Kind.INDICATOR) -> SignalIndex:
    return SignalIndex(
        ("glass", Signal(str(number), kind, "says", 0.5, (pattern,)))
        for number, pattern in enumerate(patterns)
    )


INDEX = index_of(PATTERNS)
EVERYTHING = INDEX.bits_of({"glass"}, set(Kind))


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(BREAKS)), max_size=700))
def test_the_index_finds_what_searching_the_whole_text_finds(parts: list[tuple[str, str]]) -> None:
    reading = Reading("".join(word + mark for word, mark in parts))
    canonical = reading.canonical
    expected = {
        str(number): tuple(match.span() for match in pattern.find(canonical, 0, len(canonical)))
        for number, pattern in enumerate(PATTERNS)
    }
    found = INDEX.search(reading, INDEX.candidates(reading, EVERYTHING))
    assert {match.signal.name: match.spans for match in found} == {
        name: spans for name, spans in expected.items() if spans
    }


def test_a_match_across_a_cut_is_found_once() -> None:
    match = "how to" + " x" * 20 + " break" + " x" * 20 + " glass" + " x" * 15 + " tonight"
    for before in range(0, 400, 3):
        reading = Reading("x " * before + match + " x" * 400)
        found = INDEX.search(reading, INDEX.candidates(reading, EVERYTHING))
        starts = {match.signal.name: [start for start, _ in match.spans] for match in found}
        how, break_, glass = 2 * before, 2 * before + 47, 2 * before + 93
        assert starts == {"0": [glass], "4": [how], "5": [break_]}


def test_nothing_is_a_candidate_where_nothing_wanted_is() -> None:
    index = SignalIndex(
        [
            ("glass", Signal("a", Kind.INDICATOR, "says", 0.5, (PATTERNS[0],))),
            ("shared", Signal("b", Kind.EXCEPTION, "says", 0.5, (compile_pattern("one two", {}),))),
        ]
    )
    wanted = index.bits_of({"glass"}, {Kind.INDICATOR})
    assert index.candidates(Reading("one two"), wanted) == 0
    both = index.candidates(Reading("one two glasses"), wanted)
    assert [match.owner for match in index.search(Reading("one two glasses"), both)] == ["glass", "shared"]
    assert index.bits_of({"shared"}, {Kind.INDICATOR}) == 0
