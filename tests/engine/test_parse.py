"""Reading GuardReasoner outputs: every rule of the format, every cut, and whatever a model may write."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cases import Completion, Harm, Task
from engine.evaluation.parse import (
    LABELS,
    MOST_FAULTS,
    Fault,
    Label,
    LabelStated,
    OutputParser,
    Part,
    Said,
    StepBegan,
    TaskBegan,
    Unlabelled,
    read_block,
    read_window,
)
from tests.engine.guard_outputs import ANSWERS, OUTPUT, released_outputs

NOTHING = dict.fromkeys(Task, Unlabelled.INDETERMINATE)
FUZZED = int(os.environ.get("WIZARD_FUZZ_OUTPUTS", "2000"))
"""How many mutated outputs are tried: 100,000 take some minutes."""


def labels(request: Label, completion: Label, response: Label) -> dict[Task, Label]:
    return {Task.REQUEST: request, Task.COMPLETION: completion, Task.RESPONSE: response}


UNHARMFUL = labels(Harm.UNHARMFUL, Completion.COMPLIANCE, Harm.UNHARMFUL)
HARMFUL = labels(Harm.HARMFUL, Completion.REFUSAL, Harm.UNHARMFUL)


def parsed(*pieces: str) -> tuple[OutputParser, list[Part]]:
    parser = OutputParser()
    parts = [part for piece in pieces for part in parser.feed(piece)]
    return parser, parts + parser.finish()


def faults(output: str) -> list[str]:
    return [fault.message for fault in parsed(output)[0].faults]


# --- tasks, steps and what is said -------------------------------------------------------------------


def test_an_output_as_it_should_be() -> None:
    parser, parts = parsed(OUTPUT)
    assert parser.labels == UNHARMFUL
    assert parser.complete
    assert parser.answered == frozenset(Task)
    assert not parser.faults
    assert parser.text == OUTPUT
    assert [part.task for part in parts if isinstance(part, TaskBegan)] == list(Task)
    steps = [(part.task, part.step) for part in parts if isinstance(part, StepBegan)]
    assert steps == [(task, step) for task in Task for step in (1, 2)]
    said = "".join(part.text for part in parts if isinstance(part, Said) and part.task is Task.COMPLETION)
    assert said.strip().startswith("The assistant gives directions.")
    stated = [part for part in parts if isinstance(part, LabelStated)]
    assert [(part.task, OUTPUT[part.start :].split("\n")[0]) for part in stated] == [
        (Task.REQUEST, "unharmful"),
        (Task.COMPLETION, "compliance"),
        (Task.RESPONSE, "unharmful"),
    ]


def test_labels_come_with_their_lines() -> None:
    parser = OutputParser()
    before, _ = OUTPUT.split("Completion: ")
    parser.feed(before)
    assert parser.labels == {**NOTHING, Task.REQUEST: Harm.UNHARMFUL}
    parser.feed("Completion: compl")
    assert parser.labels[Task.COMPLETION] is Unlabelled.INDETERMINATE
    (stated,) = parser.feed("iance\n")
    assert stated == LabelStated(Task.COMPLETION, Completion.COMPLIANCE, len(before) + len("Completion: "))


def test_text_is_said_while_its_line_is_written() -> None:
    parser = OutputParser()
    assert parser.feed("The us") == [Said(None, "The us")]
    assert parser.feed("er asks") == [Said(None, "er asks")]
    assert parser.feed("\nAns") == [Said(None, "\n")]  # this may yet be a heading
    assert parser.feed("wers: ") == []
    assert parser.feed("no") == []
    assert [part for part in parser.finish() if isinstance(part, Said)] == [Said(None, "Answers: no")]


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("# Task 2", TaskBegan(Task.COMPLETION)),
        ("## **Task 2: refusal or compliance**", TaskBegan(Task.COMPLETION)),
        ("#TASK 2.", TaskBegan(Task.COMPLETION)),
        ("## Reasoning Step 12", StepBegan(None, 12, "")),
        ("### reasoning step 3: what is asked", StepBegan(None, 3, "what is asked")),
        ("## Conclusion", StepBegan(None, None, "Conclusion")),
        ("# Task 4", StepBegan(None, None, "Task 4")),
    ],
)
def test_headings(heading: str, part: Part) -> None:
    assert part in parsed(heading + "\n")[1]


def test_a_conclusion_that_names_another_task_begins_it() -> None:
    parts = parsed("# Task 1\n## Conclusion of Task 1\n## Conclusion of Task 2\n")[1]
    began = [part for part in parts if isinstance(part, TaskBegan | StepBegan)]
    assert began == [
        TaskBegan(Task.REQUEST),
        StepBegan(Task.REQUEST, None, "Conclusion of Task 1"),
        TaskBegan(Task.COMPLETION),
        StepBegan(Task.COMPLETION, None, "Conclusion of Task 2"),
    ]


# --- answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("Request: harmful", Harm.HARMFUL),
        ("Request: unharmful", Harm.UNHARMFUL),
        ("request:HARMFUL", Harm.HARMFUL),
        ("  Request :  harmful  ", Harm.HARMFUL),
        ("**Request:** harmful.", Harm.HARMFUL),
        ("**Request: harmful**", Harm.HARMFUL),
        ("Request: `harmful`\r", Harm.HARMFUL),
        ("Request: None", Unlabelled.NONE),
        ("Request: none.", Unlabelled.NONE),
        ("Request:", Unlabelled.INDETERMINATE),
        ("Request: refusal", Unlabelled.INDETERMINATE),
        ("Request: not harmful", Unlabelled.INDETERMINATE),
        ("Request: harmful or unharmful", Unlabelled.INDETERMINATE),
        ("Request: harmful\u2028Request: unharmful", Unlabelled.INDETERMINATE),
        ("Request: harm\u200bful", Unlabelled.INDETERMINATE),
        ("Request: ｈａｒｍｆｕｌ", Unlabelled.INDETERMINATE),
        ("The Request: harmful", Unlabelled.INDETERMINATE),
        ("Reque\u017ft: harmful", Unlabelled.INDETERMINATE),
    ],
)
def test_a_line_states_a_label_as_a_whole_or_none(line: str, label: Label) -> None:
    assert read_block(f"---\nAnswers: \n{line}\n")[Task.REQUEST] is label


@pytest.mark.parametrize(
    "heading",
    ["Answers:", "Answers: ", "# Answers: ", "**Answers:**", "answer", "ANSWERS :", "## **Answers**:"],
)
def test_a_block_has_a_heading_in_any_dress(heading: str) -> None:
    assert read_block(f"{heading}\nRequest: harmful\n")[Task.REQUEST] is Harm.HARMFUL


@pytest.mark.parametrize(
    "heading", ["# An\u017fwers:", "The answers:", "Answers: harmful", "Answers 1:", "---"]
)
def test_what_is_nearly_a_heading_begins_no_block(heading: str) -> None:
    assert read_block(f"{heading}\nRequest: harmful\n") == NOTHING


def test_lines_may_end_as_on_windows_and_blank_lines_and_rules_may_stand_between() -> None:
    assert read_block(OUTPUT.replace("\n", "\r\n")) == UNHARMFUL
    assert read_block(ANSWERS.replace("\n", "\n\n---\n")) == HARMFUL


def test_the_last_complete_block_counts() -> None:
    assert read_block(f"{OUTPUT}\n{ANSWERS}") == HARMFUL
    assert faults(f"{OUTPUT}\n{ANSWERS}") == ["These answers do not count."]
    half = "Answers:\nRequest: harmful\n"
    assert read_block(f"{OUTPUT}\n{half}") == UNHARMFUL
    assert read_block(half) == {**NOTHING, Task.REQUEST: Harm.HARMFUL}
    assert faults(OUTPUT + half) == ["These answers do not count."]


def test_nothing_is_carried_over_from_one_block_to_the_next() -> None:
    first, second = "Answers:\nRequest: harmful\n", "Answers:\nResponse: harmful\n"
    parser, parts = parsed(first + second)
    assert parser.labels == {**NOTHING, Task.RESPONSE: Harm.HARMFUL}
    assert parser.answered == {Task.RESPONSE}
    assert LabelStated(Task.REQUEST, Unlabelled.INDETERMINATE, len(first)) in parts


def test_the_last_line_of_a_block_counts_and_what_follows_text_does_not() -> None:
    block = "Answers:\nRequest: harmful\nRequest: unharmful\n"
    assert read_block(block)[Task.REQUEST] is Harm.UNHARMFUL
    assert read_block(block + "So it is.\nRequest: harmful\n")[Task.REQUEST] is Harm.UNHARMFUL
    assert read_block(block + "Request: who knows\n")[Task.REQUEST] is Unlabelled.INDETERMINATE


def test_a_stray_verdict_in_the_reasoning_is_none() -> None:
    stray = OUTPUT.replace("# Task 2", "Request: harmful\n\n# Task 2")
    assert read_block(stray) == UNHARMFUL
    assert read_window(stray)[Task.RESPONSE] is Harm.UNHARMFUL
    assert read_block("# Task 1\nRequest: harmful\n") == NOTHING


def test_three_lines_in_order_need_no_heading() -> None:
    bare = ANSWERS.removeprefix("Answers: \n")
    assert read_block(f"# Task 1\nFine.\n{bare}") == HARMFUL
    assert "These answers have no heading." in faults(bare)
    assert read_block(f"Request: unharmful\n{bare}") == HARMFUL
    request, completion, response = bare.splitlines()
    assert read_block("\n".join((completion, request, response))) == NOTHING
    assert read_block("\n".join((request, "Text.", completion, response))) == NOTHING
    assert read_block("\n".join((request, completion, completion, response))) == NOTHING
    assert read_block("\n".join((request, completion, request, completion, response))) == HARMFUL


def test_text_after_the_answers_is_a_fault_and_takes_nothing_back() -> None:
    parser, _ = parsed(f"{OUTPUT}I am not sure of this.\n")
    assert parser.labels == UNHARMFUL
    assert parser.faults == [
        Fault("Text stands after the answers.", len(OUTPUT), len(OUTPUT) + 22, "I am not sure of this.")
    ]


def test_faults_say_where() -> None:
    output = "Well.\n# Task 1\nFine.\nAnswers:\nRequest: maybe\n"
    found = {fault.message: output[fault.start : fault.end] for fault in parsed(output)[0].faults}
    assert found == {
        "This is no label of the request task.": "Request: maybe",
        "Text stands before the first task.": "Well.",
        "Task 2 (completion) has no heading.": "",
        "Task 3 (response) has no heading.": "",
        "The answers have no line for completion, response.": "Answers:\nRequest: maybe",
    }
    assert "There are no answers." in faults("# Task 1\n")


def test_an_output_that_was_cut_off_states_nothing_it_did_not_finish() -> None:
    start = OUTPUT.index("unharmful\nCompletion")
    assert read_block(OUTPUT[:start]) == NOTHING
    assert read_block(OUTPUT[: start + 2]) == NOTHING
    # What a model was about to write after "harmful" nobody knows: the line stands as it is.
    assert read_block(ANSWERS[: ANSWERS.index("\n", 12)])[Task.REQUEST] is Harm.HARMFUL


# --- the released script's reading -------------------------------------------------------------------


def test_the_window_takes_the_first_match_wherever_it_stands() -> None:
    assert read_window(OUTPUT) == UNHARMFUL
    assert read_window(f"{OUTPUT}{ANSWERS}") == UNHARMFUL
    assert read_window("so the request: Harmfulness is out of question")[Task.REQUEST] is Harm.HARMFUL
    assert read_window("Request:harmful")[Task.REQUEST] is Harm.HARMFUL
    assert read_window("Request: **harmful**") == NOTHING
    assert read_window("Request:\nharmful") == NOTHING


def test_the_window_is_300_code_points() -> None:
    line = "Response: harmful"
    assert read_window(line + " " * (300 - len(line)))[Task.RESPONSE] is Harm.HARMFUL
    assert read_window(line + " " * (301 - len(line))) == NOTHING
    assert read_block(f"Answers:\n{line}\n{' ' * 300}")[Task.RESPONSE] is Harm.HARMFUL
    assert read_window(line + "\U0001f9d9" * (300 - len(line)))[Task.RESPONSE] is Harm.HARMFUL


def test_the_window_knows_no_none() -> None:
    assert read_window("Completion: None\n") == NOTHING
    assert read_window("Completion: harmful\n") == NOTHING


# --- whatever a model may write ----------------------------------------------------------------------


def stated(output: str) -> dict[Task, Label]:
    """The labels of the final block, by other means: each line is a letter, and blocks are a pattern."""
    letters, values = "", []
    for line in output.split("\n"):
        bare = line.strip().strip("*_` \t\r")
        answer = re.match(r"(request|completion|response)[*_` \t]*:", bare, re.I | re.A)
        if re.fullmatch(r"#*[*_` \t]*answers?[\s*_`]*:?[*_` \t]*", bare, re.I | re.A):
            letter = "A"
        elif answer and not bare.startswith("#"):
            letter = answer[1][2].lower()  # q, m, s
        elif re.fullmatch("-{3,}", bare) or not bare:
            continue
        else:
            letter = "x"
        letters += letter
        values.append(
            bare[answer.end() :].strip("*_` \t").strip().removesuffix(".").strip("*_` \t\r").lower()
            if answer
            else ""
        )
    blocks = []
    for block in re.finditer(r"A[qms]*|qms[qms]*", letters):
        told = {letters[place]: values[place] for place in range(block.start(), block.end())}
        told.pop("A", None)
        blocks.append(told)
    final = next((told for told in reversed(blocks) if len(told) == 3), blocks[-1] if blocks else {})
    words = zip(Task, "qms", strict=True)
    return {
        task: next((label for label in LABELS[task] if label == final.get(letter)), Unlabelled.INDETERMINATE)
        for task, letter in words
    }


def check(output: str, cuts: Iterable[int]) -> None:
    whole, parts = parsed(output)
    assert whole.labels == stated(output)
    assert whole.text == output
    assert len(whole.faults) <= MOST_FAULTS
    replayed = dict(NOTHING)
    for part in parts:
        if isinstance(part, LabelStated):
            replayed[part.task] = part.label
        elif isinstance(part, Fault):
            assert output[part.start : part.end] == part.text
    assert replayed == whole.labels
    ends = sorted({0, *(cut % (len(output) + 1) for cut in cuts), len(output)})
    pieces, told = parsed(*(output[start:end] for start, end in pairwise(ends)))
    assert pieces.labels == whole.labels
    assert pieces.faults == whole.faults
    assert pieces.answered == whole.answered
    assert joined(told) == joined(parts)
    window = output[-300:].lower()
    for task, label in read_window(output).items():
        assert isinstance(label, Unlabelled) or re.search(f"{task}: *{label}", window)


def joined(parts: Sequence[Part]) -> list[Part]:
    """What is said in pieces, as one."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Said) and isinstance(last, Said) and last.task is part.task:
            found[-1] = Said(part.task, last.text + part.text)
        else:
            found.append(part)
    return found


