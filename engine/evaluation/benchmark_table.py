"""The table of benchmarks: facts about each, its sources, and the hashes of the content that is known."""

from __future__ import annotations

from collections.abc import Mapping

from engine.cases import Task
from engine.evaluation import layouts
from engine.evaluation.benchmark_files import read_xsafety
from engine.evaluation.benchmarks import Benchmark, Content, Hub, Local
from engine.evaluation.items import Form
from engine.evaluation.layouts import guardreasoner

_RELEASED = "github.com/yueliu1999/GuardReasoner, data/benchmark"


def _released(file: str, task: Task) -> Local:
    return Local((f"guardreasoner_benchmarks/{file}",), guardreasoner(task))


def _harm(harmful: int, unharmful: int = 0) -> dict[str, int]:
    return {label: count for label, count in (("harmful", harmful), ("unharmful", unharmful)) if count}


_WILDGUARD = "allenai/wildguardmix"
_WILDGUARD_FACT = (
    "On the hub, for those who have accepted its conditions; the number of labels is not pinned."
)

_ALL = (
    # --- the thirteen of GuardReasoner, prompts first -----------------------------------------------
    Benchmark(
        "ToxicChat",
        "Prompts to a chat demo that people have labelled",
        Task.REQUEST,
        2853,
        (
            Content(
                2853, _harm(362, 2491), "ed3d918297067d15526f9f91647ce99e690de18f110401f72e4c1d20bebc6e8a"
            ),
        ),
        "CC-BY-NC-4.0",
        (_released("0_8_toxic_chat.json", Task.REQUEST),),
        Hub("lmsys/toxic-chat", ("test",), layouts.toxic_chat, ("toxicchat0124",)),
        facts=("The annotated part of the test split (5,083 prompts); 2,803 inputs are distinct.",),
    ),
    Benchmark(
        "HarmBenchPrompt",
        "Harmful behaviours of HarmBench, as prompts",
        Task.REQUEST,
        239,
        (Content(239, _harm(239), "4bf907cbd5f27a078497b7596bac43642dff9dc1f32bfb690cb3212d093f43f8"),),
        "MIT",
        (_released("0_3_harmbench_prompt.json", Task.REQUEST),),
        origin=f"{_RELEASED}/0_3_harmbench_prompt.json",
    ),
    Benchmark(
        "OpenAIModeration",
        "OpenAI's moderation set as one label: harmful where any category applies",
        Task.REQUEST,
        1680,
        (
            Content(
                1680, _harm(522, 1158), "2b519df01641a4dd7734d2b13602b57eab35a48fec8ee6117b31565fe630eb08"
            ),
        ),
        "MIT",
        (
            _released("0_2_OpenAIModeration.json", Task.REQUEST),
            Local(("openai_moderation/samples-1680.jsonl.gz",), layouts.openai_moderation),
        ),
        Hub("mmathys/openai-moderation-api-evaluation", ("train",), layouts.openai_moderation),
    ),
    Benchmark(
        "AegisSafetyTest",
        "User messages of NVIDIA's Aegis 1.0",
        Task.REQUEST,
        359,
        (Content(359, _harm(232, 127), "c148ac46404fdfd33173f5caa969ea1738f52a0873781dd21d511dcd25bc799b"),),
        "CC-BY-4.0",
        (_released("0_1_AegisSafetyTest.json", Task.REQUEST),),
        origin=f"{_RELEASED}/0_1_AegisSafetyTest.json",
        aliases=("Aegis",),
        facts=("A selection of nvidia/Aegis-AI-Content-Safety-Dataset-1.0.",),
    ),
    Benchmark(
        "SimpleSafetyTests",
        "Prompts that nobody should answer",
        Task.REQUEST,
        100,
        (Content(100, _harm(100), "d21fdc4c89d668dcfec8cd45c1c004a29d9fc82f41d268ec3df388cfee89c553"),),
        "CC-BY-4.0",
        (
            _released("0_0_SimpleSafetyTests.json", Task.REQUEST),
            Local(("simple_safety_tests/SimpleSafetyTests - test cases.csv",), layouts.simple_safety_tests),
        ),
        Hub("Bertievidgen/SimpleSafetyTests", ("test",), layouts.simple_safety_tests),
        category="harm area (hub and original file)",
    ),
    Benchmark(
        "WildGuardTestPrompt",
        "Prompts of WildGuardTest",
        Task.REQUEST,
        1756,
        (
            Content(1756, {}, loose=True),
            Content(
                1554,
                _harm(609, 945),
                "454413ef3133bfb78bdfcbbe91cbc448657ac6e3d2858609e3a83038a26c1264",
                "1,554 of the 1,756 prompts, as older files have them",
            ),
        ),
        "ODC-BY",
        (
            _released("0_4_wild_guard_test.json", Task.REQUEST),
            Local(("wizard101/evaluation/wildguard_full_benchmark.json",), layouts.prompt_and_label),
        ),
        Hub(_WILDGUARD, ("test",), layouts.wildguard(Task.REQUEST), ("wildguardtest",), gated=True),
        category="subcategory",
        facts=(_WILDGUARD_FACT,),
    ),
    Benchmark(
        "HarmBenchResponse",
        "Replies of models to HarmBench behaviours, labelled by people",
        Task.RESPONSE,
        602,
        (Content(602, _harm(273, 329), "8c04bd90c7d58aa4b4674449c3a4d301b84a985c44bdda05b4291e07584b9d49"),),
        "MIT",
        (_released("0_5_harmbench_response.json", Task.RESPONSE),),
        origin=f"{_RELEASED}/0_5_harmbench_response.json",
        facts=("12 prompts are also in HarmBenchPrompt.",),
    ),
    Benchmark(
        "SafeRLHF",
        "Replies of PKU-SafeRLHF",
        Task.RESPONSE,
        2000,
        (
            Content(
                2000, _harm(1000, 1000), "72d6db39e977a20da4355d865d865a31b470b7e9afd68bcbc5f7d4ee8d9e9b06"
            ),
        ),
        "CC-BY-NC-4.0",
        (_released("0_9_safe_rlhf.json", Task.RESPONSE),),
        origin=f"{_RELEASED}/0_9_safe_rlhf.json",
        facts=(
            "A sample of PKU-Alignment/PKU-SafeRLHF that only the released file has.",
            "1,682 inputs are distinct, and 28 carry both labels: no guard can be right on all.",
        ),
    ),
    Benchmark(
        "BeaverTails",
        "Replies of BeaverTails",
        Task.RESPONSE,
        3021,
        (
            Content(
                3021, _harm(1733, 1288), "8689061ad620c9785b3624fe2c36b9a76298d5259188af12a817fd7310ee69c4"
            ),
        ),
        "CC-BY-NC-4.0",
        (_released("0_A_beaver_tails.json", Task.RESPONSE),),
        Hub("PKU-Alignment/BeaverTails", ("30k_test",), layouts.beaver_tails),
        category="kinds of harm (hub)",
        facts=("98 prompts are also in SafeRLHF, 26 in AegisSafetyTest.",),
    ),
    Benchmark(
        "XSTestResponseHarmful",
        "Replies to XSTest prompts: are they harmful?",
        Task.RESPONSE,
        446,
        (Content(446, _harm(78, 368), "3631983b7ec5e8666959742c70e9740cc89e96eb4cab6f736a7bacd2d3fd5456"),),
        "ODC-BY",
        (_released("0_6_xstest_response_harmful.json", Task.RESPONSE),),
        Hub(
            "allenai/xstest-response",
            ("response_harmfulness",),
            layouts.xstest_response(Task.RESPONSE),
            gated=True,
        ),
        category="type of prompt (hub)",
        aliases=("XSTestReponseHarmful",),
        facts=(
            "The released files spell it XSTestReponseHarmful.",
            "The hub's card gives the two counts the other way round.",
            "445 prompts are also in XSTestResponseRefusal: the same replies with another label.",
        ),
    ),
    Benchmark(
        "WildGuardTestResponse",
        "Replies of WildGuardTest: are they harmful?",
        Task.RESPONSE,
        1768,
        (Content(1768, {}, loose=True),),
        "ODC-BY",
        (_released("0_4_wild_guard_test.json", Task.RESPONSE),),
        Hub(_WILDGUARD, ("test",), layouts.wildguard(Task.RESPONSE), ("wildguardtest",), gated=True),
        category="subcategory",
        facts=(_WILDGUARD_FACT,),
    ),
    Benchmark(
        "XSTestResponseRefusal",
        "Replies to XSTest prompts: do they refuse?",
        Task.COMPLETION,
        499,
        (
            Content(
                449,
                {"refusal": 178, "compliance": 271},
                "0b3a19013de20eabda14ea98231fec89cd862f3bfa40e385e6c4ca1f96d6e6cc",
            ),
        ),
        "ODC-BY",
        (_released("0_7_xstest_response_refusal.json", Task.COMPLETION),),
        Hub(
            "allenai/xstest-response",
            ("response_refusal",),
            layouts.xstest_response(Task.COMPLETION),
            gated=True,
        ),
        category="type of prompt (hub)",
        aliases=("XSTestReponseRefusal",),
        facts=("The file has 449 items; the GuardReasoner paper prints, and weights by, 499.",),
    ),
    Benchmark(
        "WildGuardTestRefusal",
        "Replies of WildGuardTest: do they refuse?",
        Task.COMPLETION,
        1777,
        (Content(1777, {}, loose=True),),
        "ODC-BY",
        (_released("0_4_wild_guard_test.json", Task.COMPLETION),),
        Hub(_WILDGUARD, ("test",), layouts.wildguard(Task.COMPLETION), ("wildguardtest",), gated=True),
        category="subcategory",
        facts=(_WILDGUARD_FACT,),
    ),
    # --- others --------------------------------------------------------------------------------------
    Benchmark(
        "StrongREJECT",
        "Forbidden prompts of StrongREJECT",
        Task.REQUEST,
        313,
        (Content(313, _harm(313)),),
        "MIT",
        (Local(("strongreject/strongreject_dataset.csv",), layouts.strongreject),),
        Hub("walledai/StrongREJECT", ("train",), layouts.strongreject, gated=True),
        category="category",
    ),
    Benchmark(
        "JailbreakBench",
        "Behaviours of JailbreakBench: 100 harmful, and 100 benign ones that look like them",
        Task.REQUEST,
        200,
        (Content(200, _harm(100, 100)),),
        "MIT",
        (),
        Hub("JailbreakBench/JBB-Behaviors", ("harmful", "benign"), layouts.jailbreakbench, ("behaviors",)),
        category="category",
        aliases=("JBB", "JBB-Behaviors"),
    ),
    Benchmark(
        "HarmBench",
        "All textual behaviours of HarmBench",
        Task.REQUEST,
        400,
        (Content(400, _harm(400), "8dcee9554f5098f3837c20d9e97ba5460cb478ec312da84b7b6288780afa71af"),),
        "MIT",
        (Local(("harmbench/harmbench_behaviors_text_all.csv",), layouts.harmbench),),
        Hub(
            "walledai/HarmBench",
            ("train",),
            layouts.harmbench,
            ("standard", "contextual", "copyright"),
            gated=True,
        ),
        category="semantic category",
        facts=("Holds all 239 prompts of HarmBenchPrompt.",),
    ),
    Benchmark(
        "AdvBench",
        "Harmful behaviours of AdvBench",
        Task.REQUEST,
        520,
        (Content(520, _harm(520), "6ddf6d9d60d027d675cc5a558d5c1063cfc2e3daaee2774839665b58f627827f"),),
        "MIT",
        (Local(("advbench/harmful_behaviors.csv",), layouts.advbench),),
        Hub("walledai/AdvBench", ("train",), layouts.advbench, gated=True),
        facts=("Nearly told apart from everyday requests by its style: a high recall says little.",),
    ),
    Benchmark(
        "XSTest",
        "Safe prompts that look unsafe, and unsafe ones beside them",
        Task.REQUEST,
        450,
        (Content(450, _harm(200, 250), "09450e671e81cefbe2b5113612d1ab57f66b26539b7c900720f84ae680712616"),),
        "CC-BY-4.0",
        (Local(("xstest/xstest_prompts.csv",), layouts.xstest),),
        Hub("natolambert/xstest-v2-copy", ("prompts",), layouts.xstest),
        category="type of prompt",
        facts=("All prompts of the two XSTestResponse benchmarks are among them.",),
    ),
    Benchmark(
        "OpenAIModerationCategories",
        "OpenAI's moderation set in its own form: eight categories, each labelled or not",
        Task.REQUEST,
        1680,
        (
            Content(
                1680,
                {"S": 237, "H": 162, "V": 94, "HR": 76, "SH": 51, "S3": 85, "H2": 41, "V2": 24},
                "698453d6ef664b4df771609136715e178bcd8940b47c7a6009ccdcc57f7f246e",
            ),
        ),
        "MIT",
        (Local(("openai_moderation/samples-1680.jsonl.gz",), layouts.openai_categories),),
        Hub("mmathys/openai-moderation-api-evaluation", ("train",), layouts.openai_categories),
        form=Form.FLAGS,
        facts=("A category that an item does not name was not labelled: it counts neither way.",),
    ),
    Benchmark(
        "XSafety",
        "Prompts of 13 scenarios, and of common sense, in ten languages",
        Task.REQUEST,
        28000,
        (
            Content(
                25399,
                _harm(23399, 2000),
                "db3dae0439d78a59ebf84b88fae7bdc416f239ca7f5a4f5e45851eb43a16591c",
                "what its repository holds",
            ),
        ),
        "Apache-2.0",
        (Local(("xsafety/*/[A-Z]*.csv", "xsafety/*/commonsense.csv"), layouts.xsafety, read_xsafety),),
        origin="github.com/Jarviswang94/Multilingual_safety_benchmark",
        category="language",
        facts=(
            "Prompts have no labels of their own: scenarios are harmful by design, common sense is benign.",
            "Some prompts of the scenarios are benign in wording.",
            "Of Bengali there is the common sense only; one row is empty, and one file is a double.",
        ),
    ),
    Benchmark(
        "MultiJail",
        "315 harmful prompts in ten languages",
        Task.REQUEST,
        3150,
        (Content(3150, _harm(3150), "328d0843e80dc0250cc9280a9779860b581419b33f7570bb5c5c0c55710f3252"),),
        "MIT",
        (Local(("multijail/MultiJail.csv",), layouts.multijail),),
        Hub("DAMO-NLP-SG/MultiJail", ("train",), layouts.multijail),
        category="language",
        facts=("33 of its English prompts are also in BeaverTails.",),
    ),
    Benchmark(
        "BBQ",
        "Questions with three answers that show social bias",
        None,
        58492,
        (
            Content(58492, {"ambiguous": 29246, "disambiguated": 29246}),
            Content(
                3620,
                {"ambiguous": 1810, "disambiguated": 1810},
                "89c6a5136908f6cec286c4c67716c224a03b52607cc512b28389f8c4d6aa8f3b",
                "religion, sexual orientation and disability of the eleven categories",
            ),
        ),
        "CC-BY-4.0",
        (Local(("bbq/*.jsonl",), layouts.bbq),),
        Hub(
            "Elfsong/BBQ",
            (
                "age",
                "disability_status",
                "gender_identity",
                "nationality",
                "physical_appearance",
                "race_ethnicity",
                "race_x_gender",
                "race_x_ses",
                "religion",
                "ses",
                "sexual_orientation",
            ),
            layouts.bbq,
        ),
        form=Form.CHOICE,
        category="kind of bias",
    ),
)

TABLE: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in _ALL}

GUARDREASONER = tuple(benchmark.name for benchmark in _ALL[:13])
"""The thirteen benchmarks of the GuardReasoner paper (Table 3)."""
