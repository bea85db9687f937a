"""``wizard101 jobs``: work that goes on without us, one after the other, and survives what it must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import Exit, say
from app.cli.job_ends import OutOfTime, failure_of, tell_ends, wait_for
from app.cli.job_kinds import KindCommands, Wishes
from app.cli.job_logs import Printer, follow_job, show_log
from app.cli.job_queue import Attendance, JobId, JobIds, ask_of_each, named, open_queue, why_waiting
from app.cli.options import DbOption, JsonOption
from app.safe_text import visible

if TYPE_CHECKING:
    from engine.jobs.queue import Jobs
    from engine.jobs.records import JobSpec, JobSummary

cli = typer.Typer(help="Jobs: work that goes on in the background, in turn.", no_args_is_help=True)

_OVER_SHOWN = 20
_ALL = 2**31


# --- adding ------------------------------------------------------------------------------------------


def add_job(spec: JobSpec, wishes: Wishes) -> int:
    """Queue a job and print its number, or print what it would take."""
    with open_queue(wishes.db, wishes.policies) as jobs:
        if wishes.estimate:
            _print_estimate(jobs, spec, as_json=wishes.as_json)
            return Exit.DONE
        job = added(jobs, spec)
        _print_id(job, as_json=wishes.as_json)
    return Exit.DONE


def run_job(spec: JobSpec, wishes: Wishes) -> int:
    """Queue a job, print what it prints until it is over, and end as it did."""
    from engine.jobs.job_json import job_json
    from engine.tracker.run_json import json_text

    with open_queue(wishes.db, wishes.policies) as jobs:
        job = added(jobs, spec)
        say(f"{named(job)} is queued.")
        try:
            if wishes.as_json:
                (job,) = wait_for(jobs, [job.id])
                print(json_text(job_json(job)))
            else:
                job = follow_job(jobs, job.id, Printer(jobs.folder(job.id).output))
        except KeyboardInterrupt:
            say(f"\nJob {job.id} goes on. 'wizard101 jobs cancel {job.id}' ends it.")
            raise
        return tell_ends(jobs, [job])


class _Add(KindCommands):
    then = staticmethod(add_job)


class _Run(KindCommands):
    then = staticmethod(run_job)
    without = ("estimate",)


for name, kinds, does in (
    ("add", _Add, "Queue a job of a kind and print its number. 'jobs add KIND --help' shows what it takes."),
    (
        *("run", _Run),
        "Queue a job, print what it prints, and end as it does: with 0 if it succeeded, 3 if a back end was "
        "out of reach, else 1. An interrupt leaves it running.",
    ),
):
    cli.add_typer(
        typer.Typer(cls=kinds, help=does, subcommand_metavar="KIND ...", no_args_is_help=True), name=name
    )


def added(jobs: Jobs, spec: JobSpec) -> JobSummary:
    from engine.jobs.scheduler import attend

    attend(jobs)
    run_id = jobs.add(spec)
    attend(jobs)
    return jobs.job(run_id)


def _print_estimate(jobs: Jobs, spec: JobSpec, *, as_json: bool) -> None:
    from app.cli.job_tables import estimate_lines
    from engine.tracker.run_json import json_text

    estimate = jobs.estimate(spec)
    if as_json:
        print(
            json_text(
                {
                    "work": estimate.work,
                    "seconds": estimate.seconds,
                    "usd": estimate.usd,
                    "basis": estimate.basis,
                    "warnings": list(estimate.warnings),
                }
            )
        )
    else:
        print("\n".join(estimate_lines(estimate)))


def _print_id(job: JobSummary, *, as_json: bool) -> None:
    from engine.tracker.run_json import json_text

    if as_json:
        print(json_text({"id": job.id}))
    else:
        print(job.id)
        say(f"{named(job)} is queued. 'wizard101 jobs logs -f {job.id}' shows what it prints.")


# --- looking -----------------------------------------------------------------------------------------


@cli.command("list")
def list_jobs(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]...", help="Words of name, kind, state or group, or a number; all must be there."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, max=_ALL, metavar="N", help="How many of those that are over."),
    ] = _OVER_SHOWN,
    everything: Annotated[bool, typer.Option("--all", help="All of those that are over.")] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs: those under way, those that wait, in the order they start in, and the last that are over."""
    from app.cli.job_tables import queue_lines
    from engine.jobs.job_json import job_json
    from engine.tracker.run_json import json_text

    most = _ALL if everything else limit
    with open_queue(db) as jobs:
        Attendance(jobs).attend()
        live = jobs.live(words or ())
        ended = jobs.ended(limit=most + 1, words=words or ())
        waits = why_waiting(jobs) if live else {}
        shown = [*live, *ended[:most]]
        if as_json:
            print(json_text([job_json(job, waits.get(job.id, "")) for job in shown]))
        elif shown:
            print("\n".join(queue_lines(shown, waits)))
        if len(ended) > most:
            say("More are over: --all shows them, and words narrow the list.")
        elif not shown:
            say("No job matches." if words else "There is no job yet: 'wizard101 jobs add --help'.")


