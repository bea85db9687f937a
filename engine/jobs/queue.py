"""The queue: adding jobs, and all that can be asked of one. Imports SQLModel and pydantic.

What is wanted is stored first, and told to the job's supervisor after; `engine.jobs.reconcile` tells it
again where that did not happen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, cast, delete, func, insert, or_, select, text, type_coerce, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.types import Text
from sqlmodel import col

from engine.jobs import supervisor
from engine.jobs.checked import Checked, check_spec, refuse_huge, refuse_nameless
from engine.jobs.folder import RunFolder
from engine.jobs.guard_params import GuardParams
from engine.jobs.ingest import forget, forget_progress
from engine.jobs.job_rows import change, insert_job, jobs_selected, stored_state, summaries
from engine.jobs.kinds import KINDS, kind_named, refuse_secrets
from engine.jobs.records import Estimate, Group, JobError, JobSpec, JobSummary
from engine.jobs.states import Cancelling, Paused, Queued, Running, Skipped, Starting, Succeeded
from engine.jobs.supervisor import secrets_of
from engine.policies.load import PolicyError, policy_names
from engine.tracker.database import Database
from engine.tracker.encoding import store_text
from engine.tracker.policies import PolicyHistory
from engine.tracker.run_records import NewRun
from engine.tracker.run_tables import JobGroupRow, JobNeedRow, JobRow, RunRow
from engine.tracker.run_writing import insert_run
from engine.tracker.runs import Runs
from engine.workshop.versions import note_files

ACTIVE = ("starting", "running", "paused", "cancelling")
LIVE = ("queued", *ACTIVE)
AT_ONCE = 1
"""How many jobs of a group run at once unless somebody says otherwise."""

_KEPT_VARIABLES = (
    "PATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ", "CUDA_VISIBLE_DEVICES", "HF_HOME", "OLLAMA_HOST",
    "WIZARD_MODELS", "WIZARD_OPENAI_URL",
)  # fmt: skip
"""What of the adder's environment a job keeps. Never what holds secrets: this is written down."""


