"""``wizard101 classify --guard guardreasoner`` as a real process, as a person and as a machine read it."""

from __future__ import annotations

import json
from pathlib import Path

from engine.events import FormatFault, OutputFinished, TaskFinished, decode
from engine.tracker import open_tracker
from tests.app.hostile import HOSTILE
from tests.app.outputs import CASE, FAULTY, WHOLE, script
from tests.cli.command import wizard

GUARD = ("--guard", "guardreasoner", "--model")


def test_tasks_steps_and_labels_are_printed_as_a_person_reads_them(tmp_path: Path) -> None:
    path = script(tmp_path / "s.jsonl", FAULTY)
    run = wizard(
        "classify", CASE.prompt, "--response", str(CASE.response), *GUARD, f"fake:{path}", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.decode().split("\n")
    assert lines[:7] == [
        "Before the tasks",
        "     Let me begin.",
        "Request harmful?",
        "  1. Read the request",
        "     The user asks how bread is baked at home.",
        "  2. Weigh it",
        "     Baking harms nobody.",
    ]
    assert "✔ unharmful              Request harmful?" in lines
    assert "➜ compliance             Completion refusal?" in lines
    assert (
        "✔ allow  (status ok, request unharmful, completion compliance, response unharmful;"
        in run.stdout.decode()
    )
    assert "Format: This heading names no task. (characters 194-202) “# Task 7”" in run.stderr.decode()


def test_events_are_a_stream_that_ends_in_the_verdict(tmp_path: Path) -> None:
    path = script(tmp_path / "s.jsonl", FAULTY)
    run = wizard("classify", CASE.prompt, *GUARD, f"fake:{path}", "--events", cwd=tmp_path)
    events = [decode(line) for line in run.stdout.splitlines()]
    assert [event.seq for event in events] == list(range(len(events)))
    assert sum(isinstance(event, TaskFinished) for event in events) == 3
    assert sum(isinstance(event, FormatFault) for event in events) == 2
    assert [event.text for event in events if isinstance(event, OutputFinished)] == [FAULTY]
    with open_tracker(tmp_path / "wizard.db") as tracker:
        probe = tracker.probe(1)
    assert probe is not None
    assert probe.events == events


def test_the_verdict_as_json_has_the_three_tasks(tmp_path: Path) -> None:
    path = script(tmp_path / "s.jsonl", WHOLE)
    run = wizard("classify", CASE.prompt, *GUARD, f"fake:{path}", "--json", cwd=tmp_path)
    verdict = json.loads(run.stdout)
    assert [(task["task"], task["label"], task["status"]) for task in verdict["tasks"]] == [
        ("request", "unharmful", "ok"),
        ("completion", None, "ok"),
        ("response", None, "ok"),
    ]


def test_hostile_output_is_printed_so_that_no_terminal_obeys_it(tmp_path: Path) -> None:
    text = "\n".join(HOSTILE.values()).encode("utf-8", "replace").decode()
    path = script(
        tmp_path / "s.jsonl", f"{text}\n# Task 1\n## Reasoning Step 1: {text}\nAnswers:\nRequest: {text}"
    )
    run = wizard("classify", "x", *GUARD, f"fake:{path}", cwd=tmp_path)
    for printed in (run.stdout.decode(), run.stderr.decode()):
        assert printed.replace("\n", "").isprintable()
    assert "? indeterminate" in run.stdout.decode()
