"""A damaged database is kept aside, and work goes on with a new one; what was not ours is never touched."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engine.cases import Case
from engine.tracker import TrackerError, damage, database, open_tracker
from engine.tracker.database import Database
from engine.tracker.records import Damaged, Replaced
from engine.tracker.watch import Watch
from tests.engine.together import run_together
from tests.engine.tracking import judged


def save(path: Path, prompt: str = "x") -> int:
    case = Case(prompt)
    with open_tracker(path) as tracker:
        return tracker.save_probe(case, judged(case))


def filled(path: Path, probes: int = 20) -> Path:
    with open_tracker(path) as tracker:
        for number in range(probes):
            case = Case(f"{number} " * 500)
            tracker.save_probe(case, judged(case))
    return path


def overwrite_at(start: int, length: int) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(b"\xff" * length)

    return harm


def cut_to(size: float) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        whole = path.stat().st_size
        os.truncate(path, int(whole * size) if 0 < size < 1 else int(size) + (whole if size < 0 else 0))

    return harm


def replace_all(path: Path) -> None:
    path.write_bytes(b"garbage\n" * 5000)


def break_table(path: Path, name: str = "probe") -> None:
    with closing(sqlite3.connect(path)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    overwrite_at(4096 * (page - 1), 4096)(path)


HARMS = {
    "all of it": replace_all,
    "the header": overwrite_at(0, 100),
    "the magic": overwrite_at(0, 1),
    "the page size": overwrite_at(16, 2),
    "the schema": overwrite_at(100, 3900),
    "half is gone": cut_to(0.5),
    "the last hundred bytes are gone": cut_to(-100),
    "half a header is left": cut_to(50),
    "a header is left": cut_to(100),
    "a page is left": cut_to(4096),
    "a table": break_table,
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_database_is_kept_aside_and_a_new_one_begun(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = filled(tmp_path / "wizard.db")
    harm(path)
    damaged = path.read_bytes()
    with suppress(TrackerError), open_tracker(path) as tracker:
        tracker.probes()  # damage that opening does not meet is met here
    with open_tracker(path) as tracker:
        assert tracker.probes() == []
        assert tracker.runs.count() > 0
        told = tracker.notice or ""
    (aside,) = damage.damaged_files(path)
    assert aside.read_bytes() == damaged
    assert str(aside) in told
    assert f"runs rebuild --db {path}" in told
    assert save(path) == 1
    assert damage.damaged_files(path) == [aside]
    aside.unlink()
    with open_tracker(path) as tracker:
        assert tracker.notice is None
    assert {file.name for file in tmp_path.iterdir()} == {"wizard.db"}


def test_one_that_was_emptied_is_said_to_have_been(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db", probes=1)
    (tmp_path / "runs" / "1000").mkdir(parents=True)
    backup = tmp_path / "wizard.db.backup-20260101T000000Z"
    backup.touch()
    os.truncate(path, 0)
    for _ in range(2):
        with open_tracker(path) as tracker:
            told = tracker.notice or ""
            assert "was empty" in told
            assert f"runs rebuild --db {path}" in told
            assert str(backup) in told
    (word,) = damage.damaged_files(path)
    assert str(word) in told
    word.unlink()
    with open_tracker(path) as tracker:
        assert tracker.notice is None


def test_an_empty_file_that_was_never_in_use_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "runs" / "1000").mkdir(parents=True)
    for name in ("wizard.db", "a/wizard.db", "mine.sqlite"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name != "wizard.db":
            path.touch()
        with open_tracker(path) as tracker:
            assert tracker.notice is None


# --- what is ours ------------------------------------------------------------------------------------


def test_one_of_another_name_is_known_by_its_header(tmp_path: Path) -> None:
    path = filled(tmp_path / "mine [1].sqlite")
    overwrite_at(100, 3900)(path)
    assert save(path) == 1
    assert len(damage.damaged_files(path)) == 1


def test_one_of_another_name_is_known_by_what_lies_beside_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "mine.sqlite")
    (tmp_path / "mine.sqlite.scheduler").touch()
    replace_all(path)
    assert save(path) == 1
    assert len(damage.damaged_files(path)) == 1


@pytest.mark.parametrize("harm", [replace_all, overwrite_at(0, 100)])
def test_what_bears_no_sign_of_being_ours_is_refused(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = filled(tmp_path / "mine.sqlite")
    harm(path)
    content = path.read_bytes()
    for _ in range(2):
        with pytest.raises(
            Damaged, match=r"is damaged or is not a database.*Move it away to start a new one"
        ):
            open_tracker(path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["mine.sqlite"]


def test_a_damaged_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (a)")
    overwrite_at(100, 3900)(path)
    content = path.read_bytes()
    with pytest.raises(Damaged):
        open_tracker(path)
    assert path.read_bytes() == content


def test_another_programs_database_of_our_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (a)")
    damage.remember(path)
    content = path.read_bytes()
    with pytest.raises(TrackerError, match="not one of Wizard101's"):
        open_tracker(path)
    assert path.read_bytes() == content
    assert damage.damaged_files(path) == []


def test_a_busy_database_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path / "wizard.db")
    damage.remember(path)
    monkeypatch.setattr(damage, "_BUSY_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackerError, match="Another process has been writing"):
            open_tracker(path)
    with open_tracker(path) as tracker:
        assert tracker.count() == 20
    assert damage.damaged_files(path) == []


def test_a_link_keeps_leading_to_the_database(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = filled(tmp_path / "real" / "wizard.db")
    link = tmp_path / "wizard.db"
    link.symlink_to(real)
    replace_all(real)
    assert save(link) == 1
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert [file.parent for file in damage.damaged_files(link)] == [real.parent]


# --- unfounded suspicion -----------------------------------------------------------------------------


def test_a_suspicion_that_is_unfounded_changes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db", probes=1)
    damage.remember(path)
    with open_tracker(path) as tracker:
        assert tracker.count() == 1
        assert tracker.notice is None
    assert not damage.is_suspected(path)


@pytest.mark.parametrize("size", [512, 1024, 2048, 65536])
def test_pages_of_another_size_are_no_damage(tmp_path: Path, size: int) -> None:
    path = filled(tmp_path / "wizard.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute(f"PRAGMA page_size = {size}")
        raw.execute("VACUUM")
        while path.stat().st_size % 4096 == 0 and size < 4096:
            raw.execute("CREATE TABLE IF NOT EXISTS more (a)")
            raw.execute("INSERT INTO more VALUES (zeroblob(400))")
    with open_tracker(path) as tracker:
        assert tracker.notice is None
        assert tracker.count() == 20
    cut_to(path.stat().st_size - size // 2)(path)
    with open_tracker(path) as tracker:
        assert tracker.notice is not None


def test_a_search_index_that_is_damaged_within_whole_pages_is_made_anew(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE probe_search_data SET block = x'00ff00ff' WHERE id > 10")
    with open_tracker(path) as tracker, pytest.raises(Damaged):
        tracker.probes(contains="7 7 7")
    with open_tracker(path) as tracker:
        assert len(tracker.probes(contains="7 7 7")) == 1
        assert tracker.notice is None


# --- several at once ---------------------------------------------------------------------------------

OPENS_AND_SAVES = """
import sys
from pathlib import Path
import engine.tracker.probes
from engine.cases import Case
from engine.tracker import open_tracker
from tests.engine.tracking import judged
print("ready", flush=True)
sys.stdin.readline()
case = Case(sys.argv[2])
with open_tracker(Path(sys.argv[1])) as tracker:
    tracker.save_probe(case, judged(case))
    assert tracker.notice
