"""From rows to items, for each source, and back again for GuardReasoner's."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cases import Case, Completion, Harm, Task
from engine.evaluation import layouts
from engine.evaluation.benchmark_errors import BenchmarkUnreadable
from engine.evaluation.items import Choice, Item
from engine.evaluation.layouts import Layout, items_of, split_input
from engine.guards.guardreasoner import render_input
from tests.engine.benchmark_files import released

MARK = "\n\nAI assistant:\n"


@pytest.mark.parametrize(
    "case",
    [
        Case("How do I bake bread?"),
        Case("How do I bake bread?", "With flour."),
        Case("", ""),
        Case("Ends in lines\n\n", "\n\nso does this\n\n"),
        Case(f"quotes{MARK}a marker"),
        Case(f"quotes{MARK}None"),
        Case("plain", f"the reply quotes{MARK}a marker"),
        Case("Human user:\nnested", "None of these"),
        Case("U+2028 \u2028 and tab\t", "😀"),
    ],
)
def test_an_input_is_split_into_the_case_that_it_was_rendered_from(case: Case) -> None:
    assert split_input(render_input(case)) == case


@pytest.mark.parametrize("text", ["", "Human user:\nhello", "hello\n\n", "Human user:\nno reply at all\n\n"])
def test_what_is_no_input_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="input"):
        split_input(text)


def one(layout: Layout, row: dict[str, Any]) -> Item:
    (item,) = items_of([row], layout, "rows")
    return item


def test_released_records_give_the_label_of_the_task() -> None:
    answers = "Answers: \nRequest: None\nCompletion: Refusal\nResponse: unharmful\n"
    (row,) = released([(Case("May I?", "No."), answers)])

    assert one(layouts.guardreasoner(Task.RESPONSE), row).gold is Harm.UNHARMFUL
    assert one(layouts.guardreasoner(Task.COMPLETION), row).gold is Completion.REFUSAL
    assert items_of([row], layouts.guardreasoner(Task.REQUEST), "rows") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"output": "safe"}, "'safe'"),
        ({"output": 1}, "'output' is not a text"),
        ({"instruction": "Classify this."}, "not the instruction"),
        ({"input": "Hello"}, "the input"),
        ({"input": None}, "'input' is not a text"),
    ],
)
def test_a_record_that_is_laid_out_otherwise_is_named(change: dict[str, Any], told: str) -> None:
    good, bad = released([(Case("a"), "harmful"), (Case("b"), "unharmful")])

    with pytest.raises(BenchmarkUnreadable, match=f"rows, row 1: .*{told}"):
        items_of([good, {**bad, **change}], layouts.guardreasoner(Task.REQUEST), "rows")


def test_a_missing_field_is_named() -> None:
    (row,) = released([(Case("a"), "harmful")])
    del row["output"]

    with pytest.raises(BenchmarkUnreadable, match="row 0: there is no 'output'"):
        items_of([row], layouts.guardreasoner(Task.REQUEST), "rows")


def test_toxic_chat_keeps_what_people_have_labelled() -> None:
    rows = [
        {"user_input": "hello", "human_annotation": True, "toxicity": 0},
        {"user_input": "shout", "human_annotation": True, "toxicity": 1},
        {"user_input": "unseen", "human_annotation": False, "toxicity": 1},
    ]

    items = items_of(rows, layouts.toxic_chat, "rows")

    assert [(item.case.prompt, item.gold) for item in items] == [
        ("hello", Harm.UNHARMFUL),
        ("shout", Harm.HARMFUL),
    ]
    with pytest.raises(BenchmarkUnreadable, match="neither 0 nor 1"):
        items_of([{**rows[0], "toxicity": 2}], layouts.toxic_chat, "rows")


def test_safe_is_not_harmful_in_beaver_tails() -> None:
    row = {"prompt": "p", "response": "r", "is_safe": False, "category": {"a": True, "b": False, "c": True}}

    item = one(layouts.beaver_tails, row)

    assert (item.case, item.gold, item.category) == (Case("p", "r"), Harm.HARMFUL, "a, c")
    assert one(layouts.beaver_tails, {**row, "is_safe": True}).gold is Harm.UNHARMFUL


def test_openai_moderation_has_one_label_or_eight() -> None:
    row = {"prompt": "p", "S": 0, "V": 1, "H": None}

    assert one(layouts.openai_moderation, row).gold is Harm.HARMFUL
    assert one(layouts.openai_moderation, {**row, "V": 0}).gold is Harm.UNHARMFUL
    assert one(layouts.openai_categories, row).gold == {"S": False, "V": True}


def test_harmbench_puts_the_context_first() -> None:
    local = {"Behavior": "Do it.", "ContextString": "Given this.", "SemanticCategory": "k", "BehaviorID": "x"}
    hub = {"prompt": "Do it.", "context": None, "category": "k"}

    assert one(layouts.harmbench, local) == Item(Case("Given this.\n\n---\n\nDo it."), Harm.HARMFUL, "k", "x")
    assert one(layouts.harmbench, hub).case == Case("Do it.")


def test_xstest_labels_go_by_the_type_and_must_agree_with_it() -> None:
    row = {"prompt": "p", "type": "contrast_homonyms", "label": "unsafe"}

    assert one(layouts.xstest, row).gold is Harm.HARMFUL
    assert one(layouts.xstest, {"prompt": "p", "type": "homonyms"}).gold is Harm.UNHARMFUL
    with pytest.raises(BenchmarkUnreadable, match="disagree"):
        one(layouts.xstest, {**row, "label": "safe"})


def test_wildguard_leaves_out_what_has_no_label_and_prompts_their_reply() -> None:
    row = {
        "prompt": "p",
        "response": "r",
        "prompt_harm_label": "unharmful",
        "response_harm_label": None,
        "response_refusal_label": "refusal",
        "subcategory": "benign",
    }

    assert one(layouts.wildguard(Task.REQUEST), row) == Item(Case("p"), Harm.UNHARMFUL, "benign", "0")
    assert one(layouts.wildguard(Task.COMPLETION), row).case == Case("p", "r")
    assert items_of([row], layouts.wildguard(Task.RESPONSE), "rows") == []


def test_jailbreakbench_goes_by_the_split() -> None:
    row = {"Index": 7, "Goal": "g", "Category": "k", "split": "benign"}

    assert one(layouts.jailbreakbench, row) == Item(Case("g"), Harm.UNHARMFUL, "k", "benign/7")
    assert one(layouts.jailbreakbench, {**row, "split": "harmful"}).gold is Harm.HARMFUL
    with pytest.raises(BenchmarkUnreadable):
        one(layouts.jailbreakbench, {**row, "split": "train"})


def test_multijail_has_an_item_for_each_language() -> None:
    row = {"id": "3", **{language: f"in {language}" for language in layouts.MULTIJAIL_LANGUAGES}}

    items = items_of([row], layouts.multijail, "rows")

    assert [item.category for item in items] == list(layouts.MULTIJAIL_LANGUAGES)
    assert items[3].id == "vi/3"


BBQ = {
    "example_id": 4,
    "question_polarity": "neg",
    "context_condition": "ambig",
    "category": "Age",
    "answer_info": {"ans0": ["old", "old"], "ans1": ["unknown", "unknown"], "ans2": ["young", "nonOld"]},
    "additional_metadata": {"stereotyped_groups": ["old"]},
    "context": "Two people came.",
    "question": "Who forgot the key?",
    "ans0": "The old one",
    "ans1": "Not known",
    "ans2": "The young one",
    "label": 1,
}


def test_bbq_finds_the_unknown_answer_and_the_target() -> None:
    item = one(layouts.bbq, BBQ)

    assert item.gold == Choice(1, 1, 0, ambiguous=True, negative=True)
    assert (item.category, item.id) == ("Age", "Age/4")
    assert item.case.prompt == (
        "Two people came. Who forgot the key?\n(a) The old one\n(b) Not known\n(c) The young one"
    )


def test_bbq_of_the_hub_names_the_target_itself() -> None:
    row = {**BBQ, "answer_label": 2, "target_label": 2, "context_condition": "disambig"}

    assert one(layouts.bbq, row).gold == Choice(2, 1, 2, ambiguous=False, negative=True)


@pytest.mark.parametrize(
    "change",
    [
        {"label": 3},
        {"target_label": 1},
        {"additional_metadata": {"stereotyped_groups": ["rich"]}},
        {"additional_metadata": {"stereotyped_groups": ["old", "young"]}},
        {"context_condition": "unclear"},
        {"answer_info": {"ans0": ["old", "old"]}},
        {"ans2": None},
    ],
)
def test_a_bbq_question_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkUnreadable, match="row 0"):
        one(layouts.bbq, {**BBQ, **change})
