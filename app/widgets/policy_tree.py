"""The policies of a folder, and what belongs to the one that is open: its texts, cases and versions."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

from textual.content import Content

from app.safe_text import one_line
from app.widgets.row_list import RowList

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


class PolicyTree(RowList[Leaf]):
    """The policies, one of them open. The rows are given by the pane."""

    def key_of(self, row: Leaf) -> Hashable:
        return row.policy, row.part

    def draw(self, row: Leaf, width: int) -> Content:
        return leaf_row(row, width)


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
    title = title.truncate(room, ellipsis=True, pad=True)
    return Content.assemble(title, " ", says).truncate(width, pad=True)
