"""The versions of a file, newest first; the text that is being typed stands above them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from textual.content import Content

from app.widgets.row_list import RowList
from engine.tracker.policy_records import PolicyFileVersion

_ORIGINS = {"saved": "saved", "found": "found on disk", "restored": "restored"}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version, or with None the text in the editor. ``marked``: what others are compared with."""

    version: PolicyFileVersion | None
    marked: bool = False

    @property
    def label(self) -> str:
        return "editor" if self.version is None else self.version.label


class VersionList(RowList[VersionRow]):
    """One version a row."""

    def key_of(self, row: VersionRow) -> Hashable:
        return row.label

    def draw(self, row: VersionRow, width: int) -> Content:
        mark = ("◆ " if row.marked else "  ", "bold $text-accent")
        if row.version is None:
            said = Content.assemble(mark, ("editor", "bold"), ("  not saved", "$text-warning"))
        else:
            when = row.version.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
            said = Content.assemble(
                mark,
                (f"{row.version.label:5} ", "bold"),
                f"{when} ",
                (f"{row.version.sha256[:8]} ", "$text-muted"),
                (_ORIGINS[row.version.origin.value], "$text-muted"),
            )
        return said.truncate(width, ellipsis=True, pad=True)
