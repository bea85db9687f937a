"""How a model is asked a question, and what counts as an answer."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cases import Status
from engine.evaluation.answer_files import read_answers
from engine.evaluation.predictions import PredictionFileError
from engine.evaluation.questions import INSTRUCTION, Reply, answers_of, ask, read_answer
from engine.models.base import ModelUnreachable
from engine.models.fake import FakeModel
from tests.engine.question_files import ANSWERS, question, questions


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("a", 0),
        ("B", 1),
        ("(c)", 2),
        (" **C.**\n", 2),
        ("a)", 0),
        ("The older one", 0),
        ("the  YOUNGER one.", 2),
        ("Can\u2019t be known", 1),
        ("(b) Can't be known", 1),
        ("c: The younger one.", 2),
        ("(a) The younger one", None),
        ("a or b", None),
        ("The older one or the younger one", None),
        ("I think it is (a).", None),
        ("Answer: a", None),
        ("d", None),
        ("1", None),
        ("", None),
        ("ab", None),
        ("a" + " " * 500 + "b", None),
    ],
)
def test_only_what_is_exactly_one_answer_is_one(said: str, place: int | None) -> None:
    assert read_answer(said, ANSWERS) == place


def test_a_text_that_two_answers_share_is_no_answer() -> None:
    assert read_answer("both", ("Both", "both", "Neither")) is None
    assert read_answer("b", ("Both", "both", "Neither")) == 1


def test_answers_are_the_last_three_lines() -> None:
    assert answers_of(question(1, ambiguous=True).case.prompt) == ANSWERS
    with pytest.raises(ValueError, match="three answers"):
        answers_of("Who?\n(a) One\n(b) Two")


def replied(tmp_path: Path, *steps: dict[str, Any]) -> Reply:
    script = tmp_path / "model.jsonl"
    script.write_text(json.dumps({"match": {"user": INSTRUCTION}, "steps": steps}) + "\n")
    return asyncio.run(ask(FakeModel(script), question(1, ambiguous=True).case.prompt))


def test_a_reply_keeps_what_was_said_and_thought(tmp_path: Path) -> None:
    reply = replied(tmp_path, {"reasoning": "Nobody says."}, {"answer": "(b)"})
    assert (reply.place, reply.status, reply.output, reply.reasoning) == (1, Status.OK, "(b)", "Nobody says.")
    assert reply.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([{"answer": "a"}, {"finish": "length"}], Status.TRUNCATED),
        ([{"answer": "a"}, {"cut": True}], Status.ERROR),
        ([{"answer": "a"}, {"error": "broke"}], Status.ERROR),
        ([{"answer": "a"}, {"error": "slow", "kind": "timeout"}], Status.TIMEOUT),
        ([{"answer": "It depends."}], Status.UNPARSABLE),
        ([{"answer": "word " * 1000}], Status.UNPARSABLE),
        ([{"reasoning": "a"}], Status.UNPARSABLE),
    ],
)
def test_what_is_not_a_complete_answer_is_none(
    tmp_path: Path, steps: list[dict[str, Any]], status: Status
) -> None:
    reply = replied(tmp_path, *steps)
    assert (reply.place, reply.status) == (None, status)
    assert reply.problem
    assert len(reply.output) < 1000


def test_a_back_end_out_of_reach_is_no_reply(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreachable):
        replied(tmp_path, {"error": "gone", "kind": "unreachable"})


# --- files of answers --------------------------------------------------------------------------------

ITEMS = questions(2)


def read(*rows: Any) -> list[tuple[str, int | None]]:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    stream = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    return [(item.id, place) for item, place in read_answers(stream, ITEMS)]


def test_answers_are_matched_by_id_or_by_prompt() -> None:
    first, second, third, *_ = ITEMS
    assert read(
        {"id": third.id, "predict": "a", "prompt": "whatever it was given"},
        {"prompt": first.case.prompt, "predict": "Can't be known"},
        {"prompt": f" {second.case.prompt}{INSTRUCTION}", "predict": None},
    ) == [(third.id, 0), (first.id, 1), (second.id, None)]


@pytest.mark.parametrize(("said", "place"), [(0, 0), (2, 2), (3, None), (-1, None), ("2", 2), ("3", None)])
def test_numbers_count_from_0(said: object, place: int | None) -> None:
    assert read({"id": ITEMS[0].id, "predict": said}) == [(ITEMS[0].id, place)]


def test_questions_that_read_alike_are_answered_in_their_order() -> None:
    alike = [question(1, ambiguous=True), question(1, ambiguous=True, category="Height")]
    row = json.dumps({"prompt": alike[0].case.prompt, "predict": "a"}).encode() + b"\n"
    stream = io.BufferedReader(io.BytesIO(row * 2))  # type: ignore[arg-type]
    assert [item.id for item, _ in read_answers(stream, alike)] == ["Age/1", "Height/1"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "there are no answers"),
        ([{"predict": "a"}], "line 1: it has neither"),
        ([{"id": "Age/99", "predict": "a"}], "line 1: its id is that of no question"),
        ([{"prompt": "Who?", "predict": "a"}], "line 1: its prompt is that of no question"),
        ([{"id": ITEMS[0].id}], "line 1: 'predict' is missing"),
        ([{"id": ITEMS[0].id, "predict": ["a"]}], "line 1: 'predict' is missing, or is no text"),
        ([{"id": ITEMS[0].id, "predict": "a"}] * 2, "line 2: Age/3 is answered a second time"),
        ([{"id": ITEMS[0].id, "predict": "a", "label": 2}], "line 1: its label is not the right answer"),
        (["a"], "line 1: a prediction is an object"),
    ],
)
def test_what_cannot_be_matched_is_refused(rows: list[Any], said: str) -> None:
    with pytest.raises(PredictionFileError, match=said):
        read(*rows)


def test_a_label_that_agrees_is_no_fault() -> None:
    for label in (1, "1", "b", "Can't be known", "harmful", None):
        assert read({"id": ITEMS[0].id, "predict": "c", "label": label}) == [(ITEMS[0].id, 2)]
