"""The experiments pane in a real terminal: keys, mouse, sizes, and nothing hostile written."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine.tracker import open_tracker
from engine.tracker.run_records import Lineage, NewRun, Result
from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.e2e.test_tui_terminal import CTRL_P, ESCAPE, POINTER_SHAPE, workbench

ALT_1, ALT_4, END, HOME, DOWN = "\x1b1", "\x1b4", "\x1b[F", "\x1b[H", "\x1b[B"
F9, CTRL_S = "\x1b[20~", "\x13"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A database with four hundred runs, the newest of them number 399."""
    path = tmp_path / "wizard.db"
    with open_tracker(path) as tracker:
        with tracker.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM run")
        for number in range(400):
            result = Result("f1", number / 400, 200, number / 500, 0.9)
            tracker.runs.add(NewRun(f"run-{number}", "shell", "succeeded", results=[result]))
    return path


def test_panes_are_reached_by_alt_and_a_digit_and_digits_are_text_in_an_editor(db: Path) -> None:
    with workbench(db) as terminal:
        terminal.send("133")
        terminal.wait_for("133")
        terminal.send(ALT_4)
        terminal.wait_for("run-399")
        assert "[4 Experiments]" in terminal.text
        terminal.send("1")
        terminal.wait_for("[1 Probe]")
        terminal.send("7")
        terminal.wait_for("1337")
        terminal.send(F9 + F9 + F9 + F9 + F9 + F9)
        terminal.wait_for("[1 Probe]")
        terminal.send(ALT_4 + ALT_1)
        terminal.wait_for("1337")
        assert terminal.process.poll() is None


def test_keys_and_mouse_move_through_a_long_list(db: Path) -> None:
    with workbench(db) as terminal:
        terminal.send(ALT_4)
        terminal.wait_for("1 of 400")
        terminal.send(END)
        terminal.wait_for("400 of 400")
        terminal.wait_for("run-0 ")
        terminal.send(HOME + DOWN * 3)
        terminal.wait_for("4 of 400")
        terminal.send("\x1b[<65;20;10M" * 5)
        terminal.wait_for(lambda text: "run-399" not in text)
        terminal.settle(0.2)
        terminal.send("\x1b[<0;20;12M\x1b[<0;20;12m")
        terminal.wait_for(lambda text: "4 of 400" not in text)
        terminal.settle(0.3)
        column = terminal.text.split("\n")[1].index("Name") + 1
        terminal.send(f"\x1b[<0;{column};2M\x1b[<0;{column};2m")
        terminal.wait_for("sort name")


def test_every_size_has_its_layout(db: Path) -> None:
    with workbench(db) as terminal:
        terminal.send(ALT_4)
        terminal.wait_for("1 of 400")
        assert "measured by this program" not in terminal.text
        terminal.send("\r")
        terminal.wait_for("measured by this program")
        terminal.send(ESCAPE)
        terminal.wait_for("run-390")
        terminal.resize(160, 48)
        terminal.wait_for("measured by this program")
        terminal.wait_for("run-370")
        terminal.resize(20, 6)
        terminal.settle(0.3)
        terminal.resize(80, 24)
        terminal.wait_for("run-390")
        assert all(len(line) <= 80 for line in terminal.text.split("\n"))


def test_a_note_survives_and_others_see_it(db: Path) -> None:
    with workbench(db, size=(160, 48)) as terminal, workbench(db, size=(160, 48)) as other:
        for each in (terminal, other):
            each.send(ALT_4)
            each.wait_for("1 of 400")
        terminal.send("n")
        terminal.wait_for("Note of #")
        terminal.send("worth a second look" + CTRL_S)
        terminal.wait_for("was saved")
        other.wait_for("worth a second look")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_exit() == 128 + signal.SIGTERM


def test_no_hostile_sequence_reaches_the_terminal(db: Path) -> None:
    with open_tracker(db) as tracker:
        for text in HOSTILE.values():
            tracker.runs.add(
                NewRun(
                    text,
                    text,
                    "succeeded",
                    experiment=text,
                    params={text: text},
                    results=[Result(text, 0.5, 10, 0.2, 0.8)],
                    lineage=[Lineage("data", text, text)],
                    tags=[text],
                    source=text,
                    note=text,
                )
            )
    with workbench(db, size=(160, 48)) as terminal:
        terminal.send(ALT_4)
        terminal.wait_for(f"1 of {400 + len(HOSTILE)}")
        for _ in HOSTILE:
            terminal.settle(0.1)
            terminal.send(DOWN)
        for keys, title in (("s", "Sort by"), ("n", "Note of"), ("t", "Tags of"), ("e", "Export")):
            terminal.send(HOME + keys)
            terminal.wait_for(title)
            terminal.paste(HOSTILE["osc52"] + HOSTILE["csi_clear"])
            terminal.settle(0.2)
            terminal.send(ESCAPE)
            terminal.settle(0.2)
            terminal.send(ESCAPE)
            terminal.settle(0.2)
        terminal.send(HOME + "   c")
        terminal.wait_for("Parameters that differ")
        terminal.settle(0.2)
        terminal.send(ESCAPE)
        terminal.wait_for(" of 4")
        terminal.send("/")
        terminal.wait_for("Words, a number, or kind:")
        terminal.paste(HOSTILE["osc_title"] + HOSTILE["bidi_override"])
        terminal.wait_for("No run matches")
        terminal.send(ESCAPE + CTRL_P)
        terminal.settle(0.3)
        written = POINTER_SHAPE.sub("", terminal.raw.decode("utf-8"))
        for sequence in FORBIDDEN:
            assert sequence not in written, repr(sequence)
        assert "␛]52;c;aGFja2Vk" in written
        assert terminal.process.poll() is None
