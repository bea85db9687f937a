"""Nothing that a terminal acts on, or that hides, passes the gate; offsets survive it."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.safe_text import blurred, one_line, rich_text, visible
from tests.app.hostile import HOSTILE

ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()))


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_every_control_of_a_category_becomes_a_printable_glyph(category: str) -> None:
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) == category and character != "\n":
            shown = visible(character)
            assert len(shown) == 1
            assert unicodedata.category(shown) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(code)


@given(ANY_TEXT)
def test_one_glyph_per_code_point_and_doing_it_twice_changes_nothing(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert visible(shown) == shown
    assert "\n" not in visible(text, keep_newlines=False)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_holds_no_control(text: str) -> None:
    shown = visible(text)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in shown if character != "\n"
    )
    assert len(shown) == len(text)


def test_ordinary_writing_is_left_alone() -> None:
    for text in (
        "Hello\nworld",
        "Grüße, žluťoučký kůň",
        "日本語のテキスト",
        "हिन्दी",
        "السلام عليكم",
        "tiếng Việt 👍",
    ):
        assert visible(text) == text


def test_tabs_survive_only_where_the_editor_expands_them() -> None:
    assert visible("a\tb") == "a⇥b"
    assert visible("a\tb\x1b", keep_tabs=True) == "a\tb␛"


def test_a_pile_of_marks_is_flattened_without_moving_offsets() -> None:
    shown = visible("a" + "\u0301" * 50 + "b")
    assert len(shown) == 52
    assert shown.count("\u0301") == 3


def test_a_megabyte_takes_no_time() -> None:
    text = "\x1b[31mé\u202e" * 150_000
    began = time.perf_counter()
    visible(text)
    assert time.perf_counter() - began < 0.5


def test_one_line_cuts_with_an_ellipsis() -> None:
    assert one_line("ab\ncd", 10) == "ab↵cd"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"


def test_blurring_keeps_the_shape_and_none_of_the_letters() -> None:
    assert blurred("how to x?") == "▒▒▒ ▒▒ ▒▒"


def test_rich_text_is_never_markup() -> None:
    assert rich_text("[/] [@click=app.quit]x[/]\x1b").plain == "[/] [@click=app.quit]x[/]␛"
