"""The leaderboard in the experiments pane: rows, sorting, tasks, and the way to a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.screens.experiments import ExperimentsScreen
from app.screens.leaderboard import LeaderboardScreen
from app.themes import THEMES
from app.widgets.columns import Column, cell
from engine.evaluation.leaderboard import Board
from engine.tracker import open_tracker
from engine.tracker.run_records import Origin, Result
from tests.app.hostile import HOSTILE
from tests.app.test_experiments import SMALL, WIDE, experiments, sees
from tests.app.test_probe import shown, until
from tests.engine.test_leaderboard import evaluated, figures


@pytest.fixture
def ids(tmp_path: Path) -> list[int]:
    """A whole evaluation and a sample, of models with hostile names, beside the paper's rows."""
    evil = "".join(HOSTILE.values())
    with open_tracker(tmp_path / "wizard.db") as tracker:
        return [
            evaluated(tracker.runs, figures(Board.PROMPT, 80.0), model=f"fake:{evil}"),
            evaluated(tracker.runs, [Result("f1 ToxicChat", 61.5, 90, 50, 70)], limit=90),
        ]


@asynccontextmanager
async def leaderboard(
    tmp_path: Path, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[Pilot[None], LeaderboardScreen]]:
    async with experiments(tmp_path, size) as (pilot, _):
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeaderboardScreen))
        screen = pilot.app.screen
        assert isinstance(screen, LeaderboardScreen)
        await until(pilot, lambda: screen.table.row is not None)
        yield pilot, screen


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_measured_rows_stand_beside_the_papers_and_say_so(
    tmp_path: Path, ids: list[int], size: tuple[int, int]
) -> None:
    async with leaderboard(tmp_path, size) as (pilot, screen):
        text = shown(screen)
        assert "\x1b" not in text
        assert all(len(line) <= size[0] for line in text.split("\n"))
        assert {row.origin for row in screen.rows} == {Origin.MEASURED, Origin.PAPER}
        for head in ("Toxic", "HarmB R", "OpenAI", "Aegis", "SST R", "WildG"):
            assert head in text.split("\n")[1]
        assert "paper: published, not reproduced here" in text
        assert "recall, computed from" in text
        place = next(index for index, row in enumerate(screen.rows) if row.run_id == ids[0])
        screen.table.choose(place)
        await sees(pilot, "measured by this program", "80.00 [78.00, 82.00]   n=239  recall")


async def test_of_names_that_are_cut_the_end_is_seen(tmp_path: Path, ids: list[int]) -> None:
    async with leaderboard(tmp_path, SMALL) as (pilot, _):
        await sees(pilot, "Guar…r 8B", "Guar…r 3B", "Guar…r 1B")


@pytest.mark.parametrize("width", range(1, 14))
def test_the_ends_of_a_cell_fill_it_exactly(width: int) -> None:
    for name in ("GuardReasoner 8B", "護衛モデル八", "e\u0301" * 20):
        column: Column[str] = Column("name", "Name", 8, str, ends=True)
        assert cell(column, name, width).cell_length == width


async def test_rows_are_sorted_by_keys_and_by_clicks_on_the_titles(tmp_path: Path, ids: list[int]) -> None:
    async with leaderboard(tmp_path) as (pilot, screen):
        assert screen.table.row is not None
        assert screen.table.row.name == "GuardReasoner 8B"
        await pilot.press("r")
        await until(pilot, lambda: screen.rows[0].name == "ShieldGemma 2B")
        head = shown(screen).split("\n")[1]
        await pilot.click(screen.table, offset=(head.index("Toxic"), 0))
        await until(pilot, lambda: screen.sort == ("ToxicChat", True))
        assert screen.rows[0].name == "ours" or screen.rows[0].figures["ToxicChat"].value == 80.0
        await pilot.click(screen.table, offset=(head.index("Toxic"), 0))
        await until(pilot, lambda: screen.rows[0].name == "ShieldGemma 2B")
        await pilot.press("s")
        await sees(pilot, "Sort by", "number of the run")
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.sort[0] == "HarmBenchPrompt")


async def test_the_tasks_follow_one_another(tmp_path: Path, ids: list[int]) -> None:
    async with leaderboard(tmp_path) as (pilot, screen):
        seen = []
        for _ in Board:
            seen.append((screen.board.value, len(screen.rows)))
            former = screen.read
            await pilot.press("t")
            await until(pilot, lambda former=former: screen.read is not former)  # type: ignore[misc]
            await until(pilot, lambda: screen.table.count == len(screen.rows))
        assert seen == [("prompt", 23), ("response", 25), ("refusal", 20)]
        assert screen.board is Board.PROMPT


async def test_enter_leads_to_the_run_and_escape_back(tmp_path: Path, ids: list[int]) -> None:
    async with leaderboard(tmp_path) as (pilot, screen):
        place = next(index for index, row in enumerate(screen.rows) if row.run_id == ids[1])
        screen.table.choose(place)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        runs = pilot.app.screen
        assert isinstance(runs, ExperimentsScreen)
        await until(pilot, lambda: runs.table.row is not None and runs.table.row.id == ids[1])
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, LeaderboardScreen))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is runs)


async def test_a_run_that_ends_meanwhile_appears_and_the_chosen_row_stays(
    tmp_path: Path, ids: list[int]
) -> None:
    async with leaderboard(tmp_path) as (pilot, screen):
        screen.table.choose(3)
        assert screen.table.row is not None
        chosen = screen.table.row.run_id
        with open_tracker(tmp_path / "wizard.db") as tracker:
            evaluated(tracker.runs, figures(Board.PROMPT, 99.0), level="high")
        await until(pilot, lambda: screen.table.count == 24)
        assert screen.table.row is not None
        assert screen.table.row.run_id == chosen
        assert screen.rows[0].origin is Origin.MEASURED


async def test_the_table_is_copied_and_its_runs_exported(
    tmp_path: Path, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leaderboard(tmp_path) as (pilot, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await pilot.press("Y")
        await sees(pilot, "copied as Markdown")
        assert copied[0].startswith("| Guard | Origin | ToxicChat F1 |")
        await pilot.press("e")
        await sees(pilot, "the 23 runs of the rows")


async def test_every_theme_draws_it(tmp_path: Path, ids: list[int]) -> None:
    async with leaderboard(tmp_path, SMALL) as (pilot, screen):
        for _ in THEMES:
            await pilot.press("f8")
            await pilot.pause()
            assert "paper" in shown(screen)
