"""What leaves the tracker: whole, harmless to whoever opens it, and never half written."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.jobs.scheduler import lock_path
from engine.tracker import TrackerError, open_tracker
from engine.tracker.axes import reach, rounded, tick_words
from engine.tracker.encoding import store_text
from engine.tracker.export import Format, export
from engine.tracker.export_file import ExportError, FileIsThere, NoTarget, write_file
from engine.tracker.plain_text import plain
from engine.tracker.records import UnknownRun
from engine.tracker.run_records import Lineage, Origin, Provenance, Result, RunQuery
from engine.tracker.runs import Runs
from tests.engine.trial_runs import EVIL, add_points, trial

WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        yield tracker.runs


def hostile(runs: Runs) -> int:
    run_id = trial(
        runs,
        EVIL,
        kind=EVIL,
        experiment=EVIL,
        params={EVIL: EVIL, "deep": {EVIL: [EVIL]}},
        results=[Result(EVIL, 0.5, 10, 0.2, 0.8)],
        lineage=[Lineage(EVIL, EVIL, EVIL)],
        tags=[EVIL],
        provenance=Provenance(EVIL, EVIL, True, {EVIL: EVIL}, {EVIL: 1}),
        summary={EVIL: EVIL},
        source=EVIL,
        note=EVIL,
    )
    annotate_experiment(runs, EVIL, EVIL)
    add_points(runs, run_id, EVIL, [(0, 1.0), (1, 2.0)])
    with runs._database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO artifact VALUES (?, 'x</td>', '<b>', '<i>')", (run_id,))
    return run_id


def text_of(runs: Runs, selection: object, form: Format, **options: object) -> str:
    return "".join(export(runs, selection, form, now=WHEN, **options))  # type: ignore[arg-type]


def full_of_facts(runs: Runs, name: str = "full", **fields: object) -> int:
    parent = trial(runs, "parent")
    run_id = trial(
        runs,
        name,
        experiment="Exp 1",
        params={"lr": 1e-5, "optim": {"beta": 0.9}},
        results=[Result("accuracy", 0.98, 200, 0.95, 0.992), Result("loss", 0.713)],
        lineage=[Lineage("data", "a.jsonl", "ab" * 32), Lineage("run", "parent", None, parent)],
        tags=["keep", "two"],
        provenance=Provenance("host", "abc123", True, {"torch": "2"}, {"seed": 1}),
        started_at=WHEN,
        ended_at=WHEN + timedelta(hours=27, minutes=58),
        cost_usd=1.5,
        note="first\nsecond",
        summary={"hours": 27.98, "loss": 0.713},
        **fields,
    )
    annotate_experiment(runs, "Exp 1", "what to beware of")
    return run_id


def annotate_experiment(runs: Runs, name: str, note: str) -> None:
    with runs._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE experiment SET note = ? WHERE name = ?", (store_text(note), store_text(name))
        )


# --- every form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(Format))
def test_nothing_that_acts_or_hides_leaves(runs: Runs, form: Format) -> None:
    text = text_of(runs, [hostile(runs), trial(runs)], form, curves=form is Format.JSON)
    text.encode("utf-8")
    if form is Format.CSV:
        text = text.replace("\r\n", "\n")
    bad = {hex(ord(c)) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}
    assert not bad
    assert "\u2028" not in text


@pytest.mark.parametrize("form", list(Format))
def test_origin_n_and_interval_are_always_there(runs: Runs, form: Format) -> None:
    claims = {"status": "reported", "results": [Result("accuracy", 0.98, 217, 0.9412, 0.9931)]}
    ids = [
        trial(runs, "claim", origin=Origin.IMPORTED, **claims),
        trial(runs, "told", origin=Origin.PAPER, **claims),
    ]
    text = text_of(runs, ids, form)
    assert "imported" in text
    assert "paper" in text
    assert text.count("217") >= 2
    assert text.count("0.941") >= 2
    assert text.count("0.993") >= 2


@pytest.mark.parametrize("form", list(Format))
def test_an_unknown_run_is_told_before_anything_is_written(runs: Runs, form: Format) -> None:
    with pytest.raises(UnknownRun, match="98765"):
        export(runs, [trial(runs), 98765], form)


@pytest.mark.parametrize("form", [Format.CSV, Format.JSON, Format.MARKDOWN])
def test_a_filter_is_walked_page_by_page_in_its_order(runs: Runs, form: Format) -> None:
    for number in range(450):
        trial(runs, f"many {number:03}", kind="many")
    trial(runs, "other")
    text = text_of(runs, RunQuery(kind="many", sort="name", descending=False), form)
    found = re.findall(r"many \d{3}", text)
    assert list(dict.fromkeys(found)) == [f"many {number:03}" for number in range(450)]
    assert "other" not in text


def test_a_page_of_html_has_its_limit(runs: Runs) -> None:
    for number in range(101):
        trial(runs, f"many {number}", kind="many")
    with pytest.raises(TrackerError, match="at most 100 runs"):
        export(runs, RunQuery(kind="many"), Format.HTML)


# --- JSON ------------------------------------------------------------------------------------------------


def test_json_is_ascii_and_comes_back_as_it_went_in(runs: Runs) -> None:
    run_id = hostile(runs)
    text = text_of(runs, [run_id], Format.JSON, curves=True)
    assert text.isascii()
    (run,) = json.loads(text)["runs"]
    assert run["name"] == run["note"] == run["tags"][0] == run["source"] == run["experiment_note"] == EVIL
    assert run["params"][EVIL] == EVIL
    assert run["curves"][EVIL][1] == {"step": 1, "low": 2.0, "high": 2.0, "mean": 2.0, "count": 1}


def test_json_holds_all_of_a_run(runs: Runs) -> None:
    run_id = full_of_facts(runs)
    (run,) = json.loads(text_of(runs, [run_id], Format.JSON))["runs"]
    assert run["origin"] == "measured"
    assert run["results"][0] == {"name": "accuracy", "value": 0.98, "n": 200, "low": 0.95, "high": 0.992}
    assert run["lineage"][0]["sha256"] == "ab" * 32
    assert run["lineage"][1]["parent_id"] == run_id - 1
    assert run["provenance"] == {
        "host": "host",
        "git_revision": "abc123",
        "git_dirty": True,
        "packages": {"torch": "2"},
        "seeds": {"seed": 1},
    }
    assert run["seconds"] == 100_680
    assert run["outcome"] == {"hours": 27.98, "loss": 0.713}
    assert run["experiment_note"] == "what to beware of"
    assert "curves" not in run


def test_json_is_strict_about_numbers(runs: Runs) -> None:
    run_id = trial(runs, results=[Result("f1", float("inf"))], params={"x": float("nan")})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (run,) = json.loads(text_of(runs, [run_id], Format.JSON), parse_constant=refuse)["runs"]
    assert run["results"][0]["value"] == "Infinity"
    assert run["params"]["x"] == "NaN"


# --- CSV -------------------------------------------------------------------------------------------------


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_a_run_and_four_columns_a_result(runs: Runs) -> None:
    run_id = full_of_facts(runs, 'quote " comma , done')
    text = text_of(runs, [run_id, trial(runs)], Format.CSV)
    first, second = rows(text)
    assert first["name"] == 'quote " comma , done'
    assert [first[f"accuracy{what}"] for what in ("", " n", " low", " high")] == [
        "0.98",
        "200",
        "0.95",
        "0.992",
    ]
    assert [first[f"loss{what}"] for what in ("", " n", " low", " high")] == ["0.713", "", "", ""]
    assert second["accuracy"] == ""
    assert first["note"] == "first\nsecond"
    assert json.loads(first["parameters"])["optim"] == {"beta": 0.9}
    assert json.loads(first["packages"]) == {"torch": "2"}
    assert json.loads(first["seeds"]) == {"seed": 1}
    assert json.loads(first["outcome"]) == {"hours": 27.98, "loss": 0.713}
    assert first["experiment_note"] == "what to beware of"
    assert f'\r\n{run_id},"quote "" comma , done","measured"' in text, "texts are in quotes, numbers are not"
    assert first["git_dirty"] == "true"
    assert text.endswith("\r\n")


@pytest.mark.parametrize(
    "name",
    [
        *("=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "=cmd|' /C calc'!A0"),
        *(
            "\x00=1",
            "x;=1",
            "x; -1;y",
            "x\t=1",
            'x;"=1',
            'x" ;" =1',
            "x\n=1",
            " \t=1",
            '"=1',
            "x;;+1",
            "\r\n",
        ),
    ],
)
def test_no_cell_of_csv_is_a_formula(runs: Runs, name: str) -> None:
    run_id = trial(runs, name, tags=[name], note=name, results=[Result(name, -0.5)], params={"a": name})
    text = text_of(runs, [run_id], Format.CSV)
    (row,) = rows(text)
    for heading, cell in row.items():
        for said in (heading, cell):
            assert not said.lstrip().startswith(("=", "+", "@", "＝")), (heading, cell)
            assert not said.startswith(("\t", "\r", "\n"))
            assert not said.startswith("-") or said == "-0.5"
    assert "-0.5" in row.values(), "a number stays a number"
    for separator in ";\t":
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+-@＝"))], separator


# --- Markdown --------------------------------------------------------------------------------------------


def test_markdown_tables_keep_their_shape(runs: Runs) -> None:
    text = text_of(runs, [hostile(runs), full_of_facts(runs)], Format.MARKDOWN)
    assert "<script" not in text
    assert "<img" not in text
    columns = None
    for line in text.split("\n"):
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert columns in (None, cells), line
            columns = cells
        else:
            columns = None
    assert "| accuracy | 0.980 | \\[0.950, 0.992\\] | 200 |" in text
    assert "first<br>second" in text
    assert "| Note of the experiment | what to beware of |" in text
    assert "### Outcome\n\n| Name | Value |\n| --- | --- |\n| hours | 27.98 |\n\n" in text


# --- HTML ------------------------------------------------------------------------------------------------

_VOID = {"meta"}
_ALONE = {"path", "circle", "line"}


class Page(HTMLParser):
    """Checks that a page is balanced, and gathers what it holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ALONE
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data

    def all(self, tag: str, name: str) -> list[str]:
        return [value for found, attribute, value in self.attributes if (found, attribute) == (tag, name)]


