"""The versions of policies' files in the tracker, who used them, and what is known of their cases."""

from __future__ import annotations

import sys
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from engine.cases import Case, Finding, Status
from engine.policies.load import Policy
from engine.tracker import open_tracker
from engine.tracker.policy_records import VersionOrigin
from engine.tracker.probes import Tracker
from engine.tracker.run_records import Lineage, NewRun
from tests.engine.together import run_together
from tests.engine.tracking import judged

FILE = "glass/policy.md"


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return open_tracker(tmp_path / "wizard.db")


def sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_only_what_changed_becomes_a_version(tracker: Tracker) -> None:
    history = tracker.policies
    assert history.note({FILE: "one", "wood/policy.md": "one"}) == (FILE, "wood/policy.md")
    assert history.note({FILE: "one"}) == ()
    assert history.note({FILE: "two"}, VersionOrigin.SAVED) == (FILE,)
    assert history.note({FILE: "one"}, VersionOrigin.RESTORED) == (FILE,)
    versions = history.versions(FILE)
    assert [(each.label, each.sha256, each.origin) for each in versions] == [
        ("v3", sha("one"), VersionOrigin.RESTORED),
        ("v2", sha("two"), VersionOrigin.SAVED),
        ("v1", sha("one"), VersionOrigin.FOUND),
    ]
    assert history.counts() == {FILE: 3, "wood/policy.md": 1}
    assert history.text(sha("two")) == "two"
    assert history.text(sha("three")) is None
    assert history.versions("none/policy.md") == []


@pytest.mark.parametrize("text", ["", "\x00 \x1b[2J \u2028 \r\n \U000f0000", "é" * 100_000])
def test_any_text_and_name_comes_back_as_it_was(tracker: Tracker, text: str) -> None:
    name = "odd\x1b name/policy.md"
    assert tracker.policies.note({name: text}) == (name,)
    assert tracker.policies.note({name: text}) == ()
    (version,) = tracker.policies.versions(name)
    assert tracker.policies.texts([version.sha256]) == {version.sha256: text}


def test_probes_and_runs_that_judged_by_a_text_are_found(tracker: Tracker) -> None:
    case = Case("x")
    policy = Policy("glass", "one", sha("one"), Path())
    probes = [tracker.save_probe(case, judged(case), policies=[policy]) for _ in range(7)]
    tracker.save_probe(case, judged(case))
    run = tracker.runs.add(
        NewRun("r", "evaluate", "succeeded", lineage=(Lineage("policy", "glass", sha("one")),))
    )
    tracker.runs.add(NewRun("r", "evaluate", "succeeded", lineage=(Lineage("data", "glass", sha("one")),)))
    uses = tracker.policies.uses([sha("one"), sha("two")])
    assert (uses.probes, uses.runs) == (7, 1)
    assert uses.newest_probes == tuple(reversed(probes))[:5]
    assert uses.newest_runs == (run,)
    assert tracker.policies.uses([sha("two")]).probes == 0


def test_trials_are_known_by_text_judge_and_case(tracker: Tracker) -> None:
    history = tracker.policies
    found = {
        "a": Finding("", True, 0.9, reasoning="because\ud800"),
        "b": Finding("", None, None, Status.UNPARSABLE, latency_ms=3.5),
    }
    history.keep_trials("t", "j", found)
    assert history.trials("t", "j", ["a", "b", "c"]) == found
    assert history.trials("other", "j", ["a"]) == {}
    assert history.trials("t", "other", ["a"]) == {}
    history.keep_trials("t", "j", {"a": Finding("", False, 0.1)})
    assert history.trials("t", "j", ["a"]) == {"a": Finding("", False, 0.1)}
    many = {str(number): Finding("", True) for number in range(1200)}
    history.keep_trials("t", "j", many)
    assert len(history.trials("t", "j", many)) == 1200


def test_a_trial_that_makes_no_sense_is_judged_anew(tracker: Tracker) -> None:
    tracker.policies.keep_trials("t", "j", {"a": Finding("", False), "b": Finding("", True)})
    with tracker.database.writing() as connection:
        connection.exec_driver_sql("UPDATE trial SET status = 'fine' WHERE case_key = 'a'")
    assert set(tracker.policies.trials("t", "j", ["a", "b"])) == {"b"}


NOTE = """
import sys
from pathlib import Path
from engine.tracker import open_tracker
print("ready", flush=True)
sys.stdin.readline()
with open_tracker(Path(sys.argv[1])) as tracker:
    for number in range(20):
        tracker.policies.note({"glass/policy.md": f"text {number}"})
"""


def test_many_processes_may_note_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wizard.db"
    open_tracker(path).close()
    ended = run_together([[sys.executable, "-c", NOTE, str(path)]] * 3)
    assert [code for code, _ in ended] == [0, 0, 0], ended
    with open_tracker(path) as tracker:
        versions = tracker.policies.versions(FILE)
    shas = [version.sha256 for version in versions]
    assert {sha(f"text {number}") for number in range(20)} == set(shas)
    assert all(one != other for one, other in pairwise(shas))
