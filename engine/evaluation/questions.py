"""Questions with three answers, (a) to (c): how a model is asked one, and how what it says is read."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from engine.cases import Status, Usage
from engine.guards.content import neutralise
from engine.models.base import (
    ChatRequest,
    Chunk,
    Effort,
    FinishChunk,
    FinishReason,
    Model,
    ModelError,
    ModelTimeout,
    ModelUnreachable,
    ReasoningChunk,
)

INSTRUCTION = "\n\nAnswer with one letter: a, b or c."
"""What follows the question. It comes last, where small models heed it best."""

ANSWER_LIMIT = 400
"""Code points of answer after which it is none, whatever follows: the model is stopped."""

_ANSWERS = re.compile(r"\n\(a\) ([^\n]*)\n\(b\) ([^\n]*)\n\(c\) ([^\n]*)\Z")
_LETTER = re.compile(r"\(?([abc])[).:]*")
_LETTER_AND_TEXT = re.compile(r"\(?([abc])[).:]+ ?(.+)")
_AROUND = " .*_\"'`"
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said to a question.

    ``place`` is the answer it chose, 0 to 2; None where it chose none, of which ``status`` and ``problem``
    tell more. ``output`` is its answer as it was written, ``reasoning`` what a back end keeps apart from it.
    """

    place: int | None
    status: Status
    output: str = ""
    reasoning: str = ""
    problem: str = ""
    usage: Usage = field(default_factory=Usage)
    latency_ms: float = 0.0


def answers_of(question: str) -> tuple[str, str, str]:
    """Return the texts of the three answers with which a question ends.

    Raises:
        ValueError: if it does not end in three lines of answers.
    """
    found = _ANSWERS.search(question)
    if found is None:
        raise ValueError("the question does not end in three answers")
    return found[1], found[2], found[3]


def read_answer(said: str, answers: tuple[str, str, str]) -> int | None:
    """Return the place of the answer that was given, 0 to 2; None for what is no answer.

    It is all that was said: a letter, the text of exactly one answer, or a letter with the text that belongs
    to it. Case, blanks, and the marks around it do not matter. A sentence that holds an answer is none.
    """
    if len(said) > ANSWER_LIMIT:
        return None
    plain = _plain(said)
    if letter := _LETTER.fullmatch(plain):
        return "abc".index(letter[1])
    places = [place for place, answer in enumerate(answers) if _plain(answer) == plain]
    if not places and (both := _LETTER_AND_TEXT.fullmatch(plain)):
        place = "abc".index(both[1])
        places = [place] if _plain(both[2]) == _plain(answers[place]) else []
    return places[0] if len(places) == 1 else None


async def ask(
    model: Model,
    question: str,
    *,
    effort: Effort = Effort.MEDIUM,
    max_tokens: int = 2048,
    timeout_s: float = 180.0,
) -> Reply:
    """Put a question to a model, greedily, and read what it says.

    Only a complete answer counts: one that was cut off, or ran on, is none.

    Raises:
        ModelUnreachable: if the back end does not answer. Any other failure is a reply without an answer.
    """
    began = time.perf_counter()
    user = neutralise(question).text + INSTRUCTION
    request = ChatRequest(system="", user=user, max_tokens=max_tokens, effort=effort)
    answer: list[str] = []
    reasoning: list[str] = []
    finish: FinishChunk | None = None
    failure: ModelError | None = None
    try:
        stream = cast(AsyncGenerator[Chunk, None], model.chat(request))
        async with asyncio.timeout(timeout_s), aclosing(stream) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, FinishChunk):
                    finish = chunk
                elif isinstance(chunk, ReasoningChunk):
                    reasoning.append(chunk.text)
                else:
                    answer.append(chunk.text)
                    if sum(map(len, answer)) > ANSWER_LIMIT:
                        break
    except ModelUnreachable:
        raise
    except TimeoutError:
        failure = ModelTimeout(f"{model.spec} did not finish within {timeout_s:g} seconds")
    except ModelError as error:
        failure = error
    except Exception as error:  # a fault in a back end's code must not cost the other questions
        failure = ModelError(f"The back end failed unexpectedly: {error!r}")
    output = "".join(answer)
    status, problem = _ending(output, finish, failure)
    place = read_answer(output, answers_of(question)) if status is Status.OK else None
    if status is Status.OK and place is None:
        status, problem = Status.UNPARSABLE, "It is not exactly one of the answers."
    return Reply(
        place,
        status,
        output,
        "".join(reasoning),
        problem,
        finish.usage if finish else Usage(),
        round((time.perf_counter() - began) * 1000, 3),
    )


def _ending(output: str, finish: FinishChunk | None, failure: ModelError | None) -> tuple[Status, str]:
    """Return how a reply ended, and what was wrong with that, if anything."""
    if failure is not None:
        return Status.TIMEOUT if isinstance(failure, ModelTimeout) else Status.ERROR, str(failure)
    if len(output) > ANSWER_LIMIT:
        return Status.UNPARSABLE, "The answer ran on, and was stopped."
    if finish is None:
        return Status.ERROR, "The back end cut the answer off."
    if finish.reason is FinishReason.LENGTH:
        return Status.TRUNCATED, f"The model was cut off after {finish.usage.completion_tokens} tokens."
    return Status.OK, ""


def _plain(text: str) -> str:
    return " ".join(text.translate(_QUOTES).casefold().split()).strip(_AROUND)
