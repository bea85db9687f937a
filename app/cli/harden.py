"""``wizard101 harden``: attacks on a guard's judgements, as a job that is waited for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from app.cli.exits import Exit, say
from app.cli.finished import when_finished
from app.cli.job_kinds import Wishes, command_of
from app.cli.tables import Column, room, table

if TYPE_CHECKING:
    from engine.jobs.folder import RunFolder
    from engine.jobs.records import JobSpec

NAME = "harden"
_ANY, _DECISION = "any", "decision"
_COLUMNS = (
    Column("attack", least=8),
    Column("cases", right=True),
    Column("flips", right=True),
    Column("rate", right=True),
    Column("95 % interval"),
    Column("to allow", right=True),
    Column("to escalate", right=True, drop=2),
    Column("unparsable", right=True, drop=1),
    Column("over-blocked", right=True, drop=3),
)


@dataclass(frozen=True)
class HardenWishes(Wishes):
    """What every job may be given, and what is asked of the figures."""

    max_evasion: Annotated[
        float | None,
        typer.Option(
            "--max-evasion",
            metavar="PERCENT",
            min=0,
            max=100,
            help="Exit with 1 if more of the blocked cases are allowed under some attack.",
        ),
    ] = None


@cache
def command() -> TyperCommand:
    """Return the command, made from the kind's parameters when it is asked for."""
    from engine.jobs.kinds import kind_named

    return command_of(kind_named(NAME), harden, wishing=HardenWishes)


def harden(spec: JobSpec, wishes: Wishes) -> int:
    """Queue the attacks, wait for them and print what they changed. An interrupt leaves them running."""
    from engine.jobs.harden import ROBUSTNESS

    assert isinstance(wishes, HardenWishes)
    most = wishes.max_evasion

    def show(run_id: int, folder: RunFolder) -> int:
        report = json.loads((folder.path / ROBUSTNESS).read_text("utf-8"))
        if wishes.as_json:
            print(json.dumps({"run": run_id, **report}))
        else:
            print("\n".join(report_lines(run_id, report)))
        return Exit.DONE if most is None else _gate(report, most)

    return when_finished(spec, wishes, show)


def _gate(report: Mapping[str, Any], most: float) -> int:
    """Hold the evasion by any attack to a limit in percent; what is not known is not within it."""
    found = next(one for one in report["attacks"] if (one["attack"], one["subject"]) == (_ANY, _DECISION))
    evasion = found["evasion"]
    if evasion is None:
        say("The guard blocked none of the cases untouched: nothing is known of evasion.")
        return Exit.FAILED
    if evasion["value"] > most:
        say(f"Evasion is {evasion['value']:.1f} %, more than the {most:g} % that it may be.")
        return Exit.FAILED
    return Exit.DONE


def report_lines(run_id: int, report: Mapping[str, Any]) -> list[str]:
    """Return the figures of a run as lines, with a table for each subject."""
    lines = [f"Run {run_id}: {report['cases']:,} cases"]
    for untouched in report["untouched"]:
        subject = untouched["subject"]
        lines += ["", f"{_title(subject)} Untouched: {_standing(untouched)}."]
        lines += table(
            _COLUMNS, [_row(one) for one in report["attacks"] if one["subject"] == subject], room()
        )
    return [*lines, "", f"'wizard101 runs show {run_id}' shows all of it."]


def _title(subject: str) -> str:
    return "Decisions." if subject == _DECISION else f"Label of the {subject}: harmful is blocked."


def _standing(untouched: Mapping[str, Any]) -> str:
    moved = untouched["moved"]
    words = {"blocked": "blocked", "allowed": "allowed", "escalated": "escalated", "failed": "unparsable"}
    return ", ".join(f"{moved[reading]['n']:,} {word}" for reading, word in words.items())


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    blocked, allowed, flips = one["moved"]["blocked"], one["moved"]["allowed"], one["flips"]
    failed, cases = (sum(group[name] for group in one["moved"].values()) for name in ("failed", "n"))
    return [
        f"{one['attack']} of these" if one["attack"] == _ANY else one["attack"],
        f"{blocked['n']:,}",
        f"{blocked['n'] - blocked['blocked']:,}",
        "–" if flips is None else f"{flips['value']:.1f}",
        "" if flips is None else f"{flips['low']:.1f} to {flips['high']:.1f}",
        f"{blocked['allowed']:,}",
        f"{blocked['escalated']:,}",
        f"{failed:,} of {cases:,}",
        f"{allowed['blocked']:,} of {allowed['n']:,}",
    ]
