"""Words are found within their lines, expressions too, and none of them takes longer than it may."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text_search import SECONDS, Query, QueryError, replaced, search
from tests.app.hostile import HOSTILE

LINES = ["one two", "", "Two, twofold; TWO"]


def _found(query: Query) -> list[tuple[int, int, int]]:
    return [match[:3] for match in search(LINES, query)]


def test_words_are_found_as_they_are() -> None:
    assert _found(Query("two")) == [(0, 4, 7), (2, 0, 3), (2, 5, 8), (2, 14, 17)]
    assert _found(Query("two", case=True)) == [(0, 4, 7), (2, 5, 8)]
    assert _found(Query("two", whole_words=True)) == [(0, 4, 7), (2, 0, 3), (2, 14, 17)]
    assert _found(Query("o,")) == [(2, 2, 4)]
    assert _found(Query(", ", whole_words=True)) == []
    assert _found(Query("t.o")) == []
    assert _found(Query("")) == []


def test_expressions_are_found_and_their_groups_put_in_place() -> None:
    query = Query(r"(t)(w)o\b", r"\2\g<1>\\", expression=True)
    matches = search(LINES, query)
    assert replaced(LINES, matches) == "one wt\\\n\nwT\\, twofold; WT\\"
    assert _found(Query("x*", expression=True)) == []
    assert _found(Query("^two|o$", case=True, expression=True)) == [(0, 6, 7)]
    assert _found(Query("one|two", whole_words=True, expression=True))[:2] == [(0, 0, 3), (0, 4, 7)]


def test_what_takes_the_place_of_words_is_taken_as_it_is() -> None:
    assert replaced(LINES, search(LINES, Query("two,", r"\1 \g<0> \n"))) == (
        "one two\n\n" + r"\1 \g<0> \n" + " twofold; TWO"
    )


@pytest.mark.parametrize(
    "query",
    [
        Query("(", expression=True),
        Query("[", whole_words=True, expression=True),
        Query("a", r"\1", expression=True),
        Query("a", r"\g<no>", expression=True),
        Query("none of this", r"\5", expression=True),
        Query("a{1,99999999999}", expression=True),
        Query("(" * 5_000 + ")" * 5_000, expression=True),
        Query("\ud800(", expression=True),
    ],
    ids=lambda query: (query.words + query.instead)[:12].encode("ascii", "replace").decode(),
)
def test_what_is_no_expression_is_told(query: Query) -> None:
    with pytest.raises(QueryError, match="no regular expression"):
        search(LINES, query)


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|aa)+b", "(?:a*)*c"])
def test_an_expression_without_end_is_stopped(expression: str) -> None:
    began = time.monotonic()
    with pytest.raises(QueryError, match="takes too long"):
        search(["a" * 20_000 + "!"], Query(expression, expression=True))
    assert time.monotonic() - began < SECONDS + 3


@given(
    st.lists(st.text(st.sampled_from([*"aAbB .\\\u0130ßſ宽", "\ud800", "\x1b"])), min_size=1, max_size=5),
    st.text("aAb .\\(", min_size=1, max_size=3),
    st.text("\\1gx<>", max_size=3),
)
def test_replacing_words_is_replacing_in_each_line(lines: list[str], words: str, instead: str) -> None:
    got = replaced(lines, search(lines, Query(words, instead, case=True)))
    assert got == "\n".join(line.replace(words, instead) for line in lines)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_found_letter_by_letter(text: str) -> None:
    lines = ("x" + text).split("\n")
    for expression in (False, True):
        words = re.escape(lines[0]) if expression else lines[0]
        assert search(lines, Query(words, expression=expression))[0][:3] == (0, 0, len(lines[0]))
