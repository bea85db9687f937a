"""Editing policies in a real terminal: killed, without room on the disk, and with the person's own editor."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.tracker import open_tracker
from tests.e2e.test_full_disk import fill
from tests.e2e.test_tui_terminal import CTRL_Q, REPOSITORY
from tests.engine.jobs.event_rows import small_disk
from tests.terminal import Terminal

ALT_2, CTRL_S, CTRL_E, CTRL_T, DOWN = "\x1b2", "\x13", "\x05", "\x14", "\x1b[B"
POLICY = "harassment"
TYPED = "zebra "


def lay_out(folder: Path) -> Path:
    """Make a folder of one shipped policy."""
    shutil.copytree(REPOSITORY / "policies" / POLICY, folder / "policies" / POLICY)
    shutil.copy(REPOSITORY / "policies" / "shared.toml", folder / "policies")
    return folder / "policies"


@contextmanager
def pane(folder: Path, policies: Path, editor: str = "") -> Iterator[Terminal]:
    env = {"WIZARD_DB": str(folder / "wizard.db"), "WIZARD_POLICIES": str(policies), "VISUAL": editor}
    with Terminal([sys.executable, "-m", "app"], columns=120, lines=40, cwd=REPOSITORY, env=env) as terminal:
        terminal.wait_for("Harassment")
        terminal.send(ALT_2)
        terminal.wait_for("# Harassment policy", 20)
        yield terminal


def write(terminal: Terminal) -> None:
    """Type a word at the beginning of the policy's text."""
    terminal.send(DOWN + "\r")
    terminal.settle()
    terminal.send(TYPED)
    terminal.wait_for("not saved", 20)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGHUP])
def test_what_was_typed_outlives_the_program(tmp_path: Path, end: signal.Signals) -> None:
    policies = lay_out(tmp_path)
    text = policies / POLICY / "policy.md"
    before = text.read_text()
    with pane(tmp_path, policies) as terminal:
        write(terminal)
        terminal.settle(1.0)
        terminal.process.send_signal(end)
        terminal.wait_exit()
    assert text.read_text() == before
    with pane(tmp_path, policies) as terminal:
        terminal.wait_for("before this text was saved", 20)
        terminal.send("r")
        terminal.wait_for(TYPED + "# Harassment", 20)
        terminal.send(DOWN + "\r")
        terminal.settle()
        terminal.send(CTRL_S)
        terminal.wait_for("✓ saved", 20)
        terminal.send(CTRL_Q)
        assert terminal.wait_exit() == 0
    assert text.read_text() == TYPED + before
    assert list((tmp_path / "drafts").iterdir()) == []
    with open_tracker(tmp_path / "wizard.db") as tracker:
        versions = tracker.policies.versions(f"{POLICY}/policy.md")
        assert [tracker.policies.text(version.sha256) for version in versions] == [TYPED + before, before]


def test_a_full_disk_refuses_the_save_and_takes_it_once_there_is_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with small_disk(tmp_path / "small", "2m") as disk:
        policies = lay_out(disk)
        text = policies / POLICY / "policy.md"
        text.chmod(0o640)
        before = text.read_text()
        with pane(home, policies) as terminal:
            write(terminal)
            filler = fill(disk)
            terminal.send(CTRL_S)
            terminal.wait_for("space left on device. It is as it was. Make room", 20)
            assert text.read_text() == before
            filler.unlink()
            terminal.send(CTRL_S)
            terminal.wait_for("✓ saved", 20)
            terminal.wait_for(lambda shown: "space left" not in shown, 20)
        assert text.read_text() == TYPED + before
        assert text.stat().st_mode & 0o777 == 0o640
        assert sorted(each.name for each in text.parent.iterdir()) == [
            "cases.jsonl",
            "policy.md",
            "signals.toml",
        ]


def test_the_persons_own_editor_has_the_terminal_to_itself(tmp_path: Path) -> None:
    policies = lay_out(tmp_path)
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\n"
        "print('my own editor, press enter', flush=True)\n"
        "sys.stdin.readline()\n"
        "text = open(sys.argv[1]).read()\n"
        "open(sys.argv[1], 'w').write('zebra ' + text)\n"
    )
    with pane(tmp_path, policies, f"{sys.executable} {script}") as terminal:
        terminal.send(DOWN + "\r")
        terminal.settle()
        terminal.send(CTRL_E)
        terminal.wait_for("my own editor, press enter", 20)
        terminal.send("\r")
        terminal.wait_for(TYPED + "# Harassment", 20)
        terminal.send("\x1a")  # undo, which also shows that keys arrive again
        terminal.wait_for(lambda shown: TYPED not in shown, 20)
        terminal.send(CTRL_Q)
        assert terminal.wait_exit() == 0
