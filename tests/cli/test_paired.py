"""``wizard101 runs compare --paired``, and the same in the comparison on the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import run as command_line
from app.screens.compare import CompareScreen
from engine.cases import Case
from engine.evaluation.statistics import mcnemar
from engine.tracker import open_tracker
from tests.app.hostile import HOSTILE
from tests.app.test_experiments import SMALL, WIDE, at, experiments, sees
from tests.app.test_probe import shown, until
from tests.cli.command import wizard
from tests.cli.test_thresholds import keep
from tests.engine.test_leaderboard import evaluated

EVIL = "How do I bake bread? " + "".join(HOSTILE.values())


def row(number: int, gold: Any, label: str | None, *, benchmark: str = "own.jsonl") -> dict[str, Any]:
    prompt = f"{EVIL} {number}"
    return {
        "case": Case(prompt).key,
        "items": [{"benchmark": benchmark, "id": str(number), "gold": gold}],
        "labels": {} if label is None else {"request": label},
        "verdict": {"policies": []},
        "prompt": prompt,
        "response": None,
    }


@pytest.fixture
def ids(tmp_path: Path) -> tuple[int, int]:
    """Two runs of 40 shared items: A is right on all, B misses eight, says nothing of one; 5 are A's only."""
    with open_tracker(tmp_path / "wizard.db") as tracker:
        a, b = (evaluated(tracker.runs, [], model=f"fake:{name}") for name in "ab")
    golds = ["harmful" if number < 20 else "unharmful" for number in range(45)]
    keep(tmp_path, a, [row(number, gold, gold) for number, gold in enumerate(golds)])
    others: list[str | None] = ["unharmful"] * 8 + [*golds[8:39], None]
    keep(tmp_path, b, [row(n, golds[n], label) for n, label in enumerate(others)])
    return a, b


def test_two_evaluations_are_compared_on_the_items_they_share(tmp_path: Path, ids: tuple[int, int]) -> None:
    a, b = map(str, ids)
    ended = wizard("runs", "compare", a, b, "--paired", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr.decode()
    (told,) = json.loads(ended.stdout)["paired"]
    assert (told["benchmark"], told["task"], told["n"]) == ("own.jsonl", "prompt", 40)
    assert told["f1"]["a"] == 100.0
    assert told["f1"]["b"] == pytest.approx(100 * 24 / 33)  # 12 hits, 8 missed, one without a label
    difference = told["difference"]
    assert difference["value"] == pytest.approx(told["f1"]["b"] - 100)
    assert difference["low"] < difference["value"] < difference["high"] < 0
    assert told["mcnemar"] == {"only_a_right": 9, "only_b_right": 0, "p": pytest.approx(mcnemar(9, 0))}
    assert told["matrix"] == [
        {"a": "harmful", "b": "unharmful", "n": 8},
        {"a": "unharmful", "b": "no label", "n": 1},
    ]
    assert len(told["flips"]) == 9
    assert told["flips"][0] == {
        "case": Case(f"{EVIL} 0").key, "id": "0", "gold": "harmful", "a": "harmful", "b": "unharmful"
    }  # fmt: skip


@pytest.mark.parametrize("texts", [False, True])
def test_texts_are_printed_only_if_asked_for_and_through_the_gate(
    tmp_path: Path, ids: tuple[int, int], texts: bool
) -> None:
    more = ("--texts",) if texts else ()
    ended = wizard("runs", "compare", *map(str, ids), "--paired", "--flips", "3", *more, cwd=tmp_path)
    said = ended.stdout.decode()
    assert ended.returncode == 0, ended.stderr.decode()
    assert "\x1b" not in said
    assert said.count("How do I bake bread?") == (3 if texts else 0)
    assert "6 more" in said


def test_what_cannot_be_paired_says_why(
    tmp_path: Path, ids: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        gone, other = evaluated(tracker.runs, []), evaluated(tracker.runs, [], kind="classify")
        apart = evaluated(tracker.runs, [])
    keep(tmp_path, apart, [row(1000, "harmful", "harmful")])

    def refused(*run_ids: int) -> str:
        capfd.readouterr()
        command = ["runs", "compare", *map(str, run_ids), "--paired", "--db", str(tmp_path / "wizard.db")]
        assert command_line(command) == 2
        return capfd.readouterr().err

    assert "are gone" in refused(ids[0], gone)
    assert "not an evaluation" in refused(ids[0], other)
    assert "no items in common" in refused(ids[0], apart)
    assert "two runs" in refused(*ids, gone)
    assert "There is no run" in refused(ids[0], 99_999)


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_on_the_screen_texts_are_blurred_until_asked_for(
    tmp_path: Path, ids: tuple[int, int], size: tuple[int, int]
) -> None:
    async with experiments(tmp_path, size) as (pilot, screen):
        screen.marked = list(ids)
        await pilot.press("c")
        await at(pilot, CompareScreen)
        compared = pilot.app.screen
        assert isinstance(compared, CompareScreen)
        await until(pilot, lambda: compared.comparison is not None)
        await pilot.press("i")
        await until(pilot, lambda: compared.paired is not None)
        await sees(pilot, "own.jsonl", "40 items of both", "McNemar's exact test", "harmful → unharmful  8")
        text = shown(compared)
        assert "\x1b" not in text
        assert "bread" not in text
        assert "▒▒▒" in text
        await pilot.press("ctrl+b")
        await sees(pilot, "bread")
        await pilot.press("i")
        await until(pilot, lambda: compared.paired is None)
        await sees(pilot, "Results")


async def test_runs_that_share_no_items_say_so_on_the_screen(tmp_path: Path, ids: tuple[int, int]) -> None:
    with open_tracker(tmp_path / "wizard.db") as tracker:
        gone, other = evaluated(tracker.runs, []), evaluated(tracker.runs, [], kind="classify")
    for run_id, said in ((gone, "are gone"), (other, "no finished evaluation")):
        async with experiments(tmp_path) as (pilot, screen):
            screen.marked = [ids[0], run_id]
            await pilot.press("c")
            await at(pilot, CompareScreen)
            compared = pilot.app.screen
            assert isinstance(compared, CompareScreen)
            await until(pilot, lambda compared=compared: compared.comparison is not None)  # type: ignore[misc]
            await pilot.press("i")
            await sees(pilot, said)
            assert compared.paired is None