def check_page(text: str) -> Page:
    page = Page(text)
    assert not page.open
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "xlink:href")
        assert "http:" not in value
        assert "https:" not in value
        assert "javascript:" not in value
    assert all(value.startswith("#") for value in page.all("a", "href"))
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.all("meta", "content")
    assert len(page.all("th", "scope")) == page.tags.count("th")
    known = set(page.all("article", "id")) | set(page.all("h2", "id"))
    assert {href[1:] for href in page.all("a", "href")} <= known
    for title in page.all("svg", "aria-labelledby"):
        identities = [value for _, name, value in page.attributes if name == "id"]
        assert all(identities.count(part) == 1 for part in title.split())
    return page


def test_a_hostile_run_is_only_text_in_html(runs: Runs) -> None:
    ids = [hostile(runs), trial(runs)]
    for selection in (ids, ids[:1]):
        text = text_of(runs, selection, Format.HTML)
        page = check_page(text)
        assert text.count("<script") == 0
        assert "<script>alert(1)</script>" in page.words
        assert plain(EVIL).split("\n")[-1] in page.words


def test_a_report_of_one_run_tells_all_of_it(runs: Runs) -> None:
    run_id = full_of_facts(runs)
    add_points(runs, run_id, "train/loss", [(step, 1 / (step + 1)) for step in range(900)])
    page = check_page(text_of(runs, [run_id], Format.HTML))
    for said in (
        *(f"Run {run_id}: full", "exported 2026-03-01 12:30 UTC", "measured", "27 h 58 min", "$1.50"),
        *("0.980", "[0.950, 0.992]", "200", "0.713", "optim.beta", "0.9", "ab" * 32, f"run {run_id - 1}"),
        *("abc123", "with uncommitted changes", "torch 2", "seed 1", "first\nsecond", "keep", "two"),
        *("train/loss", "900 points", "step", "Note of the experiment", "what to beware of", "hours 27.98"),
    ):
        assert said in page.words, said
    assert "≠" not in page.words


