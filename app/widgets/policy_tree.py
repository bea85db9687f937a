"""The policies of a folder, and what belongs to the one that is open: its texts, cases and versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.safe_text import one_line

_NAME = 200


class Part(StrEnum):
    """What of a policy a row stands for."""

    POLICY = "policy"
    TEXT = "policy.md"
    SIGNALS = "signals.toml"
    CASES = "cases"
    VERSIONS = "versions"
    SHARED = "shared.toml"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A row. ``says`` stands on the right: a count or so; ``dirty`` marks what is not saved."""

    policy: str
    part: Part
    title: str
    says: str = ""
    dirty: bool = False
    troubled: bool = False

    @property
    def key(self) -> tuple[str, Part]:
        return self.policy, self.part


class PolicyTree(ScrollView, can_focus=True):
    """One row a line. The rows are given by the pane; the choice stays on what it was on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("home", "move(-10000)", show=False),
        Binding("end", "move(10000)", show=False),
        Binding("enter,right", "open", show=False),
    ]

    class Opened(Message):
        """A row was chosen with enter, or clicked."""

        def __init__(self, leaf: Leaf) -> None:
            super().__init__()
            self.leaf = leaf

    class Moved(Message):
        """The choice is on another row."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._leaves: tuple[Leaf, ...] = ()
        self.chosen = 0

    @property
    def leaf(self) -> Leaf | None:
        """The row chosen."""
        return self._leaves[self.chosen] if self._leaves else None

    def show(self, leaves: Sequence[Leaf], *, choose: tuple[str, Part] | None = None) -> None:
        """Show these rows; ``choose`` one of them, else what was chosen stays so."""
        if tuple(leaves) == self._leaves and choose is None:
            return
        wanted = choose or (self.leaf.key if self.leaf is not None else None)
        self._leaves = tuple(leaves)
        places = [place for place, leaf in enumerate(self._leaves) if leaf.key == wanted]
        self.chosen = places[0] if places else min(self.chosen, max(len(self._leaves) - 1, 0))
        self.virtual_size = Size(self.size.width, len(self._leaves))
        self._reveal()
        self.refresh()

    def action_move(self, by: int) -> None:
        moved = min(max(self.chosen + by, 0), max(len(self._leaves) - 1, 0))
        if moved != self.chosen:
            self.chosen = moved
            self._reveal()
            self.refresh()
            self.post_message(self.Moved())

    def action_open(self) -> None:
        if self.leaf is not None:
            self.post_message(self.Opened(self.leaf))

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if place < len(self._leaves):
            self.chosen = place
            self.refresh()
            self.action_open()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self.chosen, 1, 1), animate=False)

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        width = self.scrollable_content_region.width
        place = y + self.scroll_offset.y
        if place >= len(self._leaves):
            return Strip.blank(width, base.rich_style)
        row = leaf_row(self._leaves[place], width)
        if place == self.chosen:
            row = row.stylize_before("on $primary 35%" if self.has_focus else "on $primary 15%")
        return Strip(row.render_segments(base)).adjust_cell_length(width, base.rich_style)


def leaf_row(leaf: Leaf, width: int) -> Content:
    """Return a row of ``width`` cells. What is not saved has a dot, what is in trouble a "!"."""
    head = leaf.part in (Part.POLICY, Part.SHARED)
    sign = "!" if leaf.troubled else "●" if leaf.dirty else " "
    title = Content.assemble(
        (sign, "$text-warning"),
        ("" if head else " "),
        (one_line(leaf.title, _NAME), "bold" if head else ""),
    )
    says = Content.styled(one_line(leaf.says, _NAME), "$text-muted")
    room = max(width - says.cell_length - 1, 1)
    return Content.assemble(title.truncate(room, ellipsis=True, pad=True), " ", says).truncate(
        width, pad=True
    )
