"""``wizard101 runs``, as people and scripts use it: the real command on a real database."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from app.cli.main import run as command_line
from engine.tracker import open_tracker
from engine.tracker.run_records import Origin, Result
from tests.cli.command import REPOSITORY, wizard
from tests.engine.trial_runs import EVIL, add_points, trial

LONG_CALL = "SELECT instr(printf('%.*c', 20000000, 'a'), printf('%.*c', 300000, 'a') || 'b')"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def ids(tmp_path: Path) -> list[int]:
    """Make a database in the test's folder: two measured runs, an imported one, and a hostile one."""
    with open_tracker(tmp_path / "wizard.db") as tracker:
        runs = tracker.runs
        made = [
            trial(
                runs,
                f"trial {number}",
                params={"lr": number, "model": "m"},
                results=[Result("f1", 0.95, 200 + number, 0.91, 0.97), Result("loss", 0.713)],
                tags=["mine"],
                note=f"first\nnote {number}",
            )
            for number in range(2)
        ]
        claim = {"origin": Origin.IMPORTED, "status": "in progress", "results": [Result("accuracy", 0.98)]}
        made.append(trial(runs, "claimed", tags=["mine"], **claim))
        made.append(
            trial(runs, EVIL, tags=["evil"], note=EVIL, params={EVIL: EVIL}, results=[Result(EVIL, 1.0)])
        )
        for run_id in made[:2]:
            add_points(runs, run_id, "loss", [(step, 2.0 - step / 100) for step in range(100)])
        add_points(runs, made[3], EVIL, [(0, 1.0)])
    return made


def run(*arguments: str, cwd: Path, code: int = 0, **options: object) -> str:
    """Run ``wizard101 runs`` and return what it printed; its exit code must be ``code``."""
    ended = wizard("runs", *arguments, cwd=cwd, **options)  # type: ignore[arg-type]
    assert ended.returncode == code, ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    return (ended.stdout if code == 0 else ended.stderr).decode()


