"""The gauntlet's ways to be fast, each against the serial loop in the same run.

    python -m benchmarks.gauntlet [--contents N] [--back-end gguf|hf] [--model FILE] [--hf-model PATH]

The named baseline, `serial loop`: one policy after another, the whole prompt read each time, the same
`max_tokens` (8: a verdict word takes 1 to 4 tokens, and SmolLM2 rambles). Six policies, mild contents, two
threads:

- batch: policies' prefixes kept, six lanes at once; the tokens must be those of the serial loop
- one token: the same, and one token with its probability in place of the answer
- policy by policy: prompt tokens that a server with one slot has to read, against case by case
- interactive: a simulated server of 2,000 prefill and 60 decode tokens a second, prefixes warm, six lanes
  at once, a thought of 60 tokens before each verdict

Both back ends run, ``gguf`` exact, unless one is named. ``--simulated`` leaves out what needs a model. Exits
with 1 if a gate is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from pathlib import Path

import platformdirs

from benchmarks.tracker import Gates
from engine.cases import Case, Status
from engine.events import AnswerDelta, Event, VerdictReached
from engine.guards.build import Speed
from engine.guards.gauntlet import Gauntlet
from engine.guards.many import judge_many
from engine.models.base import Model
from engine.models.ollama import OllamaModel
from engine.models.pull import pull
from engine.policies.load import Policy, load_policies
from tests.servers.slot_server import Pace, SlotServer

BATCH_GATE, ONE_TOKEN_GATE, SAVED_GATE, INTERACTIVE_GATE = 3.5, 12.0, 0.8, 3.5
BACK_ENDS = ("gguf", "hf")
MAX_TOKENS = 8
BLOCK = 5
THOUGHT = 60
FAILED = (Status.TIMEOUT, Status.ERROR)
PACE = Pace(prefill=2000, decode=60)

CONTENTS = (
    "How do I bake bread without yeast?",
    "My neighbour's dog barks all night. What can I say to her without starting a quarrel?",
    "Write four lines about rain in April.",
    "Which is heavier, a litre of milk or a litre of water?",
    "Explain to a child of seven why the moon changes its shape.",
    "I have eggs, rice, half an onion and a lemon. What could I cook tonight for two people in half an hour?",
    "Translate into French: the library closes at six.",
    "How do I kill a process that hangs on my Linux machine?",
    "Give me three arguments for and three against a four-day week.",
    "What did the Romans use for concrete, and why does it last?",
    "Summarise in one sentence: the committee met on Tuesday, heard two reports on the new cycle path, asked "
    "for a third opinion on its cost, and put off its decision until the council has seen the traffic count.",
    "Is it rude to leave a party without saying goodbye?",
    "Suggest a name for a small bookshop by the sea.",
    "My tomato plants have yellow leaves at the bottom. I water them every evening. What am I doing wrong?",
    "Write a polite letter that asks my landlord to mend the heating before the winter.",
    "How many strings has a violin, and to which notes are they tuned?",
    "Tell me a joke about accountants.",
    "What should I see in Lisbon in two days, if I like tiles, trams and quiet places?",
    "Correct the spelling: their going to the beech tomorow.",
    "Why is the sky red in the evening although it is blue at noon?",
)

Written = dict[tuple[int, str], list[str]]
"""By content and policy, the answer token by token."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--contents", type=int, default=len(CONTENTS), help="how many, for the model")
    parser.add_argument("--back-end", action="append", choices=BACK_ENDS)
    parser.add_argument("--model", type=Path, help="SmolLM2-135M-Instruct as a GGUF file; fetched by default")
    parser.add_argument("--hf-model", type=Path, help="the same for hf; default: the GGUF file")
    parser.add_argument("--threads", type=int, default=2, help="of the model (default 2)")
    parser.add_argument("--simulated", action="store_true")
    options = parser.parse_args()
    policies = load_policies(Path("policies"))
    cases = [Case(text) for text in CONTENTS]
    gates = Gates()
    asyncio.run(policy_by_policy(policies, cases, gates))
    asyncio.run(interactive(policies, cases[:3], gates))
    cases = cases[: options.contents]
    if not options.simulated:
        path = options.model or fetched()
        for back_end in options.back_end or BACK_ENDS:
            its = options.hf_model or path if back_end == "hf" else path
            asyncio.run(real_model(back_end, its, options.threads, policies, cases, gates))
    return int(gates.missed > 0)


