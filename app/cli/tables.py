"""Tables for people: columns that line up and fit the terminal. Every cell passes the gate."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from app.safe_text import one_line

_GAP = "  "
_LONGEST_CELL = 200


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what happens to it where there is too little room.

    It may be narrowed to ``least`` cells (None: not at all), or be left out, the higher ``drop`` the
    sooner; others are left out before it has fewer than ``fair`` cells.
    """

    head: str
    right: bool = False
    least: int | None = None
    fair: int = 0
    drop: int = 0


def room() -> int | None:
    """Return the terminal's width in cells; None where output goes elsewhere, which has all the room."""
    if os.environ.get("COLUMNS") or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return None


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the table's lines, none wider than ``width`` cells."""
    from rich.cells import cell_len, set_cell_size

    heads = [one_line(column.head, _LONGEST_CELL) for column in columns]
    shown = [[one_line(cell, _LONGEST_CELL) for cell in row] for row in rows]
    natural = [
        max([cell_len(head), *(cell_len(row[place]) for row in shown)]) for place, head in enumerate(heads)
    ]
    kept = list(range(len(columns)))
    while width is not None and _fair(columns, natural, kept) > width:
        optional = [place for place in kept if columns[place].drop]
        if not optional:
            break
        kept.remove(max(optional, key=lambda place: columns[place].drop))
    widths = _narrowed(columns, natural, kept, width)

    def line(cells: Sequence[str]) -> str:
        parts = [
            _fit(cells[place], cells_wide, columns[place].right)
            for place, cells_wide in zip(kept, widths, strict=True)
        ]
        joined = _GAP.join(parts).rstrip()
        if width is not None and cell_len(joined) > width:
            return set_cell_size(joined, width - 1).rstrip() + "…"
        return joined

    return [line(heads), *map(line, shown)]


def _fit(text: str, width: int, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size

    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]
    padding = " " * (width - length)
    return padding + text if right else text + padding


def _fair(columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int]) -> int:
    fair = [
        min(natural[place], max(columns[place].least or natural[place], columns[place].fair))
        for place in kept
    ]
    return sum(fair) + len(_GAP) * (len(kept) - 1)


def _narrowed(
    columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int], width: int | None
) -> list[int]:
    """Take what is too much from the widest of the columns that may be narrowed."""
    widths = {place: natural[place] for place in kept}
    while width is not None and sum(widths.values()) + len(_GAP) * (len(kept) - 1) > width:
        narrowable = [place for place in kept if widths[place] > (columns[place].least or widths[place])]
        if not narrowable:
            break
        widths[max(narrowable, key=lambda place: widths[place])] -= 1
    return [widths[place] for place in kept]
