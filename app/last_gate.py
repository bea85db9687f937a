"""The backstop: whatever a widget renders passes here on its way to the terminal.

Every widget shows untrusted text through `app.safe_text` itself, so that its layout is right. Where one
of the toolkit's own does not, such as the palette's input, this keeps the control from the terminal.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from app.safe_text import visible


class LastGate(LineFilter):
    """Replaces what a terminal would act on in every line of every widget."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.control or segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(visible(segment.text, keep_newlines=False), segment.style)
            for segment in segments
        ]