class Jobs:
    """The jobs of a database. Any thread may call any method.

    Every method raises `TrackerError` where the database cannot be read or written, and `JobError` where
    what is asked for cannot be done. ``policies`` is the folder that jobs are to judge by; None: theirs.
    """

    def __init__(self, database: Database, runs_folder: Path, policies: Path | None = None) -> None:
        self.database = database
        self.runs_folder = runs_folder
        self._policies = policies

    @property
    def policies(self) -> Path | None:
        """The folder that new jobs are to judge by; None: the one that each finds."""
        return self._policies

    def folder(self, run_id: int) -> RunFolder:
        """Return the folder that a job has, or would have."""
        return RunFolder(self.runs_folder / str(run_id))

    # --- reading -------------------------------------------------------------------------------------

    def live(self, words: Sequence[str] = ()) -> list[JobSummary]:
        """Return the jobs under way, then those that wait, in the order they would start in."""
        status = col(RunRow.status)
        waiting = status == Queued.name
        query = _with_words(jobs_selected().where(status.in_(LIVE)), words).order_by(
            waiting, case((waiting, -col(JobRow.priority)), else_=0), col(RunRow.id)
        )
        with self.database.reading() as connection:
            return summaries(connection, query)

    def ended(
        self, *, before: int | None = None, limit: int = 100, words: Sequence[str] = ()
    ) -> list[JobSummary]:
        """Return jobs that are over, newest first, with an id below ``before``."""
        query = _with_words(jobs_selected().where(col(RunRow.status).not_in(LIVE)), words)
        if before is not None:
            query = query.where(col(JobRow.run_id) < before)
        with self.database.reading() as connection:
            return summaries(connection, query.order_by(col(JobRow.run_id).desc()).limit(limit))

    def job(self, run_id: int) -> JobSummary:
        """Return one job."""
        with self.database.reading() as connection:
            found = summaries(connection, jobs_selected().where(col(JobRow.run_id) == run_id))
            if not found:
                stored_state(connection, run_id)  # raises
            return found[0]

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state."""
        counted = (
            select(col(RunRow.status), func.count().label("number"))
            .join_from(JobRow, RunRow, col(RunRow.id) == col(JobRow.run_id))
            .group_by(col(RunRow.status))
        )
        with self.database.reading() as connection:
            return {row.status: row.number for row in connection.execute(counted)}

    def groups(self) -> list[Group]:
        """Return the groups that have a limit of their own, or jobs that are not over."""
        with self.database.reading() as connection:
            return [Group(*row) for row in connection.execute(_GROUPS, {"at_once": AT_ONCE})]

    def spec(self, run_id: int) -> JobSpec:
        """Return the specification of a job, as it was added."""
        job = self.job(run_id)
        run = Runs(self.database).run(run_id)
        assert run is not None
        cwd = str(Path.cwd())
        with suppress(OSError, ValueError):
            cwd = str(self.folder(run_id).spec()["cwd"])
        return JobSpec(
            kind=job.kind,
            params=run.params,
            cwd=cwd,
            name=job.name,
            experiment=job.experiment,
            group=job.group,
            priority=job.priority,
            accelerators=job.accelerators,
            needs=job.needs,
            tags=run.summary.tags,
            note=run.note,
        )

    def estimate(self, spec: JobSpec) -> Estimate:
        """Check a specification and tell what it would take."""
        kind = kind_named(spec.kind)
        params = kind.validate(spec.params)
        kind.check(params, Path(spec.cwd))
        with self.database.reading() as connection:
            earlier = connection.execute(_PACES, {"kind": spec.kind}).all()
        pace: dict[str, float] = {}
        for stored, rate in reversed(earlier):
            with suppress(JobError, ValueError):
                pace[kind.pace_key(kind.params.model_validate_json(stored))] = rate
        return kind.estimate(params, Path(spec.cwd), pace)

    # --- adding --------------------------------------------------------------------------------------

    def add(self, spec: JobSpec, *, retry_of: int | None = None) -> int:
        """Put a job into the queue and return its id. `engine.jobs.scheduler.ensure` has it started.

        Its folder is made at once: what cannot be written is known now, and if the database is lost the
        queue can be had from the folders.
        """
        checked = check_spec(spec)
        self._note_policies([checked])
        with self.database.writing() as connection:
            return self._add(connection, checked, retry_of)

    def add_all(self, specs: Sequence[JobSpec], last: Callable[[Sequence[int]], JobSpec]) -> list[int]:
        """Put several jobs into the queue and return their ids: all of them, or, where that fails, none.

        ``last`` makes one more from the ids of the others.
        """
        checked = [check_spec(spec) for spec in specs]
        self._note_policies(checked)
        added: list[int] = []
        try:
            with self.database.writing() as connection:
                for each in checked:
                    added.append(self._add(connection, each))  # noqa: PERF401 - those before a failure count
                added.append(self._add(connection, check_spec(last(tuple(added)))))
        except BaseException:
            for run_id in added:
                shutil.rmtree(self.folder(run_id).path, ignore_errors=True)
            raise
        return added

    def _note_policies(self, jobs: Sequence[Checked]) -> None:
        """Record the policies as they are now, so that what a guard judged by can be read later."""
        if self._policies is not None and any(isinstance(job.params, GuardParams) for job in jobs):
            with suppress(PolicyError, OSError):
                note_files(PolicyHistory(self.database), self._policies, policy_names(self._policies))

    def _add(self, connection: Connection, job: Checked, retry_of: int | None = None) -> int:
        kind, params = job.kind, job.params
        argv = kind.command(params)
        argv[0] = shutil.which(argv[0]) or argv[0]
        self._require(connection, job.spec.needs)
        run_id = self._insert(connection, job.run, job.spec, retry_of)
        folder = self.folder(run_id)
        variables = kept_variables(os.environ)
        if self._policies is not None:
            variables["WIZARD_POLICIES"] = str(self._policies)
        variables |= kind.environment(params)
        try:
            folder.prepare(
                argv,
                cwd=str(Path(job.spec.cwd).absolute()),
                checkpoint=kind.checkpoint,
                env=variables,
                about=job.about(run_id, retry_of),
            )
        except OSError as error:
            raise JobError(
                f"The job's folder {folder.path} cannot be written: {error.strerror or error}. "
                "Nothing was queued.",
                "Make room, or make the folder writable, and add it again.",
            ) from error
        return run_id

    def _insert(self, connection: Connection, run: NewRun, spec: JobSpec, retry_of: int | None) -> int:
        """Insert the rows. An id whose folder is taken, by a job of another database, is passed over."""
        run_id = insert_run(connection, run)
        if self.folder(run_id).path.exists():
            taken = [int(path.name) for path in self.runs_folder.iterdir() if path.name.isdigit()]
            connection.execute(delete(RunRow).where(col(RunRow.id) == run_id))
            connection.execute(_NEXT_ID, {"last": max(run_id, *taken)})
            run_id = insert_run(connection, run)
        insert_job(
            connection,
            run_id,
            group=spec.group,
            priority=spec.priority,
            accelerators=spec.accelerators,
            retry_of=retry_of,
        )
        if spec.needs:
            links = [{"run_id": run_id, "needs_id": need} for need in dict.fromkeys(spec.needs)]
            connection.execute(insert(JobNeedRow), links)
        return run_id

    def _require(self, connection: Connection, needs: Sequence[int]) -> None:
        for need in needs:
            state, _ = stored_state(connection, need)
            if state.over and not isinstance(state, Succeeded):
                raise JobError(f"Job {need}, which this one needs, is {state.name}.", "Retry that one first.")

    # --- asking --------------------------------------------------------------------------------------

    def cancel(self, run_id: int, *, keep: bool = True) -> None:
        """End a job: one that waits is skipped, one under way is stopped. ``keep`` its checkpoint, or not.

        What keeps its checkpoint may still be told to discard it, not the reverse.
        """
        with self.database.writing() as connection:
            state, attempt = stored_state(connection, run_id)
            if state.over:
                raise JobError(f"Job {run_id} is over already: it is {state.name}.")
            if isinstance(state, Cancelling):
                if state.keep == keep:
                    return
                if keep:
                    raise JobError(f"Job {run_id} is being cancelled, and discards its checkpoint.")
            if isinstance(state, Queued):
                asked = {"cancel": "keep" if keep else "discard"}
                ended = {"ended_at": datetime.now(UTC)}
                change(connection, run_id, Skipped("It was cancelled in the queue."), run=ended, job=asked)
            else:
                change(connection, run_id, Cancelling(keep))
        if not isinstance(state, Queued):
            self._tell(run_id, attempt, supervisor.CANCEL_KEEP if keep else supervisor.CANCEL_DISCARD)
        elif not keep:
            self.folder(run_id).discard()

    def pause(self, run_id: int) -> None:
        """Stop a running job where it is, in memory."""
        with self.database.writing() as connection:
            state, attempt = stored_state(connection, run_id)
            if isinstance(state, Queued | Starting):
                raise JobError(
                    f"Job {run_id} is not running yet.",
                    "Cancel it, or hold its group with a limit of 0.",
                )
            change(connection, run_id, Paused())
        self._tell(run_id, attempt, supervisor.PAUSE)

    def resume(self, run_id: int) -> None:
        """Let a paused job go on; start one that was interrupted again, where it can go on."""
        with self.database.writing() as connection:
            state, attempt = stored_state(connection, run_id)
            if isinstance(state, Paused):
                change(connection, run_id, Running())
            elif not state.over:
                raise JobError(f"Job {run_id} is {state.name}: there is nothing to resume.")
        if isinstance(state, Paused):
            self._tell(run_id, attempt, supervisor.RUN)
            return
        job = self.job(run_id)
        if not isinstance(state, Succeeded) and not kind_named(job.kind).resumable:
            raise JobError(
                f"A {job.kind} job cannot go on where it ended.", "Retry it: it begins from the start."
            )
        self.retry(run_id)

    def retry(self, run_id: int) -> None:
        """Queue a job that did not succeed again, in its place, with what was skipped for its sake.

        It keeps its id, folder and log. A kind that is resumable goes on where it ended, if it has not
        discarded that; else what an earlier attempt told is set aside, and its figures are forgotten.
        """
        folder = self.folder(run_id)
        with self.database.writing() as connection:
            state, attempt = stored_state(connection, run_id)
            if isinstance(state, Succeeded):
                raise JobError(f"Job {run_id} has succeeded.", "Run it anew, as a job of its own.")
            if not state.over:
                raise JobError(f"Job {run_id} is {state.name}: it has not ended.")
            discarded = _cancel_of(connection, run_id) == "discard"
            kind = KINDS.get(_kind_of(connection, run_id))
            afresh = discarded or (kind is not None and not kind.resumable)
            try:
                folder.spec()
                if discarded:
                    folder.discard()
                if afresh:
                    folder.set_events_aside(attempt)
                attempt += 0 if isinstance(state, Skipped) else 1
                folder.ask(attempt, supervisor.RUN)
            except (OSError, ValueError) as error:
                raise JobError(
                    f"The folder of job {run_id} cannot be used: {error}.",
                    "Run it anew, as a job of its own.",
                ) from error
            if afresh:
                forget(connection, run_id)
            _requeue(connection, run_id, attempt)

    def again(self, run_id: int) -> int:
        """Queue a new job like this one and return its id."""
        return self.add(self.spec(run_id), retry_of=run_id)

    def prioritise(self, run_id: int, priority: int) -> None:
        """Give a job that waits another priority."""
        refuse_huge(priority)
        with self.database.writing() as connection:
            state, _ = stored_state(connection, run_id)
            if not isinstance(state, Queued):
                raise JobError(f"Job {run_id} is {state.name}: only jobs that wait have an order.")
            connection.execute(update(JobRow).where(col(JobRow.run_id) == run_id).values(priority=priority))

    def limit_group(self, name: str, at_once: int) -> None:
        """Say how many jobs of a group may run at once; 0 holds the group."""
        if at_once < 0:
            raise JobError("A group's limit is 0 or more.")
        refuse_huge(at_once)
        refuse_nameless(name)
        refuse_secrets(name)
        with self.database.writing() as connection:
            new = insert_or(JobGroupRow).values(name=name, at_once=at_once)
            connection.execute(new.on_conflict_do_update(set_={"at_once": at_once}))

    def _tell(self, run_id: int, attempt: int, what: str) -> None:
        with suppress(OSError):
            self.folder(run_id).ask(attempt, what)


def kept_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a job keeps of the environment, without what a secret is a part of."""
    secrets = secrets_of(dict(environment)).values()
    kept = {name: environment[name] for name in _KEPT_VARIABLES if name in environment}
    return {name: value for name, value in kept.items() if not any(secret in value for secret in secrets)}


