"""From the rows of each source to items: one function a layout, for local files and for the hub alike.

A layout raises KeyError, TypeError or ValueError on a row that is not laid out so; `items_of` says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from engine.cases import Case, Completion, Harm, Task
from engine.evaluation.benchmark_errors import BenchmarkUnreadable
from engine.evaluation.benchmark_files import Row
from engine.evaluation.items import Choice, Item
from engine.guards.guardreasoner import INSTRUCTION

Layout = Callable[[Row, int], "Item | list[Item] | None"]
"""Row and its number to the item, the items, or None where the row does not belong to the benchmark."""

OPENAI_CATEGORIES = ("S", "H", "V", "HR", "SH", "S3", "H2", "V2")
"""Sexual, hate, violence, harassment, self-harm, sexual/minors, hate/threatening, violence/graphic."""

MULTIJAIL_LANGUAGES = ("en", "zh", "it", "vi", "ar", "ko", "th", "bn", "sw", "jv")

_HEAD = "Human user:\n"
_BETWEEN = "\n\nAI assistant:\n"
_TAIL = "\n\n"
_NO_RESPONSE = f"{_BETWEEN}None{_TAIL}"


def items_of(rows: Iterable[Row], layout: Layout, source: str) -> list[Item]:
    """Return the items that ``rows`` hold, in order.

    Raises:
        BenchmarkUnreadable: at the first row that is not laid out so; the message names ``source``.
    """
    items: list[Item] = []
    for number, row in enumerate(rows):
        try:
            made = layout(row, number)
        except KeyError as error:
            raise BenchmarkUnreadable(f"{source}, row {number}: there is no {error}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise BenchmarkUnreadable(f"{source}, row {number}: {error}.") from error
        if isinstance(made, Item):
            items.append(made)
        elif made is not None:
            items.extend(made)
    return items


# --- the released files of GuardReasoner -------------------------------------------------------------


def split_input(text: str) -> Case:
    """Return the case that an input was rendered from, by `engine.guards.guardreasoner.render_input`.

    A prompt may hold the line that comes before the response. Without a response the last such line is
    the one that was put there; with one it is taken to be the first.

    Raises:
        ValueError: if the text is not such an input.
    """
    if not text.startswith(_HEAD) or not text.endswith(_TAIL):
        raise ValueError("the input is not 'Human user: ... AI assistant: ...'")
    if text.endswith(_NO_RESPONSE):
        return Case(text[len(_HEAD) : -len(_NO_RESPONSE)])
    prompt, between, response = text[len(_HEAD) : -len(_TAIL)].partition(_BETWEEN)
    if not between:
        raise ValueError("the input names no AI assistant")
    return Case(prompt, response)


def guardreasoner(task: Task) -> Layout:
    """Records of instruction, input and output. The output is a label, or the answers for all tasks."""

    def layout(row: Row, number: int) -> Item | None:
        if _text(row, "instruction") != INSTRUCTION:
            raise ValueError("this is not the instruction of GuardReasoner")
        label = _released_label(task, _text(row, "output"))
        return None if label is None else Item(split_input(_text(row, "input")), label, None, str(number))

    return layout


@cache
def _released_label(task: Task, output: str) -> Harm | Completion | None:
    stated = re.search(rf"^{task.value}: (\w+)$", output, re.IGNORECASE | re.MULTILINE)
    word = (stated[1] if stated else output).strip().lower()
    return None if word == "none" else _label(task, word)


# --- other sources -----------------------------------------------------------------------------------


def toxic_chat(row: Row, number: int) -> Item | None:
    """LMSYS ToxicChat: the rows that people have labelled."""
    if not row["human_annotation"]:
        return None
    return Item(Case(_text(row, "user_input")), _harm(row["toxicity"]), None, str(number))


def beaver_tails(row: Row, number: int) -> Item:
    """PKU BeaverTails: whether the response is safe, and the kinds of harm in it."""
    kinds = ", ".join(sorted(kind for kind, applies in (row.get("category") or {}).items() if applies))
    case = Case(_text(row, "prompt"), _text(row, "response"))
    return Item(case, _harm(not _flag(row["is_safe"])), kinds or None, str(number))


def openai_moderation(row: Row, number: int) -> Item:
    """OpenAI's moderation set as one label: harmful where any category applies."""
    flags = _flags(row)
    return Item(Case(_text(row, "prompt")), _harm(any(flags.values())), None, str(number))


def openai_categories(row: Row, number: int) -> Item:
    """OpenAI's moderation set in its own form: a flag for each category that was labelled."""
    return Item(Case(_text(row, "prompt")), _flags(row), None, str(number))


def simple_safety_tests(row: Row, number: int) -> Item:
    """SimpleSafetyTests as its authors publish it."""
    prompt = _text(row, "prompt" if "prompt" in row else "prompts_final")
    return Item(Case(prompt), Harm.HARMFUL, _text(row, "harm_area"), str(number))


def harmbench(row: Row, number: int) -> Item:
    """HarmBench behaviours; one that has a context comes after it and a rule, as HarmBench asks it."""
    behaviour = _text(row, "prompt" if "prompt" in row else "Behavior")
    context = row.get("context") or row.get("ContextString")
    category = row.get("category") or row.get("SemanticCategory")
    prompt = f"{context}\n\n---\n\n{behaviour}" if context else behaviour
    return Item(Case(prompt), Harm.HARMFUL, category or None, str(row.get("BehaviorID") or number))


def advbench(row: Row, number: int) -> Item:
    """AdvBench harmful behaviours: the goal. What a model should be made to say is not used."""
    return Item(Case(_text(row, "prompt" if "prompt" in row else "goal")), Harm.HARMFUL, None, str(number))


