"""What can be read of a damaged database is taken over, once; what cannot is counted and said."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Connection

from engine.cases import Case, Decision
from engine.policies.load import Policy
from engine.tracker import Probe, TrackerError, open_tracker, salvage
from engine.tracker.damage import damaged_files
from engine.tracker.probes import Tracker
from engine.tracker.run_records import NewRun
from engine.tracker.salvage import Salvaged
from tests.cli.command import REPOSITORY, wizard
from tests.engine.tracking import judged

TEXT = "No violence."
POLICY = Policy("violence", TEXT, sha256(TEXT.encode()).hexdigest(), Path("violence"))


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as opened:
        yield opened


def make_old(folder: Path, probes: int = 20, name: str = "wizard.db.damaged-20260101T000000Z") -> Path:
    """Make a database such as is moved aside, whole as yet."""
    path = folder / name
    with open_tracker(path) as tracker:
        cases = [Case(f"{number} " * 200) for number in range(probes)]
        tracker.save_probes(
            [(case, judged(case, decision=Decision.BLOCK)) for case in cases], policies=[POLICY]
        )
    return path


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            raw.execute(statement)


def overwrite_page(path: Path, table: str, content: bytes = b"\xff" * 4096) -> None:
    with closing(sqlite3.connect(path)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(content)


def test_everything_of_a_probe_is_taken_over(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path, probes=2)
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=2)
    with open_tracker(old) as before:
        for number in (1, 2):
            assert tracker.probe(number) == before.probe(number)
    probe = tracker.probe(1)
    assert probe is not None
    assert probe.policies[POLICY.sha256].text == TEXT
    assert len(tracker.probes(contains="1 1 1")) == 1


@pytest.mark.parametrize("seq", ["'abc'", "NULL", "0", "9000000000000000000"])
def test_what_the_sequence_says_does_not_matter(tracker: Tracker, tmp_path: Path, seq: str) -> None:
    old = make_old(tmp_path)
    alter(old, f"UPDATE sqlite_sequence SET seq = {seq} WHERE name = 'probe'")
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=20)


def test_a_damaged_sequence_does_not_matter(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    overwrite_page(old, "sqlite_sequence", bytes(4096))
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=20)


def test_a_table_that_is_no_longer_known_hides_no_other(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    alter(old, "UPDATE sqlite_master SET sql = 'CRXXXE TABLE' WHERE name = 'job_need'")
    with closing(sqlite3.connect(old)) as raw, pytest.raises(sqlite3.DatabaseError, match="malformed"):
        raw.execute("SELECT count(*) FROM probe")
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=20)


def test_probes_are_salvaged_around_what_cannot_be_read(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path, probes=300)
    with old.open("r+b") as file:
        for part in (0.3, 0.6):
            file.seek(int(old.stat().st_size * part) // 4096 * 4096)
            file.write(b"\xff" * 4096 * 3)
    found = salvage.salvage(old, tracker.database)
    assert 0 < found.lost < 100
    assert found.probes + found.lost == 300
    assert tracker.count() == found.probes
    for summary in tracker.probes(limit=1000):
        assert tracker.probe(summary.id) is not None


def test_where_the_table_is_gone_its_probes_are_known_of(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    overwrite_page(old, "probe")
    found = salvage.salvage(old, tracker.database)
    assert (found.probes, found.lost, found.failed) == (0, 20, "no probe in it can be read")


# --- rows that make no sense -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        "source = NULL",
        "created_at = '2026-13-45'",
        "decision = 'blokk'",
        "decision = 'allow'",
        "decision = NULL",
        "status = 'timeout', decision = 'allow'",
        "score = 0.75",
        'settings = \'{"effort": "l\'',
        "latency_ms = x'ff'",
        "guard = CAST(x'ff41' AS TEXT)",
        "prompt = x'00ff'",
        "prompt = 'something else'",
        "case_key = 'x'",
    ],
)
def test_a_row_that_makes_no_sense_is_lost_and_no_other(tracker: Tracker, tmp_path: Path, harm: str) -> None:
    old = make_old(tmp_path)
    alter(
        old,
        "DROP TRIGGER probe_search_update",
        "UPDATE sqlite_master SET sql = replace(sql, 'source TEXT NOT NULL', 'source TEXT') "
        "WHERE name = 'probe'",
    )
    alter(old, f"UPDATE probe SET {harm} WHERE id = 4")
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=19, lost=1)
    page = tracker.probes()
    assert [probe.decision for probe in page] == [Decision.BLOCK] * 19
    assert all(isinstance(tracker.probe(probe.id), Probe) for probe in page)


def test_a_damaged_stream_is_a_lost_probe(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    alter(
        old,
        "UPDATE probe_stream SET events = substr(events, 1, 90) WHERE probe_id = 4",
        "DELETE FROM probe_stream WHERE probe_id = 5",
    )
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=18, lost=2)


def test_a_policy_text_that_is_not_what_its_hash_says_is_left_out(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    alter(old, "UPDATE policy_text SET text = 'All violence.'")
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=20)
    probe = tracker.probe(1)
    assert probe is not None
    assert probe.policies == {}


# --- once ----------------------------------------------------------------------------------------


def test_again_takes_nothing_twice(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    copy = shutil.copy(old, tmp_path / "copy")
    assert salvage.salvage(old, tracker.database) == Salvaged(probes=20)
    assert salvage.salvage(Path(copy), tracker.database) == Salvaged(there=20)
    assert tracker.count() == 20


def test_after_an_interruption_it_goes_on(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_old(tmp_path)

    def interrupted(connection: Connection, probe_id: int) -> Probe | None:
        if probe_id == 7:
            raise KeyboardInterrupt
        return read(connection, probe_id)

    read = salvage.read_probe
    monkeypatch.setattr(salvage, "read_probe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        salvage.salvage_all(tracker.database)
    assert damaged_files(tracker.path) == [old]
    assert tracker.count() == 6
    monkeypatch.setattr(salvage, "read_probe", read)
    (found,) = salvage.salvage_all(tracker.database).values()
    assert found == Salvaged(probes=14, there=6)
    assert damaged_files(tracker.path) == []


def test_a_full_disk_ends_it_and_it_goes_on_once_there_is_room(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path, probes=200)
    with tracker.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 30}")
    with pytest.raises(TrackerError, match=r"no room left.*is kept.*Free some disk space"):
        salvage.salvage_all(tracker.database)
    kept = tracker.count()
    assert 0 < kept < 200
    assert damaged_files(tracker.path) == [old]
    with tracker.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    (found,) = salvage.salvage_all(tracker.database).values()
    assert found == Salvaged(probes=200 - kept, there=kept)


def test_several_at_once_take_everything_over_once(tmp_path: Path) -> None:
    make_old(tmp_path, probes=100)
    open_tracker(tmp_path / "wizard.db").close()
    command = [sys.executable, "-m", "app", "runs", "rebuild", "--db", str(tmp_path / "wizard.db"), "--json"]
    processes = [
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, told
    (found,) = [found for answer, _ in told for found in json.loads(answer)["salvaged"].values()]
    assert found["probes"] == 100
    with open_tracker(tmp_path / "wizard.db") as tracker:
        assert tracker.count() == 100
        assert tracker.notice is None
    assert not list(tmp_path.glob("*.salvaging"))


# --- files that stay -----------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_stays_and_is_said(tmp_path: Path) -> None:
    garbage = tmp_path / "wizard.db.damaged-20260101T000000Z"
    garbage.write_bytes(b"garbage" * 1000)
    open_tracker(tmp_path / "wizard.db").close()
    for _ in range(2):
        answer = wizard("runs", "rebuild", cwd=tmp_path)
        assert answer.returncode == 1
        assert f"{garbage} cannot be read: file is not a database. It was left".encode() in answer.stderr
        assert b"kept as" not in answer.stdout
    assert garbage.read_bytes() == b"garbage" * 1000
    assert b"runs rebuild" in wizard("runs", "list", cwd=tmp_path).stderr


def test_word_of_an_emptied_database_goes_once_the_jobs_are_back(tmp_path: Path) -> None:
    (tmp_path / "wizard.db").touch()
    (tmp_path / "runs" / "1000").mkdir(parents=True)
    assert b"was empty" in wizard("runs", "list", cwd=tmp_path).stderr
    answer = wizard("runs", "rebuild", cwd=tmp_path)
    assert answer.stdout == b"0 jobs brought back, 0 were there.\n"
    assert b"was empty" not in wizard("runs", "list", cwd=tmp_path).stderr
    assert damaged_files(tmp_path / "wizard.db") == []


def test_a_file_that_cannot_be_opened_now_stays(tracker: Tracker, tmp_path: Path) -> None:
    old = tmp_path / "wizard.db.damaged-20260101T000000Z"
    old.mkdir()
    ((path, found),) = salvage.salvage_all(tracker.database).items()
    assert path == old
    assert found.failed
    assert damaged_files(tracker.path) == [old]


def test_what_the_disk_refuses_now_is_tried_again(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_old(tmp_path, probes=300)
    with old.open("r+b") as file:
        file.seek(old.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096 * 3)
    with monkeypatch.context() as patched:
        patched.setattr(salvage, "_PASSING", (sqlite3.SQLITE_CORRUPT,))
        ((path, found),) = salvage.salvage_all(tracker.database).items()
    assert path == old
    assert found.failed == "database disk image is malformed"
    assert found.probes > 200
    ((path, again),) = salvage.salvage_all(tracker.database).items()
    assert path != old
    assert (again.probes, again.there, again.lost) == (0, found.probes, found.lost)


def test_lost_probes_make_the_command_fail(tmp_path: Path) -> None:
    old = make_old(tmp_path)
    alter(old, "UPDATE probe SET decision = 'blokk' WHERE id = 4")
    open_tracker(tmp_path / "wizard.db").close()
    answer = wizard("runs", "rebuild", cwd=tmp_path)
    assert answer.returncode == 1
    assert b"19 probes, 0 tags, 0 notes and 0 versions of policies taken over." in answer.stdout
    assert b"1 probes cannot be read." in answer.stderr
    assert wizard("runs", "rebuild", cwd=tmp_path).returncode == 0, "there is nothing more to be had"


# --- tags and notes ------------------------------------------------------------------------------


def test_what_people_wrote_on_claims_is_taken_over_and_what_we_wrote_is_not(
    tracker: Tracker, tmp_path: Path
) -> None:
    old = make_old(tmp_path)
    with open_tracker(old) as before:
        before.runs.tag(1, "gold")
        for run_id in (1, 2, 3):
            before.runs.note(run_id, f"mine {run_id}")
        before.runs.note(4, "")
    tracker.runs.note(2, "newer")
    found = salvage.salvage(old, tracker.database)
    assert (found.tags, found.notes) == (1, 2)
    runs = [tracker.runs.run(run_id) for run_id in (1, 2, 3)]
    assert [run.note for run in runs if run] == ["mine 1", "newer", "mine 3"]
    again = salvage.salvage(old, tracker.database)
    assert (again.tags, again.notes) == (0, 0)


def test_a_note_is_never_put_on_another_run(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    with open_tracker(old) as before:
        before.runs.note(1, "mine")
        with before.database.writing() as connection:
            connection.exec_driver_sql("UPDATE run SET name = 'of an older history' WHERE id = 1")
    assert salvage.salvage(old, tracker.database).notes == 0


def test_tags_that_cannot_be_read_are_said_and_notes_are_taken(tracker: Tracker, tmp_path: Path) -> None:
    old = make_old(tmp_path)
    for database in (tracker, open_tracker(old)):
        database.runs.add(NewRun("mine", "trial", "succeeded"))
    with open_tracker(old) as before:
        before.runs.note(1000, "a note")
    overwrite_page(old, "tag")
    found = salvage.salvage(old, tracker.database)
    assert (found.probes, found.tags, found.notes) == (20, 0, 1)
    assert found.lost_words == tracker.runs.count()


# --- versions of policies ------------------------------------------------------------------------


def test_versions_are_taken_over_once_and_stand_before_those_that_came_since(
    tmp_path: Path, tracker: Tracker
) -> None:
    old = make_old(tmp_path)
    with open_tracker(old) as moved:
        for text in ("one", "two", "one"):
            moved.policies.note({"glass/policy.md": text})
    alter(old, "UPDATE policy_text SET text = 'zwei' WHERE text = 'two'")
    tracker.policies.note({"glass/policy.md": "three"})
    assert salvage.salvage(old, tracker.database).versions == 2
    assert salvage.salvage(old, tracker.database).versions == 0
    versions = tracker.policies.versions("glass/policy.md")
    assert [tracker.policies.text(version.sha256) for version in versions] == ["three", "one", "one"]
    assert [version.label for version in versions] == ["v3", "v2", "v1"]
    assert tracker.policies.note({"glass/policy.md": "three"}) == ()


def test_a_database_from_before_there_were_versions_gives_what_it_has(
    tmp_path: Path, tracker: Tracker
) -> None:
    old = make_old(tmp_path)
    alter(old, "DROP TABLE policy_version")
    found = salvage.salvage(old, tracker.database)
    assert (found.probes, found.versions, found.failed) == (20, 0, "")
