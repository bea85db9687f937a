"""What an output amounts to, at every moment of it: tasks, steps, labels, and where faults belong."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from app.judgement import Judgement
from app.outline import Outline, Section, section_map
from app.wording import OUTPUT_LANE, REASONING, STOPPED, WAITING
from engine.cases import Case
from engine.evaluation.parse import OutputParser, Said, StepBegan, TaskBegan
from engine.events import Event, LabelParsed, LaneStarted, ReasoningDelta, StepStarted
from tests.app.outputs import FAULTY, TAKEN_BACK, UNREADABLE, WHOLE, judged


def judgement_of(events: list[Event]) -> Judgement:
    judgement = Judgement.waiting_for_tasks()
    for event in events:
        judgement.apply(event)
    return judgement


def outline_of(events: list[Event]) -> Outline:
    outline = judgement_of(events).outline
    assert outline is not None
    return outline


def text(section: Section) -> str:
    return "".join(section.pieces).strip()


def words(outline: Outline) -> list[str]:
    return [task.words for task in outline.tasks]


def test_a_whole_output_is_three_tasks_with_their_steps_and_final_labels(tmp_path: Path) -> None:
    outline = outline_of(judged(tmp_path, WHOLE))
    steps = {
        task.name: [(each.step, each.title, text(each)) for each in task.sections] for task in outline.tasks
    }
    assert list(outline.branches) == ["request", "completion", "response"]
    assert steps["request"] == [
        (1, "Read the request", "The user asks how bread is baked at home."),
        (2, "Weigh it", "Baking harms nobody."),
        (None, "Conclusion", "The request is unharmful."),
    ]
    assert steps["completion"] == [(1, "", "The assistant explains the recipe.")]
    assert words(outline) == ["✔ unharmful", "➜ compliance", "✔ unharmful"]
    assert outline.raw == WHOLE
    assert outline.faults == []
    assert outline.tokens == len(WHOLE.split()) + 1


def test_a_label_is_provisional_then_taken_back_then_final(tmp_path: Path) -> None:
    judgement = Judgement.waiting_for_tasks()
    said: list[str] = []
    for event in judged(tmp_path, TAKEN_BACK):
        judgement.apply(event)
        assert judgement.outline is not None
        now = judgement.outline.tasks[0].words
        if not said or said[-1] != now:
            said.append(now)
    assert said == [
        WAITING,
        REASONING,
        "… harmful so far",
        "… taken back",
        "… unharmful so far",
        "✔ unharmful",
    ]


def test_without_a_response_two_tasks_do_not_apply(tmp_path: Path) -> None:
    output = WHOLE.replace("Completion: compliance\nResponse: unharmful", "Completion: None\nResponse: None")
    events = judged(tmp_path, output, Case("How do I bake bread?"))
    stated = next(index for index, event in enumerate(events) if isinstance(event, LabelParsed)) + 2
    assert words(outline_of(events[:stated]))[1] == "… none so far"
    assert words(outline_of(events)) == ["✔ unharmful", "– does not apply", "– does not apply"]


def test_what_is_no_label_is_indeterminate_and_never_a_guess(tmp_path: Path) -> None:
    assert words(outline_of(judged(tmp_path, UNREADABLE)))[0] == "? indeterminate"


def test_an_output_that_was_cut_off_says_so_of_every_task(tmp_path: Path) -> None:
    half = WHOLE[: WHOLE.index("# Task 3")]
    assert words(outline_of(judged(tmp_path, half, finish="length"))) == ["! truncated"] * 3
    assert words(outline_of(judged(tmp_path, WHOLE, finish="length")))[0] == "! unharmful, truncated"


def test_what_was_stopped_is_neither_final_nor_reasoning(tmp_path: Path) -> None:
    events = judged(tmp_path, WHOLE)
    labelled = next(index for index, event in enumerate(events) if isinstance(event, LabelParsed)) + 1
    judgement = judgement_of(events[:labelled])
    judgement.stop()
    assert judgement.outline is not None
    assert words(judgement.outline) == ["■ unharmful, not final", STOPPED, STOPPED]
    assert judgement.outline.raw is None


def test_faults_are_where_they_belong(tmp_path: Path) -> None:
    outline = outline_of(judged(tmp_path, FAULTY))
    placed = {fault.message: place for fault, place in zip(outline.faults, outline.places, strict=True)}
    assert next(iter(outline.branches)) == OUTPUT_LANE
    assert placed == {
        "This heading names no task.": "Request harmful?, Task 7",
        "Text stands before the first task.": "Before the tasks",
    }
    request = outline.branches["request"]
    assert [section.faults for section in request.sections] == [0, 0, 0, 1]
    assert (request.faults, outline.branches["completion"].faults) == (1, 0)


def test_what_is_missing_has_no_place_among_the_steps(tmp_path: Path) -> None:
    outline = outline_of(judged(tmp_path, WHOLE[: WHOLE.index("---")]))
    assert [fault.message for fault in outline.faults] == ["There are no answers."]
    assert outline.places == [""]
    assert not any(branch.faults for branch in outline.branches.values())


def test_the_clock_and_the_clipboard(tmp_path: Path) -> None:
    outline = outline_of(judged(tmp_path, WHOLE))
    assert outline.first_token_ms is not None
    assert outline.reasoning.startswith(
        "# Request harmful?\n\n1. Read the request\nThe user asks how bread is baked at home.\n\n2. Weigh it"
    )


PIECES = st.sampled_from(
    [
        *("# Task 1\n", "# Task 2\n", "# Task 3\n", "# Task 9\n", "## Reasoning Step 1\n", "## Conclusion\n"),
        *("Words. ", "More words\n", "\n", " ", "---\n"),
        *("Answers:\n", "Request: harmful\n", "Completion: None\n", "Response: ?\n"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.integers(1, 9))
def test_places_are_told_in_the_outline_that_streaming_built(output: str, size: int) -> None:
    """However an output came in pieces, its lines map to the sections that are shown."""
    outline = Outline()
    parser = OutputParser()
    parts = [part for at in range(0, len(output), size) for part in parser.feed(output[at : at + size])]
    for part in [*parts, *parser.finish()]:
        match part:
            case TaskBegan(task):
                outline.apply(LaneStarted(seq=0, lane=task))
            case StepBegan(task, step, title):
                outline.apply(StepStarted(seq=0, lane=task or OUTPUT_LANE, step=step, title=title))
            case Said(task, text):
                outline.apply(ReasoningDelta(seq=0, lane=task or OUTPUT_LANE, text=text))
    last = dict(section_map(output)[1])
    assert all(last.get(name, 0) == len(branch.sections) for name, branch in outline.branches.items())
