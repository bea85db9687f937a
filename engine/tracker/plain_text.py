"""Untrusted text on its way into a file that people open: nothing in it may act, or hide.

Names, notes and paths may hold escape sequences, NUL, lone surrogates, and controls that turn text around.
The JSON export keeps them, escaped; everything else shows a visible character in their place.
"""

from __future__ import annotations

import re
import unicodedata

_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_REPLACEMENT = "\ufffd"


class _Shown(dict[int, str]):
    """What each character is shown as, found out when it first occurs."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if code < 0x20 and character not in "\n\t":
            shown = chr(0x2400 + code)
        elif category in ("Cf", "Cs") or (category == "Cc" and character not in "\n\t") or _is_none(code):
            shown = _REPLACEMENT
        else:
            shown = character
        self[code] = shown
        return shown


def _is_none(code: int) -> bool:
    """Whether Unicode promises that this code point will never be a character."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


_SHOWN = _Shown()


def plain(text: str) -> str:
    """Return ``text`` without controls or invisible characters; every kind of line break is a newline."""
    if text.isascii() and text.isprintable():
        return text
    return _BREAKS.sub("\n", text).translate(_SHOWN)


def plain_line(text: str) -> str:
    """Return ``text`` as `plain` does, on one line."""
    return " ".join(plain(text).split())
