"""The columns of a table: which there is room for, and how wide each is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.content import Content

Row = TypeVar("Row")

GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """``draw`` gives a row's cell: text that may be shown, which the table cuts to the width.

    ``width`` is in cells, the least for a ``flexible`` column, which gets that share of what is left over.
    Where room is short, the column with the highest ``drop`` goes first; those with 0 stay. ``ends``: of what
    is too long, the end is shown too, as that is where names like "Guard 8B" differ.
    """

    name: str
    title: str
    width: int
    draw: Callable[[Row], Content | str]
    flexible: int = 0
    right: bool = False
    drop: int = 0
    ends: bool = False


def fit(columns: Iterable[Column[Row]], width: int) -> list[tuple[Column[Row], int]]:
    """Return the columns there is room for, each with its width in cells."""
    kept = list(columns)
    needed = sum(column.width for column in kept) + GAP * (len(kept) - 1)
    while needed > width and any(column.drop for column in kept):
        gone = max(kept, key=lambda column: column.drop)
        kept.remove(gone)
        needed -= gone.width + GAP
    spare = max(width - needed, 0)
    shares = sum(column.flexible for column in kept)
    widths = [column.width + (spare * column.flexible // shares if shares else 0) for column in kept]
    return list(zip(kept, widths, strict=True))


def cell(column: Column[Row], value: Content | str, width: int) -> Content:
    """Return a value as a cell of a column, cut to a width."""
    content = Content(value) if isinstance(value, str) else value
    if column.ends and content.cell_length > width:
        content = _ends(content, width)
    if not column.right:
        return content.truncate(width, ellipsis=True, pad=True)
    content = content.truncate(width, ellipsis=True)
    return content.pad_left(max(width - content.cell_length, 0))


def _ends(content: Content, width: int) -> Content:
    """Return the beginning and the end of what is wider than ``width``, an ellipsis between them."""
    room = (width - 1) // 2
    first = max(len(content) - room, 0)
    while content[first:].cell_length > room:
        first += 1
    tail = content[first:]
    return content.truncate(width - tail.cell_length, ellipsis=True) + tail
