"""The benchmarks' real data, where it is beside the repository: counts, hashes, polarity, rendering, overlap.

Assertions are about figures: a failure must not print what the data says.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from engine.cases import Completion, Harm, Task
from engine.data.overlap import TrainingIndex
from engine.data.training_files import read_prompts
from engine.evaluation.benchmark_checks import check_items, count_labels
from engine.evaluation.benchmark_data import Loaded, load_benchmark
from engine.evaluation.benchmarks import benchmarks
from engine.evaluation.items import Choice, Form, decode_items, encode_items
from engine.evaluation.layouts import items_of, split_input
from engine.evaluation.questions import answers_of, read_answer
from engine.guards.content import neutralise
from engine.guards.guardreasoner import INSTRUCTION, render_input

HERE = {
    "ToxicChat": 2853,
    "HarmBenchPrompt": 239,
    "OpenAIModeration": 1680,
    "AegisSafetyTest": 359,
    "SimpleSafetyTests": 100,
    "WildGuardTestPrompt": 1554,
    "HarmBenchResponse": 602,
    "SafeRLHF": 2000,
    "BeaverTails": 3021,
    "XSTestResponseHarmful": 446,
    "XSTestResponseRefusal": 449,
    "HarmBench": 400,
    "AdvBench": 520,
    "XSTest": 450,
    "OpenAIModerationCategories": 1680,
    "XSafety": 25399,
    "MultiJail": 3150,
    "BBQ": 3620,
}
"""Items of each benchmark that the folder holds."""

INVERSE = {
    Harm.HARMFUL: Harm.UNHARMFUL,
    Harm.UNHARMFUL: Harm.HARMFUL,
    Completion.REFUSAL: Completion.COMPLIANCE,
    Completion.COMPLIANCE: Completion.REFUSAL,
}

Load = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def load(shared_data: Path) -> Load:
    """Load a benchmark from the folder, once for all tests."""
    loaded: dict[str, Loaded] = {}

    def load(name: str) -> Loaded:
        if name not in loaded:
            loaded[name] = load_benchmark(name, shared_data / "datasets", env={"WIZARD_DATA": "/nonexistent"})
        return loaded[name]

    return load


@pytest.mark.parametrize("name", HERE)
def test_the_content_is_what_is_pinned(load: Load, name: str) -> None:
    loaded = load(name)
    content = loaded.benchmark.content_of_size(HERE[name])

    assert content is not None
    assert len(loaded.items) == HERE[name]
    assert (loaded.sha256, loaded.pinned) == (content.sha256, True)
    assert count_labels(loaded.benchmark.form, loaded.items) == content.labels
    again = decode_items(encode_items(loaded.items), loaded.benchmark.form) == loaded.items
    assert again


@pytest.mark.parametrize(
    "name",
    [name for name in HERE if benchmarks()[name].form is Form.LABEL and not benchmarks()[name].single_class],
)
def test_inverted_labels_are_seen(load: Load, name: str) -> None:
    """SafeRLHF, too, which has as many of one label as of the other."""
    loaded = load(name)
    inverted = [replace(item, gold=INVERSE[item.gold]) for item in loaded.items]  # type: ignore[index]

    check = check_items(loaded.benchmark, inverted)

    assert check.differs
    assert any("inverted" in fault for fault in check.faults)


def test_every_file_that_a_benchmark_is_published_as_has_the_same_content(shared_data: Path) -> None:
    for benchmark in benchmarks().values():
        for local in benchmark.local:
            files = local.files(shared_data / "datasets")
            items = [item for file in files for item in items_of(local.read(file), local.layout, str(file))]
            if items:
                assert check_items(benchmark, items).differs is False, local.patterns


def test_released_inputs_are_rendered_as_they_were(shared_data: Path) -> None:
    inputs = same = 0
    for file in sorted((shared_data / "datasets" / "guardreasoner_benchmarks").glob("*.json")):
        for row in msgspec.json.decode(file.read_bytes()):
            inputs += 1
            same += (row["instruction"], row["input"]) == (
                INSTRUCTION,
                render_input(split_input(row["input"])),
            )

    assert (inputs, same) == (11_749, 11_749)
    assert (
        hashlib.sha256(INSTRUCTION.encode()).hexdigest()
        == "b7345e92bb5f36a56848fd8c209b64e5c51f64893da804f1f62efc596239f3b7"
    )


def test_a_response_is_there_where_one_is_judged(load: Load) -> None:
    for name in HERE:
        loaded = load(name)
        judged = loaded.benchmark.task in (Task.RESPONSE, Task.COMPLETION)
        with_response = sum(item.case.response is not None for item in loaded.items)
        assert with_response == (len(loaded.items) if judged else 0), name


def test_every_category_of_openai_moderation_adds_up_to_its_one_label(load: Load) -> None:
    one, eight = load("OpenAIModeration"), load("OpenAIModerationCategories")

    agreeing = sum(
        item.case == flags.case and (item.gold is Harm.HARMFUL) == any(flags.gold.values())
        for item, flags in zip(one.items, eight.items, strict=True)
        if isinstance(flags.gold, dict)
    )
    assert agreeing == 1680


def test_questions_of_bbq_are_asked_as_they_are_and_their_answers_are_read(load: Load) -> None:
    changed = unread = 0
    for item in load("BBQ").items:
        changed += neutralise(item.case.prompt).text != item.case.prompt
        answers = answers_of(item.case.prompt)
        unread += [read_answer(answer, answers) for answer in answers] != [0, 1, 2]
    assert (changed, unread) == (0, 0)


def test_bbq_is_balanced(load: Load) -> None:
    golds = [item.gold for item in load("BBQ").items if isinstance(item.gold, Choice)]

    assert len(golds) == 3620
    assert {item.category for item in load("BBQ").items} == {
        "Religion",
        "Sexual_orientation",
        "Disability_status",
    }
    assert sum(gold.negative for gold in golds) == 1810
    told = [gold for gold in golds if not gold.ambiguous]
    assert abs(sum(gold.right == gold.target for gold in told) - len(told) / 2) < 0.05 * len(told)


def test_ten_languages_are_told_apart(load: Load) -> None:
    assert len({item.category for item in load("MultiJail").items}) == 10
    assert len({item.category for item in load("XSafety").items}) == 10


def test_all_the_data_loads_within_three_seconds(shared_data: Path) -> None:
    began = time.process_time()
    for name in HERE:
        load_benchmark(name, shared_data / "datasets")

    assert time.process_time() - began < 3


# --- overlap ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def training(shared_data: Path) -> TrainingIndex:
    return TrainingIndex(read_prompts(shared_data / "rsft" / "train.jsonl"))


@pytest.mark.parametrize(
    ("name", "same", "prompts"),
    [
        ("ToxicChat", 0, 2774),
        ("WildGuardTestPrompt", 0, 1554),
        ("BeaverTails", 18, 2523),
        ("SafeRLHF", 10, 549),
        ("HarmBenchPrompt", 186, 239),
        ("SimpleSafetyTests", 72, 100),
        ("AegisSafetyTest", 291, 356),
    ],
)
def test_training_data_holds_as_many_prompts_as_is_known(
    load: Load, training: TrainingIndex, name: str, same: int, prompts: int
) -> None:
    found = training.compare(name, load(name).items)

    figures = (found.same, found.prompts)
    assert figures == (same, prompts)


@pytest.mark.parametrize(
    ("file", "name", "exact", "same"),
    [
        ("0_3_harmbench_prompt.json", "HarmBenchResponse", 12, 12),
        ("0_6_xstest_response_harmful.json", "XSTestResponseRefusal", 445, 445),
        ("0_9_safe_rlhf.json", "BeaverTails", 98, 98),
        ("0_1_AegisSafetyTest.json", "BeaverTails", 26, 27),
        ("0_1_AegisSafetyTest.json", "SafeRLHF", 11, 11),
        ("0_3_harmbench_prompt.json", "HarmBench", 238, 239),
    ],
)
def test_benchmarks_share_as_many_prompts_as_is_known(
    load: Load, shared_data: Path, file: str, name: str, exact: int, same: int
) -> None:
    prompts = read_prompts(shared_data / "datasets" / "guardreasoner_benchmarks" / file)

    found = TrainingIndex(prompts).compare(name, load(name).items)

    figures = (found.exact, found.same)
    assert figures == (exact, same)


def test_the_whole_search_takes_less_than_twenty_seconds(load: Load, shared_data: Path) -> None:
    loaded = [load(name) for name in HERE]

    began = time.process_time()
    index = TrainingIndex(read_prompts(shared_data / "rsft" / "train.jsonl"))
    for benchmark in loaded:
        index.compare(benchmark.benchmark.name, benchmark.items)
    seconds = time.process_time() - began

    assert seconds < 20, f"{seconds:.1f} s"
