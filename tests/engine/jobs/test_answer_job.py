"""``evaluate`` jobs on questions: a model answers each once, and no guard has a part in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.evaluation.items import Item
from engine.jobs.evaluate import PREDICTIONS, SCORES
from engine.jobs.evaluated import evaluated_run
from engine.jobs.records import JobError, JobSpec
from tests.engine.jobs.conftest import Workshop, wait_for
from tests.engine.jobs.test_evaluate_job import evaluate, predictions, results, script
from tests.engine.question_files import keep, questions


def data(workshop: Workshop, items: Sequence[Item]) -> str:
    return str(keep(items, workshop.folder / "data"))


def scores_of(workshop: Workshop, run_id: int) -> dict[str, Any]:
    (found,) = json.loads((workshop.jobs.folder(run_id).path / SCORES).read_text())
    assert isinstance(found, dict)
    return found


def test_figures_replies_and_lineage_are_kept(workshop: Workshop) -> None:
    """Of the four with a context one is right, another against the stereotype too, and two have no answer."""
    model = script(
        workshop,
        {"match": "Number 1:", "steps": [{"reasoning": "She said so."}, {"answer": "(c)"}]},
        {"match": "Number 0:", "steps": [{"answer": "The older one"}]},
        {"match": "The younger one did", "steps": [{"answer": "Hard to say."}]},
        {"match": "forgot", "steps": [{"answer": "a"}]},
        {"steps": [{"answer": "B"}]},
    )
    items = questions(2)
    run_id = evaluate(workshop, "bbq", model=model, data_dir=data(workshop, items))
    assert workshop.until(run_id).outcome == "succeeded", workshop.output(run_id)

    found = results(workshop, run_id)
    assert found["accuracy ambiguous"] == (50.0, 4)
    assert found["accuracy disambiguated"] == (25.0, 4)
    assert found["bias ambiguous"] == (50.0, 4)
    assert found["bias disambiguated"] == (-100.0, 2)
    assert found["unparsable"] == (25.0, 8)
    assert found["questions"] == (8, None)
    run = workshop.tracker.runs.run(run_id)
    assert run is not None
    assert {(used.role, used.name) for used in run.lineage} == {("data", "BBQ"), ("model", model)}
    assert {made.path for made in run.artifacts} == {PREDICTIONS, SCORES}
    assert {"latency ms", "wrong %", "unparsable %"} <= set(run.metrics)
    kept = {row["items"][0]["id"]: row for row in predictions(workshop.jobs.folder(run_id).path)}
    assert len(kept) == 8
    assert (kept["Age/1"]["output"], kept["Age/1"]["reasoning"]) == ("(c)", "She said so.")
    assert (kept["Age/1"]["place"], kept["Age/1"]["status"]) == (2, "ok")
    assert (kept["Height/4"]["place"], kept["Height/4"]["status"]) == (None, "unparsable")
    assert kept["Height/4"]["output"] == "Hard to say."
    told = scores_of(workshop, run_id)
    assert (told["benchmark"], told["task"], told["n"], told["unparsable"]) == ("BBQ", "question", 8, 2)
    assert told["categories"]["Height"]["unparsable"] == 2
    assert told["categories"]["Height"]["disambiguated"]["s_dis"] is None
    with pytest.raises(JobError, match="no guard was evaluated"):
        evaluated_run(workshop.tracker.runs, run_id)


def test_a_resumed_job_asks_nothing_twice_and_scores_the_same(workshop: Workshop) -> None:
    replies = [
        {"match": f"{number}:", "steps": [{"wait_ms": 20}, {"answer": said}]}
        for number, said in enumerate(["a", "b", "c", "no", "(a)", "(b)", "C", "a", "b", "?"])
    ]
    params = {"model": script(workshop, *replies), "data_dir": data(workshop, questions(100))}
    whole = evaluate(workshop, "BBQ", **params)
    assert workshop.until(whole, within=90).outcome == "succeeded", workshop.output(whole)

    run_id = evaluate(workshop, "BBQ", **params)
    path = workshop.jobs.folder(run_id).path
    wait_for(lambda: (path / PREDICTIONS).exists() and len(predictions(path)) > 12)
    workshop.jobs.cancel(run_id)
    workshop.until(run_id)
    before = predictions(path)
    assert 12 < len(before) < 400
    with (path / PREDICTIONS).open("ab") as torn:
        torn.write(b'{"case": "abc", "pla')
    workshop.jobs.resume(run_id)
    assert workshop.until(run_id, within=90).outcome == "succeeded", workshop.output(run_id)
    after = predictions(path)
    assert after[: len(before)] == before
    assert len(after) == len({row["case"] for row in after}) == 400
    assert scores_of(workshop, run_id) == scores_of(workshop, whole)


def test_an_unreachable_model_ends_it_and_what_is_answered_is_kept(workshop: Workshop) -> None:
    model = script(
        workshop,
        {"match": "Number 15:", "steps": [{"wait_ms": 1500}, {"error": "gone", "kind": "unreachable"}]},
        {"steps": [{"answer": "b"}]},
    )
    run_id = evaluate(workshop, "BBQ", model=model, data_dir=data(workshop, questions(4)))
    assert workshop.until(run_id).outcome == "failed (3)"
    assert results(workshop, run_id) == {}
    assert len(predictions(workshop.jobs.folder(run_id).path)) == 15


def test_failures_are_wrong_and_told(workshop: Workshop) -> None:
    model = script(workshop, {"match": "The younger", "steps": [{"answer": "b"}, {"error": "broke"}]})
    run_id = evaluate(workshop, "BBQ", model=model, data_dir=data(workshop, questions(1)))
    assert workshop.until(run_id).outcome == "succeeded", workshop.output(run_id)
    found = results(workshop, run_id)
    assert found["failed"] == found["unparsable"] == (100.0, 4)
    assert found["accuracy ambiguous"] == (0.0, 2)
    assert "bias disambiguated" not in found


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"benchmark": "BBQ"}, "needs a model to answer"),
        ({"benchmark": "BBQ,ToxicChat", "model": "fake:x"}, "a job of its own"),
        ({"benchmark": "all,bbq", "model": "fake:x"}, "a job of its own"),
        ({"benchmark": "BBQ", "model": "fake:x", "guard": "gauntlet"}, "leave the guard out"),
        ({"benchmark": "BBQ", "model": "fake:x", "policies": ["violence"]}, "no policy"),
        ({"benchmark": "BBQ", "model": "x"}, "names no model"),
        ({"benchmark": "BBQ", "model": "fake:x", "data_dir": "."}, "data of BBQ is not here"),
    ],
)
def test_what_does_not_fit_is_said_before_it_is_queued(
    workshop: Workshop, params: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WIZARD_DATA", str(tmp_path))
    with pytest.raises(JobError, match=said):
        workshop.jobs.add(JobSpec("evaluate", params, str(workshop.folder)))


def test_questions_cannot_be_attacked(workshop: Workshop) -> None:
    params = {"benchmark": "BBQ", "model": "fake:x"}
    with pytest.raises(JobError, match="nothing is attacked"):
        workshop.jobs.add(JobSpec("harden", params, str(workshop.folder)))