def test_a_comparison_in_html_says_what_differs_and_draws_every_curve(runs: Runs) -> None:
    ids = [
        trial(
            runs,
            f"run {number}",
            params={"lr": number, "same": 1},
            results=[Result("f1", 0.9, 100, 0.82 + number / 100, 0.95)],
        )
        for number in range(3)
    ]
    for run_id in ids[:2]:
        add_points(runs, run_id, "loss", [(step, float(step % 7)) for step in range(1000)])
    text = text_of(runs, ids, Format.HTML)
    page = check_page(text)
    assert "1 of 2 differ." in page.words
    assert page.words.count("≠ differs") == 1
    styles = {value for _, name, value in page.attributes if name == "class" and value.startswith("line s")}
    assert len(styles) == 3, "each run has a line style of its own"
    assert text.count('<path class="band') == 2
    assert text.count('class="whisker"') == 3
    assert not re.search(r"nan|inf\b", text[text.index("</style>") :])


@pytest.mark.parametrize(("whole", "end"), [(1.0, "1.0"), (100.0, "100")])
def test_intervals_of_one_run_are_drawn_from_nothing_to_all(runs: Runs, whole: float, end: str) -> None:
    drawn = Result("accuracy", 0.95 * whole, 100, 0.888 * whole, 0.978 * whole)
    run_id = trial(runs, results=[drawn, Result("loss", 0.713), Result("cost", -5.0, 3, -9.0, 400.0)])
    text = text_of(runs, [run_id], Format.HTML)
    check_page(text)
    assert text.count('class="whisker"') == 1, "only what is on the scale"
    assert f">{end}</text>" in text


