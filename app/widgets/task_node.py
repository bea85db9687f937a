"""A node of the tree of tasks: what it shows, and where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from textual.content import Content
from textual.strip import Strip

from app.widgets.flow import Flow


@dataclass(slots=True, eq=False)
class Node:
    """A branch, which is a ``row`` and children; or a section or fault, which is a sign and text.

    ``pieces`` of its section have been written; ``start`` is its first row in the tree as last laid out.
    """

    row: Content | None = None
    sign: str = ""
    flow: Flow = field(default_factory=lambda: Flow(0))
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    open: bool = True
    marked: bool = False
    pieces: int = 0
    start: int = 0
    strips: dict[int, Strip] = field(default_factory=dict)

    @property
    def indent(self) -> int:
        """Cells before the text of a section: a mark, an arrow, the sign."""
        return len(self.sign) + 5

    @property
    def height(self) -> int:
        return max(1, len(self.flow.rows)) if self.open and self.row is None else 1

    @property
    def end(self) -> int:
        return self.start + self.height

    @property
    def opens(self) -> bool:
        """Whether there is something to show or to hide."""
        return bool(self.children) or len(self.flow.rows) > 1

    def shown(self) -> Iterator[Node]:
        """Yield the node, and what is below it if it is open."""
        yield self
        if self.open:
            yield from self.children