def _cancel_of(connection: Connection, run_id: int) -> str | None:
    found = select(col(JobRow.cancel)).where(col(JobRow.run_id) == run_id)
    return connection.execute(found).scalar_one()


def _kind_of(connection: Connection, run_id: int) -> str:
    return connection.execute(select(col(RunRow.kind)).where(col(RunRow.id) == run_id)).scalar_one()


def _requeue(connection: Connection, run_id: int, attempt: int) -> None:
    """Queue a job again, and those that were skipped because they need it."""
    left = [run_id]
    while left:
        each = left.pop()
        state, its_attempt = stored_state(connection, each)
        if isinstance(state, Queued):
            continue  # by another of its needs, it is back already
        anew = {"attempt": attempt if each == run_id else its_attempt, "cancel": None, "reason": ""}
        change(connection, each, Queued(), run={"started_at": None, "ended_at": None}, job=anew)
        forget_progress(connection, each)
        left += connection.execute(_SKIPPED_FOR, {"run": each}).scalars().all()


def _with_words(query: Any, words: Sequence[str]) -> Any:
    for word in words:
        folded = store_text(word.casefold())
        found = [
            func.contains_folded(type_coerce(col(column), Text), folded)
            for column in (RunRow.name, RunRow.kind, RunRow.status, JobRow.group_name)
        ]
        query = query.where(or_(cast(col(RunRow.id), Text) == folded, *found))
    return query


