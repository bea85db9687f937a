"""The tasks of an output and their steps, as a tree that grows while a model writes.

Textual's own tree has one line for each node and lays out all of it anew for every new one. Here only
what is new is wrapped, and only the rows in sight are drawn.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.actions import Where, bindings
from app.outline import Branch, Outline
from app.safe_text import visible
from app.widgets.flow import Row
from app.widgets.task_node import Node
from app.widgets.task_text import branch_row, faults_row, section_sign, write_fault, write_title

_LEAST_FOR_PINS = 8
_BELOW = 2
"""Rows kept in sight below the one being written: the tasks that are still to come."""


class TaskTree(ScrollView, can_focus=True):
    """Shows an `Outline`. Tasks that were scrolled past stay at the top, with their labels.

    The place where the model writes is followed, unless one has moved away from it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.TREE),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("right", "open", show=False),
        Binding("left", "close", show=False),
        Binding("enter,space", "turn", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "to_start", show=False),
        Binding("end", "to_end", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.following = True
        self.cursor: Node | None = None
        self._outline: Outline | None = None
        self._branches: dict[str, Node] = {}
        self._faults = Node()
        self._told: list[str] = []
        self._order: list[Node] = []
        self._starts: list[int] = []
        self._width = 0
        self._own_scroll = False

    @property
    def branch(self) -> Branch | None:
        """The branch that the cursor is in."""
        if self.cursor is None or self._outline is None:
            return None
        root = self.cursor.parent or self.cursor
        names = (name for name, node in self._branches.items() if node is root)
        return self._outline.branches.get(next(names, ""))

    @property
    def folded(self) -> bool:
        """Whether every step is closed."""
        return not any(child.open for root in self._roots() for child in root.children)

    @property
    def has_steps(self) -> bool:
        return any(root.children for root in self._roots())

    # --- what is shown -------------------------------------------------------------------------------

    def show(self, outline: Outline) -> None:
        """Draw what is new in the outline since the last call."""
        if outline is not self._outline:
            self._begin(outline)
        grown = [*map(self._grow, outline.branches.values()), self._list_faults(outline)]
        self._lay_out()
        newest = next((node for node in reversed(grown) if node is not None), None)
        if self.following and newest is not None:
            self._follow(newest)
            if not self.show_vertical_scrollbar:
                # Only once the scrollbar has been laid out can it be scrolled.
                self.call_after_refresh(self._follow_still, newest)
        self.refresh()

    def _begin(self, outline: Outline) -> None:
        self._outline = outline
        self._branches = {}
        self._faults = Node()
        self._told = []
        self.cursor = None
        self._scroll(0)

    def _grow(self, branch: Branch) -> Node | None:
        """Take in what is new in a branch; return the node that grew, if one did."""
        grown = None
        node = self._branches.setdefault(branch.name, Node())
        # Only the last section grows.
        for index in range(max(len(node.children) - 1, 0), len(branch.sections)):
            section = branch.sections[index]
            if index == len(node.children):
                child = self._add(node, section_sign(section))
                write_title(child.flow, section)
                grown = child
            child = node.children[index]
            if child.pieces < len(section.pieces):
                child.strips.pop(len(child.flow.rows) - 1, None)
                child.flow.write(visible("".join(section.pieces[child.pieces :])))
                child.pieces = len(section.pieces)
                grown = child
        for child, section in zip(node.children, branch.sections, strict=True):
            if child.marked != bool(section.faults):
                child.marked = bool(section.faults)
                child.strips.clear()
        self._put_row(node, branch_row(branch, self._width - 2))
        return grown

    def _list_faults(self, outline: Outline) -> Node | None:
        """List the faults. Where they belong is known for good once the output has ended."""
        placed = list(zip(outline.faults, outline.places, strict=True))
        told = [f"{place}{fault.start}" for fault, place in placed]
        if told == self._told:
            return None
        known = self._faults.children
        self._told, self._faults.children = told, []
        for number, (fault, place) in enumerate(placed, 1):
            child = self._add(self._faults, str(number))
            child.open = number > len(known) or known[number - 1].open
            write_fault(child.flow, fault, place)
        self._put_row(self._faults, faults_row(outline))
        return self._faults.children[-1]

    def _add(self, parent: Node, sign: str) -> Node:
        child = Node(sign=sign, parent=parent)
        child.flow.fit(self._width - child.indent)
        parent.children.append(child)
        return child

    def _put_row(self, node: Node, row: Content) -> None:
        if node.row is None or not row.is_same(node.row):
            node.row = row
            node.strips.clear()

    def _roots(self) -> list[Node]:
        roots = [self._branches[name] for name in self._outline.branches] if self._outline else []
        return [*roots, self._faults] if self._faults.children else roots

    def _lay_out(self) -> None:
        self._order = [node for root in self._roots() for node in root.shown()]
        *self._starts, total = accumulate((node.height for node in self._order), initial=0)
        for node, start in zip(self._order, self._starts, strict=True):
            node.start = start
        self.virtual_size = Size(self._width, total)

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._width and self._outline is not None:
            top = self._node_at(self.scroll_offset.y)
            within = self.scroll_offset.y - top.start if top else 0
            self._width = width
            for root in [*self._branches.values(), self._faults]:
                for child in root.children:
                    child.flow.fit(width - child.indent)
                    child.strips.clear()
            self.show(self._outline)
            if top is not None:
                self._scroll(top.start + min(within, top.height - 1))
        self._width = width
        if self.following and self.cursor is not None:
            self._follow(self.cursor)

    def notify_style_update(self) -> None:
        for root in [*self._branches.values(), self._faults]:
            for node in [root, *root.children]:
                node.strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        pinned = self._pinned()
        if y < len(pinned):
            node, row = pinned[y], 0
        else:
            index = y + self.scroll_offset.y
            found = self._node_at(index)
            if found is None:
                return Strip.blank(self._width, self.visual_style.rich_style)
            node, row = found, index - found.start
        if (strip := node.strips.get(row)) is None:
            strip = node.strips[row] = self._draw(node, row)
        return strip

    def _draw(self, node: Node, number: int) -> Strip:
        arrow = ("▾ " if node.open else "▸ ") if node.opens else "  ", "$text-muted"
        if node.row is not None:
            row = Content.assemble(arrow, node.row)
            row = row.pad_right(max(self._width - row.cell_length, 0)).stylize_before("on $panel")
        else:
            text = node.flow.rows[number] if node.flow.rows else Row("")
            row = Content.styled(text.text if node.open or not node.opens else f"{text.text} …", text.style)
            mark = "! " if node.marked else "  ", "bold $text-warning"
            lead = Content.assemble(mark, arrow, (f"{node.sign} ", "bold $text-accent"))
            row = lead + row if number == 0 else row.pad_left(node.indent)
        if number == 0 and node is self.cursor and self.has_focus:
            row = row.pad_right(max(self._width - row.cell_length, 0)).stylize_before("on $primary 35%")
        base = self.visual_style
        segments = row.truncate(self._width, ellipsis=number == 0).render_segments(base)
        return Strip(segments).adjust_cell_length(self._width, base.rich_style)

    def _node_at(self, index: int) -> Node | None:
        if not self._order or not 0 <= index < self.virtual_size.height:
            return None
        return self._order[bisect_right(self._starts, index) - 1]

    def _pinned(self) -> list[Node]:
        """Return the tasks that were scrolled past: they are drawn over the first rows in sight."""
        if self._outline is None or self.size.height < _LEAST_FOR_PINS:
            return []
        pinned: list[Node] = []
        for task in self._outline.tasks:
            node = self._branches.get(task.name)
            if node is None or node.start >= self.scroll_offset.y + len(pinned):
                break
            pinned.append(node)
        return pinned

    # --- following -----------------------------------------------------------------------------------

    def _follow(self, node: Node) -> None:
        """Keep the end of what is being written in sight."""
        if node.parent is not None and not node.parent.open:
            node = node.parent
        self._set_cursor(node)
        self._scroll(min(node.end + _BELOW - self.size.height, self.max_scroll_y))

    def _follow_still(self, node: Node) -> None:
        if self.following and node in self._order:
            self._follow(node)

    def _scroll(self, y: int) -> None:
        self._own_scroll = True
        self.scroll_to(y=max(y, 0), animate=False, immediate=True)
        self._own_scroll = False

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if self._own_scroll:
            return
        if new > old and new >= self.max_scroll_y:
            self.following = True
        elif new < old and new != self.max_scroll_y:
            self.following = False

    # --- the cursor ----------------------------------------------------------------------------------

    def _set_cursor(self, node: Node) -> None:
        for changed in (self.cursor, node):
            if changed is not None:
                changed.strips.pop(0, None)
        self.cursor = node
        self.refresh()

    def _choose(self, node: Node) -> None:
        """Move the cursor, as a person does, and bring it into sight."""
        self.following = False
        self._set_cursor(node)
        height = self.size.height
        above = sum(task.start < node.start for task in self._branches.values())
        above = above if height >= _LEAST_FOR_PINS else 0
        shown = min(node.height, height - above)
        if node.start < self.scroll_offset.y + above:
            self._scroll(node.start - above)
        elif node.start + shown > self.scroll_offset.y + height:
            self._scroll(node.start + shown - height)

    def action_move(self, by: int) -> None:
        """Choose the next row that can be chosen; of a long step, read on to its end first."""
        if not self._order:
            return
        self.following = False
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        first = top + len(self._pinned())
        node = self.cursor
        if node is None or node not in self._order or node.end <= top or node.start >= bottom:
            self._choose(self._node_at(first) or self._order[0])
        elif by > 0 and node.end > bottom:
            self._scroll(min(top + self.size.height // 2, node.end - self.size.height))
        elif by < 0 and node.start < first and node.height > 1:
            self._scroll(max(top - self.size.height // 2, node.start - (first - top)))
        else:
            index = self._order.index(node) + by
            self._choose(self._order[min(max(index, 0), len(self._order) - 1)])

    def action_page(self, by: int) -> None:
        rows = self.size.height - len(self._branches) - 1
        self.scroll_to(y=self.scroll_offset.y + by * max(rows, 1), animate=False, immediate=True)

    def action_to_start(self) -> None:
        if self._order:
            self._choose(self._order[0])
            self._scroll(0)

    def action_to_end(self) -> None:
        """Go to the end, and follow it."""
        if self._order:
            self._set_cursor(self._order[-1])
            self._scroll(self.max_scroll_y)
            self.following = True

    def action_turn(self) -> None:
        if self.cursor is not None:
            self._set_open(self.cursor, not self.cursor.open)

    def action_open(self) -> None:
        node = self.cursor
        if node is None:
            return
        if node.opens and not node.open:
            self._set_open(node, True)
        elif node.children:
            self._choose(node.children[0])

    def action_close(self) -> None:
        node = self.cursor
        if node is None:
            return
        if node.opens and node.open:
            self._set_open(node, False)
        elif node.parent is not None:
            self._choose(node.parent)

    def choose_branch(self, by: int) -> None:
        """Choose the next branch, or the one before."""
        roots = self._roots()
        node = (self.cursor.parent or self.cursor) if self.cursor else None
        index = roots.index(node) if node in roots else -1 if by > 0 else 0
        self._choose(roots[(index + by) % len(roots)])

    def fold(self) -> None:
        """Close every step, or open all if all are closed."""
        open_them = self.folded
        for root in self._roots():
            for child in root.children:
                child.open = open_them
                child.strips.clear()
        self._lay_out()
        self._choose(self.cursor or self._order[0])

    def _set_open(self, node: Node, open_it: bool) -> None:
        node.open = open_it
        node.strips.clear()
        self._lay_out()
        self._choose(node)

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked; a click on its first row opens or closes it too."""
        pinned = self._pinned()
        if event.y < len(pinned):
            self._choose(pinned[event.y])
            return
        index = event.y + self.scroll_offset.y
        node = self._node_at(index)
        if node is None:
            return
        self._choose(node)
        if index == node.start and node.opens:
            self._set_open(node, not node.open)

    def on_focus(self) -> None:
        if self.cursor is not None:
            self._set_cursor(self.cursor)

    def on_blur(self) -> None:
        self.on_focus()
