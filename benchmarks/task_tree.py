"""What a frame of the growing tree costs, against laying out all of it anew, and against Textual's tree.

    python -m benchmarks.task_tree [TOKENS]

A frame takes in five tokens, as at 50 tokens a second and 10 frames a second, and draws the rows in sight.
Times are medians over a tenth of all frames, of one run.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Tree

from app.outline import Outline
from app.safe_text import visible
from app.widgets.task_tree import TaskTree
from engine.evaluation.parse import OutputParser, Said, StepBegan, TaskBegan
from engine.events import Event, LaneStarted, ReasoningDelta, StepStarted

_PER_FRAME = 5
_SIZE = (160, 48)
_SENTENCE = "The request asks how a loaf is baked, and no part of it is out of the ordinary. "


def _events(tokens: int) -> list[Event]:
    """Return the events of an output of about ``tokens`` words, in steps of about 50."""
    parser = OutputParser()
    steps = "".join(f"## Reasoning Step {n}\n{_SENTENCE * 3}\n" for n in range(1, max(tokens // 150, 1) + 1))
    output = "".join(f"# Task {task}\n{steps}" for task in (1, 2, 3))
    events: list[Event] = []
    for word in output.split(" "):
        for part in parser.feed(word + " "):
            match part:
                case TaskBegan(task):
                    events.append(LaneStarted(seq=0, lane=task))
                case StepBegan(task, step, title):
                    events.append(StepStarted(seq=0, lane=task or "", step=step, title=title))
                case Said(task, text):
                    events.append(ReasoningDelta(seq=0, lane=task or "", text=text))
                case _:
                    pass
    return events


class _Ours(App[None]):
    CSS = "TaskTree { scrollbar-gutter: stable; scrollbar-size-vertical: 1; }"

    def compose(self) -> ComposeResult:
        yield TaskTree()


class _Stock(App[None]):
    def compose(self) -> ComposeResult:
        yield Tree("output")


async def _time(
    app: App[None], events: Sequence[Event], draw: Callable[[Pilot[None], Outline], None]
) -> list[float]:
    costs = []
    async with app.run_test(size=_SIZE) as pilot:
        outline = Outline()
        for at in range(0, len(events), _PER_FRAME):
            for event in events[at : at + _PER_FRAME]:
                outline.apply(event)
            began = time.perf_counter()
            draw(pilot, outline)
            costs.append((time.perf_counter() - began) * 1000)
            await pilot.pause()
    return costs


def _grow(pilot: Pilot[None], outline: Outline) -> None:
    tree = pilot.app.query_one(TaskTree)
    tree.show(outline)
    for y in range(tree.size.height):
        tree.render_line(y)


def _anew(pilot: Pilot[None], outline: Outline) -> None:
    tree = pilot.app.query_one(TaskTree)
    tree._begin(outline)
    _grow(pilot, outline)


def _stock(pilot: Pilot[None], outline: Outline) -> None:
    """One line for each step, which Textual's tree does not wrap."""
    tree: Tree[None] = pilot.app.query_one(Tree)
    tree.root.expand()
    for index, branch in enumerate(outline.tasks):
        if index == len(tree.root.children):
            tree.root.add(branch.title, expand=True)
        node = tree.root.children[index]
        for number in range(max(len(node.children) - 1, 0), len(branch.sections)):
            label = visible("".join(branch.sections[number].pieces), keep_newlines=False)
            if number == len(node.children):
                node.add_leaf(label)
            else:
                node.children[number].set_label(label)
    tree.scroll_end(animate=False, immediate=True)
    for y in range(tree.size.height):
        tree.render_line(y)


async def _main(tokens: int) -> None:
    events = _events(tokens)
    tables = {
        "grown (ours)": await _time(_Ours(), events, _grow),
        "laid out anew": await _time(_Ours(), events, _anew),
        "Textual's Tree, not wrapped": await _time(_Stock(), events, _stock),
    }
    ours = statistics.median(tables["grown (ours)"][-len(tables["grown (ours)"]) // 10 :])
    print(f"{tokens} tokens, {len(events) // _PER_FRAME} frames of {_PER_FRAME}, {_SIZE[0]}x{_SIZE[1]}")
    for name, costs in tables.items():
        tenth = max(len(costs) // 10, 1)
        first, last = statistics.median(costs[:tenth]), statistics.median(costs[-tenth:])
        print(
            f"{name:<28} first tenth {first:6.2f} ms   last tenth {last:6.2f} ms   "
            f"longest {max(costs):6.1f} ms   last tenth x {last / ours:.1f}"
        )


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 2048))