"""


def test_many_who_meet_damage_move_it_aside_once_and_lose_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db")
    overwrite_at(100, 3900)(path)
    commands = [[sys.executable, "-c", OPENS_AND_SAVES, str(path), f"from {number}"] for number in range(6)]
    ended = run_together(commands)
    assert [code for code, _ in ended] == [0] * 6, ended
    assert len(damage.damaged_files(path)) == 1
    with open_tracker(path) as tracker:
        assert {probe.excerpt for probe in tracker.probes()} == {f"from {number}" for number in range(6)}


def test_a_damaged_one_is_not_moved_while_another_opens_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db")
    overwrite_at(100, 3900)(path)
    mover = threading.Thread(target=damage.settle, args=[path])
    with damage.opening(path):
        mover.start()
        mover.join(0.2)
        assert mover.is_alive()
        assert not damage.damaged_files(path)
    mover.join(10)
    assert len(damage.damaged_files(path)) == 1
    assert not path.exists()


def test_who_has_the_old_one_open_is_told_and_does_not_harm_the_new_one(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db")
    case = Case("y")
    old = open_tracker(path)
    watch = Watch(old.database)
    old.save_probe(case, judged(case))
    break_table(path, "run")
    with pytest.raises(Damaged):
        old.runs.page()
    log = path.with_name("wizard.db-wal").read_bytes()
    new = open_tracker(path)
    new.save_probe(Case("new"), judged(Case("new")))
    with pytest.raises(Replaced, match="Try again"):
        old.save_probe(case, judged(case))
    with pytest.raises(Replaced):
        watch.changed()
    watch.close()
    old.close()  # would SQLite delete the new one's log now, what was saved would be lost
    new.save_probe(Case("newer"), judged(Case("newer")))
    new.close()
    with open_tracker(path) as tracker:
        assert [probe.excerpt for probe in tracker.probes()] == ["newer", "new"]
    (aside,) = damage.damaged_files(path)
    assert aside.with_name(aside.name + "-wal").read_bytes() == log
    again = damage.mark_salvaged(aside)
    assert again.with_name(again.name + "-wal").read_bytes() == log
    assert damage.damaged_files(path) == []


def test_threads_that_meet_damage_at_once_agree(tmp_path: Path) -> None:
    path = filled(tmp_path / "wizard.db")
    replace_all(path)
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(database.Database(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    for one in opened:
        with one.writing():
            pass
        one.close()
    assert len(damage.damaged_files(path)) == 1
