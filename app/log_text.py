"""A line that a program has printed, as people read it. What is shown has passed through the gate."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from app.safe_text import visible

OVERWRITTEN = "↻ "
"""Before what a program has written over earlier text of the same line, as progress bars do."""

_TAB = 8
# What programs do to the terminal that they think they have: colours, erasing, moving the cursor. All that
# such a sequence could hide is itself. Titles, links and the clipboard have text in them: those are shown.
_DISPLAY = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[()][0-9A-B]|\x1b[=>78]")


def readable(data: bytes) -> str:
    """Return a line's bytes as one line of text.

    Of what carriage returns have overwritten only the last state is shown. Control sequences for colours
    and the cursor are left out; everything else that is no plain text shows as glyphs.
    """
    text = data.decode("utf-8", "replace")
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text:
        text = _DISPLAY.sub("", text)
    mark = ""
    if "\r" in text:
        states = [state for state in text.split("\r") if state.strip()]
        mark = OVERWRITTEN if len(states) > 1 else ""
        text = states[-1] if states else ""
    return mark + visible(text.expandtabs(_TAB), keep_newlines=False)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield visible text in rows of at most ``width`` cells, broken wherever they end."""
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        yield text
    elif text.isascii():
        yield from (text[at : at + width] for at in range(0, len(text), width))
    else:
        yield from chop_cells(text, width)
