"""Real programs as editors: those that work, fail, crash, or leave nonsense. Nothing typed is lost."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from app.outside_editor import EditorCommand, EditorFailed, chosen_editor, edit_outside


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def editor(program: str) -> EditorCommand:
    return EditorCommand((sys.executable, "-c", f"import sys, os; path = sys.argv[1]\n{program}"))


@pytest.mark.parametrize("text", ["", "one\r\n\x1b[2J", "half \ud800", "é" * 200_000])
def test_what_the_editor_saves_comes_back(tmp_path: Path, text: str) -> None:
    assert edit_outside(text, "policy.md", editor("open(path, 'a').write('more')")) == text + "more"
    assert edit_outside(text, "policy.md", editor("assert path.endswith('/policy.md')")) == text
    assert list(tmp_path.iterdir()) == []


def test_one_that_replaces_the_file_is_fine() -> None:
    program = "open(path + '~', 'w').write('new'); os.replace(path + '~', path)"
    assert edit_outside("old", "policy.md", editor(program)) == "new"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("os.unlink(path)", "left no file"),
    ],
)
def test_one_that_fails_says_so_and_leaves_nothing(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(EditorFailed, match=words):
        edit_outside("old", "policy.md", editor(program))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"new", b"\xff\xfe"])
def test_what_was_written_before_a_failure_is_kept_and_named(tmp_path: Path, content: bytes) -> None:
    ending = "sys.exit(1)" if content == b"new" else ""
    with pytest.raises(EditorFailed) as caught:
        edit_outside("old", "policy.md", editor(f"open(path, 'wb').write({content!r}); {ending}"))
    (kept,) = tmp_path.glob("*/policy.md")
    assert str(kept) in str(caught.value)
    assert kept.read_bytes() == content


def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"\x00not a program")
    script.chmod(0o755)
    with pytest.raises(EditorFailed, match="could not be started"):
        edit_outside("old", "policy.md", EditorCommand((str(script),)))


def test_the_editor_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = sys.executable
    assert chosen_editor({"VISUAL": f"{python} -u", "EDITOR": "none"}).arguments == (python, "-u")
    assert chosen_editor({"VISUAL": " ", "EDITOR": python}).name == Path(python).name
    with pytest.raises(EditorFailed, match="no such program"):
        chosen_editor({"EDITOR": "no-such-editor --wait"})
    with pytest.raises(EditorFailed, match="no command"):
        chosen_editor({"EDITOR": "'unclosed"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EditorFailed, match="no editor"):
        chosen_editor({})
