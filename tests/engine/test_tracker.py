"""Saving, finding and replaying probes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cases import Case, Decision
from engine.events import EventDecodeError
from engine.policies.load import Policy
from engine.tracker import PolicyVersion, TrackerError, open_tracker
from engine.tracker.encoding import load_text, pack_events, store_text, unpack_events
from engine.tracker.probe_rows import EXCERPT
from engine.tracker.probes import Tracker
from tests.engine.tracking import judged

ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800\udfff\U00100000\U0010d800\U0010001a"))


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with open_tracker(tmp_path / "wizard.db") as opened:
        yield opened


def save(tracker: Tracker, prompt: str, response: str | None = None, **kind: object) -> int:
    case = Case(prompt, response)
    return tracker.save_probe(case, judged(case, **kind))  # type: ignore[arg-type]


def test_importing_the_tracker_and_the_workspace_is_light() -> None:
    code = "import sys, engine.workspace, engine.tracker; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "engine.tracker" in loaded
    assert not {"sqlmodel", "sqlalchemy", "alembic", "pydantic", "platformdirs", "sqlite3"} & set(loaded)


def test_opening_a_new_and_a_current_database_does_not_load_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.tracker import open_tracker\n"
        "for _ in range(2): open_tracker(Path(sys.argv[1])).close()\n"
        "assert 'sqlmodel' in sys.modules and 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "wizard.db")], check=True)


def test_a_probe_comes_back_whole(tracker: Tracker) -> None:
    case = Case("How do I\nkill a process? \ud800\x00\x1a", "With kill. \udfff")
    events = judged(case, deltas=2000)
    policy = Policy("violence", "No \x00 violence.", "ab" * 32, Path("violence"))
    before = datetime.now(UTC)
    probe_id = tracker.save_probe(case, events, policies=[policy], source="cli")
    probe = tracker.probe(probe_id)
    assert probe is not None
    assert probe.case == case
    assert probe.events == events
    assert probe.policies == {policy.sha256: PolicyVersion("violence", policy.sha256, policy.text)}
    summary = probe.summary
    assert before <= summary.created_at <= datetime.now(UTC)
    assert (summary.source, summary.guard, summary.model) == ("cli", "gauntlet", "fake:m")
    assert (summary.decision, summary.status, summary.score) == (Decision.ESCALATE, "truncated", 0.25)
    assert (summary.latency_ms, summary.case_key) == (12.5, case.key)
    assert summary.settings == {"effort": "low"}
    assert summary.excerpt == case.prompt
    assert tracker.probes() == [summary]
    assert probe.verdict is not None
    assert probe.verdict.policies[0].reasoning == "why"


def test_a_stopped_probe_has_no_decision(tracker: Tracker) -> None:
    probe = tracker.probe(save(tracker, "x", stopped=True, deltas=4))
    assert probe is not None
    assert (probe.verdict, probe.summary.decision, probe.summary.status) == (None, None, "stopped")
    assert probe.summary.latency_ms == 2.0


def test_an_unknown_probe_is_none(tracker: Tracker) -> None:
    assert tracker.probe(1) is None


def test_a_stream_that_does_not_begin_is_refused(tracker: Tracker) -> None:
    case = Case("x")
    for events in ([], judged(case)[1:]):
        with pytest.raises(ValueError, match="begin with Started"):
            tracker.save_probes([(case, judged(case)), (case, events)])
    assert tracker.count() == 0


def test_a_batch_is_saved_in_order_or_not_at_all(tracker: Tracker) -> None:
    cases = [Case(f"case {number}") for number in range(5)]
    ids = tracker.save_probes([(case, judged(case)) for case in cases])
    assert ids == sorted(ids)
    assert [summary.excerpt for summary in tracker.probes()] == [case.prompt for case in reversed(cases)]
    twice = Policy("violence", "a", "1" * 64, Path("violence"))
    with pytest.raises(TrackerError):
        tracker.save_probes([(case, judged(case)) for case in cases], policies=[twice, twice])
    assert tracker.count() == 5
    assert tracker.save_probes([]) == []


def test_a_policy_text_is_kept_once(tracker: Tracker, tmp_path: Path) -> None:
    versions = [Policy("violence", text, text * 64, Path("violence")) for text in "aab"]
    case = Case("x")
    ids = [tracker.save_probe(case, judged(case), policies=[version]) for version in versions]
    found = [tracker.probe(probe_id) for probe_id in ids]
    assert [probe.policies[text * 64].text for probe, text in zip(found, "aab", strict=True) if probe] == [
        *"aab"
    ]
    with sqlite3.connect(tmp_path / "wizard.db") as raw:
        assert raw.execute("SELECT count(*) FROM policy_text").fetchone() == (2,)


def test_pages_join_without_gap_or_repetition(tracker: Tracker) -> None:
    ids = [save(tracker, f"prompt {number}") for number in range(23)]
    seen: list[int] = []
    while page := tracker.probes(before=seen[-1] if seen else None, limit=5):
        seen += [summary.id for summary in page]
        save(tracker, "newer than what is being paged")
    assert seen == ids[::-1]


def test_filters_combine(tracker: Tracker) -> None:
    blocked = save(tracker, "apple pie", decision=Decision.BLOCK)
    save(tracker, "apple pie", decision=Decision.ALLOW)
    other = save(tracker, "apple pie", decision=Decision.BLOCK, guard="reasoner")
    save(tracker, "cherry pie", decision=Decision.BLOCK)

    def found(**conditions: object) -> list[int]:
        return [summary.id for summary in tracker.probes(**conditions)]  # type: ignore[arg-type]

    assert found(contains="APPLE", decision=Decision.BLOCK) == [other, blocked]
    assert found(contains="APPLE", decision=Decision.BLOCK, guard="gauntlet") == [blocked]
    assert found(contains="APPLE", decision=Decision.BLOCK, before=other) == [blocked]
    assert found(contains="le", guard="reasoner") == [other]
    assert found(guard="reasoner") == [other]
    assert found(guard="' OR 1=1 --") == []


@pytest.mark.parametrize(
    ("needle", "hit"),
    [
        ("50%_off", True),
        ("50%off", False),
        ("%", True),
        ("_%", False),
        ('say "it', True),
        ('"', True),
        ("it's", True),
        ("ПРИВЕТ", True),
        ("пР", True),
        ("\ud800 lone", True),
        ("\ud801 lone", False),
        ("\x00", True),
        ("after\x00nul", True),
        ("in the response", True),
        ("response50%", False),
        ("token1", False),
        ("NEAR", False),
        ("50% OR zzz", False),
        ("say it", False),
        ("*", False),
        ("日本", True),
        ("本日", False),
        ("aaab", True),
        ("aaac", False),
    ],
)
def test_search_is_for_the_very_text_in_any_case(tracker: Tracker, needle: str, hit: bool) -> None:
    save(tracker, "nothing of the kind, for any of them")
    wanted = save(
        tracker,
        '50%_off, Say "it\'s" Привет \ud800 lone after\x00nul 日本 aaaabaac aac',
        "In the RESPONSE",
    )
    assert [summary.id for summary in tracker.probes(contains=needle)] == ([wanted] if hit else [])


def test_a_long_search_finds_only_the_whole_of_it(tracker: Tracker) -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    wanted = save(tracker, f"before {text} after")
    save(tracker, text.replace("word1777", "word1888"))
    assert [summary.id for summary in tracker.probes(contains=text.upper())] == [wanted]


@pytest.mark.parametrize("condition", [{"decision": Decision.BLOCK}, {"guard": "gauntlet"}, {}])
def test_a_search_walks_the_matches(tracker: Tracker, condition: dict[str, object]) -> None:
    statements: list[str] = []
    with tracker.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_trace_callback(statements.append)
    tracker.probes(contains="needle", before=90, **condition)  # type: ignore[arg-type]
    (query,) = [statement for statement in statements if "MATCH" in statement]
    plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan[0].startswith("SCAN probe_search")
    assert not any("ORDER BY" in line for line in plan)


def test_the_excerpt_is_short_and_never_half_a_character(tracker: Tracker) -> None:
    save(tracker, "a" + "\ud800" * EXCERPT)
    (summary,) = tracker.probes()
    assert summary.excerpt == "a" + "\ud800" * (EXCERPT // 2 - 1)


def test_threads_save_and_read_at_once(tracker: Tracker) -> None:
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(20):
                probe_id = save(tracker, f"{name} {number}")
                assert tracker.probe(probe_id) is not None
                tracker.probes(contains=f"{name} {number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert tracker.count() == 240


def test_a_full_disk_is_said_and_what_was_saved_is_kept(tracker: Tracker) -> None:
    kept = save(tracker, "small")
    with tracker.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(TrackerError, match=r"no room left.*is kept.*Free some disk space"):
        save(tracker, "x" * 1_000_000)
    assert [summary.id for summary in tracker.probes()] == [kept]
    with tracker.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    save(tracker, "there is room again")


def test_events_of_the_future_are_explained(tracker: Tracker, tmp_path: Path) -> None:
    probe_id = save(tracker, "x")
    with sqlite3.connect(tmp_path / "wizard.db") as raw:
        raw.execute("UPDATE probe_stream SET events = x'00'")
    with pytest.raises(TrackerError, match=r"Probe 1 .* newer version"):
        tracker.probe(probe_id)
    assert len(tracker.probes()) == 1


@pytest.mark.parametrize(
    "harm",
    [
        "created_at = '2026-13-45'",
        "created_at = x'00ff'",
        "decision = 'blokk'",
        "decision = NULL",
        "decision = 'allow'",
        "status = 'stopped'",
        "status = 'oj', decision = 'allow'",
        'settings = \'{"effort": "l\'',
        "settings = '[]'",
        "score = 'high'",
        "latency_ms = x'ff'",
        "guard = x'ff'",
        "source = CAST(x'ff41' AS TEXT)",
        "prompt = CAST('one ' || x'fffe' AS TEXT)",
        "prompt = x'6f6e6520ff'",
    ],
)
def test_a_damaged_row_is_told_and_hides_no_other(tracker: Tracker, tmp_path: Path, harm: str) -> None:
    first, broken, last = (save(tracker, f"one {name}") for name in ("first", "broken", "last"))
    with closing(sqlite3.connect(tmp_path / "wizard.db")) as raw, raw:
        raw.execute("DROP TRIGGER probe_search_update")
        raw.execute(f"UPDATE probe SET {harm} WHERE id = ?", (broken,))
    for page in (tracker.probes(), tracker.probes(contains="one"), tracker.probes(contains="n")):
        assert [(probe.id, probe.status, probe.decision) for probe in page] == [
            (last, "truncated", Decision.ESCALATE),
            (broken, "damaged", None),
            (first, "truncated", Decision.ESCALATE),
        ]
    with pytest.raises(TrackerError, match=f"Probe {broken} .* cannot be read.*all else can be read"):
        tracker.probe(broken)
    assert tracker.probe(first) is not None


def test_the_stored_verdict_can_be_queried_and_repeats_no_reasoning(tracker: Tracker, tmp_path: Path) -> None:
    save(tracker, "x")
    with sqlite3.connect(tmp_path / "wizard.db") as raw:
        (stored,) = raw.execute("SELECT verdict FROM probe").fetchone()
    (finding,) = json.loads(stored)["policies"]
    assert (finding["policy"], finding["violation"], finding["reasoning"]) == ("violence", None, "")


def test_thousands_of_deltas_stay_small() -> None:
    events = judged(Case("x"), deltas=4000)
    assert len(pack_events(events)) < 15 * 4000
    assert unpack_events(pack_events(events)) == events


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(EventDecodeError):
        unpack_events(b"not zlib")


@given(ANY_TEXT)
def test_any_text_is_stored_faithfully(text: str) -> None:
    stored = store_text(text)
    assert load_text(stored) == text
    assert "\x00" not in stored
    stored.encode("utf-8")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00\x1a")))
def test_normal_text_is_stored_as_it_is(text: str) -> None:
    assert store_text(text) == text