@cli.command("show")
def show_job(run_id: JobId, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of a job."""
    from app.cli.job_tables import job_lines
    from engine.jobs.job_json import whole_job_json
    from engine.tracker.compare import load_all
    from engine.tracker.run_json import json_text
    from engine.tracker.runs import Runs

    with open_queue(db) as jobs:
        Attendance(jobs).attend()
        job = jobs.job(run_id)
        runs = Runs(jobs.database)
        (run,) = load_all(runs, [run_id])
        folder, failure = jobs.folder(run_id), failure_of(jobs, job)
        why = "" if job.state.over else why_waiting(jobs).get(run_id, "")
        if as_json:
            print(json_text(whole_job_json(job, run, folder, failure, why)))
        else:
            curves = {metric: runs.curve(run_id, metric) for metric in run.metrics}
            print("\n".join(job_lines(job, run, curves, folder, failure, why)))


cli.command("logs")(show_log)


@cli.command("wait")
def wait_for_jobs(
    run_ids: JobIds,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="S", help="Give up after so many seconds.")
    ] = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> int:
    """Wait until jobs are over. Exit code 0: all succeeded; 3: only back ends were out of reach; else 1."""
    from engine.jobs.job_json import job_json
    from engine.tracker.run_json import json_text

    with open_queue(db) as jobs:
        try:
            ended = wait_for(jobs, list(dict.fromkeys(run_ids)), within_s=timeout)
        except OutOfTime as error:
            for job in error.waiting:
                say(f"{named(job)} is still {job.state.name}.")
            say(f"Gave up after {timeout:g} seconds. The jobs go on.")
            return Exit.FAILED
        except KeyboardInterrupt:
            say("The jobs go on.")
            raise
        if as_json:
            for job in ended:
                print(json_text(job_json(job)))
        return tell_ends(jobs, ended)


# --- asking ------------------------------------------------------------------------------------------


@cli.command("pause")
def pause_jobs(run_ids: JobIds, db: DbOption = None, as_json: JsonOption = False) -> int:
    """Stop running jobs where they are, in memory."""
    return _ask(run_ids, lambda jobs, run_id: jobs.pause(run_id), db, as_json)


@cli.command("resume")
def resume_jobs(run_ids: JobIds, db: DbOption = None, as_json: JsonOption = False) -> int:
    """Let paused jobs go on; start interrupted ones again, of kinds that go on where they ended."""
    return _ask(run_ids, lambda jobs, run_id: jobs.resume(run_id), db, as_json)


@cli.command("cancel")
def cancel_jobs(
    run_ids: JobIds,
    discard: Annotated[
        bool, typer.Option("--discard", help="Remove what they have saved to go on from.")
    ] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> int:
    """End jobs: those under way may save their work first, those that wait never start."""
    return _ask(run_ids, lambda jobs, run_id: jobs.cancel(run_id, keep=not discard), db, as_json)


@cli.command("retry")
def retry_jobs(
    run_ids: JobIds,
    new: Annotated[
        bool, typer.Option("--new", help="Queue a new job like it, in place of the same again.")
    ] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> int:
    """Queue jobs again that did not succeed, in their place; with --new, any job, as another one."""
    if not new:
        return _ask(run_ids, lambda jobs, run_id: jobs.retry(run_id), db, as_json)
    with open_queue(db) as jobs:

        def anew(run_id: int) -> None:
            _print_id(jobs.job(jobs.again(run_id)), as_json=as_json)

        return ask_of_each(jobs, run_ids, anew)


@cli.command("priority", context_settings={"ignore_unknown_options": True})
def prioritise_job(
    run_id: JobId,
    priority: Annotated[int, typer.Argument(metavar="N", help="The higher, the earlier; 0 is usual.")],
    db: DbOption = None,
    as_json: JsonOption = False,
) -> int:
    """Give a job that waits another priority."""
    return _ask([run_id], lambda jobs, run_id: jobs.prioritise(run_id, priority), db, as_json)


def _ask(run_ids: list[int], ask: Callable[[Jobs, int], None], db: Path | None, as_json: bool) -> int:
    """Ask something of every job, and print how each stands then."""
    from engine.jobs.job_json import job_json
    from engine.tracker.run_json import json_text

    with open_queue(db) as jobs:

        def ask_and_tell(run_id: int) -> None:
            ask(jobs, run_id)
            job = jobs.job(run_id)
            said = json_text(job_json(job)) if as_json else f"Job {run_id}: {job.outcome}"
            print(visible(said, keep_newlines=False))

        return ask_of_each(jobs, run_ids, ask_and_tell)


@cli.command("group")
def show_or_limit_group(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME", help="The group; without: list the groups.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Argument(metavar="[LIMIT]]", help="How many may run at once; 0 holds the group."),
    ] = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the groups of jobs, or say how many of a group may run at once."""
    from app.cli.job_tables import group_lines
    from engine.jobs.queue import AT_ONCE
    from engine.jobs.records import Group
    from engine.jobs.scheduler import attend
    from engine.tracker.run_json import json_text

    with open_queue(db) as jobs:
        if name is None or limit is None:
            Attendance(jobs).attend()
        else:
            attend(jobs)
            jobs.limit_group(name, limit)
            attend(jobs)
        groups = jobs.groups()
        if name is not None:
            groups = [group for group in groups if group.name == name] or [Group(name, AT_ONCE)]
        if as_json:
            rows = [
                {
                    "name": group.name,
                    "at_once": group.at_once,
                    "active": group.active,
                    "queued": group.queued,
                }
                for group in groups
            ]
            print(json_text(rows if name is None else rows[0]))
        elif groups:
            print("\n".join(group_lines(groups)))
        else:
            say(f"No job waits, and no group has a limit of its own: it is {AT_ONCE} at once.")