class Here:
    """The same command line without a process of its own, for the many cases of one kind."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self._capfd.readouterr()
        ended = command_line(["runs", *arguments, "--db", str(self._folder / "wizard.db")])
        said = self._capfd.readouterr()
        assert ended == code, said.err
        return said.out if code == 0 else said.err


@pytest.fixture
def here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, capfd)


def test_every_command_has_help(tmp_path: Path) -> None:
    for command in ("list", "show", "compare", "export", "tag", "note", "sql"):
        assert "Usage: wizard101 runs" in run(command, "--help", cwd=tmp_path)


# --- list ------------------------------------------------------------------------------------------------


def test_list_tells_origin_and_certainty_of_every_figure(tmp_path: Path, ids: list[int]) -> None:
    lines = run("list", "tag:mine", cwd=tmp_path).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        *([str(ids[2]), "imported"], [str(ids[1]), "measured"], [str(ids[0]), "measured"])
    ]
    assert "in progress" in lines[1]
    assert "0.950 [0.910, 0.970] n=201" in lines[2]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_list_fits_the_terminal(tmp_path: Path, ids: list[int], width: int) -> None:
    text = run("list", "kind:trial", cwd=tmp_path, env={"COLUMNS": str(width)})
    lines = text.splitlines()
    assert len(lines) == 5
    assert all(cell_len(line) <= width for line in lines)
    if width >= 80:
        assert text.count("0.950 [0.910, 0.970] n=20") == 2, "the interval is never cut to make room"
        assert text.count("trial ") >= 2


def test_list_sorts_filters_limits_and_says_that_there_is_more(
    tmp_path: Path, ids: list[int], here: Here
) -> None:
    def listed(*arguments: str) -> list[int]:
        return [row["id"] for row in json.loads(here("list", *arguments, "--json"))]

    assert listed("kind:trial", "--ascending") == ids
    assert listed("kind:trial", "origin:imported") == [ids[2]]
    assert listed("kind:trial", "status:in-progress") == [ids[2]]
    assert listed("TRIAL 1", "tag:mine") == [ids[1]]
    assert listed("--sort", "result:f1", "kind:trial") == [ids[1], ids[0]]
    assert listed("--sort", "name", "--ascending", "tag:mine") == [ids[2], ids[0], ids[1]]
    assert listed("kind:nothing-of-the-kind") == []
    few = wizard("runs", "list", "kind:trial", "--limit", "2", cwd=tmp_path)
    assert len(few.stdout.splitlines()) == 3
    assert b"More follow" in few.stderr
    all_of_them = wizard("runs", "list", "kind:trial", "--limit", "4", cwd=tmp_path)
    assert all_of_them.stderr == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--sort", "colour"),
        ("list", "--sort", "result:"),
        ("list", "origin:guessed"),
        ("list", "status:exploded"),
        ("list", "--limit", "0"),
        ("show", "98765"),
        ("show", "0"),
        ("show", "x"),
        ("show", "99999999999999999999999"),
        ("compare", "1"),
        ("compare", "1", "1"),
        ("compare", "1", "98765"),
        ("export", "98765"),
        ("export", "1", "--filter", "x"),
        ("export", "--format", "pdf"),
        ("export", "1", "--format", "csv", "--curves"),
        ("export", "--filter", "origin:guessed"),
        ("tag", "98765", "x"),
        ("tag", "98765", "x", "--remove"),
        ("tag", "1", ""),
        ("tag", "1", "x", " \n"),
        ("note", "98765"),
        ("note", "98765", "text"),
        ("sql",),
        ("sql", "SELECT 1", "--limit", "0"),
        ("sql", "SELECT 1", "--limit", "99999999999999999999"),
        ("list", "--limit", "99999999999999999999"),
        ("sql", "SELECT 1", "--seconds", "nan"),
        ("sql", "selec 1"),
    ],
)
def test_wrong_usage_is_2(here: Here, arguments: tuple[str, ...]) -> None:
    assert here(*arguments, code=2).startswith("wizard101: ")


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "1"), ("export",), ("sql", "SELECT 1"), ("note", "1", "x")]
)
def test_trouble_with_the_database_is_1(tmp_path: Path, here: Here, arguments: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(tmp_path / "wizard.db")) as raw:
        raw.execute("CREATE TABLE theirs (a)")
    said = here(*arguments, code=1)
    assert "not one of Wizard101's" in said
    assert said.count("Choose another file") == 1


def test_a_newer_database_is_read_and_that_is_said_beside_the_data(tmp_path: Path, ids: list[int]) -> None:
    with closing(sqlite3.connect(tmp_path / "wizard.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    said = "was written by a newer Wizard101"
    for arguments in (
        ("list", "--json"),
        ("show", str(ids[0]), "--json"),
        ("sql", "SELECT 1 AS a", "--json"),
    ):
        ended = wizard("runs", *arguments, cwd=tmp_path)
        assert ended.returncode == 0
        assert ended.stderr.decode().count(said) == 1
        json.loads(ended.stdout)
    for arguments in (("tag", str(ids[0]), "x"), ("note", str(ids[0]), "x")):
        assert run(*arguments, cwd=tmp_path, code=1).count(said) == 1


# --- show and compare ------------------------------------------------------------------------------------


def test_show_tells_all_of_a_run(tmp_path: Path, ids: list[int]) -> None:
    text = run("show", str(ids[0]), cwd=tmp_path)
    for said in (
        *(f"Run {ids[0]}: trial 0", "measured", "succeeded", "mine", "note 0", "model", "0.713"),
        *("0.950  [0.910, 0.970]  200", "loss", "1.01", "100"),
    ):
        assert said in text, said
    whole = json.loads(run("show", str(ids[0]), "--json", cwd=tmp_path))
    assert whole["params"] == {"lr": 0, "model": "m"}
    assert whole["note"] == "first\nnote 0"


def test_show_tells_what_to_beware_of_in_all_of_an_experiment(ids: list[int], here: Here) -> None:
    note = "What the predecessor trained, and what it meant to. None of its figures was reproduced here."
    assert here("show", "136").endswith(f"\n\nNote of the experiment\n{note}\n")
    assert json.loads(here("show", "136", "--json"))["experiment_note"] == note


def test_show_and_compare_tell_the_first_and_last_value_of_a_curve(
    tmp_path: Path, ids: list[int], here: Here
) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        for run_id in ids[:2]:
            add_points(tracker.runs, run_id, "edge", list(enumerate([10.0, *([0.5] * 9_998), 7.0])))
    told = r" +10 +7 +0\.5 +10 +10000 +to 9999"
    assert re.search("edge" + told, here("show", str(ids[0])))
    assert len(re.findall(rf"{ids[0]}{told}|{ids[1]}{told}", here("compare", str(ids[0]), str(ids[1])))) == 2


def test_compare_puts_differences_first_and_figures_with_intervals(tmp_path: Path, ids: list[int]) -> None:
    one, two, claim = map(str, ids[:3])
    text = run("compare", two, one, cwd=tmp_path)
    assert text.index("≠") < text.index("lr") < text.index("model")
    assert re.search(rf"{two} +measured +0\.950 +\[0\.910, 0\.970\] +201", text)
    assert "f1 (intervals overlap)" in text
    assert re.search(rf"{one} +2 +1\.01 +1\.01 +2 +100", text)
    told = json.loads(run("compare", two, claim, "--json", cwd=tmp_path))
    assert [summary["origin"] for summary in told["runs"]] == ["measured", "imported"]
    assert told["parameters"][0] == {"name": "lr", "differs": True, "values": [{"value": 1}, None]}
    narrow = run("compare", *map(str, ids), cwd=tmp_path, env={"COLUMNS": "70"})
    assert all(cell_len(line) <= 70 for line in narrow.splitlines())


def test_a_hundred_runs_are_compared_value_by_value_and_not_one_more(tmp_path: Path, here: Here) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        ids = [trial(tracker.runs, params={"even": number % 2 == 0, "model": "m"}) for number in range(101)]
    text = here("compare", *map(str, ids[:100]))
    assert f"true   {', '.join(map(str, ids[::2]))}"[:60] in text
    assert re.search(r"model +m +all", text)
    assert "2 to 100 runs" in here("compare", *map(str, ids), code=2)
    assert "at most 100 runs" in here("export", "--filter", "kind:trial", "--format", "html", code=2)


# --- export ----------------------------------------------------------------------------------------------


def test_export_to_standard_output_and_to_files(tmp_path: Path, ids: list[int]) -> None:
    text = wizard("runs", "export", str(ids[1]), str(ids[0]), cwd=tmp_path).stdout.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == [str(ids[1]), str(ids[0])]
    assert rows[0]["origin"] == "measured"
    assert (rows[0]["f1"], rows[0]["f1 n"], rows[0]["f1 low"], rows[0]["f1 high"]) == (
        *("0.95", "201", "0.91", "0.97"),
    )
    for name, begins in (
        ("a.json", "{"),
        ("a.md", "# Runs"),
        ("a.html", "<!DOCTYPE html>"),
        ("a.csv", '"id",'),
    ):
        said = wizard("runs", "export", "--filter", "tag:mine", "--output", name, cwd=tmp_path)
        assert (said.returncode, said.stdout) == (0, b"")
        assert (tmp_path / name).read_text().startswith(begins)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    whole = json.loads(run("export", str(ids[0]), "--format", "json", "--curves", cwd=tmp_path))
    assert len(whole["runs"][0]["curves"]["loss"]) == 100
    everything = json.loads(run("export", "--format", "json", cwd=tmp_path))
    assert {row["id"] for row in everything["runs"]} > set(ids)


def test_export_replaces_nothing_without_force(tmp_path: Path, ids: list[int]) -> None:
    (tmp_path / "out.csv").write_text("mine")
    arguments = ("export", str(ids[0]), "--output", "out.csv")
    assert "there already" in run(*arguments, cwd=tmp_path, code=2)
    assert (tmp_path / "out.csv").read_text() == "mine"
    run(*arguments, "--force", cwd=tmp_path)
    assert (tmp_path / "out.csv").read_text().startswith('"id",')
    assert "Make its folder" in run("export", "--output", "no/out.csv", cwd=tmp_path, code=1)
    (tmp_path / "loop").symlink_to("loop")
    for target, why in (
        ("wizard.db", "belongs to the database"),
        ("loop", "in a circle"),
        (".", "not a plain"),
    ):
        assert why in run("export", "--output", target, "--force", cwd=tmp_path, code=2)


def test_a_closed_pipe_ends_an_export_quietly(tmp_path: Path, ids: list[int]) -> None:
    command = f"{sys.executable} -m app runs export --format json | head -c 10"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WIZARD_DB": str(tmp_path / "wizard.db")}
    ended = subprocess.run(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=60
    )
    assert len(ended.stdout) == 10
    assert ended.stderr == b""


# --- tags and notes --------------------------------------------------------------------------------------


def test_tags_are_put_on_and_taken_off(ids: list[int], here: Here) -> None:
    run_id = str(ids[0])
    assert here("tag", run_id, "b", "a") == f"Run {run_id}: a, b, mine\n"
    assert json.loads(here("tag", run_id, "b", "mine", "--remove", "--json")) == {
        "id": ids[0],
        "tags": ["a"],
    }
    assert here("tag", run_id, "a", "--remove") == f"Run {run_id}: no tags\n"


def test_tags_and_kinds_may_have_blanks(here: Here) -> None:
    def listed(*words: str) -> list[int]:
        return [row["id"] for row in json.loads(here("list", *words, "--json"))]

    assert 136 in listed("tag:exp-18", "tag:r-sft")
    assert listed("kind:data-generation") != []
    assert here("tag", "136", "--remove", "exp 18") == "Run 136: r-sft\n"
    assert 136 not in listed("tag:exp-18", "tag:r-sft")
    assert here("tag", "136", " exp\n18") == "Run 136: exp 18, r-sft\n"


def test_notes_are_printed_and_replaced(tmp_path: Path, ids: list[int], here: Here) -> None:
    run_id = str(ids[0])
    assert here("note", run_id) == "first\nnote 0\n"
    assert here("note", run_id, "second") == ""
    assert here("note", run_id) == "second\n"
    run("note", run_id, "-", cwd=tmp_path, stdin="by pipe \xff\n".encode("latin-1"))
    assert json.loads(here("note", run_id, "--json"))["note"] == "by pipe \ufffd"
    here("note", run_id, "")
    assert here("note", run_id) == ""
    assert "at most" in run("note", run_id, "-", cwd=tmp_path, stdin=b"x" * 1_000_001, code=2)


# --- SQL -------------------------------------------------------------------------------------------------


def test_sql_prints_a_table_or_json_lines(tmp_path: Path, ids: list[int], here: Here) -> None:
    statement = "SELECT id, cost_usd, x'00ff' AS raw FROM run WHERE kind = 'trial' ORDER BY id"
    lines = here("sql", statement).splitlines()
    assert lines[0].split() == ["id", "cost_usd", "raw"]
    assert lines[1].split() == [str(ids[0]), "NULL", "x'00ff'"]
    rows = here("sql", statement, "--json").splitlines()
    assert json.loads(rows[0]) == {"id": ids[0], "cost_usd": None, "raw": {"hex": "00ff"}}
    assert json.loads(here("sql", "SELECT 1 a, 2 a, 9e999 b", "--json")) == {
        "a": 1,
        "a_2": 2,
        "b": "Infinity",
    }
    few = wizard("runs", "sql", statement, "--limit", "1", cwd=tmp_path)
    assert len(few.stdout.splitlines()) == 2
    assert b"More rows follow" in few.stderr


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM run", "VACUUM INTO 'made.db'", "ATTACH 'made.db' AS m", "SELECT 1; SELECT 2", "nonsense"],
)
def test_sql_changes_nothing(
    tmp_path: Path, ids: list[int], here: Here, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Nothing was changed" in here("sql", statement, code=2)
    assert not (tmp_path / "made.db").exists()
    assert len(json.loads(here("list", "kind:trial", "--json"))) == len(ids)


def test_sql_that_does_not_end_is_stopped(tmp_path: Path, ids: list[int]) -> None:
    assert "stopped after 0.3 seconds" in run("sql", ENDLESS, "--seconds", "0.3", cwd=tmp_path, code=1)


@pytest.mark.parametrize("statement", [ENDLESS, LONG_CALL])
def test_an_interrupt_ends_a_statement_with_130(tmp_path: Path, ids: list[int], statement: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WIZARD_DB": str(tmp_path / "wizard.db")}
    asking = subprocess.Popen(
        [sys.executable, "-c", _TELLING.format(statement=statement)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert asking.stdout is not None
        assert asking.stdout.readline() == b"asking\n"
        time.sleep(0.5)
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=10)
    finally:
        asking.kill()
    assert asking.returncode == 130
    assert b"Traceback" not in said


_TELLING = """
import sys
import engine.tracker.reading_sql as reading
import engine.tracker.runs as runs
ask = reading.read_sql
def telling(*arguments, **options):
    print("asking", flush=True)
    return ask(*arguments, **options)
