"""``wizard101 jobs logs``: what a job printed, or reports, up to now or until it is over."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import say, usage_error
from app.cli.job_queue import Attendance, JobId, open_queue, why_waiting
from app.cli.options import DbOption

if TYPE_CHECKING:
    from engine.jobs.output_file import Line
    from engine.jobs.queue import Jobs
    from engine.jobs.records import JobSummary

_POLL_S = 0.2
_ATTEND_S = 1.0
_WIDTH = 80
_LONGEST_LINE = 1 << 20


def show_log(
    run_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=0, metavar="N", help="Only the last lines.")
    ] = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="What it reports, one JSON object a line, in place of its output."),
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Byte for byte. For files and pipes only, not for terminals.")
    ] = False,
    db: DbOption = None,
) -> None:
    """Show what a job printed. What would act on a terminal, or hide, is shown as a visible character."""
    from engine.jobs.output_file import size_of

    if raw and sys.stdout.isatty():
        raise usage_error("--raw is for files and pipes: a log may hold what acts on a terminal.")
    with open_queue(db) as jobs:
        Attendance(jobs).attend()
        job = jobs.job(run_id)
        folder = jobs.folder(run_id)
        path = folder.events if events else folder.output
        start = 0 if lines is None else start_of_last(path, lines)
        printer = RawPrinter(path, start) if raw else Printer(path, start)
        if follow:
            job = follow_job(jobs, run_id, printer)
        else:
            printer.print_on(to_end=True)
        if not size_of(path):
            so_far = "" if job.state.over else " yet"
            say(f"Job {run_id} has {'reported' if events else 'printed'} nothing{so_far}.")


def follow_job(jobs: Jobs, run_id: int, printer: Printer) -> JobSummary:
    """Print what a job prints, as it comes, until it is over; return it. Why it waits is said, too."""
    attendance = Attendance(jobs)
    attended = float("-inf")
    waited, said = False, ""
    while True:
        if time.monotonic() - attended >= _ATTEND_S:
            attendance.attend()
            job = jobs.job(run_id)
            attended = time.monotonic()
            why = why_waiting(jobs).get(run_id, "") if waited else ""
            if why and why != said:
                say(f"Job {run_id} waits. {why}")
                said = why
            waited = job.state.name == "queued"
        # Its state was read before its output: of a job that is over, all is there.
        printer.print_on(to_end=job.state.over)
        if job.state.over:
            return job
        time.sleep(_POLL_S)


def start_of_last(path: Path, number: int) -> int:
    """Return the byte at which the last ``number`` lines of a file begin. Reads no more than these.

    Of a line that is endless, or overwrites itself over and over, the last stretch counts as one.
    """
    from engine.jobs.output_file import read_before, size_of

    size = end = line_end = size_of(path)
    found = 0
    while end > 0:
        try:
            stretch = read_before(path, end)
        except OSError:
            return 0
        if stretch.start >= end:
            return end
        for line in reversed(stretch.lines):
            # What is not whole is a piece of the line behind it.
            if _ends(line, last=line.end == size) or line_end - line.start > _LONGEST_LINE:
                found += 1
                line_end = line.end
            if found > number:
                return line.end
        end = stretch.start
    return 0


def _ends(line: Line, *, last: bool) -> bool:
    """Whether what follows goes onto a line of its own. Long lines are cut after a carriage return."""
    return line.whole or last or line.data.endswith(b"\r")


class Printer:
    """Prints a file that may grow, from a place on, as text that a terminal can be trusted with.

    On a terminal, a last line that is not finished is shown as far as it is there: progress bars are.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self._at = start
        self._on_terminal = sys.stdout.isatty()
        self._unfinished = ""

    def print_on(self, *, to_end: bool) -> None:
        """Print what is new. ``to_end``: nothing follows, so that a last line without its end is one."""
        from engine.jobs.output_file import read_after, size_of

        if size_of(self._path) < self._at:
            self._at = 0  # it was replaced
        while True:
            try:
                stretch = read_after(self._path, self._at)
            except OSError:
                return  # it is not there yet, or no more
            before = self._at
            for line in stretch.lines:
                if line.end == stretch.size and not line.whole and not to_end:
                    self._show_unfinished(line)
                    break
                self._print(line, last=line.end == stretch.size)
                self._at = line.end
            sys.stdout.flush()
            if self._at == before or self._at >= stretch.size:
                return

    def _print(self, line: Line, *, last: bool) -> None:
        from app.log_text import readable

        print(f"{self._cleared()}{readable(line.data)}", end="\n" if _ends(line, last=last) else "")

    def _show_unfinished(self, line: Line) -> None:
        from rich.cells import set_cell_size

        from app.cli.tables import room
        from app.log_text import readable

        text = readable(line.data)
        if self._on_terminal and text != self._unfinished:
            width = (room() or _WIDTH) - 1
            print(f"{self._cleared()}{set_cell_size(text, width).rstrip()}", end="")
            self._unfinished = text

    def _cleared(self) -> str:
        shown, self._unfinished = self._unfinished, ""
        return "\r\x1b[K" if shown else ""


class RawPrinter(Printer):
    """Prints a file that may grow byte for byte."""

    def print_on(self, *, to_end: bool) -> None:
        from engine.jobs.output_file import BLOCK, size_of

        size = size_of(self._path)
        if size < self._at:
            self._at = 0
        if size == self._at:
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            while data := file.read(BLOCK):
                sys.stdout.buffer.write(data)
                self._at += len(data)
        sys.stdout.buffer.flush()
