"""How jobs read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.job_words import JobLine, standing
from engine.jobs.records import JobSummary
from engine.jobs.states import (
    Cancelling,
    Failed,
    JobState,
    Killed,
    Lost,
    Paused,
    Queued,
    Running,
    Skipped,
    Starting,
    Succeeded,
)
from tests.app.hostile import HOSTILE

STATES: tuple[JobState, ...] = (
    Queued(),
    Starting(),
    Running(),
    Paused(),
    Cancelling(keep=True),
    Cancelling(keep=False),
    Succeeded(),
    Failed(3),
    Killed(9),
    Lost(),
    Skipped("It needs job 1, which is failed."),
)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("done", [None, 0, 50, 200])
def test_how_a_job_stands_is_told_whatever_is_known_of_it(state: JobState, done: int | None) -> None:
    now = datetime.now(UTC)
    for total, rate, text in ((None, None, ""), (100, 0.001, "x"), (100, 12.3, HOSTILE["bidi_override"])):
        job = JobSummary(
            id=1,
            name=text,
            kind=text,
            state=state,
            experiment=text,
            group=text,
            priority=0,
            accelerators=1,
            attempt=1,
            needs=(),
            created_at=now,
            started_at=now if state.active else None,
            ended_at=now if state.over else None,
            phase=text,
            done=done,
            total=total,
            unit=text,
            rate=rate,
            cost_usd=None,
            cancel=None,
            reason=text,
            skipped_lines=0,
            retry_of=None,
        )
        for roomy in (False, True):
            told = standing(JobLine(job, "It waits.", ("odd",)), 8, now, roomy=roomy).plain
            assert told.isprintable()
            assert "! odd" in told
