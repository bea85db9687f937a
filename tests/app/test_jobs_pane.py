"""The jobs pane over a real queue with real jobs: what it shows, what its keys do, and what it never does."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from app.screens.compare import CompareScreen
from app.screens.confirm import ConfirmScreen
from app.screens.experiments import ExperimentsScreen
from app.screens.groups import GroupsScreen
from app.screens.jobs import JobsScreen
from app.screens.new_job import NewJobScreen
from engine.jobs import scheduler
from engine.jobs.records import JobSpec
from tests.app.hostile import HOSTILE
from tests.app.test_probe import opened, shown, until
from tests.engine.jobs.conftest import Workshop

WIDE, SMALL = (160, 48), (80, 24)
LONG = 30.0


@asynccontextmanager
async def jobs_pane(
    workshop: Workshop, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[Pilot[None], JobsScreen]]:
    """Open the pane and wait until it has looked once."""
    async with opened(workshop.folder, size=size) as (pilot, _):
        await pilot.press("alt+3")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobsScreen), LONG)
        screen = pilot.app.screen
        assert isinstance(screen, JobsScreen)
        await until(pilot, lambda: screen._attended and screen.table._opened, LONG)
        yield pilot, screen


async def sees(pilot: Pilot[None], *texts: str) -> None:
    await until(pilot, lambda: all(text in shown(pilot.app.screen) for text in texts), LONG)


async def choose(pilot: Pilot[None], screen: JobsScreen, job_id: int) -> None:
    """Choose a job once it is listed."""
    await until(pilot, lambda: screen.board.line(job_id), LONG)
    screen.choose_job(job_id)
    await until(pilot, lambda: screen.line and screen.line.job.id == job_id, LONG)


async def in_state(pilot: Pilot[None], screen: JobsScreen, job_id: int, *states: str) -> None:
    """Wait until the pane shows a job in one of these states."""

    def there() -> bool:
        line = screen.board.line(job_id)
        return line is not None and line.job.state.name in states

    await until(pilot, there, LONG)


def kill_supervisors(workshop: Workshop) -> None:
    for pid in workshop.processes():
        with suppress(OSError):
            if b"supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_an_empty_queue_says_how_to_begin(workshop: Workshop, size: tuple[int, int]) -> None:
    async with jobs_pane(workshop, size) as (pilot, _):
        await sees(pilot, "No jobs yet. n queues one.", "n New", "under way 0")
        await pilot.press("x")
        await sees(pilot, "There is no job to do that with.")


async def test_the_queue_moves_by_itself(workshop: Workshop) -> None:
    first = workshop.shell("sh", "-c", "for i in one two three; do echo $i; sleep 0.3; done", name="first")
    second = workshop.shell("true", name="second", needs=[first])
    async with jobs_pane(workshop) as (pilot, screen):
        await sees(pilot, f"It needs job {first}")
        await in_state(pilot, screen, second, "succeeded")
        await in_state(pilot, screen, first, "succeeded")
        await sees(pilot, "✔ succeeded", "under way 0", "waiting 0")
        await choose(pilot, screen, first)
        await sees(pilot, "[Log]", "\n one", "\n two", "\n three")


async def test_pause_and_go_on_by_one_key(workshop: Workshop) -> None:
    job_id = workshop.shell("sleep", "60")
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await in_state(pilot, screen, job_id, "running")
        await pilot.press("p")
        await sees(pilot, "‖ paused", "p lets it go on")
        await pilot.press("p")
        await in_state(pilot, screen, job_id, "running")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("escape")
        await pilot.pause(0.3)
        assert workshop.job(job_id).state.name == "running"
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("y")
        await sees(pilot, "■ cancelled", "SIGTERM")
        await pilot.press("p")
        await sees(pilot, "It is over: cancelled (SIGTERM).")


async def test_a_checkpoint_is_kept_or_discarded(workshop: Workshop) -> None:
    """A classify job with a slow model: the cases come from a script that never answers."""
    (workshop.folder / "cases.jsonl").write_text('{"prompt": "hello"}\n' * 200_000)
    spec = JobSpec("classify", {"file": "cases.jsonl"}, str(workshop.folder))
    job_id = workshop.jobs.add(spec)
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        predictions = workshop.jobs.folder(job_id).path / "predictions.jsonl"
        await until(pilot, lambda: predictions.exists() and predictions.stat().st_size > 10_000, LONG)
        await pilot.press("x")
        await sees(pilot, "Keep its checkpoint", "Discard its checkpoint", "No, let it go on")
        await pilot.press("k")
        await in_state(pilot, screen, job_id, "killed", "failed")
        assert predictions.exists()
        await pilot.press("r")
        await in_state(pilot, screen, job_id, "running")
        await pilot.press("x", "d")
        await in_state(pilot, screen, job_id, "killed", "failed")
        assert not predictions.exists()


async def test_retry_anew_priority_and_the_queue_by_key(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    ids = [workshop.shell("sh", "-c", f"exit {number}", name=f"job-{number}") for number in (0, 1)]
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, ids[1])
        await sees(pilot, "Its group default is held.", "held default")
        await pilot.press("plus", "plus")
        await until(pilot, lambda: screen.board.lines[0].job.id == ids[1], LONG)
        await sees(pilot, "default +2")
        await pilot.press("minus")
        await sees(pilot, "default +1")
        await pilot.press("x")
        await sees(pilot, "■ cancelled", "r puts it back")
        await pilot.press("plus")
        await sees(pilot, "Only jobs that wait have an order.")
        await pilot.press("r")
        await in_state(pilot, screen, ids[1], "queued")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(pilot.app.screen, GroupsScreen))
        await sees(pilot, "‖ held")
        await pilot.press("plus", "plus", "minus", "h", "h")
        await until(pilot, lambda: [group.at_once for group in workshop.jobs.groups()] == [1], LONG)
        await pilot.press("escape")
        await sees(pilot, "✖ failed", "exit code 1", "✔ succeeded")
        await pilot.press("a")
        await until(pilot, lambda: screen.line and screen.line.job.retry_of == ids[1], LONG)
        assert screen.line is not None
        new = screen.line.job.id
        await in_state(pilot, screen, new, "failed")
        await choose(pilot, screen, ids[0])
        await pilot.press("r")
        await sees(pilot, "It has succeeded. a runs it anew")


async def test_copying_and_going_to_the_run(workshop: Workshop) -> None:
    job_id = workshop.shell("sh", "-c", "echo 'a b'", name="to copy")
    workshop.until(job_id)
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.clipboard == str(job_id))
        await pilot.press("Y")
        await until(pilot, lambda: pilot.app.clipboard == """sh -c 'echo '"'"'a b'"'"''""", LONG)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen), LONG)
        experiments = pilot.app.screen
        assert isinstance(experiments, ExperimentsScreen)
        await until(pilot, lambda: experiments.table.row and experiments.table.row.id == job_id, LONG)
        await pilot.press("up", "space", "space", "c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen), LONG)
        await pilot.press("alt+3")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("o")
        await until(pilot, lambda: pilot.app.screen is experiments, LONG)
        await until(pilot, lambda: experiments.table.row and experiments.table.row.id == job_id, LONG)


async def test_the_filter_finds_by_words_and_the_choice_stays(workshop: Workshop) -> None:
    ids = [workshop.shell("true", name=name) for name in ("alpha one", "beta two", "alpha two")]
    for job_id in ids:
        workshop.until(job_id)
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, ids[0])
        await pilot.press("slash", *"alpha")
        await until(pilot, lambda: [line.job.id for line in screen.board.lines] == [ids[2], ids[0]], LONG)
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.has_focus)
        assert screen.line is not None
        assert screen.line.job.id == ids[0]
        await pilot.press("slash", *" none", "enter")
        await sees(pilot, "No job matches. esc clears the filter.")
        await pilot.press("escape")
        await until(pilot, lambda: len(screen.board.lines) == 3, LONG)
        await pilot.press("slash", *str(ids[1]))
        await until(pilot, lambda: [line.job.id for line in screen.board.lines] == [ids[1]], LONG)


async def test_the_older_jobs_come_as_one_scrolls(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    first = workshop.shell("true")
    with workshop.tracker.database.writing() as connection:
        for table in ("run", "job"):
            key = "id" if table == "run" else "run_id"
            rows = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {key} = {first}")
            values, names = list(rows.one()), list(rows.keys())
            insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})"
            for number in range(first + 1, first + 1001):
                values[names.index(key)] = number
                if table == "run":
                    values[names.index("status")] = "succeeded"
                connection.exec_driver_sql(insert, tuple(values))
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        assert len(screen.board.lines) == 201
        for _ in range(12):
            await pilot.press("end")
            await pilot.pause(0.3)
        await until(pilot, lambda: len(screen.board.lines) == 1001, LONG)
        await pilot.press("end")
        await until(pilot, lambda: screen.line and screen.line.job.id == first + 1, LONG)


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_a_notification_hides_neither_how_a_job_stands_nor_what_it_would_take(
    workshop: Workshop, size: tuple[int, int]
) -> None:
    workshop.jobs.limit_group("default", 0)
    job_id = workshop.shell("true", name="held")
    async with jobs_pane(workshop, size) as (pilot, screen):
        await choose(pilot, screen, job_id)
        rows = shown(screen).split("\n")
        pilot.app.notify("The number 1000 was copied.")
        await sees(pilot, "The number 1000 was copied.")
        with_it = shown(screen).split("\n")
        assert with_it[2:] == rows[2:]
        assert "was copied" in with_it[1]
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewJobScreen))
        await sees(pilot, "Fill in what is marked to see what it would take.", "was copied", "enter Queue")


async def test_a_lost_job_is_plainly_said_and_retried(workshop: Workshop) -> None:
    job_id = workshop.shell("sleep", "60")
    workshop.until(job_id, "running")
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        kill_supervisors(workshop)
        await sees(
            pilot, "? lost", "its supervisor vanished; nothing of it is left running; press r to retry"
        )
        await pilot.press("r")
        await in_state(pilot, screen, job_id, "running")


async def test_out_of_sight_nothing_is_asked_and_jobs_go_on(workshop: Workshop) -> None:
    job_id = workshop.shell("sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.2; done")
    async with jobs_pane(workshop) as (pilot, screen):
        await until(pilot, lambda: screen.board.line(job_id), LONG)
        await pilot.press("alt+1")
        await until(pilot, lambda: pilot.app.screen is not screen)
        asked = []
        screen.reader.attend = lambda store: asked.append(store)  # type: ignore[method-assign, func-returns-value]
        await pilot.pause(1.5)
        assert not asked
        del screen.reader.attend
        await pilot.press("alt+3")
        await in_state(pilot, screen, job_id, "succeeded")


async def test_two_workbenches_show_the_same_queue_and_closing_one_leaves_its_jobs(
    workshop: Workshop,
) -> None:
    job_id = workshop.shell("sh", "-c", "sleep 3; echo done")
    async with jobs_pane(workshop) as (first, one):
        async with jobs_pane(workshop, SMALL) as (second, two):
            await in_state(second, two, job_id, "running")
            await in_state(first, one, job_id, "running")
        await in_state(first, one, job_id, "succeeded")
    assert workshop.output(job_id) == "done\n"


async def test_a_queue_left_over_goes_on_when_the_workbench_opens(workshop: Workshop) -> None:
    job_id = workshop.jobs.add(JobSpec("shell", {"command": ["true"]}, str(workshop.folder)))
    assert not scheduler.is_running(workshop.tracker.path)
    async with opened(workshop.folder) as (pilot, _):
        await until(pilot, lambda: workshop.jobs.job(job_id).state.over, LONG)


async def test_a_database_that_cannot_be_read_is_told_of_until_it_can(workshop: Workshop) -> None:
    job_id = workshop.shell("true", name="survivor")
    workshop.until(job_id)
    db = workshop.tracker.path
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        connection = sqlite3.connect(db)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        good = db.read_bytes()
        kept = db.with_name("kept.db")
        db.rename(kept)
        for name in ("-wal", "-shm"):
            db.with_name(db.name + name).unlink(missing_ok=True)
        db.mkdir()
        await until(pilot, lambda: screen.trouble.display, LONG)
        assert "survivor" in shown(screen), "what was known stays in sight"
        db.rmdir()
        db.write_bytes(good)
        await until(pilot, lambda: not screen.trouble.display, LONG)
        await sees(pilot, "survivor")


async def test_a_newer_database_is_shown_and_nothing_is_asked_of_it(workshop: Workshop) -> None:
    job_id = workshop.shell("true", name="from the future")
    workshop.until(job_id)
    with workshop.tracker.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    async with jobs_pane(workshop) as (pilot, _):
        await sees(pilot, "from the future", "was written by a newer Wizard101")
        await pilot.press("n")
        await until(pilot, lambda: any("newer" in told.message for told in pilot.app._notifications), LONG)
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_hostile_text_is_shown_not_obeyed(workshop: Workshop) -> None:
    workshop.jobs.limit_group("default", 0)
    texts = [text.replace("\0", "") for text in HOSTILE.values()]
    usable = [text.encode("utf-8", "ignore").decode() for text in texts]
    held = [
        workshop.shell("echo", text, name=text, tags=[text], note=text, group=text) for text in usable[:4]
    ]
    ids = [workshop.shell("printf", "%s", text, name=text) for text in usable]
    workshop.jobs.limit_group("default", 8)
    for job_id in ids:
        workshop.until(job_id)
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        await until(pilot, lambda: len(screen.board.lines) == len(ids) + len(held), LONG)
        for index in range(len(screen.board.lines)):
            screen.table.choose(index)
            for key in ("l", "t", "d"):
                await pilot.press(key)
                drawn = shown(pilot.app.screen)
                assert drawn.replace("\n", "").isprintable(), drawn
        await pilot.press("x")
        await pilot.pause(0.1)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(pilot.app.screen, GroupsScreen))
        await pilot.pause(0.3)
        assert shown(pilot.app.screen).replace("\n", "").isprintable()
    for job_id in held:
        if not workshop.job(job_id).state.over:
            workshop.jobs.cancel(job_id)


async def test_every_verb_is_in_the_palette_and_says_why_it_cannot_be_used(workshop: Workshop) -> None:
    job_id = workshop.shell("true")
    workshop.until(job_id)
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"cancel the job")
        await sees(pilot, "Cancel the job", "It is over already: succeeded.")
