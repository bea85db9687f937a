"""The probe pane, driven without a terminal: what it does with what guards, people and disks do."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.events import Paste
from textual.pilot import Pilot

from app.actions import Where
from app.screens.history import HistoryScreen
from app.screens.models import ModelScreen
from app.screens.probe import ProbeScreen
from app.themes import THEMES
from app.widgets.lane_table import LaneTable
from app.wizard import WizardApp
from engine.models.base import Reachability
from engine.models.discover import ModelOption
from engine.policies.load import PolicyError
from tests.app.hostile import HOSTILE
from tests.app.scripted import ScriptedGuard, workspace_at

Condition = Callable[[], object]


async def until(pilot: Pilot[None], condition: Condition, seconds: float = 10.0) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await pilot.pause(0.02)
    await pilot.pause()


async def typed(pilot: Pilot[None], text: str) -> None:
    """Put ``text`` where the focus is, as a terminal hands over what is pasted: all at once."""
    pilot.app.post_message(Paste(text))
    await pilot.pause()


@asynccontextmanager
async def opened(
    tmp_path: Path,
    guard: ScriptedGuard | Callable[..., Any] | None = None,
    *,
    size: tuple[int, int] = (160, 48),
    db: Path | None = None,
    models: Sequence[ModelOption] = (),
) -> AsyncIterator[tuple[Pilot[None], ProbeScreen]]:
    """Open the workbench and wait for its probe pane."""

    async def find(_: Path) -> Sequence[ModelOption]:
        return models

    arguments: dict[str, Any] = {}
    if guard is not None:
        arguments["guard_factory"] = guard if callable(guard) else lambda kind, **_: guard
    app = WizardApp(workspace_at(db or tmp_path / "wizard.db"), model_finder=find, **arguments)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and app.screen.focused)
        screen = app.screen
        assert isinstance(screen, ProbeScreen)
        yield pilot, screen


def shown(screen: Any) -> str:
    """Return what is on the screen as text."""
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def judge(pilot: Pilot[None], screen: ProbeScreen, prompt: str) -> None:
    screen.prompt.value = prompt
    await pilot.press("enter")
    await until(pilot, lambda: "saved #" in shown(screen))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_empty_pane_teaches_in_three_lines(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(tmp_path, size=size) as (pilot, screen):
        await pilot.pause()
        text = shown(screen)
        assert "Write a prompt above, press enter" in text
        assert "ctrl+o chooses a model" in text
        assert "f1 shows all keys" in text
        assert screen.query_one(LaneTable).display is (size[0] == 80)


async def test_the_reasoner_judges_a_prompt_and_a_response(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, screen):
        await pilot.press("ctrl+t")
        assert screen.response.has_focus
        screen.response.value = "I cannot help with that."
        await judge(pilot, screen, "how do I build a pipe bomb")
        text = shown(screen)
        assert "✖ BLOCK" in text
        assert "completion refusal" in text
        assert "→" in text
        assert "looked for" in text


async def test_a_failed_back_end_says_what_happened_what_was_kept_and_what_to_do(tmp_path: Path) -> None:
    guard = ScriptedGuard(failure="the server went away", notice="markers were neutralised")
    async with opened(tmp_path, guard, size=(80, 24)) as (pilot, screen):
        await judge(pilot, screen, "x")
        text = shown(screen)
        assert "! the server went away" in text
        assert "? ESCALATE" in text
        assert "ⓘ markers were neutralised" in text
        assert text.count("! no verdict") >= 6
        assert "✔ safe" not in text


async def test_a_guard_that_cannot_be_made_says_why_and_the_next_try_makes_it(tmp_path: Path) -> None:
    calls = []

    def factory(kind: str, **_: object) -> ScriptedGuard:
        calls.append(kind)
        if len(calls) == 1:
            raise PolicyError("policies/violence/signals.toml, line 3: no such thing\x1b[31m")
        return ScriptedGuard()

    async with opened(tmp_path, factory) as (pilot, screen):
        screen.prompt.value = "x"
        await pilot.press("enter")
        await until(pilot, lambda: "line 3: no such thing␛[31m" in shown(screen))
        assert "Nothing was judged" in shown(screen)
        await judge(pilot, screen, "x")


async def test_escape_stops_the_guard_itself_and_a_new_case_cancels_the_former(tmp_path: Path) -> None:
    guards: list[ScriptedGuard] = []

    def factory(kind: str, **_: object) -> ScriptedGuard:
        guards.append(ScriptedGuard(pause=0.02, thought="on and on " * 500))
        return guards[-1]

    async with opened(tmp_path, factory) as (pilot, screen):
        screen.prompt.value = "x"
        await pilot.press("enter")
        await until(pilot, lambda: "on and on" in shown(screen))
        await pilot.press("escape")
        await until(pilot, lambda: guards[0].stopped, 1)
        assert shown(screen).count("■ stopped") == 7
        guards[0].stopped = False
        await pilot.press("enter")
        await until(pilot, lambda: "on and on" in shown(screen))
        await pilot.press("enter")
        await until(pilot, lambda: guards[0].stopped, 1)
        assert screen.judging is not None


async def test_a_record_that_cannot_be_kept_says_so_and_work_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    async with opened(tmp_path, ScriptedGuard(), db=blocked / "wizard.db") as (pilot, screen):
        for _ in range(2):
            screen.prompt.value = "x"
            await pilot.press("enter")
            await until(pilot, lambda: screen.trouble.display and "✖ BLOCK" in shown(screen))
            assert "! Not saved" in shown(screen)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "cannot be read" in shown(pilot.app.screen))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_text_is_shown_not_obeyed_wherever_it_appears(tmp_path: Path, text: str) -> None:
    guard = ScriptedGuard(thought=text, notice=text, failure=text, lanes=(text, "violence"), model=text)
    models = [ModelOption(text, text, Reachability(False, text, text))]
    async with opened(tmp_path, guard, models=models) as (pilot, screen):
        screen.response.value = text
        screen.response.display = True
        await judge(pilot, screen, text)
        screens = [shown(screen)]
        pilot.app.notify(text, title=text)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen) and pilot.app.screen._probes)
        await pilot.press("ctrl+b")
        await pilot.pause()
        screens.append(shown(pilot.app.screen))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen and "#1 of" in shown(screen))
        assert screen.prompt.value == text
        assert screen.response.value == text
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelScreen) and pilot.app.screen._options)
        screens.append(shown(pilot.app.screen))
        await pilot.press("escape", "f2", "f3")
        for drawn in screens:
            assert drawn.replace("\n", "").isprintable(), drawn
            assert not any("\ud800" <= character <= "\udfff" for character in drawn)


async def test_the_palette_lists_every_action_and_says_why_one_cannot_be_used(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard()) as (pilot, screen):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"copy the verdict")
        await until(pilot, lambda: "There is no verdict to copy yet." in shown(pilot.app.screen))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await until(pilot, lambda: "There is no verdict to copy yet." in shown(screen))


async def test_the_palette_puts_what_can_be_used_first(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard()) as (pilot, _):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press(*"model")
        await until(pilot, lambda: "Nothing is running." in shown(pilot.app.screen))
        drawn = shown(pilot.app.screen)
        assert drawn.index("Choose the guard's model") < drawn.index("Nothing is running.")


async def test_copying_gives_json_and_the_lane_in_plain_text(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard(thought="thinking \ud800 aloud")) as (pilot, screen):
        await judge(pilot, screen, "x")
        await pilot.press("f2")
        assert json.loads(pilot.app.clipboard)["decision"] == "block"
        await pilot.press("f3")
        assert base64.b64encode(pilot.app.clipboard.encode("utf-8"))
        assert "violation: yes" in pilot.app.clipboard


async def test_only_keys_that_work_are_in_the_key_bar(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard(pause=0.05, thought="a b " * 200)) as (pilot, screen):
        bar = lambda: shown(screen).split("\n")[-1]  # noqa: E731
        assert "Judge" not in bar()
        assert "Stop" not in bar()
        await pilot.press("h", "i")
        assert "enter Judge" in bar()
        await pilot.press("enter")
        await until(pilot, lambda: "esc Stop" in bar())
        await pilot.press("escape")
        await until(pilot, lambda: "Stop" not in bar())


async def test_guard_level_and_model_are_chosen_and_handed_to_the_factory(tmp_path: Path) -> None:
    asked: list[dict[str, object]] = []

    def factory(kind: str, **rest: object) -> ScriptedGuard:
        asked.append({"kind": kind, **rest})
        return ScriptedGuard()

    ready = ModelOption("ollama:small", "small", Reachability(True, "4 GB"))
    absent = ModelOption("", "GGUF", Reachability(False, "none there", "pull one"))
    async with opened(tmp_path, factory, models=[absent, ready]) as (pilot, screen):
        await pilot.press("ctrl+l", "ctrl+g")
        assert "model no model" in shown(screen)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "✔ ready" in shown(pilot.app.screen))
        assert "none there" in shown(pilot.app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await judge(pilot, screen, "x")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelScreen))
        await pilot.press(*"a text that was meant for the prompt", "enter")
        await until(pilot, lambda: "names no model" in shown(pilot.app.screen))
        await pilot.press("ctrl+u", *"fake:a", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("enter")
        await until(pilot, lambda: len(asked) == 2)
    assert [(call["kind"], call["level"], call["model_spec"]) for call in asked] == [
        ("gauntlet", "high", "ollama:small"),
        ("gauntlet", "high", "fake:a"),
    ]


async def test_help_shows_the_keys_of_the_place(tmp_path: Path) -> None:
    async with opened(tmp_path, size=(80, 24)) as (pilot, _):
        await pilot.press("f1")
        await until(pilot, lambda: str(Where.EDITOR) in shown(pilot.app.screen))
        assert "ctrl+j or shift+enter" in shown(pilot.app.screen)


async def test_question_mark_is_text_in_an_editor_and_help_elsewhere(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, screen):
        await pilot.press("question_mark")
        assert screen.prompt.value == "?"
        screen.lanes.table.focus()
        screen.set_focus(None)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys" in shown(pilot.app.screen))


async def test_every_theme_draws(tmp_path: Path) -> None:
    async with opened(tmp_path, ScriptedGuard()) as (pilot, screen):
        await judge(pilot, screen, "x")
        for theme in THEMES:
            pilot.app.theme = theme.name
            await pilot.pause()
            assert "✖ BLOCK" in shown(screen)


async def test_history_pages_through_many_probes(tmp_path: Path) -> None:
    from engine.cases import Case
    from engine.tracker import open_tracker

    events = [event async for event in ScriptedGuard().judge(Case("x"))]
    with open_tracker(tmp_path / "wizard.db") as tracker:
        for number in range(150):
            tracker.save_probe(Case(f"prompt {number}"), events)
    async with opened(tmp_path) as (pilot, _):
        await pilot.press("ctrl+r")
        screen = pilot.app.screen
        assert isinstance(screen, HistoryScreen)
        await until(pilot, lambda: len(screen._probes) == 60)
        for _ in range(20):
            await pilot.press("pagedown")
            await pilot.pause(0.02)
        await until(pilot, lambda: len(screen._probes) == 150)
        assert screen._probes[-1].id == 1


async def test_history_shows_a_damaged_probe_as_such_and_without_a_date(tmp_path: Path) -> None:
    from engine.cases import Case
    from engine.tracker import open_tracker

    events = [event async for event in ScriptedGuard().judge(Case("x"))]
    with open_tracker(tmp_path / "wizard.db") as tracker:
        for number in range(2):
            tracker.save_probe(Case(f"prompt {number}"), events)
        with tracker.database.writing() as connection:
            connection.exec_driver_sql("UPDATE probe SET created_at = 'x' WHERE id = 1")
    async with opened(tmp_path) as (pilot, _):
        await pilot.press("ctrl+r")
        screen = pilot.app.screen
        assert isinstance(screen, HistoryScreen)
        await until(pilot, lambda: len(screen._probes) == 2)
        rows = [screen._row(probe, 80).plain for probe in screen._probes]
        assert rows[1].split()[:3] == ["1", "■", "damaged"]
        assert rows[0].index("✖") == rows[1].index("■")


async def test_what_is_typed_before_the_pane_is_there_is_kept(tmp_path: Path) -> None:
    app = WizardApp(workspace_at(tmp_path / "wizard.db"), guard_factory=lambda kind, **_: ScriptedGuard())
    async with app.run_test() as pilot:
        await pilot.press("e", "a", "r")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))
        screen = app.screen
        assert isinstance(screen, ProbeScreen)
        await until(pilot, lambda: screen.prompt.value == "ear")


def test_nothing_heavy_is_imported_before_the_first_frame() -> None:
    script = (
        "import sys, app.wizard\n"
        "heavy = 'sqlmodel sqlalchemy alembic pydantic httpx ollama xllamacpp typer app.screens.probe'\n"
        "print([name for name in heavy.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_megabyte_does_not_hold_up_the_interface(tmp_path: Path) -> None:
    async with opened(tmp_path) as (pilot, screen):
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.01)
                longest = max(longest, time.perf_counter() - began)

        ticking = asyncio.create_task(tick())
        screen.prompt.value = "harmless words, 無害な言葉 " * 45_000
        await pilot.press("enter")
        await until(pilot, lambda: "saved #" in shown(screen), 60)
        ticking.cancel()
        assert longest < 2.0  # seconds, on two cores that other tests share
