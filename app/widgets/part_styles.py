"""The styles of a widget's parts, as its style sheet has them for its component classes."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def part_style(widget: Widget, name: str) -> Style:
    """Return what the rule of a component class says, and no more, to be laid over what is there.

    A background that is partly transparent has been laid over the widget's own.
    """
    style = widget.get_component_rich_style(name, partial=True)
    if style.bgcolor is None:
        return style
    return style + Style(bgcolor=widget.get_component_rich_style(name).bgcolor)