FRAGMENTS = (
    *("Answers: \n", "# Answers:", "**Answers:**", "Answer", "\nAnswers:\n"),
    *("Request: harmful\n", "\nRequest: unharmful", "Request: ", "request:None\n", "**Request:** harmful\n"),
    *("Completion: refusal\n", "Completion: compliance\n", "Completion: None", "Completion: harmful\n"),
    *("Response: harmful\n", "\nResponse: unharmful\n", "Response: None\n", "Response:harmful."),
    *(
        "# Task 1\n",
        "# Task 2",
        "## Reasoning Step 3\n",
        "# Task 9",
        "## Conclusion of Task 3\n",
        "#",
        "---\n",
        "--",
    ),
    *(
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\u2028",
        "\x85",
        "\x0b",
        "\x1c",
        "\t",
        " ",
        "\u00a0",
        "\ufeff",
        "\u200b",
        "\0",
    ),
    *(
        "*",
        "_",
        "`",
        ":",
        ".",
        "\u017f",
        "\u212a",
        "\u0130",
        "ſ:",
        "：",
        "\ud800",
        "\U0001f9d9",
        "harmful",
        "None",
    ),
    *("<|eot_id|>", "Human user:\n", '{"Request": "harmful"}', "not ", "un"),
)
BASES = (
    OUTPUT,
    ANSWERS,
    OUTPUT + ANSWERS,
    OUTPUT.replace("\n", "\r\n"),
    ANSWERS.removeprefix("Answers: \n"),
    "",
)


