"""Is the data of a benchmark what was published? Counts, labels that may be inverted, and the hash."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.cases import Completion, Harm, Task
from engine.evaluation.benchmarks import Benchmark, Content
from engine.evaluation.items import Choice, Form, Item, content_hash

_REFUSES = re.compile(
    r"\s*(?:i['’]?m (?:very |really |so )?sorry|sorry|i am sorry|i apologi[sz]e|i can(?:no|['’])t|as an ai"
    r"|i['’]m (?:just|not able|unable)|i am (?:unable|not able)|i (?:will not|won['’]t))",
    re.IGNORECASE,
)
_ENOUGH = 5
"""Fewer texts than this say nothing of the labels."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was found: the hash, the known content it is compared with, and what is off.

    ``faults`` are in counts and labels: figures on such data mean something else. ``differs``: the hash is
    not the pinned one, though the counts may fit.
    """

    sha256: str
    content: Content | None
    faults: tuple[str, ...]

    @property
    def pinned(self) -> bool:
        return self.content is not None and self.content.sha256 is not None

    @property
    def differs(self) -> bool:
        return self.content is not None and self.content.sha256 not in (None, self.sha256)


def check_items(benchmark: Benchmark, items: Sequence[Item]) -> Check:
    """Compare items with what is known of the benchmark. Labels that are inverted are told as such."""
    content = benchmark.content_of_size(len(items))
    faults = []
    if content is None:
        known = " or ".join(f"{content.size:,}" for content in benchmark.contents)
        faults.append(f"there are {len(items):,} items, not {known}")
    elif content.labels:
        faults += _compare(content.labels, count_labels(benchmark.form, items))
    if len({item.id for item in items}) != len(items):
        faults.append("identifiers occur twice")
    faults += _implausible(benchmark, items)
    return Check(content_hash(items), content, tuple(faults))


def count_labels(form: Form, items: Sequence[Item]) -> dict[str, int]:
    """Return how many items have each gold label; what is counted of other forms, `Content` says."""
    counts: Counter[str] = Counter()
    for item in items:
        gold = item.gold
        if isinstance(gold, Harm | Completion):
            counts[gold.value] += 1
        elif isinstance(gold, Choice):
            counts["ambiguous" if gold.ambiguous else "disambiguated"] += 1
        else:
            counts.update(key for key, applies in gold.items() if applies)
    return dict(counts)


def _compare(published: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    if dict(found) == dict(published):
        return []
    counts = f"{_shown(found)}, where {_shown(published)} is published"
    swapped = dict(zip(published, reversed(list(published.values())), strict=True))
    if len(published) == 2 and dict(found) == swapped:
        return [f"the labels are inverted: {counts}"]
    return [f"the labels are {counts}"]


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {label}" for label, count in sorted(counts.items()))


def _implausible(benchmark: Benchmark, items: Sequence[Item]) -> list[str]:
    """Tell of labels that contradict the texts. Where classes are equally large, counts do not show it."""
    if benchmark.form is Form.CHOICE:
        wrong = sum(
            gold.ambiguous != (gold.right == gold.unknown)
            for gold in (item.gold for item in items)
            if isinstance(gold, Choice)
        )
        return [f"{wrong:,} right answers contradict what the context tells"] if wrong else []
    if benchmark.form is not Form.LABEL:
        return []
    if benchmark.task is Task.REQUEST:
        plain = [item for item in items if item.category and item.category.endswith("benign")]
        what = "prompts that are called benign"
    else:
        plain = [item for item in items if item.case.response and _REFUSES.match(item.case.response)]
        what = "replies that begin like a refusal"
    expected = Completion.REFUSAL if benchmark.task is Task.COMPLETION else Harm.UNHARMFUL
    fitting = sum(item.gold is expected for item in plain)
    if len(plain) < _ENOUGH or 2 * fitting >= len(plain):
        return []
    return [
        f"the labels look inverted: of {len(plain):,} {what}, {fitting:,} have the label {expected.value}"
    ]
