"""How fast the rule-based reasoner is, beside a naive loop of substring tests over the same signals.

    python -m benchmarks.reasoner_speed --data-dir DATASETS

Prints prompts per second of `Reasoner.classify` on ToxicChat (2,853 prompts) at each level, measured as CPU
time of one process: the median and the best of several repetitions after a warm-up. Exits 1 if a target
is missed, 2 if the data is not there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reasoner_data import TOXIC_CHAT, guard_prompts, require
from engine.cases import Case
from engine.guards.reasoner import Level, Reasoner
from engine.policies.signals import Kind, load_signals

_TARGETS = {Level.LOW: 20_000, Level.MEDIUM: 0, Level.HIGH: 5_000}
_LEAST_RATIO = 5
_NAIVE_PROMPTS = 200


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--policies", type=Path, default=Path(__file__).parents[1] / "policies")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    require(options.data_dir, (TOXIC_CHAT,))
    cases = [Case(prompt) for prompt, _ in guard_prompts(options.data_dir / TOXIC_CHAT)]
    characters = sum(len(case.prompt) for case in cases) / len(cases)
    print(f"ToxicChat, {len(cases)} prompts, {characters:.0f} characters on average")
    naive = _naive(options.policies)
    few = cases[:: len(cases) // _NAIVE_PROMPTS]
    naive_rate = _rates(lambda: [naive(case.prompt) for case in few], len(few), 3)[0]
    print(f"{'naive substring loop':22s} {naive_rate:9,.0f} prompts/s")
    passed = True
    for level, target in _TARGETS.items():
        reasoner = Reasoner(options.policies, level=level)
        median, best = _rates(
            lambda reasoner=reasoner: [reasoner.classify(case) for case in cases], len(cases), options.repeat
        )
        print(
            f"{'reasoner, ' + level.value:22s} {median:9,.0f} prompts/s (median; best {best:,.0f}), "
            f"{median / naive_rate:.0f} times the naive loop, {1e6 / median:.1f} microseconds a prompt"
        )
        passed &= best >= target and best >= naive_rate * _LEAST_RATIO
    print(f"targets: {_TARGETS[Level.LOW]:,} low, {_TARGETS[Level.HIGH]:,} high, {_LEAST_RATIO} times naive")
    print("all met" if passed else "MISSED")
    return 0 if passed else 1


def _naive(policies: Path) -> Callable[[str], int]:
    """Return a function that counts the patterns all of whose parts occur in the lower-cased text."""
    _, sets = load_signals(policies)
    patterns = [
        [tuple(map(" ".join, need)) for need in pattern.needs]
        for signals in sets
        for signal in signals.of(Kind.OBVIOUS, Kind.INDICATOR)
        for pattern in signal.patterns
    ]

    def count(text: str) -> int:
        lowered = text.lower()
        return sum(all(any(word in lowered for word in need) for need in needs) for needs in patterns)

    return count


def _rates(work: Callable[[], object], items: int, repeat: int) -> tuple[float, float]:
    """Return the median and the best rate of ``repeat`` measured runs, in items per second of CPU time."""
    work()
    rates = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        rates.append(items / (time.process_time() - began))
    return statistics.median(rates), max(rates)


if __name__ == "__main__":
    raise SystemExit(main())