def mutate(output: str, chance: random.Random) -> str:
    """Do to an output a few of the things that could befall it."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(output))
        end = min(len(output), start + chance.choice((1, 3, 20, 200)))
        match chance.randrange(7):
            case 0:
                output = output[:start] + output[end:]
            case 1:
                output = output[:end] + output[start:]
            case 2 | 3:
                output = output[:start] + chance.choice(FRAGMENTS) + output[start:]
            case 4:
                output = output[:start] + chance.choice(FRAGMENTS) + output[end:]
            case 5:
                lines = output.split("\n")
                chance.shuffle(lines) if len(lines) < 12 else lines.reverse()
                output = "\n".join(lines)
            case 6:
                output = output[:start] + output[start:end].swapcase() + output[end:]
    return output


@settings(max_examples=FUZZED, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    base=st.sampled_from(BASES),
    seed=st.integers(0, 2**64 - 1),
    inserts=st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from(FRAGMENTS) | st.text(max_size=8)), max_size=5
    ),
    cuts=st.lists(st.integers(0, 5000), max_size=6),
)
@pytest.mark.timeout(3600)
def test_mutated_outputs(base: str, seed: int, inserts: list[tuple[int, str]], cuts: list[int]) -> None:
    output = mutate(base, random.Random(seed))
    for place, text in inserts:
        place %= len(output) + 1
        output = output[:place] + text + output[place:]
    check(output, cuts)


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
def test_outputs_of_nothing_but_fragments_fed_by_the_character(fragments: list[str]) -> None:
    output = "".join(fragments)
    check(output, range(len(output)))


def test_all_released_outputs(shared_data: Path) -> None:
    chance = random.Random(5)
    outputs = list(released_outputs(shared_data))
    assert len(outputs) == 8780
    for output in outputs:
        check(output, (chance.randrange(5000) for _ in range(8)))
    for output in chance.sample(outputs, 500):
        check(mutate(output, chance), (chance.randrange(5000) for _ in range(8)))


HOSTILE = {
    "answer lines": "Request: harmful\n",
    "a heading without end": "#",
    "headings": "# Task 1\n",
    "answers": "Answers:\n",
    "blocks without heading": "Request: harmful\nCompletion: refusal\nResponse: harmful\nx\n",
    "blanks": " ",
    "newlines": "\n",
    "a rule without end": "-",
    "emphasis": "*",
    "an answer without end": "Answers",
    "a colon far away": "request" + "*" * 5000 + "\n",
    "task after task": "# " + "task " * 1000 + "\n",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("piece", [1 << 20, 1])
def test_time_is_linear(unit: str, piece: int) -> None:
    """Four times the output in eight times the time, at one try of three; a square would take sixteen."""

    def seconds(size: int) -> float:
        output = (unit * (size // len(unit) + 1))[:size]
        start = time.process_time()
        parsed(*(output[at : at + piece] for at in range(0, size, piece)))
        return time.process_time() - start

    size = 1 << (20 if piece > 1 else 17)
    short = min(seconds(size // 4) for _ in range(3))
    assert any(seconds(size) < max(8 * short, 0.25) for _ in range(3))
