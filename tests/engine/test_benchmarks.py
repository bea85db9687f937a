"""The table of benchmarks, finding them by name, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cases import Completion, Harm, Task
from engine.evaluation.benchmark_errors import UnknownBenchmark
from engine.evaluation.benchmark_table import GUARDREASONER
from engine.evaluation.benchmarks import (
    Benchmark,
    Content,
    benchmarks,
    find_benchmark,
    names_a_group,
    select_benchmarks,
)
from engine.evaluation.items import Form

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("ToxicChat", "ToxicChat"),
        ("toxic_chat", "ToxicChat"),
        ("TOXIC-chat", "ToxicChat"),
        (" toxic chat ", "ToxicChat"),
        ("XSTestReponseHarmful", "XSTestResponseHarmful"),
        ("aegis", "AegisSafetyTest"),
        ("jbb behaviors", "JailbreakBench"),
    ],
)
def test_a_name_is_found_however_it_is_written(asked: str, name: str) -> None:
    assert find_benchmark(asked).name == name


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("ToxikChat", ["ToxicChat"]),
        ("wildguardtest", ["WildGuardTestPrompt", "WildGuardTestResponse", "WildGuardTestRefusal"]),
        ("beaver", ["BeaverTails"]),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_near(asked: str, near: list[str]) -> None:
    with pytest.raises(UnknownBenchmark, match="No benchmark is called") as told:
        find_benchmark(asked)
    for name in near:
        assert name in told.value.hint


@pytest.mark.parametrize("asked", ["", "qqqq", "‮", "1' OR 1=1"])
def test_a_name_like_no_other_is_refused_without_a_guess(asked: str) -> None:
    with pytest.raises(UnknownBenchmark, match="data list"):
        find_benchmark(asked)


def test_names_are_unambiguous() -> None:
    plain = [
        "".join(filter(str.isalnum, name.casefold()))
        for benchmark in benchmarks().values()
        for name in (benchmark.name, *benchmark.aliases)
    ]

    assert len(plain) == len(set(plain))
    assert not {"all", "guardreasoner"} & set(plain)


def test_a_list_names_each_benchmark_once_and_groups_whole() -> None:
    assert [found.name for found in select_benchmarks("xstest, XSTest,bbq")] == ["XSTest", "BBQ"]
    assert [found.name for found in select_benchmarks("guardreasoner")] == list(GUARDREASONER)
    assert len(select_benchmarks("all,bbq")) == len(benchmarks())
    assert names_a_group("bbq,All")
    assert not names_a_group("bbq")
    with pytest.raises(UnknownBenchmark):
        select_benchmarks(" , ")


def test_the_thirteen_are_those_of_the_paper() -> None:
    """arXiv 2501.18492, Table 3: task and size."""
    thirteen = {name: (benchmarks()[name].task_word, benchmarks()[name].published) for name in GUARDREASONER}

    assert thirteen == {
        "ToxicChat": ("prompt", 2853),
        "HarmBenchPrompt": ("prompt", 239),
        "OpenAIModeration": ("prompt", 1680),
        "AegisSafetyTest": ("prompt", 359),
        "SimpleSafetyTests": ("prompt", 100),
        "WildGuardTestPrompt": ("prompt", 1756),
        "HarmBenchResponse": ("response", 602),
        "SafeRLHF": ("response", 2000),
        "BeaverTails": ("response", 3021),
        "XSTestResponseHarmful": ("response", 446),
        "WildGuardTestResponse": ("response", 1768),
        "XSTestResponseRefusal": ("refusal", 499),
        "WildGuardTestRefusal": ("refusal", 1777),
    }


@pytest.mark.parametrize("benchmark", benchmarks().values(), ids=lambda benchmark: benchmark.name)
def test_what_the_table_says_of_a_benchmark_fits_together(benchmark: Benchmark) -> None:
    assert benchmark.local or benchmark.hub
    assert benchmark.hub or benchmark.origin
    assert benchmark.licence
    for content in benchmark.contents:
        if content.sha256 is not None:
            assert len(content.sha256) == 64
            int(content.sha256, 16)
        if benchmark.form is Form.FLAGS or not content.labels:
            continue
        assert sum(content.labels.values()) == content.size
    if benchmark.task is Task.COMPLETION:
        assert benchmark.positive is Completion.REFUSAL
    elif benchmark.form is Form.LABEL:
        assert benchmark.positive is Harm.HARMFUL
    else:
        assert benchmark.positive is None


def test_one_label_only_is_told() -> None:
    one = {benchmark.name for benchmark in benchmarks().values() if benchmark.single_class}

    assert one == {
        "HarmBenchPrompt",
        "SimpleSafetyTests",
        "StrongREJECT",
        "HarmBench",
        "AdvBench",
        "MultiJail",
    }


def test_a_size_from_print_does_not_refuse_another() -> None:
    prompts = find_benchmark("WildGuardTestPrompt")

    assert prompts.content_of_size(1554) is prompts.contents[1]
    assert prompts.content_of_size(1699) is prompts.contents[0]
    assert find_benchmark("ToxicChat").content_of_size(2852) is None


def test_the_page_shows_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [row for row in map(page_row, benchmarks().values()) if row not in page]

    assert not missing, "docs/benchmarks.md lacks these rows:\n" + "\n".join(missing)
    assert sum(line.startswith("| `") for line in page) == len(benchmarks())


def page_row(benchmark: Benchmark) -> str:
    content = benchmark.contents[0]
    pinned = "yes" if all(content.sha256 for content in benchmark.contents) else _partly(benchmark.contents)
    source = f"`{benchmark.hub.dataset}`" if benchmark.hub else benchmark.origin.split(",")[0]
    gated = " (gated)" if benchmark.hub and benchmark.hub.gated else ""
    labels = ", ".join(f"{label} {count:,}" for label, count in content.labels.items()) or "not pinned"
    cells = (
        f"`{benchmark.name}`",
        benchmark.task_word,
        f"{benchmark.published:,}",
        f"{content.size:,}: {labels}",
        benchmark.licence,
        f"{source}{gated}",
        pinned,
    )
    return f"| {' | '.join(cells)} |"


def _partly(contents: tuple[Content, ...]) -> str:
    return "a part" if any(content.sha256 for content in contents) else "no"
