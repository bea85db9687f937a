"""The only gate through which untrusted text reaches a terminal.

Prompts, model output, policy texts, model names and error messages are adversarial by trade: an escape
sequence in them could write the clipboard, a bidi control could make text read backwards, a zero-width
character could hide. `visible` shows every such character as one printable glyph, one for one, so that
offsets into the text stay offsets into what is shown.

Standard library only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

C1_GLYPH = "␦"
BIDI_GLYPH = "⇆"
INVISIBLE_GLYPH = "◌"
BREAK_GLYPH = "↵"
TAB_GLYPH = "⇥"
BROKEN_GLYPH = "�"

_BIDI = (0x061C, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))

# Format characters (category Cf) that are not bidi controls, variation selectors, and letters and marks
# that draw nothing.
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x0600, 0x0605), (0x06DD, 0x06DD), (0x070F, 0x070F),
    (0x0890, 0x0891), (0x08E2, 0x08E2), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200D), (0x2060, 0x2065), (0x206A, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD),
    (0x110CD, 0x110CD), (0x13430, 0x1345F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


def _glyphs() -> dict[int, str]:
    glyphs = {code: INVISIBLE_GLYPH for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)}
    glyphs |= dict.fromkeys(_BIDI, BIDI_GLYPH)
    glyphs |= dict.fromkeys(range(0x80, 0xA0), C1_GLYPH)
    glyphs |= dict.fromkeys(range(0xD800, 0xE000), BROKEN_GLYPH)
    glyphs |= dict.fromkeys(
        [*range(0xFDD0, 0xFDF0), *(plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF))],
        BROKEN_GLYPH,
    )
    glyphs |= {code: chr(0x2400 + code) for code in range(0x20)}
    glyphs |= {0x09: TAB_GLYPH, 0x0A: BREAK_GLYPH, 0x7F: "␡", 0x85: BREAK_GLYPH}
    return glyphs | dict.fromkeys((0x2028, 0x2029), BREAK_GLYPH)


_ONE_LINE = _glyphs()
_LINES = {code: glyph for code, glyph in _ONE_LINE.items() if code != 0x0A}
_EDITABLE = {code: glyph for code, glyph in _LINES.items() if code != 0x09}

_KEPT_MARKS = 3
_PILE = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]"
    f"{{{_KEPT_MARKS + 1},}}"
)


def visible(text: str, *, keep_newlines: bool = True, keep_tabs: bool = False) -> str:
    """Return ``text`` with every character that a terminal would act on, or hide, as one visible glyph.

    The result has exactly as many code points as ``text``. Newlines survive unless told otherwise;
    carriage returns never do. ``keep_tabs`` is for editors, which expand tabs themselves.
    """
    if text.isprintable() and text.isascii():
        return text
    shown = text.translate(
        _EDITABLE if keep_tabs and keep_newlines else _LINES if keep_newlines else _ONE_LINE
    )
    return shown if shown.isascii() else _PILE.sub(_flatten, shown)


def one_line(text: str, limit: int) -> str:
    """Return ``text`` on one line; what exceeds ``limit`` code points gives way to an ellipsis."""
    shown = visible(text[: limit + 1], keep_newlines=False)
    return shown if len(text) <= limit else shown[: max(limit - 1, 0)] + "…"


def blurred(text: str) -> str:
    """Return ``text`` with every word hidden behind shades: its shape without its content."""
    return re.sub(r"\S", "▒", text)


def rich_text(text: str, style: str = "") -> Text:
    """Return untrusted ``text`` for a Rich console or table: visible, and never read as markup."""
    from rich.text import Text

    return Text(visible(text), style=style)


def _flatten(pile: re.Match[str]) -> str:
    """Keep the first marks of a pile: more would run over the lines above and below."""
    marks = pile.group()
    return marks[:_KEPT_MARKS] + INVISIBLE_GLYPH * (len(marks) - _KEPT_MARKS)