def test_extreme_curves_are_drawn_or_left_out_but_never_break_the_page(runs: Runs) -> None:
    run_id = trial(runs, results=[Result("f1", 1e308, 3, -1e308, 1e308), Result("x", float("inf"))])
    add_points(runs, run_id, "huge", [(0, 1e308), (1, -1e308), (2**62, 1e-308)])
    add_points(runs, run_id, "none", [(0, None), (5, None)])
    add_points(runs, run_id, "endless", [(0, float("inf")), (1, 1.0)])
    add_points(runs, run_id, "one", [(3, 0.0)])
    add_points(runs, run_id, "flat", [(step, 0.1) for step in range(10)])
    add_points(runs, run_id, "gap", [(0, 1.0), (1, 1.0), (2, None), (3, 1.0), (4, 2.0)])
    text = text_of(runs, [run_id], Format.HTML)
    page = check_page(text)
    assert "No point of it is a number." in page.words
    coordinates = " ".join(value for _, name, value in page.attributes if name in ("d", "cx", "x", "y"))
    assert not re.search("nan|inf", coordinates)
    (gap,) = re.findall(r'gap by step.*?<path class="line [^"]*" d="([^"]*)"', text, re.DOTALL)
    assert gap.count("M") == 2, "a point that is no number interrupts the line"


def test_a_run_without_anything_has_a_page(runs: Runs) -> None:
    page = check_page(text_of(runs, [trial(runs, "bare")], Format.HTML))
    assert "None was recorded." in page.words
    assert "Curves" not in page.words