runs.read_sql = telling
sys.argv[1:] = ["runs", "sql", "{statement}"]
from app.__main__ import main
main()
"""


# --- hostile texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "list kind:trial",
        "list kind:trial --json",
        "show {evil}",
        "show {evil} --json",
        "compare {one} {evil}",
        "compare {one} {evil} --json",
        "export {evil}",
        "export {evil} {one} --format markdown",
        "export {evil} {one} --format html",
        "export {evil} --format json --curves",
        "tag {evil} more",
        "tag {evil} more --json",
        "note {evil}",
        "note {evil} --json",
        "sql SELECT/**/*/**/FROM/**/run/**/WHERE/**/id={evil}",
        "sql SELECT/**/*/**/FROM/**/run/**/WHERE/**/id={evil} --json",
    ],
)
def test_no_text_acts_on_the_terminal(ids: list[int], here: Here, command: str) -> None:
    arguments = command.format(evil=ids[3], one=ids[0]).split()
    text = here(*arguments).replace("\r\n", "\n")
    bad = {hex(ord(c)) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}
    assert not bad
    if "--json" in arguments:
        assert text.isascii()
        json.loads(text)


def test_hostile_arguments_are_only_text(
    tmp_path: Path,
    ids: list[int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evil = "\x1b]52;c;aGFja2Vk\x07\u202e\udcff"
    monkeypatch.setenv("WIZARD_DB", str(tmp_path / "wizard.db"))
    for arguments in (
        ["list", evil],
        ["list", "--sort", evil],
        ["list", f"origin:{evil}"],
        ["export", "--format", evil],
        ["export", "--output", f"none/{evil}"],
        ["tag", str(ids[0]), evil],
        ["note", str(ids[0]), evil],
        ["note", str(ids[0])],
        ["show", evil],
        ["sql", f"SELECT '{evil}' AS \"{evil}\""],
        [evil],
    ):
        command_line(["runs", *arguments])
        said = "".join(capfd.readouterr())
        assert "Traceback" not in said
        assert not {"\x1b", "\x07", "\u202e", "\udcff"} & set(said), arguments


def test_an_export_on_a_terminal_passes_the_gate_too(tmp_path: Path, ids: list[int]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WIZARD_DB": str(tmp_path / "wizard.db")}
    ours, theirs = pty.openpty()
    asking = subprocess.Popen(
        [sys.executable, "-m", "app", "runs", "export", str(ids[3])],
        stdout=theirs,
        cwd=tmp_path,
        env=environment,
    )
    os.close(theirs)
    seen = b""
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        assert asking.wait(timeout=60) == 0
    finally:
        asking.kill()
        os.close(ours)
    text = seen.decode().replace("\r\n", "\n")
    assert text.startswith('"id","name","origin"')
    assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"}
