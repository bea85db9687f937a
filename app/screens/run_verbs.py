"""What can be done with one run from a screen: to be run as its workers."""

from __future__ import annotations

from collections.abc import Sequence

from app.records import Store
from app.run_facts import read_relatives
from app.screens.choice import ChoiceScreen
from app.screens.live import LiveScreen
from app.screens.run_edits import NoteScreen, TagsScreen
from engine.tracker.run_json import json_text, run_json


async def copy_run(screen: LiveScreen, run_id: int) -> None:
    """Copy a run as JSON."""
    run = await screen.ask(lambda store: store.runs.run(run_id))
    if run is not None:
        screen.app.copy_to_clipboard(json_text(run_json(run), indent=2))
        screen.app.notify(f"Run {run_id} was copied as JSON.")


async def edit_note(screen: LiveScreen, run_id: int) -> None:
    """Have a run's note edited, and save it."""
    run = await screen.ask(lambda store: store.runs.run(run_id))
    if run is None:
        return
    note = await screen.app.push_screen_wait(NoteScreen(f"#{run_id} {run.summary.name}", run.note))
    if note is None or note == run.note:
        return
    saved = await screen.ask(lambda store: _renote(store, run_id, note))
    screen.app.notify(f"The note of run {run_id} was saved." if saved else "The note was not saved.")


async def edit_tags(screen: LiveScreen, run_id: int) -> None:
    """Have a run's tags edited, and save them."""
    run = await screen.ask(lambda store: store.runs.run(run_id))
    if run is None:
        return
    former = run.summary.tags
    tags = await screen.app.push_screen_wait(TagsScreen(f"#{run_id} {run.summary.name}", former))
    if tags is None or set(tags) == set(former):
        return
    saved = await screen.ask(lambda store: _retag(store, run_id, former, tags))
    screen.app.notify(f"The tags of run {run_id} were saved." if saved else "The tags were not saved.")


async def choose_relative(screen: LiveScreen, run_id: int) -> int | None:
    """Have one chosen of the runs that a run was made from, and that were made from it."""
    relatives = await screen.ask(lambda store: read_relatives(store, run_id))
    if relatives is None:
        return None
    if not relatives:
        screen.app.notify("It was made from no other run, and no other run from it.")
        return None
    chosen = await screen.app.push_screen_wait(ChoiceScreen("Lineage", list(relatives.values())))
    return None if chosen is None else list(relatives)[chosen]


def _renote(store: Store, run_id: int, note: str) -> bool:
    store.runs.note(run_id, note)
    return True


def _retag(store: Store, run_id: int, former: Sequence[str], tags: Sequence[str]) -> bool:
    if gone := [tag for tag in former if tag not in tags]:
        store.runs.untag(run_id, *gone)
    if new := [tag for tag in tags if tag not in former]:
        store.runs.tag(run_id, *new)
    return True
