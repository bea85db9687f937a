"""The probe pane with GuardReasoner: the real guard over a script, driven without a terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from app.actions import Where
from app.screens.history import HistoryScreen
from app.screens.models import ModelScreen
from app.screens.probe import ProbeScreen
from app.themes import THEMES
from app.widgets.stream_view import StreamView
from app.widgets.task_tree import TaskTree
from engine.events import decode, encode
from engine.tracker import open_tracker
from tests.app.hostile import HOSTILE
from tests.app.outputs import CASE, FAULTY, TAKEN_BACK, WHOLE, judged, long_output, script
from tests.app.test_probe import opened, shown, typed, until


@asynccontextmanager
async def reasoning(
    tmp_path: Path, output: str = WHOLE, *, size: tuple[int, int] = (160, 48), **how: Any
) -> AsyncIterator[tuple[Pilot[None], ProbeScreen]]:
    """Open the pane with GuardReasoner chosen, over a model that writes ``output``."""
    path = script(tmp_path / "script.jsonl", output, **how)
    async with opened(tmp_path, size=size) as (pilot, screen):
        await pilot.press("ctrl+g", "ctrl+g", "ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelScreen))
        await typed(pilot, f"fake:{path}")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        screen.prompt.value = CASE.prompt
        yield pilot, screen


async def judge(pilot: Pilot[None], screen: ProbeScreen, response: str | None = CASE.response) -> None:
    screen.response.display = response is not None
    screen.response.value = response or ""
    screen.prompt.focus()
    await pilot.press("enter")
    await until(pilot, lambda: "saved #" in shown(screen))


def rows(screen: ProbeScreen) -> list[str]:
    return [line.strip() for line in shown(screen).split("\n")]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_tasks_steps_labels_and_the_verdict(tmp_path: Path, size: tuple[int, int]) -> None:
    async with reasoning(tmp_path, size=size) as (pilot, screen):
        await pilot.pause()
        assert [row.split("?")[1].strip() for row in rows(screen) if "?" in row and "waiting" in row] == [
            "· waiting"
        ] * 3
        await judge(pilot, screen)
        text = shown(screen)
        assert "✔ ALLOW" in text
        assert "request unharmful · completion compliance · response unharmful" in text
        assert "✔ format kept" in text
        assert text.count("✔ unharmful") == 2
        assert "➜ compliance" in text
        assert "1 Read the request" in text
        assert all(len(line) <= size[0] for line in text.split("\n"))


async def test_the_tree_grows_and_labels_light_up_before_they_are_final(tmp_path: Path) -> None:
    async with reasoning(tmp_path, TAKEN_BACK, tokens_per_second=40) as (pilot, screen):
        await pilot.press("ctrl+t")
        screen.response.value = "Mix flour and water."
        await pilot.press("enter")
        await until(pilot, lambda: "1 Read the request" in shown(screen))
        assert "On second thought" not in shown(screen)
        await until(pilot, lambda: "… harmful so far" in shown(screen))
        assert "of 3 labels so far" in shown(screen)
        await until(pilot, lambda: "… taken back" in shown(screen))
        await until(pilot, lambda: "✔ ALLOW" in shown(screen))
        assert "so far" not in shown(screen)
        assert "! 1 format fault" in shown(screen)


async def test_without_a_response_two_tasks_do_not_apply(tmp_path: Path) -> None:
    async with reasoning(tmp_path) as (pilot, screen):
        await judge(pilot, screen, None)
        assert shown(screen).count("– does not apply") == 2
        assert "request unharmful" in shown(screen)


async def test_faults_are_listed_with_their_span_and_marked_in_the_tree_and_in_the_raw_output(
    tmp_path: Path,
) -> None:
    async with reasoning(tmp_path, FAULTY) as (pilot, screen):
        await judge(pilot, screen)
        text = shown(screen)
        assert "! Format faults: 2" in text
        assert "“# Task 7”" in text
        assert "Request harmful?, Task 7" in text
        assert "!   · Task 7" in text or "! ▾ · Task 7" in text
        await pilot.press("f5")
        await pilot.pause()
        raw = shown(screen)
        assert "Raw output" in raw
        assert "!  9 # Task 7" in raw
        assert "  10 There is no such task." in raw
        await pilot.press("f3")
        assert pilot.app.clipboard == FAULTY
        await pilot.press("f5")
        await until(pilot, lambda: "! Format faults: 2" in shown(screen))


async def test_what_is_copied_is_the_task_one_looks_at(tmp_path: Path) -> None:
    async with reasoning(tmp_path) as (pilot, screen):
        await judge(pilot, screen)
        await pilot.press("f3")
        assert "# Request harmful?" in pilot.app.clipboard
        assert "# Response harmful?" in pilot.app.clipboard
        screen.query_one(TaskTree).focus()
        await pilot.press("home", "ctrl+down", "f3")
        assert pilot.app.clipboard.startswith("# Completion refusal?\n\n1.")
        assert "# Response harmful?" not in pilot.app.clipboard
        await pilot.press("f2")
        tasks = json.loads(pilot.app.clipboard)["tasks"]
        assert [task["label"] for task in tasks] == ["unharmful", "compliance", "unharmful"]


async def test_an_output_that_breaks_off_is_escalated_and_no_label_is_final(tmp_path: Path) -> None:
    async with reasoning(tmp_path, WHOLE[: WHOLE.index("Completion:")], cut=True) as (pilot, screen):
        await judge(pilot, screen)
        text = shown(screen)
        assert "? ESCALATE" in text
        assert "! The back end cut the answer off." in text
        assert "✔" not in text.split("? ESCALATE")[1]


async def test_escape_stops_the_model_and_says_which_label_is_not_final(tmp_path: Path) -> None:
    slow = WHOLE.replace("Completion: compliance", "Completion: compliance" + " " * 3 + "x " * 400)
    async with reasoning(tmp_path, slow, tokens_per_second=60) as (pilot, screen):
        await pilot.press("enter")
        await until(pilot, lambda: "… unharmful so far" in shown(screen))
        await pilot.press("escape")
        await until(pilot, lambda: "■ unharmful, not final" in shown(screen))
        assert "■ stopped" in shown(screen)
        await pilot.press("f5")
        await until(pilot, lambda: "raw output is there once the model has ended it" in shown(screen))


async def test_history_shows_the_same_tree(tmp_path: Path) -> None:
    async with reasoning(tmp_path, FAULTY) as (pilot, screen):
        await judge(pilot, screen)
        screen.query_one(TaskTree).focus()
        await pilot.press("home")
        screen.prompt.focus()
        await pilot.pause()
        before = shown(screen).split("Output ")[1]
        await pilot.press("ctrl+n", "ctrl+g", "ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen) and pilot.app.screen._probes)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen and "#1 of" in shown(screen))
        after = shown(screen).split("Output ")[1]
        keys = len(before.split("\n")) - 1
        assert after.split("\n")[1:keys] == before.split("\n")[1:keys]


def test_events_and_verdicts_of_three_tasks_come_back_from_the_tracker(tmp_path: Path) -> None:
    events = judged(tmp_path, FAULTY)
    with open_tracker(tmp_path / "wizard.db") as tracker:
        number = tracker.save_probe(CASE, events)
        probe = tracker.probe(number)
    assert probe is not None
    assert probe.events == events
    assert [decode(encode(event)) for event in events] == events


async def test_the_guard_is_chosen_with_the_settings_that_mean_something_to_it(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def factory(kind: str, **rest: Any) -> Any:
        asked.append({"kind": kind, **rest})
        raise ValueError("no guard today")

    async with opened(tmp_path, factory) as (pilot, screen):
        top = lambda: shown(screen).split("\n")[0]  # noqa: E731
        assert "level medium" in top()
        await pilot.press("ctrl+g", "ctrl+g")
        assert "guard guardreasoner" in top()
        assert "level" not in top()
        assert "prompt raw" in top()
        assert "^l Style" in shown(screen)
        await pilot.press("ctrl+l")
        assert "prompt chat" in top()
        await pilot.press("x", "enter")
        await until(pilot, lambda: "hf:yueliu1999/GuardReasoner-8B, -3B and -1B" in shown(screen))
        assert "fake:SCRIPT" in shown(screen)
        await pilot.press("ctrl+g")
        assert "level medium" in top()
        assert "Harassment" in shown(screen)
    assert [(call["kind"], call["prompt_style"]) for call in asked] == [("guardreasoner", "chat")]


async def test_another_guard_gets_its_lanes_back(tmp_path: Path) -> None:
    async with reasoning(tmp_path) as (pilot, screen):
        await judge(pilot, screen)
        await pilot.press("ctrl+g", "enter")
        await until(pilot, lambda: "saved #2" in shown(screen), 60)  # the rules are read first
        assert "Harassment" in shown(screen)
        assert "Request harmful?" not in shown(screen)
        await pilot.press("f5")
        await until(pilot, lambda: "That is for the output of GuardReasoner" in shown(screen))


async def test_help_and_the_key_bar_tell_the_keys_of_the_tree(tmp_path: Path) -> None:
    async with reasoning(tmp_path, size=(80, 24)) as (pilot, screen):
        await judge(pilot, screen)
        await pilot.press("tab", "tab")
        await until(pilot, lambda: screen.query_one(TaskTree).has_focus)
        bar = shown(screen).split("\n")[-1]
        assert all(hint in bar for hint in ("z Fold", "f5 Raw", "f3 Copy text"))
        await pilot.press("z")
        await until(pilot, lambda: "▸ 1 Read the request …" in shown(screen))
        await pilot.press("f1")
        await until(pilot, lambda: "Keys" in shown(pilot.app.screen))
        assert Where.TREE in screen.HELP_PLACES
        assert Where.LANES not in screen.HELP_PLACES


async def test_the_focus_goes_with_the_view(tmp_path: Path) -> None:
    async with reasoning(tmp_path, size=(80, 24)) as (pilot, screen):
        await judge(pilot, screen)
        screen.query_one(TaskTree).focus()
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one("#raw", StreamView).has_focus)
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(TaskTree).has_focus)


async def test_every_theme_draws(tmp_path: Path) -> None:
    async with reasoning(tmp_path, FAULTY) as (pilot, screen):
        await judge(pilot, screen)
        for theme in THEMES:
            pilot.app.theme = theme.name
            await pilot.pause()
            assert "✔ unharmful" in shown(screen)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_hostile_output_is_shown_not_obeyed(tmp_path: Path, size: tuple[int, int]) -> None:
    text = "\n".join(HOSTILE.values()).encode("utf-8", "replace").decode()
    output = f"{text}\n# Task 1\n## Reasoning Step 1: {text}\nAnswers:\nRequest: {text}\n{text}"
    async with reasoning(tmp_path, output, size=size) as (pilot, screen):
        await judge(pilot, screen)
        screens = [shown(screen)]
        await pilot.press("f5")
        await pilot.pause()
        screens.append(shown(screen))
        await pilot.press("f3", "f5", "f3")
        for drawn in screens:
            assert drawn.replace("\n", "").isprintable(), drawn


async def test_a_long_output_does_not_hold_up_the_interface(tmp_path: Path) -> None:
    async with reasoning(tmp_path, long_output(2048)) as (pilot, screen):
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            loop = asyncio.get_running_loop()
            while True:
                began = loop.time()
                await asyncio.sleep(0.01)
                longest = max(longest, loop.time() - began)

        ticking = asyncio.create_task(tick())
        await judge(pilot, screen)
        ticking.cancel()
        assert longest < 2.0  # seconds, on two cores that other tests share