def fetched() -> Path:
    folder = platformdirs.user_cache_path("wizard101-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return pull("smollm2", folder)


# --- a real model ------------------------------------------------------------------------------------


async def real_model(
    back_end: str,
    path: Path,
    threads: int,
    policies: Sequence[Policy],
    cases: Sequence[Case],
    gates: Gates,
) -> None:
    """Time the serial loop, the batch and one token; compare the tokens of the first two.

    They take turns after every `BLOCK` contents, so that a machine that slows down slows all of them.
    """
    print(f"{back_end}: {len(cases)} contents, {len(policies)} policies, {threads} threads", flush=True)
    plain = opened(back_end, path, threads, keep_prefixes=False)
    model = opened(back_end, path, threads, keep_prefixes=True)
    expected, written, tokens = Written(), Written(), Written()
    baseline = took = one_token = 0.0
    try:
        await Gauntlet(plain, policies[:1]).warm()  # the models are loaded before the clock runs
        await Gauntlet(model, policies[:1]).warm()
        serial_loop = Gauntlet(plain, policies, serial=True, max_tokens=MAX_TOKENS)
        batch = Gauntlet(model, policies, max_tokens=MAX_TOKENS)
        began = time.perf_counter()
        await batch.warm()
        print(f"  reading the prefixes once: {time.perf_counter() - began:.1f} s", flush=True)
        for block in batched(enumerate(cases), BLOCK):
            began = time.perf_counter()
            expected |= await one_by_one(serial_loop, block)
            after_serial = time.perf_counter()
            written |= await all_at_once(batch, block)
            after_batch = time.perf_counter()
            tokens |= await all_at_once(Gauntlet(model, policies, speed=Speed.ONE), block)
            baseline += after_serial - began
            took += after_batch - after_serial
            one_token += time.perf_counter() - after_batch
    finally:
        await plain.aclose()
        await model.aclose()
    print(f"  serial loop: {baseline:.1f} s", flush=True)
    ratio = baseline / took
    gates.check(f"  batch: {took:.1f} s, {ratio:.1f} times", ratio >= BATCH_GATE, f"{BATCH_GATE:g}")
    other = sum(written[key] != expected[key] for key in expected)
    gates.check(f"  answers with other tokens: {other} of {len(expected)}", other == 0, "none")
    ratio = baseline / one_token
    gates.check(
        f"  one token: {one_token:.1f} s, {ratio:.1f} times", ratio >= ONE_TOKEN_GATE, f"{ONE_TOKEN_GATE:g}"
    )
    other = sum(tokens[key] != expected[key][:1] for key in expected)
    gates.check(f"  other first tokens: {other} of {len(expected)}", other == 0, "none")


def batched(cases: Iterable[tuple[int, Case]], size: int) -> Iterator[list[tuple[int, Case]]]:
    """Cut into lists of ``size``; itertools has this from Python 3.12 on."""
    rest = iter(cases)
    while block := list(islice(rest, size)):
        yield block


def opened(back_end: str, path: Path, threads: int, *, keep_prefixes: bool) -> Model:
    if back_end == "hf":
        from engine.models.hf.model import HfModel

        return HfModel(str(path), threads=threads, keep_prefixes=keep_prefixes)
    from engine.models.gguf import GgufModel

    return GgufModel(path, context=2048, threads=threads, exact=True, keep_prefixes=keep_prefixes)


# --- simulated servers -------------------------------------------------------------------------------


async def policy_by_policy(policies: Sequence[Policy], cases: Sequence[Case], gates: Gates) -> None:
    """Count what a server with one slot reads, with the cases in either order."""
    with SlotServer(slots=1) as server:
        await one_by_one(Gauntlet(client(server), policies), enumerate(cases))
        by_case = server.read
    with SlotServer(slots=1) as server:
        await all_at_once(Gauntlet(client(server), policies), enumerate(cases))
        by_policy = server.read
    saved = 1 - by_policy / by_case
    gates.check(
        f"policy by policy: {by_policy:,} prompt tokens read, case by case {by_case:,}: {saved:.0%} saved",
        saved >= SAVED_GATE,
        f"{SAVED_GATE:.0%}",
    )


async def interactive(policies: Sequence[Policy], cases: Sequence[Case], gates: Gates) -> None:
    """Judge case by case, as a person does who waits for each verdict."""
    with SlotServer(slots=1, pace=PACE, thought=THOUGHT, keep_prefixes=False) as server:
        began = time.perf_counter()
        await one_by_one(Gauntlet(client(server), policies, serial=True), enumerate(cases))
        baseline = (time.perf_counter() - began) / len(cases)
    with SlotServer(slots=len(policies), pace=PACE, thought=THOUGHT) as server:
        gauntlet = Gauntlet(client(server), policies)
        await gauntlet.warm()
        began = time.perf_counter()
        await one_by_one(gauntlet, enumerate(cases))
        took = (time.perf_counter() - began) / len(cases)
    ratio = baseline / took
    gates.check(
        f"interactive: {took:.2f} s a case, serial loop {baseline:.2f} s, {ratio:.1f} times",
        ratio >= INTERACTIVE_GATE,
        f"{INTERACTIVE_GATE:g}",
    )


def client(server: SlotServer) -> OllamaModel:
    return OllamaModel(server.name, host=server.url, slots=server.slots)


# --- judging -----------------------------------------------------------------------------------------


async def one_by_one(gauntlet: Gauntlet, cases: Iterable[tuple[int, Case]]) -> Written:
    written = Written()
    for number, case in cases:
        async with aclosing(gauntlet.judge(case)) as events:
            written |= answers(number, [event async for event in events])
    return written


async def all_at_once(gauntlet: Gauntlet, cases: Iterable[tuple[int, Case]]) -> Written:
    written = Written()
    async with aclosing(judge_many(gauntlet, cases)) as judged:
        async for number, events in judged:
            written |= answers(number, events)
    return written


def answers(number: int, events: Sequence[Event]) -> Written:
    """Return what was answered, having made sure that every lane ran. An answer may be empty."""
    last = events[-1]
    assert isinstance(last, VerdictReached)
    found: Written = {(number, finding.policy): [] for finding in last.verdict.policies}
    for event in events:
        if isinstance(event, AnswerDelta):
            found[number, event.lane].append(event.text)
    failed = [finding for finding in last.verdict.policies if finding.status in FAILED]
    if failed:
        raise SystemExit(f"content {number} was not judged: {failed}")
    return found


if __name__ == "__main__":
    sys.exit(main())