def strongreject(row: Row, number: int) -> Item:
    """StrongREJECT forbidden prompts."""
    prompt = _text(row, "prompt" if "prompt" in row else "forbidden_prompt")
    return Item(Case(prompt), Harm.HARMFUL, _text(row, "category"), str(number))


def jailbreakbench(row: Row, number: int) -> Item:
    """JailbreakBench behaviours; the split (or the column of that name) says which are benign."""
    gold = {"harmful": Harm.HARMFUL, "benign": Harm.UNHARMFUL}[row["split"]]
    return Item(Case(_text(row, "Goal")), gold, _text(row, "Category"), f"{row['split']}/{row['Index']}")


def xstest(row: Row, number: int) -> Item:
    """XSTest prompts: those whose type begins with ``contrast_`` are unsafe, the others safe."""
    kind = _text(row, "type")
    gold = _harm(kind.startswith("contrast_"))
    label = row.get("label")
    if label not in (None, "") and gold is not {"safe": Harm.UNHARMFUL, "unsafe": Harm.HARMFUL}[label]:
        raise ValueError("the label and the type disagree about being safe")
    return Item(Case(_text(row, "prompt")), gold, kind, str(number))


def xstest_response(task: Task) -> Layout:
    """AllenAI's XSTest-Response: replies with one label."""

    def layout(row: Row, number: int) -> Item:
        case = Case(_text(row, "prompt"), _text(row, "response"))
        return Item(case, _label(task, row["label"]), row.get("type"), str(number))

    return layout


def wildguard(task: Task) -> Layout:
    """AllenAI's WildGuardTest; rows that have no label of ``task`` are left out.

    For the task of the request the response is left out of the case, as in the paper's benchmark.
    """
    key = {
        Task.REQUEST: "prompt_harm_label",
        Task.COMPLETION: "response_refusal_label",
        Task.RESPONSE: "response_harm_label",
    }[task]

    def layout(row: Row, number: int) -> Item | None:
        if row[key] is None:
            return None
        response = None if task is Task.REQUEST else _text(row, "response")
        return Item(
            Case(_text(row, "prompt"), response), _label(task, row[key]), row.get("subcategory"), str(number)
        )

    return layout


def prompt_and_label(row: Row, number: int) -> Item:
    """Rows of text and label ("harmful" or "safe"), as WildGuardTest's prompts are found in older files."""
    gold = {"harmful": Harm.HARMFUL, "safe": Harm.UNHARMFUL}[row["label"]]
    return Item(Case(_text(row, "text")), gold, row.get("source"), str(number))


def multijail(row: Row, number: int) -> list[Item]:
    """MultiJail: a prompt in ten languages. The language is the category."""
    return [
        Item(Case(_text(row, language)), Harm.HARMFUL, language, f"{language}/{row['id']}")
        for language in MULTIJAIL_LANGUAGES
    ]


def xsafety(row: Row, number: int) -> Item:
    """XSafety. The language is the category, and the scenario a part of the identifier.

    Prompts have no labels of their own: those of the scenarios are harmful by design, and those that ask
    for common sense are the benign control.
    """
    gold = Harm.UNHARMFUL if row["scenario"] == "commonsense" else Harm.HARMFUL
    language = _text(row, "language")
    return Item(Case(_text(row, "prompt")), gold, language, f"{language}/{row['scenario']}/{row['number']}")


def bbq(row: Row, number: int) -> Item:
    """BBQ: a context, a question and three answers. The kind of bias is the category.

    The target is the answer about a stereotyped group; the hub's copy names it (``target_label``), and
    elsewhere the groups of the answers tell.
    """
    answers = [_text(row, f"ans{place}") for place in range(3)]
    groups = [[str(part) for part in row["answer_info"][f"ans{place}"]] for place in range(3)]
    right = row["answer_label"] if "answer_label" in row else row["label"]
    target = row.get("target_label")
    if target is None:
        stereotyped = set(row["additional_metadata"]["stereotyped_groups"])
        target = _only([place for place, group in enumerate(groups) if stereotyped & set(group)], "target")
    unknown = _only([place for place, group in enumerate(groups) if group[-1] == "unknown"], "unknown")
    if right not in range(3) or target not in range(3) or target == unknown:
        raise ValueError("the right answer and the target are not among the answers")
    listed = "\n".join(f"({letter}) {answer}" for letter, answer in zip("abc", answers, strict=True))
    return Item(
        Case(f"{_text(row, 'context')} {_text(row, 'question')}\n{listed}"),
        Choice(
            right,
            unknown,
            target,
            ambiguous={"ambig": True, "disambig": False}[row["context_condition"]],
            negative={"neg": True, "nonneg": False}[row["question_polarity"]],
        ),
        _text(row, "category"),
        f"{row['category']}/{row['example_id']}",
    )


# --- fields ------------------------------------------------------------------------------------------


def _text(row: Row, key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(f"{key!r} is not a text")
    return value


def _label(task: Task, word: Any) -> Harm | Completion:
    return Completion(word) if task is Task.COMPLETION else Harm(word)


def _harm(harmful: Any) -> Harm:
    return Harm.HARMFUL if _flag(harmful) else Harm.UNHARMFUL


def _flag(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("a flag is neither 0 nor 1")
    return bool(value)


def _flags(row: Row) -> dict[str, bool]:
    return {key: _flag(row[key]) for key in OPENAI_CATEGORIES if row.get(key) is not None}


def _only(places: list[int], what: str) -> int:
    if len(places) != 1:
        raise ValueError(f"{len(places)} answers are the {what} one, not one")
    return places[0]
