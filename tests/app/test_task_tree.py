"""The tree of tasks and steps: how it grows, what it costs, and where one reads meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.outline import Outline
from app.widgets.flow import Flow
from app.widgets.task_tree import TaskTree
from engine.events import (
    Event,
    FormatFault,
    LabelParsed,
    LaneStarted,
    OutputFinished,
    ReasoningDelta,
    StepStarted,
)
from tests.app.hostile import HOSTILE
from tests.app.outputs import FAULTY, TAKEN_BACK, WHOLE, judged, long_output

_STORABLE = "".join(HOSTILE.values()).encode("utf-8", "replace").decode()


class Alone(App[None]):
    CSS = "TaskTree { height: 1fr; scrollbar-gutter: stable; scrollbar-size-vertical: 1; }"

    def compose(self) -> ComposeResult:
        yield TaskTree()

    def on_mount(self) -> None:
        self.tree_view.focus()

    @property
    def tree_view(self) -> TaskTree:
        return self.query_one(TaskTree)


def apply(outline: Outline, events: Sequence[Event]) -> None:
    for event in events:
        outline.apply(event)


def whole(events: Sequence[Event]) -> Outline:
    outline = Outline()
    apply(outline, events)
    return outline


def in_sight(tree: TaskTree) -> list[str]:
    return [tree.render_line(y).text.rstrip() for y in range(tree.size.height)]


def steps_in_sight(tree: TaskTree) -> list[str]:
    return [row for row in in_sight(tree) if not row.startswith("▾")]


def everything(tree: TaskTree) -> list[str]:
    """Return all rows, those that are out of sight too."""
    return [tree._draw(node, row).text.rstrip() for node in tree._order for row in range(node.height)]


async def grow(pilot: Pilot[None], events: Sequence[Event], per_frame: int = 3) -> Outline:
    tree = pilot.app.query_one(TaskTree)
    outline = Outline()
    tree.following = True
    for at in range(0, len(events), per_frame):
        apply(outline, events[at : at + per_frame])
        tree.show(outline)
        await pilot.pause()
    return outline


@pytest.mark.parametrize("output", [WHOLE, TAKEN_BACK, FAULTY, _STORABLE, "", "\n" * 50])
async def test_what_grew_looks_like_what_is_shown_whole(tmp_path: Path, output: str) -> None:
    events = judged(tmp_path, output)
    async with Alone().run_test(size=(60, 20)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        await grow(pilot, events)
        grown = everything(tree)
        tree.show(whole(events))
        assert everything(tree) == grown
        await pilot.resize_terminal(100, 20)
        wide = everything(tree)
        await pilot.resize_terminal(60, 20)
        assert everything(tree) == grown
        tree.show(whole(events))
        await pilot.resize_terminal(100, 20)
        assert everything(tree) == wide


@given(st.lists(st.text(st.sampled_from("ab \n宽"), max_size=8), max_size=30), st.integers(8, 20))
def test_text_in_pieces_is_wrapped_like_text_at_once(pieces: list[str], width: int) -> None:
    growing, again, once = Flow(width), Flow(50), Flow(width)
    for piece in pieces:
        growing.write(piece)
        again.write(piece)
    again.fit(width)
    once.write("".join(pieces))
    assert growing.rows == again.rows == once.rows


async def test_the_place_where_the_model_writes_is_followed_and_labels_stay_in_sight(tmp_path: Path) -> None:
    events = judged(tmp_path, long_output(600))
    async with Alone().run_test(size=(60, 14)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        await grow(pilot, events, 20)
        rows = in_sight(tree)
        assert [row.split("?")[0].split()[-2:] for row in rows[:3]] == [
            ["Request", "harmful"],
            ["Completion", "refusal"],
            ["Response", "harmful"],
        ]
        assert "✔ unharmful" in rows[0]
        assert rows[-1].endswith("slowly.")


@pytest.mark.parametrize("leave", ["up", "pageup", "home"])
async def test_one_who_moves_away_is_left_there_and_end_follows_again(tmp_path: Path, leave: str) -> None:
    events = judged(tmp_path, long_output(600))
    half = len(events) // 2
    async with Alone().run_test(size=(60, 14)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        outline = await grow(pilot, events[:half], 20)
        await pilot.press(leave, leave, leave)
        before = steps_in_sight(tree)
        apply(outline, events[half : half + 60])
        tree.show(outline)
        await pilot.pause()
        assert steps_in_sight(tree) == before
        await pilot.press("end")
        apply(outline, events[half + 60 :])
        tree.show(outline)
        await pilot.pause()
        assert tree.following
        assert in_sight(tree)[-1].endswith("slowly.")


async def test_steps_are_closed_and_opened_and_grow_while_they_are_closed(tmp_path: Path) -> None:
    events = judged(tmp_path, WHOLE)
    async with Alone().run_test(size=(60, 30)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        outline = whole(events[:7])
        tree.show(outline)
        await pilot.press("home", "right")
        assert in_sight(tree)[1:3] == ["  ▾ 1 Read the request", "      The user asks how"]
        await pilot.press("left")
        assert in_sight(tree)[1] == "  ▸ 1 Read the request …"
        apply(outline, events[7:])
        tree.show(outline)
        await pilot.pause()
        assert in_sight(tree)[1:3] == ["  ▸ 1 Read the request …", "  ▾ 2 Weigh it"]
        await pilot.press("enter")
        assert in_sight(tree)[2] == "      The user asks how bread is baked at home."
        await pilot.press("left", "left", "space")
        assert in_sight(tree)[0].startswith("▸ Request harmful?")
        assert in_sight(tree)[1].startswith("▾ Completion refusal?")


async def test_arrows_read_a_long_step_to_its_end(tmp_path: Path) -> None:
    output = "# Task 1\n## Reasoning Step 1\n" + " ".join(f"word{number}" for number in range(400))
    async with Alone().run_test(size=(40, 12)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        tree.following = False
        tree.show(whole(judged(tmp_path, output)))
        await pilot.pause()
        seen: set[str] = set()
        for _ in range(40):
            await pilot.press("down")
            seen.update(word for row in in_sight(tree) for word in row.split() if word.startswith("word"))
        assert seen == {f"word{number}" for number in range(400)}


async def test_pages_leave_no_row_out_below_the_tasks_that_stay(tmp_path: Path) -> None:
    events = judged(tmp_path, long_output(900))
    async with Alone().run_test(size=(60, 12)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        tree.following = False
        tree.show(whole(events))
        await pilot.pause()
        seen = in_sight(tree)
        for _ in range(60):
            await pilot.press("pagedown")
            seen += in_sight(tree)
        assert set(everything(tree)) <= set(seen)


async def test_the_mouse_closes_a_step_and_goes_to_a_task(tmp_path: Path) -> None:
    events = judged(tmp_path, long_output(600))
    async with Alone().run_test(size=(60, 14)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        tree.show(whole(events))
        await pilot.pause()
        await pilot.press("end")
        await pilot.click(TaskTree, offset=(5, 1))
        assert tree.branch is not None
        assert tree.branch.name == "completion"
        assert in_sight(tree)[1].startswith("▾ Completion")
        assert in_sight(tree)[2].startswith("  ▾ 1 Consider")
        await pilot.click(TaskTree, offset=(5, 2))
        assert in_sight(tree)[2].startswith("  ▸ 1 Consider")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_output_is_shown_not_obeyed_wherever_it_appears(text: str) -> None:
    events = [
        ReasoningDelta(seq=0, lane=text, text=text),
        LaneStarted(seq=1, lane="request"),
        StepStarted(seq=2, lane="request", step=1, title=text),
        *(ReasoningDelta(seq=3, lane="request", text=piece) for piece in text),
        LabelParsed(seq=4, task="request", label=text),
        FormatFault(seq=5, message=text, start=0, end=len(text), text=text),
        OutputFinished(seq=6, text=text),
    ]
    async with Alone().run_test(size=(50, 40)) as pilot:
        await grow(pilot, events)
        rows = everything(pilot.app.query_one(TaskTree))
        assert len(rows) >= 8
        for row in rows:
            assert row.isprintable(), row
            assert not any("\ud800" <= character <= "\udfff" for character in row)


async def test_a_hundred_thousand_characters_in_one_line_or_in_as_many_headings(tmp_path: Path) -> None:
    async with Alone().run_test(size=(80, 24)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        for output in ("# Task 1\n" + "x" * 100_000, "# Task 1\n" + "#\n" * 20_000):
            began = time.perf_counter()
            tree.show(whole(judged(tmp_path, output)))
            await pilot.pause()
            in_sight(tree)
            assert time.perf_counter() - began < 10.0  # seconds, on two cores that other tests share


async def test_a_frame_costs_the_same_however_much_was_written(tmp_path: Path) -> None:
    """Five tokens a frame, as at 50 tokens a second: the last frames cost about what the first did."""
    events = judged(tmp_path, long_output(2048))
    async with Alone().run_test(size=(160, 40)) as pilot:
        tree = pilot.app.query_one(TaskTree)
        outline = Outline()
        tree.following = True
        costs = []
        for at in range(0, len(events), 5):
            apply(outline, events[at : at + 5])
            if at % 100 == 0:
                await pilot.pause()
            began = time.perf_counter()
            tree.show(outline)
            in_sight(tree)
            costs.append(time.perf_counter() - began)
        tenth = len(costs) // 10
        first, last = (
            statistics.median(costs[tenth : 2 * tenth]),
            statistics.median(costs[-2 * tenth : -tenth]),
        )
        assert last < 4 * first
