"""Opening the tracker's file: new, old, newer, foreign, damaged, unwritable, and by many at once."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

from engine.cases import Case
from engine.tracker import TrackerError, damage, database, migrations, open_tracker
from engine.tracker.seed import history
from tests.engine.together import run_together
from tests.engine.tracking import judged


def save(path: Path, prompt: str = "x") -> int:
    case = Case(prompt)
    with open_tracker(path) as tracker:
        return tracker.save_probe(case, judged(case))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def schema_of(connection: Connection) -> set[str]:
    """Return the SQL of everything but Alembic's own table, without its white space."""
    rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {"".join(row[0].split()) for row in rows if "alembic_version" not in row[0]}


def is_ours(_: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
    return not (kind == "table" and reflected and str(name).startswith(("probe_search", "alembic_version")))


def test_the_migrated_schema_is_that_of_the_tables() -> None:
    migrated, made = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.begin() as connection:
        migrations.upgrade(connection)
        context = MigrationContext.configure(
            connection,
            opts={"include_object": is_ours, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, SQLModel.metadata) == []
        by_migration = schema_of(connection)
    with made.begin() as connection:
        SQLModel.metadata.create_all(connection)
        directly = schema_of(connection)
    assert {statement.replace("NOTNULLPRIMARYKEY", "NOTNULL") for statement in by_migration} == {
        statement.replace("NOTNULLPRIMARYKEY", "NOTNULL") for statement in directly
    }


def test_head_is_the_newest_migration() -> None:
    with create_engine("sqlite://").connect() as connection:
        script = ScriptDirectory.from_config(migrations.configuration(connection))
    assert script.get_current_head() == database.HEAD


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "wizard.db"
    before = os.umask(0)
    try:
        with open_tracker(path) as tracker:
            case = Case("x")
            tracker.save_probe(case, judged(case))
            assert {file.name: mode(file) for file in path.parent.iterdir()} == dict.fromkeys(
                ("wizard.db", "wizard.db-shm", "wizard.db-wal"), 0o600
            )
        assert mode(path.parent) == 0o700
    finally:
        os.umask(before)


def test_an_empty_file_is_made_private_and_used(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    path.touch(0o644)
    save(path)
    assert mode(path) == 0o600


def test_the_settings_hold_on_every_connection(tmp_path: Path) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        engine = tracker.database.engine
        with engine.connect() as first, engine.connect() as second:
            for connection in (first, second):
                pragmas = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
                assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas] == [
                    "wal",
                    1,
                    30_000,
                    1,
                ]


def test_a_write_takes_the_lock_at_its_beginning_and_a_read_does_not(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    with (
        open_tracker(path) as tracker,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
    ):
        with tracker.database.engine.connect() as reading, reading.begin():
            reading.exec_driver_sql("SELECT count(*) FROM probe")
            other.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
        writing = tracker.database.engine.connect().execution_options(immediate=True)
        with writing, writing.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_a_lock_that_is_never_released_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wizard.db"
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    case = Case("x")
    with open_tracker(path) as tracker, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackerError, match="Another process has been writing"):
            tracker.save_probe(case, judged(case))
        other.execute("ROLLBACK")
        tracker.save_probe(case, judged(case))


# --- other schemas -------------------------------------------------------------------------------

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("probe") as table:
        table.add_column(sa.Column("note", sa.Text(), nullable=True))
        table.alter_column("source", nullable=True)
    {more}
"""


@pytest.fixture
def with_next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes 0004 the newest schema; its argument is a last statement of the migration."""

    def arrange(more: str = "") -> None:
        folder = tmp_path / "migrations with 100% more"
        (folder / "versions").mkdir(parents=True)
        for source in migrations.FOLDER.glob("**/*.py"):
            (folder / source.relative_to(migrations.FOLDER)).write_bytes(source.read_bytes())
        (folder / "versions" / "r0004_note.py").write_text(NEXT.format(more=more))
        monkeypatch.setattr(migrations, "FOLDER", folder)
        monkeypatch.setattr(database, "HEAD", "0004")

    return arrange


HEAD = database.HEAD


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(query).fetchall()


def test_an_older_database_is_backed_up_and_migrated(
    tmp_path: Path, with_next_migration: Callable[[], None]
) -> None:
    path = tmp_path / "wizard.db"
    kept = save(path, "precious")
    with_next_migration()
    with open_tracker(path) as tracker:
        assert tracker.read_only is None
        probe = tracker.probe(kept)
        assert probe is not None
        assert probe.case.prompt == "precious"
        case = Case("after")
        assert tracker.save_probe(case, judged(case)) > kept
    assert rows(path, "SELECT version_num FROM alembic_version") == [("0004",)]
    assert rows(path, "SELECT note FROM probe") == [(None,), (None,)]
    (backup,) = tmp_path.glob("wizard.db.backup-*")
    assert mode(backup) == 0o600
    assert rows(backup, "SELECT version_num, prompt FROM alembic_version, probe") == [(HEAD, "precious")]
    open_tracker(path).close()
    assert len(list(tmp_path.glob("wizard.db.backup-*"))) == 1


def test_a_database_of_probes_only_gains_the_runs(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    made = create_engine(f"sqlite:///{path}")
    with made.begin() as connection:
        migrations.upgrade(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO probe VALUES (7, '2026-01-01', 'cli', 'reasoner', NULL, 'allow', 'ok', "
            "0.5, 1.0, 'key', '{}', NULL, 'precious', NULL)"
        )
    made.dispose()
    with open_tracker(path) as tracker:
        assert [probe.excerpt for probe in tracker.probes()] == ["precious"]
    assert rows(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert rows(path, "SELECT count(*) FROM job") == [(0,)]


@pytest.mark.parametrize("more", ["raise ValueError('half way')", "op.execute('DELETE FROM probe')"])
def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, with_next_migration: Callable[[str], None], more: str
) -> None:
    path = tmp_path / "wizard.db"
    save(path, "precious")
    with_next_migration(more)
    for _ in range(2):
        with pytest.raises(TrackerError, match=r"could not be brought to schema 0004.*It is unchanged\."):
            open_tracker(path)
    assert list(tmp_path.glob("wizard.db.backup-*")) == [], "a copy of what is unchanged is of no use"
    assert rows(path, "SELECT version_num, prompt FROM alembic_version, probe") == [(HEAD, "precious")]


@pytest.mark.parametrize("revision", ["0099", "a1b2c3", "00001"])
def test_a_newer_database_can_be_read_but_not_written(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "wizard.db"
    kept = save(path)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    case = Case("y")
    with open_tracker(path) as tracker:
        assert tracker.read_only is not None
        assert f"schema {revision}" in tracker.read_only
        assert tracker.probe(kept) is not None
        with pytest.raises(TrackerError, match="nothing will be saved"):
            tracker.save_probe(case, judged(case))
        with tracker.database.engine.connect() as connection, pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("DELETE FROM probe")
        assert tracker.count() == 1
    assert not list(tmp_path.glob("*.backup-*"))


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (a)")
    content = path.read_bytes()
    with pytest.raises(TrackerError, match=r"not one of Wizard101's.*left as it is"):
        open_tracker(path)
    assert path.read_bytes() == content


# --- files that cannot be used -------------------------------------------------------------------


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 1000)
    (tmp_path / "notes.txt.backup-20260101T000000Z").touch()
    with pytest.raises(TrackerError, match="is damaged or is not a database") as caught:
        open_tracker(path)
    assert "backup-20260101T000000Z" in caught.value.hint
    assert path.read_text() == "my notes, " * 1000
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", "notes.txt.backup-20260101T000000Z"}


def test_a_damaged_database_is_explained_when_the_damage_is_met(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    for number in range(50):
        save(path, f"{number} " * 500)
    with closing(sqlite3.connect(path)) as raw:
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'probe'").fetchone()
    content = bytearray(path.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\xff" * 4096
    path.write_bytes(content)
    with open_tracker(path) as tracker:
        assert tracker.runs.count() > 0, "what is not damaged can be used"
        with pytest.raises(TrackerError, match=r"is damaged.*the next start looks at all of it"):
            tracker.probes()
    assert path.read_bytes() == content
    assert save(path) == 1
    assert [file.read_bytes() for file in damage.damaged_files(path)] == [content]


def test_a_folder_that_cannot_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackerError, match=r"cannot be opened.*--db"):
        open_tracker(tmp_path / "file" / "wizard.db")
    with pytest.raises(TrackerError, match=r"cannot be written.*--db"):
        open_tracker(tmp_path)


def test_a_link_that_leads_back_to_itself_is_explained(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop, loop / "wizard.db"):
        with pytest.raises(TrackerError, match=r"cannot be (opened|written).*--db"):
            open_tracker(path)
        assert damage.notice(path) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_explained(tmp_path: Path) -> None:
    save(tmp_path / "wizard.db")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(TrackerError, match="Make its folder writable"):
            open_tracker(tmp_path / "other.db")
    finally:
        tmp_path.chmod(0o700)


# --- several processes ---------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
import engine.tracker.probes
from engine.cases import Case
from engine.tracker import open_tracker
from tests.engine.tracking import judged
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    case = Case(f"{name} {number}")
    with open_tracker(path) as tracker:
        tracker.save_probe(case, judged(case))
        tracker.probes(contains=name)
"""


def test_processes_that_create_and_write_at_once_never_meet_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    commands = [[sys.executable, "-c", WRITER, str(path), f"writer{name}", "60"] for name in range(4)]
    assert run_together(commands) == [(0, "")] * 4
    with open_tracker(path) as tracker:
        assert tracker.runs.count() == sum(len(experiment.runs) for experiment in history())
        assert tracker.count() == 240
        assert len(tracker.probes(contains="writer2", limit=100)) == 60
