"""A policy's length in tokens: by the estimate, and by real tokenizers where there are any."""

from __future__ import annotations

import itertools
import json
import secrets
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.policies.load import load_policies
from engine.policies.tokens import TOKEN_BAND, estimate_tokens

FOLDER = Path(__file__).resolve().parents[2] / "policies"
TEXTS = {policy.name: policy.text for policy in load_policies(FOLDER)}
FEWEST, MOST = TOKEN_BAND

# SmolLM2 splits the policies into 7.2 to 8.9 % more tokens than o200k, which the estimate follows.
SMOLLM2_RATIO = 1.08

Count = Callable[[str], int]

# Not a policy, and not used for the calibration. Counted by o200k_base.
SAMPLE = """\
## Returning a borrowed book

The library's rules apply to every reader, including visiting researchers:

- R1: a book is due after 28 days; each further day costs 0.25 euros.
- R2: damaged or missing pages are paid for, unless the damage was reported when borrowing.
- R3: "My dog ate it" isn't an excuse -> REJECTED (R2).

Manuscripts never leave the reading room. Photographs without flash are permitted; \
ask the librarian before using a tripod, and don't lean on the glass cabinets.
"""
SAMPLE_TOKENS = 115


def within(share: float, value: float, of: float) -> bool:
    return abs(value - of) <= share * of


@pytest.mark.parametrize("name", TEXTS)
def test_policy_is_in_the_band_by_the_estimate(name: str) -> None:
    assert FEWEST <= estimate_tokens(TEXTS[name]) <= MOST


def test_estimate_holds_on_a_text_it_was_not_made_from() -> None:
    assert within(0.05, estimate_tokens(SAMPLE), SAMPLE_TOKENS)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" ", 1),
        ("\n\n", 1),
        ("the cat sat", 3),
        ("1234", 2),
        ("one, two", 3),
        ("a -> b", 3),
        (" VIOLATION", 3),
    ],
)
def test_pieces_are_counted_as_the_pre_tokenizer_cuts_them(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_longer_texts_count_more() -> None:
    text = TEXTS["violence"]
    lengths = [estimate_tokens(text[:end]) for end in range(0, len(text), 40)]
    assert all(a < b for a, b in itertools.pairwise(lengths))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", [" ", "\n", "a", "'", "_", "\u200b", " \n", "ж", "9", "\ud800"])
def test_hostile_runs_take_linear_time(unit: str) -> None:
    assert estimate_tokens(unit * 200_000) > 0


@pytest.mark.parametrize("name", TEXTS)
def test_policy_by_the_tokenizer_of_gpt_oss(name: str) -> None:
    bpe = pytest.importorskip(
        "bpe_openai", reason="the o200k vocabulary is not here: pip install bpe-openai brings it"
    )
    count = len(bpe.get_encoding("o200k_base").encode(TEXTS[name]))
    assert FEWEST <= count <= MOST
    assert within(0.05, estimate_tokens(TEXTS[name]), count)


@pytest.fixture(scope="module")
def smollm2_tokens(smollm2: Path) -> Count:
    """Count tokens as SmolLM2 does, by the tokenizer inside its GGUF file."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="pip install 'wizard101[local]'")
    key = secrets.token_urlsafe(32)
    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2)
    params.n_ctx = 512
    params.warmup = False
    params.verbosity = -1
    params.api_keys = [key]
    params.cors_origins = ""
    server = xllamacpp.Server(params)

    def count(text: str) -> int:
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize",
            json.dumps({"content": text}).encode("utf-8"),
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return len(json.load(answer)["tokens"])

    return count


@pytest.mark.xdist_group("smollm2")
@pytest.mark.parametrize("name", TEXTS)
def test_policy_by_the_tokenizer_of_smollm2(name: str, smollm2_tokens: Count) -> None:
    count = smollm2_tokens(TEXTS[name])
    assert FEWEST <= count <= MOST
    assert within(0.05, estimate_tokens(TEXTS[name]) * SMOLLM2_RATIO, count)
