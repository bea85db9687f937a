"""Rows of the dialog that takes cases over: one for each case, one for each run."""

from __future__ import annotations

from textual.content import Content

from app.case_checks import Candidate
from app.safe_text import blurred, one_line
from engine.tracker.run_records import RunSummary

_EXCERPT = 300
_ROOM_FOR_SOURCE = 100
_SOURCE = 28


def case_row(candidate: Candidate, width: int, *, clear_text: bool) -> Content:
    """Return a case in ``width`` cells: its check box, the verdict expected, its texts, blurred or not."""
    mark = " = " if candidate.there else "[x]" if candidate.checked else "[ ]"
    case = candidate.case.case
    text = one_line(case.prompt, _EXCERPT)
    if case.response is not None:
        text = f"{text} → {one_line(case.response, _EXCERPT)}"
    row = Content.assemble(
        (f"{mark} ", "bold" if candidate.checked else "$text-muted"),
        (f"{_expected(candidate):12} ", "$text-muted" if candidate.there else "bold"),
        text if clear_text else Content.styled(blurred(text), "$text-muted"),
    )
    if width < _ROOM_FOR_SOURCE:
        return row
    source = one_line(candidate.case.source, _SOURCE)
    row = row.truncate(width - _SOURCE - 2, ellipsis=True, pad=True)
    return Content.assemble(row, (f"  {source}", "$text-muted"))


def run_row(run: RunSummary) -> Content:
    """Return a run: its number, when it was, its name."""
    when = run.created_at.astimezone().strftime("%m-%d %H:%M")
    number = (f"{run.id:>5} ", "$text-muted")
    return Content.assemble(number, (f"{when:11}  ", "$text-muted"), (one_line(run.name, _EXCERPT), "bold"))


def _expected(candidate: Candidate) -> str:
    if candidate.violation is None:
        return "? undecided"
    return "✖ violation" if candidate.violation else "✔ safe"
