"""A matrix run in the experiments pane: its cells, their figures, and the way to their runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from app.screens.experiments import ExperimentsScreen
from app.screens.export import ExportScreen
from app.screens.matrix import FIGURES, MatrixScreen
from app.themes import THEMES
from app.widgets.matrix_grid import MatrixGrid
from engine.jobs.matrix import MATRIX
from engine.jobs.matrix_export import matrix_json
from engine.jobs.matrix_table import BenchmarkTable, Cell, Difference, Figure, MatrixTable
from engine.tracker import open_tracker
from engine.tracker.run_records import NewRun, Result
from tests.app.hostile import HOSTILE
from tests.app.test_experiments import SMALL, WIDE, experiments, sees
from tests.app.test_probe import shown, until

SETS = ["minimal", "standard", "verbose"]
MODELS = ["gguf:/models/SmolLM2-135M-Instruct.Q4_1.gguf", "ollama:gpt-oss-safeguard:20b"]
SIZES = pytest.mark.parametrize("size", [SMALL, WIDE])


def around(value: float, n: int = 450) -> Figure:
    return Figure(value, n, max(value - 4.25, 0.0), min(value + 4.25, 100.0))


def measured(runs: dict[tuple[str, str], int], models: list[str] = MODELS) -> MatrixTable:
    """Return a table in which every figure of a cell tells its place."""
    cells, differences = [], []
    for place, ((name, model), run) in enumerate(runs.items()):
        figures = [around(40.0 + 7 * place + part / 8) for part in range(6)]
        cells.append(Cell(name, model, run, 450, 200, 450, 3210.5 + place, *figures))
        if name != "standard":
            against = runs["standard", model]
            differences.append(
                Difference(name, model, run, against, 450, -3.25, -6.5, 0.25, 31, 18, 0.0852, 0.341)
            )
    table = BenchmarkTable("XSTest", "prompt", "f1", cells, differences)
    return MatrixTable(SETS, models, [table, BenchmarkTable("ToxicChat", "prompt", "f1", cells[:2], [])])


def lay_matrix(
    folder: Path, models: list[str] = MODELS, notes: Sequence[str] = ()
) -> tuple[int, dict[tuple[str, str], int]]:
    """Add the runs of a matrix, and what it has made; return its id and those of the evaluations."""
    with open_tracker(folder / "wizard.db") as tracker:
        runs = {
            (name, model): tracker.runs.add(NewRun(f"{name} by {model}", "evaluate", "succeeded"))
            for name in SETS
            for model in models
        }
        results = [Result("F1 minimal", 40.0, 450, 36.0, 44.0)]
        run_id = tracker.runs.add(NewRun("XSTest: 3 sets", "matrix", "succeeded", results=results))
    path = folder / "runs" / str(run_id)
    path.mkdir(parents=True)
    table = msgspec.structs.replace(measured(runs, models), notes=list(notes))
    (path / MATRIX).write_text(matrix_json(table))
    return run_id, runs


@asynccontextmanager
async def matrix(
    folder: Path, size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[Pilot[None], MatrixScreen]]:
    async with experiments(folder, size) as (pilot, _):
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        screen = pilot.app.screen
        assert isinstance(screen, MatrixScreen)
        await until(pilot, lambda: screen.cell is not None and screen.facts.size.height > 2)
        yield pilot, screen


@SIZES
async def test_sets_stand_by_models_and_the_chosen_cell_is_told_in_full(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    _, runs = lay_matrix(tmp_path)
    async with matrix(tmp_path, size) as (pilot, screen):
        await sees(pilot, "XSTest", "minimal", "standard", "verbose", "safeguard:20b", "▸40.25")
        lines = shown(screen).split("\n")
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert "▸40.25 [36.00, 44.50]" in shown(screen)
        await pilot.press("down", "down", "right")
        await sees(pilot, "verbose · ollama:gpt-oss-safeguard:20b", f"run {runs['verbose', MODELS[1]]}")
        await sees(
            pilot, "75.25 [71.00, 79.50]     n=450", "3,215.5", "-3.25 [-6.50, +0.25]", "p=0.0852, Holm 0.341"
        )
        await sees(pilot, "standard 31, this set 18", "├", "●")


async def test_the_figures_follow_one_another(tmp_path: Path) -> None:
    lay_matrix(tmp_path)
    async with matrix(tmp_path) as (pilot, screen):
        seen = []
        for _ in FIGURES:
            seen.append(shown(screen).split("\n")[2])
            await pilot.press("m")
            await pilot.pause()
        assert len(set(seen)) == len(FIGURES)
        assert "▸-3.25 [-6.50, +0.25]" in seen[1]
        assert "▸3,210.5" in seen[-1]
        assert screen.shown == FIGURES[0]
        await pilot.press("M")
        assert screen.shown == FIGURES[-1]


async def test_another_benchmark_may_lack_cells(tmp_path: Path) -> None:
    lay_matrix(tmp_path)
    async with matrix(tmp_path) as (pilot, screen):
        await pilot.press("t", "down")
        await sees(pilot, "ToxicChat", "nothing was measured")
        assert screen.cell is None
        await pilot.press("enter")
        await sees(pilot, "Nothing was measured there.")
        assert isinstance(pilot.app.screen, MatrixScreen)


async def test_enter_leads_to_the_cells_run_and_escape_back(tmp_path: Path) -> None:
    _, runs = lay_matrix(tmp_path)
    async with matrix(tmp_path) as (pilot, _):
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        pane = pilot.app.screen
        assert isinstance(pane, ExperimentsScreen)
        await until(pilot, lambda: pane.table.row and pane.table.row.id == runs["minimal", MODELS[1]])
        await pilot.press("x")
        await sees(pilot, "That is for finished runs of the kind matrix")
    async with matrix(tmp_path) as (pilot, _):
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))


async def test_cells_are_chosen_and_opened_by_the_mouse(tmp_path: Path) -> None:
    _, runs = lay_matrix(tmp_path)
    async with matrix(tmp_path) as (pilot, screen):
        line = shown(screen).split("\n")[3]
        place = line.index("61.25") - screen.grid.region.x
        await pilot.click(screen.grid, offset=(place, 2))
        await until(pilot, lambda: screen.cell and screen.cell.run == runs["standard", MODELS[1]])
        await pilot.click(screen.grid, offset=(place, 2))
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))


@SIZES
async def test_many_models_are_scrolled_so_that_the_chosen_one_is_seen(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    models = [f"gguf:/m/model-{number:02}.gguf" for number in range(12)]
    lay_matrix(tmp_path, models)
    async with matrix(tmp_path, size) as (pilot, screen):
        for number in range(12):
            await until(pilot, lambda: f"minimal · gguf:model-{screen.grid.column:02}" in shown(screen))
            assert "▸" in shown(screen).split("\n")[2]
            assert all(len(line) <= size[0] for line in shown(screen).split("\n"))
            assert screen.grid.column == number
            await pilot.press("right")
        await pilot.press("home")
        assert screen.grid.column == 0


async def test_hostile_names_and_notes_do_nothing(tmp_path: Path) -> None:
    evil = "".join(HOSTILE.values())
    lay_matrix(tmp_path, [MODELS[0], f"fake:{evil}"], notes=[f"about {evil}"])
    async with matrix(tmp_path, SMALL) as (pilot, screen):
        await pilot.press("right")
        await sees(pilot, "! about ")
        assert "\x1b" not in shown(screen)


async def test_the_table_is_copied_and_its_runs_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_matrix(tmp_path)
    async with matrix(tmp_path) as (pilot, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await pilot.press("Y")
        await sees(pilot, "copied as Markdown")
        assert "| minimal | 40.25 \\[36.00, 44.50\\] | 47.25" in copied[0]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExportScreen))
        await sees(pilot, "the matrix and its 6 evaluations")


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
async def test_a_file_that_is_gone_or_damaged_is_told(tmp_path: Path, content: bytes | None) -> None:
    run_id, _ = lay_matrix(tmp_path)
    path = tmp_path / "runs" / str(run_id) / MATRIX
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    async with experiments(tmp_path) as (pilot, _):
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        await sees(pilot, "does not hold a matrix" if content else "cannot be read")
        await pilot.press("Y")
        await sees(pilot, "There is no table yet.")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))


async def test_every_theme_draws_it(tmp_path: Path) -> None:
    lay_matrix(tmp_path)
    async with matrix(tmp_path, SMALL) as (pilot, screen):
        for _ in THEMES:
            await pilot.press("f8")
            await pilot.pause()
            assert "40.25" in shown(screen)


def test_a_grid_of_nothing_stands_still() -> None:
    grid = MatrixGrid("set")
    grid.show([], [], [])
    grid.choose(3, 3)
    assert (grid.row, grid.column) == (0, 0)