SKIPPED_FOR_ANOTHER = "It needs job "
"""How the reason begins of a job that was skipped because another did not succeed."""

_SKIPPED_FOR = text(f"""
    SELECT job.run_id FROM job_need JOIN job USING (run_id) JOIN run ON run.id = job.run_id
    WHERE job_need.needs_id = :run AND run.status = 'skipped' AND job.reason LIKE '{SKIPPED_FOR_ANOTHER}%'
""")  # noqa: S608

_GROUPS = text("""
    SELECT name, coalesce(max(at_once), :at_once), sum(queued), sum(active) FROM (
        SELECT name, at_once, 0 AS queued, 0 AS active FROM job_group
        UNION ALL
        SELECT job.group_name, NULL, run.status = 'queued', run.status <> 'queued'
        FROM run JOIN job ON job.run_id = run.id
        WHERE run.status IN ('queued', 'starting', 'running', 'paused', 'cancelling')
    ) GROUP BY name ORDER BY name
""")

_PACES = text("""
    SELECT run.params, job.done / ((julianday(run.ended_at) - julianday(run.started_at)) * 86400) AS pace
    FROM run JOIN job ON job.run_id = run.id
    WHERE run.kind = :kind AND run.status = 'succeeded' AND job.attempt = 1 AND job.done > 0
    AND run.ended_at > run.started_at
    ORDER BY run.id DESC LIMIT 50
""")

_NEXT_ID = text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'run'")
