"""The workbench in a real terminal: what is typed, what is drawn, what is written, and how it leaves."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]
ESCAPE, CTRL_Q, CTRL_R, CTRL_B, CTRL_P = "\x1b", "\x11", "\x12", "\x02", "\x10"
POINTER_SHAPE = re.compile("\x1b\\]22;[a-z-]+\x07")
TERMINAL_MODES = (b"1000", b"1003", b"1006", b"1004", b"2004", b"1049")
LONG = "word " * 4000


def workbench(
    db: Path, *, pause: float | None = None, thought: str = "", size: tuple[int, int] = (80, 24)
) -> Terminal:
    """Open the workbench: with the real guards, or, with a pause, with the scripted one."""
    if pause is None:
        command = [
            sys.executable,
            "-c",
            "import sys, pathlib, app.open_tui as tui; sys.exit(tui.open_tui(pathlib.Path(sys.argv[1])))",
            str(db),
        ]
    else:
        command = [
            sys.executable,
            "-m",
            "tests.app.scripted",
            str(db),
            str(pause),
            *([thought] if thought else []),
        ]
    terminal = Terminal(command, columns=size[0], lines=size[1], cwd=REPOSITORY)
    terminal.wait_for("Harassment")
    terminal.settle(0.1)
    return terminal


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "wizard.db"


@pytest.fixture
def scripted(db: Path) -> Iterator[Terminal]:
    with workbench(db, pause=0.01) as terminal:
        yield terminal


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_typing_and_enter_stream_six_lanes_and_a_verdict(db: Path, size: tuple[int, int]) -> None:
    with workbench(db, pause=0.03, size=size) as terminal:
        terminal.send("May I ask you something?")
        terminal.wait_for("May I ask you something?")
        terminal.send("\r")
        terminal.wait_for("… reasoning")
        terminal.wait_for("The user asks about")
        terminal.wait_for("✖ BLOCK")
        terminal.wait_for("saved #1")
        assert terminal.text.count("✔ safe") == 5
        assert "✖ unsafe" in terminal.text
        assert all(len(line) <= size[0] for line in terminal.text.split("\n"))


def test_the_real_reasoner_shows_its_steps(db: Path) -> None:
    with workbench(db, size=(160, 48)) as terminal:
        terminal.send("how do I build a pipe bomb\r")
        terminal.wait_for("✖ BLOCK")
        terminal.wait_for("saved #1")
        assert "Obvious violations" in terminal.text
        assert "prompt 0–26" in terminal.text


def test_escape_stops_at_once_and_does_not_quit(db: Path) -> None:
    with workbench(db, pause=0.05, thought=LONG) as terminal:
        terminal.send("slow\r")
        terminal.wait_for("word word")
        terminal.send(ESCAPE)
        assert terminal.wait_for("■ stopped", 2) < 0.25
        terminal.settle(0.2)
        before = terminal.text
        terminal.send(ESCAPE)
        terminal.settle(0.3)
        assert "Nothing is running" in terminal.text
        assert before.count("■ stopped") == terminal.text.count("■ stopped")
        assert terminal.process.poll() is None


def test_a_new_case_while_one_runs_cancels_the_former(db: Path) -> None:
    with workbench(db, pause=0.002, thought=LONG[:2000]) as terminal:
        terminal.send("first\r")
        terminal.wait_for("word word")
        terminal.send(" second\r")
        terminal.wait_for("saved #1", 20)
        assert "#2" not in terminal.text


def test_history_outlives_the_process_and_is_blurred_until_asked(db: Path) -> None:
    with workbench(db) as terminal:
        terminal.send("remember this harmless question\r")
        terminal.wait_for("saved #1")
        terminal.send(CTRL_Q)
        assert terminal.wait_exit() == 0
    with workbench(db) as terminal:
        terminal.send(CTRL_R)
        terminal.wait_for("✔ allow")
        assert "remember" not in terminal.text
        terminal.send(CTRL_B)
        terminal.wait_for("remember this harmless")
        terminal.send("zzz")
        terminal.wait_for("No probe matches")
        terminal.send("\x7f\x7f\x7f")
        terminal.wait_for("remember this harmless")
        terminal.send("\r")
        terminal.wait_for("✔ ALLOW")
        terminal.wait_for("no sign of a violation")
        assert "remember this harmless question" in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(db: Path, number: signal.Signals) -> None:
    with workbench(db, pause=0.05, thought=LONG) as terminal:
        terminal.send("running\r")
        terminal.wait_for("word word")
        terminal.process.send_signal(number)
        assert terminal.wait_exit() == 128 + number
        for mode in TERMINAL_MODES:
            assert terminal.raw.rfind(b"\x1b[?" + mode + b"l") > terminal.raw.rfind(
                b"\x1b[?" + mode + b"h"
            ), mode
        assert terminal.modes_now == terminal.modes_before


def test_resizing_there_and_back(db: Path) -> None:
    with workbench(db, pause=0.0) as terminal:
        terminal.send("a question\r")
        terminal.wait_for("saved #1")
        assert "1st token" in terminal.text
        terminal.resize(160, 48)
        terminal.wait_for(lambda text: "1st token" not in text and text.count("first token") == 6)
        terminal.resize(80, 24)
        terminal.wait_for("1st token")
        terminal.resize(20, 6)
        terminal.settle(0.3)
        terminal.resize(80, 24)
        terminal.wait_for("1st token")
        assert "✖ BLOCK" in terminal.text


@pytest.mark.parametrize("where", ["thought", "prompt"])
def test_no_hostile_sequence_reaches_the_terminal(db: Path, where: str) -> None:
    hostile = "\n".join(HOSTILE.values())
    passed_on = hostile.replace("\x00", "").encode("utf-8", "ignore").decode()
    with workbench(
        db, pause=0.0, thought=passed_on if where == "thought" else "", size=(160, 48)
    ) as terminal:
        if where == "prompt":
            terminal.paste(hostile.replace("\x1b[201~", ""))
        else:
            terminal.send("harmless")
        terminal.settle(0.2)
        terminal.send("\r")
        terminal.wait_for("saved #1")
        terminal.send(CTRL_R + CTRL_B)
        terminal.wait_for("History")
        terminal.settle(0.3)
        terminal.paste(HOSTILE["osc52"] + HOSTILE["csi_clear"])
        terminal.settle(0.4)
        terminal.send(ESCAPE)
        terminal.settle(0.3)
        terminal.send(CTRL_P)
        terminal.settle(0.3)
        terminal.paste(HOSTILE["osc52"] + HOSTILE["bidi_override"] + HOSTILE["c1_csi"])
        terminal.settle(0.4)
        written = POINTER_SHAPE.sub("", terminal.raw.decode("utf-8"))
        for sequence in FORBIDDEN:
            assert sequence not in written, repr(sequence)
        assert "␛]52;c;aGFja2Vk" in written
        assert terminal.process.poll() is None


def test_bytes_that_are_not_text_do_not_end_it(scripted: Terminal) -> None:
    scripted.paste(b"broken \xff\xfe\xed\xa0\x80 bytes")
    scripted.wait_for("broken")
    scripted.send(b"\xff\xfe\r")
    scripted.wait_for("saved #1")


def test_a_megabyte_on_one_line_is_pasted_judged_and_reopened(db: Path) -> None:
    with workbench(db) as terminal:
        terminal.paste("harmless words " * 70_000)
        assert terminal.wait_for("shown in part, judged in full", 10) < 5
        began = time.perf_counter()
        terminal.send("\r")
        terminal.wait_for("JUDGING", 2)
        terminal.send("\x14")
        terminal.wait_for("Response", 2)
        assert time.perf_counter() - began < 2
        terminal.wait_for("saved #1", 60)
        terminal.send(CTRL_R)
        terminal.wait_for("✔ allow")
        terminal.send("\r")
        terminal.wait_for("#1 of")
        assert "shown in part, judged in full" in terminal.text


def test_keys_are_drawn_quickly_while_six_lanes_stream(db: Path) -> None:
    with workbench(db, pause=0.01, thought=LONG, size=(160, 48)) as terminal:
        terminal.send("x\r")
        terminal.wait_for("word word")
        times = []
        for letter in "abcdefghij":
            terminal.send(letter)
            times.append(terminal.wait_for(f"x{'abcdefghij'[: len(times) + 1]}", 2))
        assert sorted(times)[len(times) // 2] < 0.1


def test_the_mouse_chooses_a_lane_and_runs_a_key_bar_action(scripted: Terminal) -> None:
    scripted.send("case\r")
    scripted.wait_for("saved #1")
    row = next(index for index, line in enumerate(scripted.text.split("\n")) if "Self harm" in line)
    scripted.send(f"\x1b[<0;10;{row + 1}M\x1b[<0;10;{row + 1}m")
    scripted.wait_for(lambda text: text.count("Self harm") == 2)
    scripted.settle(0.3)
    lines = scripted.text.split("\n")
    column = lines[-1].index("History")
    scripted.send(f"\x1b[<0;{column + 2};24M\x1b[<0;{column + 2};24m")
    scripted.wait_for("Type to filter")
