"""Saving the files of policies, their cases, and drafts: nothing is lost, whatever is in the way."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cases import Case
from engine.policies import case_file, files
from engine.policies.case_file import CaseIsThere, NoSuchCase, add_cases, remove_case, replace_case
from engine.policies.files import NOTHING, ChangedOnDisk, SaveError, hash_of, read_file, save_file
from engine.policies.load import PolicyCase, PolicyError, load_cases
from engine.workshop.drafts import Drafts

TEXTS = ["", "one\n", "\r\n\x00\u2028\x1b[2J", "é" * 500_000]


def case(prompt: str, *, violation: bool = True, response: str | None = None) -> PolicyCase:
    return PolicyCase(Case(prompt, response), violation, "V1: for a test.", "en", "a test")


class TestSaving:
    @pytest.mark.parametrize("text", TEXTS)
    def test_what_was_saved_is_read(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "new" / "policy.md"
        saved = save_file(path, text, over=None)
        assert read_file(path) == saved
        assert saved.sha256 == hash_of(text)
        assert path.read_bytes() == text.encode()

    @pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
    def test_the_mode_is_kept(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "policy.md"
        path.write_text("one")
        path.chmod(mode)
        save_file(path, "two", over=hash_of("one"))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_text() == "two"

    def test_a_new_file_follows_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            save_file(tmp_path / "policy.md", "one", over=None)
            assert os.umask(0o027) == 0o027
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "policy.md").stat().st_mode) == 0o640

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        real, link = tmp_path / "real.md", tmp_path / "policy.md"
        real.write_text("one")
        link.symlink_to(real)
        save_file(link, "two", over=hash_of("one"))
        assert link.is_symlink()
        assert real.read_text() == "two"

    def test_what_somebody_else_wrote_is_not_overwritten_unasked(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.md"
        with pytest.raises(ChangedOnDisk, match="no longer there"):
            save_file(path, "mine", over=hash_of("one"))
        path.write_text("theirs")
        for over in (None, hash_of("one")):
            with pytest.raises(ChangedOnDisk):
                save_file(path, "mine", over=over)
        assert path.read_text() == "theirs"
        save_file(path, "mine", over=None, force=True)
        assert path.read_text() == "mine"

    def test_half_a_character_is_refused_with_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(SaveError, match="line 3 "):
            save_file(tmp_path / "policy.md", "a\nb\nc\ud800", over=None)
        assert not any(tmp_path.iterdir())

    def test_a_folder_or_a_pipe_in_the_way_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        for name in ("folder", "pipe"):
            for force in (True, False):
                with pytest.raises(SaveError, match="not a plain file"):
                    save_file(tmp_path / name, "mine", over=None, force=force)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]

    def test_what_is_not_utf_8_is_told_and_left(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.md"
        path.write_bytes(b"caf\xe9")
        with pytest.raises(PolicyError, match="byte 3"):
            read_file(path)
        assert path.read_bytes() == b"caf\xe9"

    def test_a_file_that_is_not_there_is_nothing(self, tmp_path: Path) -> None:
        assert read_file(tmp_path / "none") == NOTHING
        assert not NOTHING.is_there

    def test_killed_while_saving_leaves_the_old_or_the_new(self, tmp_path: Path) -> None:
        """A process that saves two texts in turn is killed at any moment: the file is one of them, whole."""
        path = tmp_path / "policy.md"
        old, new = "old\n" * 50_000, "new\n" * 60_000
        path.write_text(old)
        program = (
            "import sys; from pathlib import Path; from engine.policies.files import save_file\n"
            "path = Path(sys.argv[1]); print('ready', flush=True)\n"
            "while True:\n"
            "    save_file(path, 'new\\n' * 60_000, over=None, force=True)\n"
            "    save_file(path, 'old\\n' * 50_000, over=None, force=True)\n"
        )
        for delay in range(8):
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.003 * (delay + 1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            assert path.read_text() in (old, new)


class TestCases:
    def test_cases_are_added_once_and_the_rest_stays_as_written(self, tmp_path: Path) -> None:
        path = tmp_path / "glass" / "cases.jsonl"
        path.parent.mkdir()
        odd = '  {"prompt": "odd", "expected": "safe", "reason": "r", "language": "en", "source": "s"}'
        path.write_text(f"{odd}\n\n")
        added, left_out = add_cases(
            tmp_path, "glass", [case("new"), case("odd"), case("new"), case("é\ud800")]
        )
        assert [each.case.prompt for each in added] == ["new", "é\ud800"]
        assert [each.case.prompt for each in left_out] == ["odd", "new"]
        assert path.read_text().startswith(f"{odd}\n\n")
        assert [each.case.prompt for each in load_cases(tmp_path, "glass")] == ["odd", "new", "é\ud800"]

    def test_cases_may_be_the_first(self, tmp_path: Path) -> None:
        add_cases(tmp_path, "glass", [case("a", response="b")])
        assert load_cases(tmp_path, "glass") == (case("a", response="b"),)

    def test_a_case_is_replaced_and_removed_in_its_line(self, tmp_path: Path) -> None:
        add_cases(tmp_path, "glass", [case("a"), case("b"), case("c")])
        replace_case(tmp_path, "glass", Case("b").key, case("b", violation=False))
        assert [each.violation for each in load_cases(tmp_path, "glass")] == [True, False, True]
        with pytest.raises(CaseIsThere):
            replace_case(tmp_path, "glass", Case("b").key, case("c"))
        remove_case(tmp_path, "glass", Case("a").key)
        with pytest.raises(NoSuchCase):
            remove_case(tmp_path, "glass", Case("a").key)
        assert [each.case.prompt for each in load_cases(tmp_path, "glass")] == ["b", "c"]

    def test_a_broken_file_is_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "glass" / "cases.jsonl"
        path.parent.mkdir()
        path.write_text("{}\n")
        with pytest.raises(PolicyError, match="line 1"):
            add_cases(tmp_path, "glass", [case("a")])
        assert path.read_text() == "{}\n"

    def test_shipped_cases_are_written_as_they_are(self) -> None:
        shipped = Path(__file__).resolve().parents[2] / "policies"
        for path in shipped.glob("*/cases.jsonl"):
            lines = path.read_text("utf-8").split("\n")[:-1]
            assert [case_file.written(each) for each in load_cases(shipped, path.parent.name)] == lines


class TestDrafts:
    def left_by_a_killed_editor(self, folder: Path, path: Path, text: str, over: str | None) -> None:
        program = (
            "import json, os, signal, sys; from pathlib import Path\n"
            "from engine.workshop.drafts import Drafts\n"
            "folder, path, text, over = json.loads(sys.argv[1])\n"
            "Drafts(Path(folder)).keep(Path(path), text, over); os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        told = json.dumps([str(folder), str(path), text, over])
        assert (
            subprocess.run([sys.executable, "-c", program, told], check=False).returncode == -signal.SIGKILL
        )

    def test_what_a_killed_editor_left_is_found_and_forgotten(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.md"
        folder = tmp_path / "drafts"
        for text in ("first", "second \ud800 \x1b"):
            self.left_by_a_killed_editor(folder, path, text, "abc")
        self.left_by_a_killed_editor(folder, tmp_path / "other.md", "other", None)
        drafts = Drafts(folder)
        found = drafts.left_over()
        assert [(each.path.name, each.text, each.over) for each in found] == [
            ("other.md", "other", None),
            ("policy.md", "second \ud800 \x1b", "abc"),
        ]
        drafts.forget(path)
        assert [each.path.name for each in drafts.left_over()] == ["other.md"]
        drafts.forget(tmp_path / "other.md")
        assert list(folder.iterdir()) == []

    def test_the_drafts_of_a_living_editor_are_its_own(self, tmp_path: Path) -> None:
        living, other = Drafts(tmp_path / "drafts"), Drafts(tmp_path / "drafts")
        living.keep(tmp_path / "policy.md", "typed", None)
        assert other.left_over() == []
        other.forget(tmp_path / "policy.md")
        living.close()
        assert other.left_over() == []
        assert list((tmp_path / "drafts").iterdir()) == []

    def test_what_is_left_for_later_is_there_for_the_next(self, tmp_path: Path) -> None:
        leaving = Drafts(tmp_path / "drafts")
        leaving.keep(tmp_path / "policy.md", "typed", None)
        leaving.leave()
        assert [each.text for each in Drafts(tmp_path / "drafts").left_over()] == ["typed"]

    def test_drafts_are_private_and_the_last_counts(self, tmp_path: Path) -> None:
        drafts = Drafts(tmp_path / "drafts")
        drafts.keep(tmp_path / "policy.md", "one", None)
        drafts.keep(tmp_path / "policy.md", "two", None)
        (own,) = (tmp_path / "drafts").iterdir()
        (draft,) = own.glob("*.json")
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert json.loads(draft.read_text())["text"] == "two"
        drafts.discard(tmp_path / "policy.md")
        assert not draft.exists()
        drafts.close()

    def test_damaged_drafts_are_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.md"
        self.left_by_a_killed_editor(tmp_path / "drafts", path, "typed", None)
        (left,) = (tmp_path / "drafts").iterdir()
        for name, content in (("a", b"{"), ("b", b"[]"), ("c", b'{"text": 1}'), ("d", b"[" * 100_000)):
            (left / f"{name}.json").write_bytes(content)
        assert [each.text for each in Drafts(tmp_path / "drafts").left_over()] == ["typed"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write fails in the kernel's words; real full disks are in tests/e2e."""
    path = tmp_path / "policy.md"
    path.write_text("one")
    monkeypatch.setattr(files.os, "fsync", _no_room)
    with pytest.raises(SaveError, match=r"No space left.*It is as it was\. Make room"):
        save_file(path, "two", over=hash_of("one"))
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def _no_room(_: int) -> None:
    raise OSError(28, "No space left on device")
