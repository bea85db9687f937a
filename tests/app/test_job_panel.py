"""One job in full: its log, what it has told, its details and its curve."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.app.test_jobs_pane import LONG, SMALL, WIDE, choose, jobs_pane, sees
from tests.app.test_probe import shown, until
from tests.engine.jobs.conftest import Workshop

TELLING = """
import json, os, time
file = open(os.environ["WIZARD101_EVENTS"], "a", buffering=1)
def tell(**event):
    print(json.dumps(event), file=file)
for step in range(10_000):
    tell(event="progress", done=step % 100, total=100, unit="steps", at_ms=step * 50.0)
    tell(event="metric", name="loss", value=1 / (step + 1), step=step)
    tell(event="metric", name="rate", value=float(VALUE), step=step)
    if step % 5 == 0:
        tell(event="log", message=f"told step {step}", at_ms=step * 50.0)
        print("printed step", step, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_progress_log_told_and_curve_are_live(workshop: Workshop, size: tuple[int, int]) -> None:
    job_id = workshop.python(TELLING.replace("VALUE", "step"), name="training")
    async with jobs_pane(workshop, size) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await sees(pilot, "▶ running", " %", "/s", "left")
        await pilot.press("l")
        await sees(pilot, "[Log]", "printed step 10", "following")
        await pilot.press("t")
        await sees(pilot, "[Told]", "told step 10")
        before = shown(screen)
        await until(pilot, lambda: shown(screen) != before, LONG)
        if size == SMALL:
            await pilot.press("c")
            await sees(pilot, "[Curve]")
        await sees(pilot, "loss  0.")
        await pilot.press("m")
        await until(pilot, lambda: screen.panel.view and screen.panel.view.run.metric == "rate", LONG)
        await pilot.press("d")
        await sees(pilot, "[Details]", "group", "default")
        await pilot.press("escape")
        assert screen.table.has_focus
        await until(pilot, lambda: screen.line and (screen.line.job.done or 0) > 20, LONG)
        workshop.jobs.cancel(job_id)
        await sees(pilot, "■ cancelled")


def tell(workshop: Workshop, job_id: int, numbers: range) -> None:
    """Have a job told that many things, all at once."""
    with workshop.tracker.database.writing() as connection:
        for number in numbers:
            body = json.dumps({"event": "log", "level": "info", "message": f"told {number:05d}"})
            connection.exec_driver_sql(
                "INSERT INTO run_event (run_id, seq, at_ms, body) VALUES (?, ?, 0, ?)",
                (job_id, 1000 + 2 * number, body),
            )


@pytest.mark.parametrize("in_sight", [True, False])
async def test_of_what_is_told_in_a_flood_the_last_is_kept_and_gaps_are_said(
    workshop: Workshop, in_sight: bool
) -> None:
    job_id = workshop.shell("true")
    workshop.until(job_id)
    tell(workshop, job_id, range(100))
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        if in_sight:
            await pilot.press("t")

        async def told(last: int) -> list[str]:
            view = screen.panel.told
            await until(
                pilot, lambda: view._paragraphs and view._paragraphs[-1].plain.endswith(f"{last:05d}"), LONG
            )
            return [paragraph.plain.strip() for paragraph in view._paragraphs]

        gap = f"… more was told here: wizard101 jobs logs {job_id} --events"
        assert gap not in await told(99)
        tell(workshop, job_id, range(100, 400))
        screen.look_anew()
        assert gap not in await told(399)
        tell(workshop, job_id, range(400, 701))
        screen.look_anew()
        lines = await told(700)
        assert lines[lines.index("told 00399") :][:3] == ["told 00399", gap, "told 00401"]
        for first in range(1_000, 5_800, 600):
            tell(workshop, job_id, range(first, first + 600))
            screen.look_anew()
            lines = await told(first + 599)
        assert len(lines) == 2_001
        assert lines[0] == gap
        if not in_sight:
            await pilot.press("t")
        await sees(pilot, "told 05799")
        await pilot.press("home")
        await sees(pilot, gap)


async def test_a_long_past_is_said_to_be_left_out(workshop: Workshop) -> None:
    job_id = workshop.shell("true")
    workshop.until(job_id)
    tell(workshop, job_id, range(1_000))
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await pilot.press("t")
        await sees(pilot, "told 00999")
        await pilot.press("home")
        await sees(pilot, f"… more was told here: wizard101 jobs logs {job_id} --events", "told 00700")


async def test_the_views_go_round_and_take_the_keys(workshop: Workshop) -> None:
    job_id = workshop.shell("sh", "-c", "seq 1 500")
    workshop.until(job_id)
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        await choose(pilot, screen, job_id)
        for part in ("log", "told", "details", "curve", "queue"):
            await pilot.press("tab")
            assert screen.part == part
        await pilot.press("shift+tab", "shift+tab")
        assert screen.part == "details"
        await pilot.press("enter")
        await sees(pilot, "500", "its end")
        await pilot.press("home")
        await sees(pilot, "1\n", "2\n", "%")
        await pilot.press("f")
        await sees(pilot, "500", "its end")
        await pilot.resize_terminal(*WIDE)
        await sees(pilot, "How it stands", "500")
        await pilot.press("z")
        await until(pilot, lambda: "How it stands" not in shown(screen))
        await pilot.press("escape")
        await sees(pilot, "How it stands")


async def test_the_log_has_the_keys_where_enlarging_shows_it(workshop: Workshop) -> None:
    job_id = workshop.shell("seq", "1", "500")
    workshop.until(job_id)
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await pilot.press("c")
        await sees(pilot, "[Curve]")
        await pilot.resize_terminal(*WIDE)
        await sees(pilot, "[Log]", "500")
        await pilot.press("pageup")
        await sees(pilot, "% of")
        assert screen.panel.output.has_focus


async def test_details_go_on_while_a_job_reports_nothing(workshop: Workshop) -> None:
    job_id = workshop.shell("sleep", "60")
    workshop.until(job_id, "running")
    async with jobs_pane(workshop, SMALL) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await pilot.press("d")

        def took() -> str:
            return next((line for line in shown(screen).split("\n") if line.strip().startswith("took")), "")

        await until(pilot, took, LONG)
        before = took()
        await until(pilot, lambda: took() not in ("", before))
        screen.panel.details.scroll_to(y=2, animate=False)
        await pilot.pause(1.2)
        assert screen.panel.details.scroll_y == 2


async def test_warnings_stalled_diverged_and_skipped_lines(workshop: Workshop) -> None:
    job_id = workshop.python(TELLING.replace("VALUE", "'nan'").replace("10_000", "3") + "\ntime.sleep(60)")
    workshop.until(job_id, "running")
    with workshop.jobs.folder(job_id).events.open("ab") as file:
        file.write(b"this is no event\n")
    async with jobs_pane(workshop) as (pilot, screen):
        await choose(pilot, screen, job_id)
        await sees(pilot, "! rate is not a number", "! 1 lines of its event file are no events")
        old = time.time() - 150
        with workshop.tracker.database.writing() as connection:
            began = datetime.now(UTC) - timedelta(seconds=200)
            connection.exec_driver_sql(
                "UPDATE run SET started_at = ? WHERE id = ?",
                (began.replace(tzinfo=None).isoformat(" "), job_id),
            )
        for path in (workshop.jobs.folder(job_id).events, workshop.jobs.folder(job_id).output):
            if path.exists():
                os.utime(path, (old, old))
        await sees(pilot, "! stalled for 2 min: no event, no output")
