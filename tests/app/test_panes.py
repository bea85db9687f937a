"""Going from pane to pane: by key, tab and palette; what runs goes on, what was typed and chosen stays."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual._xterm_parser import XTermParser
from textual.command import CommandPalette
from textual.events import Key

from app.panes import PANES
from app.records import Records
from app.screens.experiments import ExperimentsScreen
from app.screens.probe import ProbeScreen
from app.terminal import InputDecoder
from app.widgets.bars import top_line
from engine.cases import Case
from engine.tracker import TrackerError, open_tracker
from tests.app.scripted import ScriptedGuard
from tests.app.test_probe import opened, shown, until
from tests.engine.tracking import judged


@pytest.mark.parametrize("key", ["alt+4", "f9"])
async def test_a_key_goes_to_another_pane_and_typing_and_focus_are_kept(tmp_path: Path, key: str) -> None:
    async with opened(tmp_path) as (pilot, probe):
        await pilot.press(*"step 1 of 3")
        assert probe.prompt.value == "step 1 of 3"
        await pilot.press(key)
        if key == "f9":
            await pilot.press(*["f9"] * (len(PANES) - 2))
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        await pilot.press("1")
        await until(pilot, lambda: pilot.app.screen is probe)
        assert probe.prompt.has_focus
        await pilot.press("!")
        assert probe.prompt.value == "step 1 of 3!"


async def test_f9_comes_round_to_the_first_pane(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, probe):
        seen = []
        for _ in PANES:
            await pilot.press("f9")
            seen.append(pilot.app.current_mode)
        assert seen == [pane.name for pane in (*PANES[1:], PANES[0])]
        assert pilot.app.screen is probe


async def test_a_probe_goes_on_while_another_pane_is_shown(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard(pause=0.02)) as (pilot, probe):
        probe.prompt.value = "x"
        await pilot.press("enter", "alt+4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        assert probe.judging is not None
        await until(pilot, lambda: probe.judgement.verdict is not None)
        await pilot.press("alt+1")
        await until(pilot, lambda: "✖ BLOCK" in shown(pilot.app.screen))
        await until(pilot, lambda: "saved #1" in shown(pilot.app.screen))


async def test_a_tab_is_clicked(tmp_path: Path) -> None:
    async with opened(tmp_path, size=(80, 24)) as (pilot, probe):
        await pilot.pause()
        top = shown(probe).split("\n")[0]
        await pilot.click(probe.top, offset=(top.index("4 Experiments") + 3, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        assert "[4 Experiments]" in shown(pilot.app.screen)


async def test_the_palette_has_the_actions_of_the_screen_in_front(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, _):
        await pilot.press("alt+4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"go to p")
        await until(pilot, lambda: "Go to Probe" in shown(pilot.app.screen))
        assert "Judge the case" not in shown(pilot.app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ProbeScreen))


def test_the_first_line_fits_a_small_terminal_and_keeps_every_tab() -> None:
    settings = (
        ("guard", "gauntlet", "next_guard"),
        ("level", "medium", "next_level"),
        ("model", "ollama:a-family/a-model-with-a-long-name:20b-q4", "choose_model"),
    )
    for width in range(60, 200):
        for chosen in (settings, settings[:2], ()):
            line = top_line("probe", chosen, width)
            assert line.cell_length <= width
            assert all(pane.title in line.plain for pane in PANES)
            assert "gauntlet" in line.plain or not chosen
            assert line.plain.count("[") == 1
    assert "no model" in top_line("probe", (*settings[:2], ("model", "no model", "choose_model")), 78).plain


@pytest.mark.parametrize(
    ("sent", "name"),
    [("\x1b1", "alt+1"), ("\x1b3", "alt+3"), ("\x1b[51;3u", "alt+3"), ("\x1bn", "alt+n")],
)
def test_alt_and_a_letter_is_a_key_and_no_text(sent: str, name: str) -> None:
    decoder = InputDecoder(XTermParser())
    keys = [*decoder.feed(sent.encode())]
    deadline = time.monotonic() + 5
    while not keys and time.monotonic() < deadline:
        time.sleep(decoder.wait_s)
        keys += decoder.tick()
    (key,) = keys
    assert isinstance(key, Key)
    assert key.key == name
    assert not key.is_printable


def test_a_pane_is_imported_when_it_is_first_shown() -> None:
    script = (
        "import sys, app.wizard, app.screens.probe\n"
        "print([name for name in sys.modules if name.startswith(('app.screens.e', 'app.screens.j'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def move_away(folder: Path) -> None:
    for path in folder.glob("wizard.db*"):
        path.rename(path.with_name("moved-" + path.name))


async def test_records_are_reopened_when_the_file_is_replaced(tmp_path: Path) -> None:
    db = tmp_path / "wizard.db"
    case = Case("x")
    records = Records(db)
    try:
        await records.save(case, judged(case), ())
        first = await records.version()
        assert await records.version() == first
        with open_tracker(db) as other:
            other.save_probe(case, judged(case))
        second = await records.version()
        assert second != first
        assert len(await records.page(None, 10, "")) == 2
        move_away(tmp_path)
        assert await records.version() != second
        assert await records.page(None, 10, "") == []
    finally:
        records.close()


async def test_records_recover_once_the_database_is_fine_again(tmp_path: Path) -> None:
    db = tmp_path / "other.db"
    db.write_bytes(b"not a database" * 500)
    records = Records(db)
    try:
        for ask in (records.version(), records.page(None, 10, "")):
            with pytest.raises(TrackerError, match="damaged or is not a database"):
                await ask
        db.unlink()
        assert await records.page(None, 10, "") == []
        assert await records.ask(lambda store: store.read_only) is None
    finally:
        records.close()
