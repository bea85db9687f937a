"""What is wrong with a text, one finding a row."""

from __future__ import annotations

from collections.abc import Hashable

from textual.content import Content

from app.safe_text import one_line
from app.widgets.row_list import RowList
from engine.policies.lint import LintFinding, Severity

_MESSAGE = 500


class FindingList(RowList[LintFinding]):
    """The findings, in the order of their lines."""

    def key_of(self, row: LintFinding) -> Hashable:
        return row.line, row.code, row.message

    def draw(self, row: LintFinding, width: int) -> Content:
        error = row.severity is Severity.ERROR
        mended = Content.styled("  f2 mends it", "$text-accent") if row.fix is not None else Content("")
        said = Content.assemble(
            ("! error   " if error else "~ warning ", "bold $text-error" if error else "$text-warning"),
            (f"{row.line:>4}  ", "$text-muted"),
            (f"{one_line(row.code, 40)}  ", "bold"),
            one_line(row.message, _MESSAGE),
        )
        room = max(width - mended.cell_length, 1)
        return Content.assemble(said.truncate(room, ellipsis=True, pad=True), mended)