def test_scales_are_round_and_hold_what_they_show() -> None:
    for low, high in [(0.0, 1.0), (0.46, 0.713), (-3.2, 1e9), (1e-7, 3e-7), (-1e300, 1e300), (0.994, 0.9999)]:
        marks = rounded(low, high)
        assert marks[0] <= low + 1e-12 * abs(low)
        assert marks[-1] >= high - 1e-12 * abs(high)
        assert 2 <= len(marks) <= 8
        assert len(set(tick_words(marks))) == len(marks)
    assert reach([]) is None
    assert reach([float("nan"), float("inf")]) is None
    assert reach([2.0, 2.0]) == (1.0, 3.0)
    assert tick_words([0.0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_words([0.0, 20_000.0]) == ["0k", "20k"]


# --- files -----------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write(path: Path, pieces: Iterable[str], *, force: bool = False) -> None:
    write_file(path, pieces, database=path.parent / "wizard.db", force=force)


def test_a_file_appears_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write(path, ["a\r\n", "ü\r\n"])
    assert path.read_bytes() == "a\r\nü\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileIsThere, match="--force"):
        write(path, ["b"])
    assert path.read_text().startswith("a")
    path.chmod(0o644)
    write(path, ["b"], force=True)
    assert path.read_text() == "b"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["out.csv"]


def test_what_fails_midway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def pieces() -> Iterator[str]:
        yield "half"
        raise TrackerError("gone")

    with pytest.raises(TrackerError, match="gone"):
        write(path, pieces(), force=True)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"

    def pieces() -> Iterator[str]:
        path.write_text("somebody else's")
        yield "ours"

    with pytest.raises(FileIsThere):
        write(path, pieces())
    assert path.read_text() == "somebody else's"
    assert names(tmp_path) == ["out.csv"]


def test_a_missing_folder_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Make its folder first"):
        write(tmp_path / "none" / "out.csv", ["a"])
    with pytest.raises(ExportError, match="not a plain file"):
        write(tmp_path, ["a"], force=True)
    with pytest.raises(ExportError, match="not a plain file"):
        write(Path("/dev/null"), ["a"], force=True)
    with pytest.raises(ExportError, match="shorter name"):
        write(tmp_path / ("x" * 300), ["a"])


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    def pieces() -> Iterator[str]:
        yield "half"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ExportError, match=r"No space left on device.*Free some disk space"):
        write(tmp_path / "out.csv", pieces())
    assert names(tmp_path) == []


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", ["new"], force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("force", [False, True])
def test_the_database_and_what_belongs_to_it_are_never_replaced(runs: Runs, force: bool) -> None:
    folder, run_id = runs.path.parent, trial(runs, "kept")
    (folder / "link").symlink_to("wizard.db")
    (folder / "away").symlink_to(folder)
    (folder / "hard").hardlink_to(runs.path)
    before = sorted(names(folder))
    for target in (
        *(runs.path, folder / "wizard.db-wal", folder / "wizard.db-shm", lock_path(runs.path)),
        *(folder / "link", folder / "away" / "wizard.db", folder / "hard", folder / "x" / ".." / "wizard.db"),
    ):
        with pytest.raises(NoTarget, match=r"belongs to the database.*No file was made or changed"):
            write_file(target, export(runs, [run_id], Format.CSV), database=runs.path, force=force)
    assert sorted(names(folder)) == before
    with open_tracker(runs.path) as again:
        assert again.runs.run(run_id) is not None


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
def test_what_is_no_name_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoTarget, match="characters that no name can"):
        write(tmp_path / name, ["a"], force=True)
    assert names(tmp_path) == []


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for target in (tmp_path / "loop", tmp_path / "loop" / "out.csv"):
        with pytest.raises(NoTarget, match="lead in a circle"):
            write(target, ["a"], force=True)
    assert names(tmp_path) == ["loop"]
