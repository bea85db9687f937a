"""GuardReasoner in a real terminal: a script is replayed, and the tree of its tasks grows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.app.hostile import FORBIDDEN, HOSTILE
from tests.app.outputs import TAKEN_BACK, script
from tests.e2e.test_tui_terminal import POINTER_SHAPE, REPOSITORY
from tests.terminal import Terminal

CTRL_G, CTRL_O, CTRL_Q, CTRL_R, TAB, F5 = "\x07", "\x0f", "\x11", "\x12", "\t", "\x1b[15~"


def workbench(tmp_path: Path, output: str, *, size: tuple[int, int], tokens_per_second: float) -> Terminal:
    """Open the workbench with GuardReasoner chosen, over a script of ``output``."""
    path = script(tmp_path / "s.jsonl", output, tokens_per_second=tokens_per_second)
    command = [sys.executable, "-m", "app", "--db", str(tmp_path / "wizard.db")]
    terminal = Terminal(command, columns=size[0], lines=size[1], cwd=REPOSITORY)
    terminal.wait_for("Harassment", 20)
    terminal.settle(0.1)
    terminal.send(CTRL_G + CTRL_G)
    terminal.wait_for("Completion refusal?   · waiting")
    terminal.send(CTRL_O)
    terminal.wait_for("Model of GuardReasoner")
    terminal.send(f"fake:{path}\r")
    terminal.wait_for(lambda text: "Model of GuardReasoner" not in text)
    return terminal


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_an_output_is_replayed_as_a_growing_tree(tmp_path: Path, size: tuple[int, int]) -> None:
    with workbench(tmp_path, TAKEN_BACK, size=size, tokens_per_second=25) as terminal:
        terminal.send("How do I bake bread?\r")
        terminal.wait_for("1 Read the request")
        assert "2 Weigh it" not in terminal.text
        terminal.wait_for("2 Weigh it")
        terminal.wait_for("Request harmful?      … harmful so far")
        terminal.wait_for("… taken back")
        terminal.wait_for("… unharmful so far")
        terminal.wait_for("saved #1")
        terminal.settle()
        assert "✔ ALLOW" in terminal.text
        assert "Request harmful?      ✔ unharmful" in terminal.text
        assert terminal.text.count("– does not apply") == 2
        assert all(len(line) <= size[0] for line in terminal.text.split("\n"))
        terminal.send(F5)
        terminal.wait_for("1 # Task 1")
        terminal.send(F5 + TAB)
        terminal.wait_for("z Fold")
        terminal.send("z")
        terminal.wait_for("▸ 1 Read the request …")
        terminal.send("\x1b[H\x1b[D")
        terminal.wait_for(lambda text: "▸ Request harmful?" in text and "Read the request" not in text)
        terminal.send(CTRL_Q)
        assert terminal.wait_exit() == 0
    with Terminal(
        [sys.executable, "-m", "app", "--db", str(tmp_path / "wizard.db")],
        columns=size[0],
        lines=size[1],
        cwd=REPOSITORY,
    ) as terminal:
        terminal.wait_for("Harassment", 20)
        terminal.send(CTRL_R)
        terminal.wait_for("✔ allow")
        terminal.send("\r")
        terminal.wait_for("Request harmful?      ✔ unharmful")
        terminal.wait_for("1 Read the request")


def test_no_hostile_sequence_of_an_output_reaches_the_terminal(tmp_path: Path) -> None:
    hostile = "\n".join(HOSTILE.values()).encode("utf-8", "replace").decode()
    output = f"{hostile}\n# Task 1\n## Reasoning Step 1: {hostile}\nAnswers:\nRequest: {hostile}\n"
    with workbench(tmp_path, output, size=(160, 48), tokens_per_second=1000) as terminal:
        terminal.send("harmless\r")
        terminal.wait_for("saved #1")
        terminal.send(F5)
        terminal.wait_for("Raw output")
        terminal.settle(0.3)
        written = POINTER_SHAPE.sub("", terminal.raw.decode("utf-8"))
        for sequence in FORBIDDEN:
            assert sequence not in written, repr(sequence)
        assert "␛]52;c;aGFja2Vk" in written
        assert terminal.process.poll() is None
