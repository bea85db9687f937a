"""The experiments pane over a real database: what it lists, shows, compares, writes and exports."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import Screen

from app.run_list import RunList
from app.screens.choice import ChoiceScreen
from app.screens.compare import CompareScreen
from app.screens.experiments import ExperimentsScreen
from app.screens.export import ExportScreen
from app.screens.run_edits import NoteScreen, TagsScreen
from engine.tracker import open_tracker
from engine.tracker.encoding import store_text
from engine.tracker.probes import Tracker
from engine.tracker.run_records import Lineage, NewRun, Origin, Provenance, Result
from tests.app.hostile import HOSTILE
from tests.app.test_probe import opened, shown, until

WIDE, SMALL = (160, 48), (80, 24)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    """A database with nothing in it but what a test puts there."""
    with open_tracker(tmp_path / "wizard.db") as tracker:
        with tracker.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM run")
        yield tracker


def add(tracker: Tracker, name: str, **fields: object) -> int:
    kind, status = str(fields.pop("kind", "classify")), str(fields.pop("status", "succeeded"))
    return tracker.runs.add(NewRun(name, kind, status, **fields))  # type: ignore[arg-type]


def draw(tracker: Tracker, run_id: int, metric: str, values: list[float]) -> None:
    stored = store_text(metric)
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("INSERT OR IGNORE INTO metric_name (name) VALUES (?)", (stored,))
        found = connection.exec_driver_sql("SELECT id FROM metric_name WHERE name = ?", (stored,))
        name_id = found.scalar_one()
        points = [(run_id, name_id, step, step, 0.0, value) for step, value in enumerate(values)]
        connection.exec_driver_sql("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?)", points)


def annotate_experiment(tracker: Tracker, note: str) -> None:
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("UPDATE experiment SET note = ?", (store_text(note),))


def replace_database(folder: Path, content: bytes) -> None:
    for path in folder.glob("wizard.db*"):
        path.unlink()
    (folder / "wizard.db").write_bytes(content)


@asynccontextmanager
async def experiments(
    tmp_path: Path, size: tuple[int, int] = WIDE, *, runs: int | None = None
) -> AsyncIterator[tuple[Pilot[None], ExperimentsScreen]]:
    """Open the pane and wait until it has as many runs."""
    async with opened(tmp_path, size=size) as (pilot, _):
        await pilot.press("alt+4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExperimentsScreen))
        screen = pilot.app.screen
        assert isinstance(screen, ExperimentsScreen)
        await until(pilot, lambda: screen.table._opened if runs is None else screen.table.count == runs)
        await pilot.pause()
        yield pilot, screen


async def sees(pilot: Pilot[None], *texts: str) -> None:
    await until(pilot, lambda: all(text in shown(pilot.app.screen) for text in texts))


async def at(pilot: Pilot[None], kind: type[Screen[object]]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))


def columns(screen: ExperimentsScreen) -> list[str]:
    return [line[: screen.table.size.width].rstrip() for line in shown(screen).split("\n")]


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_an_origin_is_always_a_word_and_a_figure_has_its_interval(
    tmp_path: Path, tracker: Tracker, size: tuple[int, int]
) -> None:
    add(tracker, "ours", results=[Result("accuracy", 0.95, 200, 0.91, 0.973)])
    add(tracker, "theirs", status="reported", origin=Origin.IMPORTED, results=[Result("accuracy", 0.98, 200)])
    add(tracker, "published", status="reported", origin=Origin.PAPER, results=[Result("f1", 0.81)])
    add(tracker, "to come", status="planned", origin=Origin.IMPORTED)
    add(tracker, "broken", status="failed")
    async with experiments(tmp_path, size, runs=5) as (pilot, screen):
        rows = columns(screen)
        row = {name: next(line for line in rows if name in line) for name in ("ours", "theirs", "published")}
        assert "measured" in row["ours"]
        assert "0.950 [0.910, 0.973] n=200  accuracy" in row["ours"]
        assert "imported" in row["theirs"]
        assert "0.98 n=200" in row["theirs"]
        assert "paper" in row["published"]
        assert any("○ planned" in line for line in rows)
        assert any("✖ failed" in line for line in rows)
        assert all(len(line) <= size[0] for line in shown(screen).split("\n"))
        await pilot.press("end", "up", "up", "enter")
        await sees(pilot, "paper: published, not reproduced here")


async def test_a_filter_narrows_the_list_while_one_types_and_escape_clears_it(
    tmp_path: Path, tracker: Tracker
) -> None:
    for number in range(30):
        add(tracker, f"run {number}", kind="shell" if number % 10 == 0 else "classify", tags=["night"])
    async with experiments(tmp_path, SMALL, runs=30) as (pilot, screen):
        await pilot.press("slash")
        await pilot.pause()
        assert "kind: status: origin: exp: tag:" in shown(screen)
        await pilot.press(*"kind:shell 2")
        await until(pilot, lambda: screen.table.count == 1)
        assert "run 20" in shown(screen)
        await pilot.press("enter")
        assert screen.table.has_focus
        await pilot.press("slash", *"nowhere")
        await sees(pilot, "No run matches.")
        await pilot.press("escape")
        await until(pilot, lambda: screen.table.count == 30)
        assert screen.table.has_focus
        assert not screen.words.display
        await pilot.press("escape")
        await sees(pilot, "This is the list.")


async def test_a_filter_typed_in_one_burst_is_text_and_no_command(tmp_path: Path, tracker: Tracker) -> None:
    for name in ("uncommon", "uncommon too", "other"):
        add(tracker, name)
    async with experiments(tmp_path, runs=3) as (pilot, screen):
        for character in "/uncommon\r":
            pilot.app.post_message(
                Key(_character_to_key(character) if character != "\r" else "enter", character)
            )
        await until(pilot, lambda: screen.table.count == 2)
        assert screen.words.value == "uncommon"
        assert pilot.app.screen is screen
        assert screen.table.has_focus


async def test_runs_are_sorted_by_any_column_or_result(tmp_path: Path, tracker: Tracker) -> None:
    for number, value in enumerate((0.5, 0.9, 0.7)):
        add(tracker, f"{'bac'[number]} run", results=[Result("f1", value), Result("recall", 1 - value)])
    add(tracker, "d run")
    async with experiments(tmp_path, runs=4) as (pilot, screen):
        await pilot.press("s")
        await at(pilot, ChoiceScreen)
        await pilot.press(*"recall", "enter")
        await until(pilot, lambda: pilot.app.screen is screen and screen.table.count == 3)
        assert screen.table.row is not None
        assert screen.table.row.name == "b run"
        assert "Result ▾" in shown(screen)
        assert "0.5  recall" in shown(screen)
        assert "sort recall ▾" in shown(screen)
        await pilot.press("r")
        await until(pilot, lambda: screen.table.row is not None and screen.table.row.name == "a run")
        assert "Result ▴" in shown(screen)
        header = columns(screen)[1]
        await pilot.click(screen.table, offset=(header.index("Name"), 0))
        await until(pilot, lambda: screen.table.count == 4)
        assert [line[1:].split()[2] for line in columns(screen)[2:6]] == ["a", "b", "c", "d"]
        await pilot.press("s", "escape")
        await until(pilot, lambda: pilot.app.screen is screen)


async def test_the_result_sorted_by_may_be_gone(tmp_path: Path, tracker: Tracker) -> None:
    add(tracker, "only", results=[Result("f1", 0.5)])
    async with experiments(tmp_path, runs=1) as (pilot, screen):
        await pilot.press("s", *"f1", "enter")
        await until(pilot, lambda: screen.runs_asked.sort == "result:f1")
        with tracker.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM result")
        await sees(pilot, "No run has the result that is sorted by.")
        await pilot.press("s")
        await at(pilot, ChoiceScreen)
        await pilot.press("escape")


async def test_a_filter_keeps_the_run_chosen(tmp_path: Path, tracker: Tracker) -> None:
    ids = [add(tracker, f"run {number}") for number in range(5)]
    async with experiments(tmp_path, runs=5) as (pilot, screen):
        await pilot.press("slash", *"run 2")
        await until(pilot, lambda: screen.table.count == 1)
        await pilot.press("escape")
        await until(pilot, lambda: screen.table.count == 5)
        assert screen.table.row is not None
        assert screen.table.row.id == ids[2]
        await pilot.press("slash", *str(ids[4]))
        await until(pilot, lambda: screen.table.count == 1)
        assert screen.table.row.id == ids[4]


async def test_details_say_everything_and_stand_beside_the_list_or_in_its_place(
    tmp_path: Path, tracker: Tracker
) -> None:
    run_id = add(
        tracker,
        "the run",
        experiment="Night sweep",
        params={"lr": 1e-5, "base": "llama"},
        results=[Result("f1", 0.8, 100, 0.7, 0.9)],
        lineage=[Lineage("data", "toxic.jsonl", "ab" * 32)],
        tags=["keep"],
        provenance=Provenance("host-7", "c0ffee" * 6, True, {"torch": "2.13"}, {"torch": 42}),
        source="by hand",
        note="first line\nsecond line",
        summary={"tokens": 7},
    )
    draw(tracker, run_id, "loss", [2.0, 1.0, 0.5])
    draw(tracker, run_id, "accuracy", [0.1, 0.2, 0.3])
    known = ("the run", "✔ succeeded", "measured by this program", "Night sweep", "#keep", "by hand")
    annotate_experiment(tracker, "what to beware of")
    facts = (
        "0.800 [0.700, 0.900] n=100  f1",
        "second line",
        "Note of the experiment",
        "what to beware of",
        "1e-05",
        "toxic.jsonl",
        "host-7",
        "with changes",
    )
    async with experiments(tmp_path, WIDE, runs=1) as (pilot, screen):
        await sees(pilot, *known, *facts, "torch", "accuracy  0.3", "┤")
        await pilot.press("m")
        await sees(pilot, "loss  0.5")
        await pilot.press("M", "l")
        await sees(pilot, "accuracy  0.3  logarithmic")
        await pilot.press("z")
        assert not screen.details.facts.display
        await pilot.press("escape")
        assert screen.details.facts.display
    async with experiments(tmp_path, SMALL, runs=1) as (pilot, screen):
        assert "measured by" not in shown(screen)
        await pilot.press("m")
        await sees(pilot, "Open a run first")
        await pilot.press("enter")
        await sees(pilot, *known, "accuracy  0.3")
        assert not screen.table.display
        await pilot.press("end")
        await sees(pilot, "host-7")
        await pilot.press("escape")
        assert screen.table.has_focus


async def test_lineage_is_followed_both_ways_and_back(tmp_path: Path, tracker: Tracker) -> None:
    first = add(tracker, "grandparent")
    second = add(tracker, "parent", lineage=[Lineage("run", "grandparent", None, first)])
    add(tracker, "child", kind="shell", lineage=[Lineage("run", "parent", None, second)])
    async with experiments(tmp_path, runs=3) as (pilot, screen):
        await sees(pilot, f"→ #{second} parent")
        await pilot.press("g")
        await at(pilot, ChoiceScreen)
        await sees(pilot, f"made from  #{second}  parent")
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.row is not None and screen.table.row.id == second)
        await pilot.press("g")
        await at(pilot, ChoiceScreen)
        await sees(pilot, "made from", "made into", "child")
        await pilot.press("escape", "backspace")
        await until(pilot, lambda: screen.table.row is not None and screen.table.row.name == "child")
        await pilot.press("slash", *"kind:shell", "enter")
        await until(pilot, lambda: screen.table.count == 1)
        screen.action_jump(first)
        await until(pilot, lambda: screen.table.row is not None and screen.table.row.id == first)
        assert screen.table.count == 3
        assert screen.words.value == ""


async def test_marked_runs_are_compared(tmp_path: Path, tracker: Tracker) -> None:
    for number in range(8):
        run_id = add(
            tracker,
            f"run {number}",
            status="reported" if number == 6 else "succeeded",
            origin=Origin.PAPER if number == 6 else Origin.MEASURED,
            params={"lr": number % 2, "epochs": 3, "deep": {"er": number}},
            results=[Result("f1", 0.5 + number / 20, 50, 0.4 + number / 20, 0.6 + number / 20)],
        )
        draw(tracker, run_id, "loss", [float(number), 1.0])
    async with experiments(tmp_path, WIDE, runs=8) as (pilot, screen):
        await pilot.press("c")
        await sees(pilot, "Mark two to six runs first")
        await pilot.press("space", "space", "up", "space")
        assert len(screen.marked) == 1
        await pilot.press("space", "up", "up", *["space"] * 6)
        assert len(screen.marked) == 6
        await pilot.press("space")
        await sees(pilot, "no more can be compared")
        assert sum(line[1:2] in "ABCDEF" and bool(line[1:2].strip()) for line in columns(screen)) == 6
        await pilot.press("c")
        await at(pilot, CompareScreen)
        await sees(pilot, "A #", "F #", "Parameters that differ", "The same in all", "loss  A", "├", "paper")
        text = shown(pilot.app.screen)
        assert text.count("n=50") == 6
        assert "A D F 1" in text
        assert "B C E 0" in text
        assert "deep.er" in text
        await pilot.press("z", "l")
        await sees(pilot, "logarithmic")
        assert "Parameters" not in shown(pilot.app.screen)
        await pilot.press("escape", "alt+1", "alt+4")
        await at(pilot, CompareScreen)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("u")
        assert not screen.marked


async def test_runs_are_marked_while_the_list_is_read_anew(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        add(tracker, f"run {number}")
    find = RunList.find

    async def slowly(self: RunList, key: Hashable) -> int | None:
        found = await find(self, key)
        await asyncio.sleep(0.2)
        return found

    async with experiments(tmp_path, runs=4) as (pilot, screen):
        monkeypatch.setattr(RunList, "find", slowly)
        add(tracker, "one more")
        screen.look_anew()
        await asyncio.sleep(0.1)
        await pilot.press("space")
        await until(pilot, lambda: screen.table.count == 5)
        await pilot.press("space")
        assert len(screen.marked) == 2


async def test_two_runs_with_apart_intervals_say_so_on_a_small_screen(
    tmp_path: Path, tracker: Tracker
) -> None:
    add(tracker, "low", results=[Result("f1", 0.5, 50, 0.4, 0.6)])
    add(tracker, "high", results=[Result("f1", 0.9, 50, 0.8, 0.95)])
    async with experiments(tmp_path, SMALL, runs=2) as (pilot, _):
        await pilot.press("space", "space", "c")
        await at(pilot, CompareScreen)
        await sees(pilot, "intervals are apart", "0.900 [0.800, 0.950] n=50", "├")
        await pilot.press("m")
        await sees(pilot, "None of these runs has metrics.")


async def test_notes_and_tags_are_edited(tmp_path: Path, tracker: Tracker) -> None:
    run_id = add(tracker, "run", tags=["old"], note="was here")
    async with experiments(tmp_path, runs=1) as (pilot, screen):
        await pilot.press("n")
        await at(pilot, NoteScreen)
        await pilot.press("!", "enter", *"more", "escape")
        await sees(pilot, "What you wrote is not saved.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
        await sees(pilot, "was here!")
        await pilot.press("n")
        await at(pilot, NoteScreen)
        await pilot.press("x", "escape", "escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("t")
        await at(pilot, TagsScreen)
        await pilot.press("ctrl+u", *"new, two words ,new", "enter")
        await sees(pilot, "#new  #two words")
        await pilot.press("t")
        await at(pilot, TagsScreen)
        await pilot.press(*", third", "enter")
        await sees(pilot, "#new  #third  #two words")
    run = tracker.runs.run(run_id)
    assert run is not None
    assert run.note == "was here!\nmore"
    assert set(run.summary.tags) == {"new", "two words", "third"}


async def test_runs_are_exported_and_a_file_is_replaced_only_when_asked_twice(
    tmp_path: Path, tracker: Tracker
) -> None:
    for number in range(5):
        add(tracker, f"run {number}", kind="shell" if number < 3 else "classify")
    target = tmp_path / "out.csv"
    async with experiments(tmp_path, runs=5) as (pilot, screen):
        await pilot.press("slash", *"kind:shell", "enter")
        await until(pilot, lambda: screen.table.count == 3)
        await pilot.press("e")
        await at(pilot, ExportScreen)
        await sees(pilot, "run ", "runs.html")
        await pilot.press("ctrl+t", "down", "down")
        await sees(pilot, "all 3 runs listed", "runs.csv")
        dialog = pilot.app.screen
        assert isinstance(dialog, ExportScreen)
        dialog._path.value = str(target)
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await sees(pilot, "written to")
        rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
        assert {row["name"] for row in rows} == {"run 0", "run 1", "run 2"}
        before = target.read_bytes()
        await pilot.press("space", "e")
        await at(pilot, ExportScreen)
        dialog = pilot.app.screen
        assert isinstance(dialog, ExportScreen)
        await pilot.press("up")
        dialog._path.value = str(target)
        await pilot.pause()
        await pilot.press("enter")
        await sees(pilot, "is there already. enter again replaces it.")
        assert target.read_bytes() == before
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert target.read_bytes() != before
        await pilot.press("e")
        await at(pilot, ExportScreen)
        dialog = pilot.app.screen
        assert isinstance(dialog, ExportScreen)
        dialog._path.value = str(tmp_path / "by its ending.md")
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert (tmp_path / "by its ending.md").read_text().startswith("# ")
        await pilot.press("e")
        await at(pilot, ExportScreen)
        dialog = pilot.app.screen
        assert isinstance(dialog, ExportScreen)
        dialog._path.value = str(tmp_path / "nowhere" / "out.csv")
        await pilot.pause()
        await pilot.press("enter")
        await sees(pilot, "cannot be written")
        dialog._path.value = str(tmp_path / "wizard.db")
        await pilot.pause()
        await pilot.press("enter", "enter")
        await sees(pilot, "belongs to the database that is exported.")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)


async def test_a_run_is_copied(tmp_path: Path, tracker: Tracker) -> None:
    run_id = add(tracker, "run \ud800", params={"lr": 1})
    async with experiments(tmp_path, runs=1) as (pilot, _):
        await pilot.press("y")
        assert pilot.app.clipboard == str(run_id)
        await pilot.press("Y")
        await until(pilot, lambda: pilot.app.clipboard.startswith("{"))
        assert json.loads(pilot.app.clipboard)["params"] == {"lr": 1}


async def test_the_list_keeps_up_with_what_others_write_and_stays_on_its_run(
    tmp_path: Path, tracker: Tracker
) -> None:
    chosen = add(tracker, "mine", status="running")
    async with experiments(tmp_path, runs=1) as (pilot, screen):
        await sees(pilot, "▶ running")
        for number in range(3):
            add(tracker, f"newer {number}")
        with tracker.database.writing() as connection:
            connection.exec_driver_sql("UPDATE run SET status = 'succeeded' WHERE id = ?", (chosen,))
        await until(pilot, lambda: screen.table.count == 4)
        assert screen.table.row is not None
        assert screen.table.row.id == chosen
        await sees(pilot, "newer 2", "✔ succeeded")
        draw(tracker, chosen, "loss", [3.0, 0.25])
        await sees(pilot, "loss  0.25")


async def test_out_of_sight_nothing_is_asked(tmp_path: Path, tracker: Tracker) -> None:
    add(tracker, "run")
    async with experiments(tmp_path, runs=1) as (pilot, screen):
        await pilot.press("alt+1")
        await until(pilot, lambda: not screen._looking)
        seen = screen._seen
        add(tracker, "another")
        await pilot.pause(1.3)
        assert screen._seen == seen
        await pilot.press("alt+4")
        await until(pilot, lambda: screen.table.count == 2)


async def test_a_database_in_trouble_is_told_and_recovered_from(tmp_path: Path, tracker: Tracker) -> None:
    add(tracker, "run")
    tracker.close()
    good = (tmp_path / "wizard.db").read_bytes()
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as raw:
        raw.execute("CREATE TABLE theirs (a)")
    replace_database(tmp_path, (tmp_path / "theirs.db").read_bytes())
    async with opened(tmp_path) as (pilot, _):
        await pilot.press("alt+4")
        await until(pilot, lambda: "not one of Wizard101's" in " ".join(shown(pilot.app.screen).split()))
        assert "It was left as it is." in " ".join(shown(pilot.app.screen).split())
        await pilot.press("s", "end", "g", "e", "slash", *"words", "escape")
        replace_database(tmp_path, good)
        screen = pilot.app.screen
        assert isinstance(screen, ExperimentsScreen)
        await until(pilot, lambda: screen.table.count == 1)
        assert "not one of" not in shown(screen)


async def test_a_newer_database_is_read_and_says_why_it_is_not_written(
    tmp_path: Path, tracker: Tracker
) -> None:
    add(tracker, "run", note="kept")
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    async with experiments(tmp_path, runs=1) as (pilot, screen):
        await sees(pilot, "ⓘ", "kept")
        assert screen.records.read_only is not None
        await pilot.press("n")
        await pilot.pause()
        assert pilot.app.screen is screen


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_text_is_shown_not_obeyed_in_every_view(
    tmp_path: Path, tracker: Tracker, text: str
) -> None:
    parent = add(tracker, text, kind=text)
    for _ in range(2):
        run_id = add(
            tracker,
            text,
            kind=text,
            experiment=text,
            params={text: text, "other": [text]},
            results=[Result(text, 0.5, 10, 0.2, 0.8)],
            lineage=[Lineage("data", text, text), Lineage("run", text, None, parent)],
            tags=[text],
            provenance=Provenance(text, text, True, {text: text}, {text: 1}),
            source=text,
            note=text,
            summary={text: text},
        )
        draw(tracker, run_id, text, [1.0, 2.0])
    annotate_experiment(tracker, text)
    async with experiments(tmp_path, runs=3) as (pilot, screen):
        await until(pilot, lambda: screen.details.view is not None)
        screens = [shown(screen)]
        for keys, kind in (
            (("g",), ChoiceScreen),
            (("s",), ChoiceScreen),
            (("n",), NoteScreen),
            (("t",), TagsScreen),
            (("space", "space", "c"), CompareScreen),
        ):
            await pilot.press(*keys)
            await at(pilot, kind)
            if kind is CompareScreen:
                await sees(pilot, "Parameters that differ")
            await pilot.pause()
            screens.append(shown(pilot.app.screen))
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)
        screen.words.display = True
        screen.words.value = text
        await pilot.pause()
        screens.append(shown(screen))
        await pilot.press("Y")
        await until(pilot, lambda: pilot.app.clipboard.startswith("{"))
    for drawn in screens:
        assert drawn.replace("\n", "").isprintable(), drawn
        assert not any("\ud800" <= character <= "\udfff" for character in drawn)


async def test_no_run_yet(tmp_path: Path, tracker: Tracker) -> None:
    async with experiments(tmp_path, SMALL, runs=0) as (pilot, screen):
        assert "No runs yet." in shown(screen)
        await pilot.press("enter", "space", "n", "g", "y", "Y", "e", "end", "r", "m")
        await sees(pilot, "There is no run")
