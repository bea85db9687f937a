"""What a policy's text says: definitions, rules, their labels, and examples. No two of them may disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.policies.findings import Fix, LintFinding, Severity
from engine.policies.lint_form import error, warning
from engine.policies.sections import Example, Label, Outline, Rule, between

_KINDS = {"Violates": "V", "Safe": "S"}
_VERDICTS = {"V": "VIOLATION", "S": "SAFE"}
_WORD = re.compile(r"\w+")
_NEGATION = re.compile(r"\b(?:not|never|no|without)\b\s*")
_FEWEST_WORDS = 2


def definitions(outline: Outline) -> Iterator[LintFinding]:
    """Every term is defined once."""
    seen: dict[str, str] = {}
    for each in outline.definitions:
        term, meaning = _plain(each.term), _plain(each.meaning)
        if not meaning:
            yield error("empty-definition", each.line, f"“{each.term}” is not defined.")
        elif term not in seen:
            seen[term] = meaning
        elif seen[term] == meaning:
            yield error("duplicated-definition", each.line, f"“{each.term}” is defined before.")
        else:
            yield error("contradictory-definition", each.line, f"“{each.term}” is defined before, otherwise.")


def rules(outline: Outline) -> Iterator[LintFinding]:
    """Rules have labels of their section's kind, and no two of them say the same or its reverse."""
    labelled = {rule.line.number for rule in outline.rules}
    for section in outline.sections:
        kind = _KINDS.get(section.name)
        for line in section.lines if kind is not None else ():
            if line.number not in labelled and line.text.startswith(("- ", "* ")):
                message = f"This rule has no label: “- {kind}1: …” would be one."
                yield warning("unlabelled-rule", line, message)
    for rule, name in _misplaced(outline):
        message = f"{rule.label.name} is no label of the section “{name}”."
        yield error("wrong-kind", rule.line, message)
    yield from _saying_the_same(outline)


def _misplaced(outline: Outline) -> Iterator[tuple[Rule, str]]:
    """Yield the rules that stand in a section of the other kind, with its name."""
    of_line = {rule.line.number: rule for rule in outline.rules}
    for section in outline.sections:
        kind = _KINDS.get(section.name)
        for line in section.lines if kind is not None else ():
            rule = of_line.get(line.number)
            if rule is not None and rule.label.kind != kind:
                yield rule, section.name


def _saying_the_same(outline: Outline) -> Iterator[LintFinding]:
    said: dict[tuple[str, tuple[str, ...]], Rule] = {}
    plain: dict[tuple[str, str], Rule] = {}
    denied: dict[tuple[str, str], Rule] = {}
    for rule in outline.rules:
        kind, body = rule.label.kind, _plain(rule.body)
        if not body:
            yield error("empty-rule", rule.line, f"{rule.label.name} says nothing.")
            continue
        words = tuple(sorted(set(_WORD.findall(body))))
        bare = _NEGATION.sub("", body, count=1)
        same = plain.get((kind, body))
        alike = same or (said.get((kind, words)) if len(words) >= _FEWEST_WORDS else None)
        allowed = plain.get(("S" if kind == "V" else "V", body))
        reverse = plain.get((kind, bare)) if bare != body else denied.get((kind, body))
        name = rule.label.name
        if alike is not None:
            fix = _without(outline, rule) if same is not None else None
            yield error("duplicated-rule", rule.line, f"{name} says what {alike.label.name} says.", fix)
        elif allowed is not None:
            message = f"{name} and {allowed.label.name} say the same: it cannot violate and be safe."
            yield error("contradictory-rule", rule.line, message)
        elif reverse is not None:
            yield error("contradictory-rule", rule.line, f"{name} is the reverse of {reverse.label.name}.")
        said.setdefault((kind, words), rule)
        plain.setdefault((kind, body), rule)
        if bare != body:
            denied.setdefault((kind, bare), rule)


def _without(outline: Outline, rule: Rule) -> Fix | None:
    """Delete a rule. Sure only where nothing names it, and no later rule would have to be renamed."""
    label = rule.label
    later = any(each.label.kind == label.kind and each.label.number > label.number for each in outline.rules)
    named = {each.name for each in outline.uses}
    named.update(name for first, last in outline.ranges for name in between(first, last))
    if later or label.name in named:
        return None
    end = min(rule.line.end + 1, len(outline.text))
    return Fix(f"{label.name} is deleted.", ((rule.line.start, end, ""),))


def labels(outline: Outline) -> Iterator[LintFinding]:
    """Labels count from 1 without gaps or repetition, and every one that is named is there."""
    defined: dict[str, Rule] = {}
    repeated = False
    for rule in outline.rules:
        if rule.label.name in defined:
            repeated = True
            message = f"{rule.label.name} is another rule's label already."
            yield error("repeated-label", rule.line, message)
        defined.setdefault(rule.label.name, rule)
    if not repeated:
        yield from _counting(outline)
    seen: set[tuple[int, str]] = set()
    ends = {label.start for pair in outline.ranges for label in pair}
    for use in outline.uses:
        if use.start not in ends and use.name not in defined and (use.line, use.name) not in seen:
            seen.add((use.line, use.name))
            yield _about(use, use, "undefined-label", f"No rule is called {use.name}.")
    told: set[tuple[int, str, str]] = set()
    for first, last in outline.ranges:
        if (first.line, first.name, last.name) in told:
            continue
        told.add((first.line, first.name, last.name))
        if first.kind != last.kind or first.number > last.number:
            message = f"A range cannot run from {first.name} to {last.name}."
            yield _about(first, last, "impossible-range", message)
            continue
        missing = [name for name in between(first, last) if name not in defined]
        if missing:
            yield _about(first, last, "undefined-label", f"No rule is called {', '.join(missing)}.")


def _about(first: Label, last: Label, code: str, message: str) -> LintFinding:
    return LintFinding(code, first.line, Severity.ERROR, message, first.start, last.end)


def _counting(outline: Outline) -> Iterator[LintFinding]:
    misplaced = {rule.line.number for rule, _ in _misplaced(outline)}
    for kind in ("V", "S"):
        found = [
            rule for rule in outline.rules if rule.label.kind == kind and rule.line.number not in misplaced
        ]
        numbers = [rule.label.number for rule in found]
        if numbers == list(range(1, len(numbers) + 1)):
            continue
        wrong = next(rule for place, rule in enumerate(found, 1) if rule.label.number != place)
        place = found.index(wrong) + 1
        message = (
            f"{wrong.label.name} stands where {kind}{place} is expected: labels count from 1 without gaps."
        )
        yield error("label-order", wrong.line, message, _renumbered(outline, found))


def _renumbered(outline: Outline, found: Sequence[Rule]) -> Fix | None:
    """Have labels count from 1, and all that name them follow. Sure only where what is named is there."""
    kind = found[0].label.kind
    new = {rule.label.number: place for place, rule in enumerate(found, 1)}
    named = [label for label in outline.uses if label.kind == kind]
    spans = [pair for pair in outline.ranges if pair[0].kind == kind or pair[1].kind == kind]
    if any(label.number not in new for label in named):
        return None
    for first, last in spans:
        covered = {new.get(int(name[1:])) for name in between(first, last)} - {None}
        if covered != set(range(new.get(first.number, 0), new.get(last.number, 0) + 1)):
            return None
    edits = [
        (label.start, label.end, f"{kind}{new[label.number]}")
        for label in (*(rule.label for rule in found), *named)
        if new[label.number] != label.number
    ]
    return Fix(f"The {kind} rules are counted anew, and what names them follows.", tuple(sorted(edits)))


def examples(outline: Outline) -> Iterator[LintFinding]:
    """Examples have a verdict and the label of a rule that gives it; both verdicts are shown."""
    verdicts: dict[str, Example] = {}
    for example in outline.examples:
        text = _plain(example.text)
        earlier = verdicts.setdefault(text, example)
        if example.verdict is None:
            message = "This example has no verdict: VIOLATION or SAFE."
            yield error("example-without-verdict", example.line, message)
            continue
        if earlier is not example and earlier.verdict is not None:
            same = earlier.verdict == example.verdict
            code = "duplicated-example" if same else "contradictory-example"
            said = "is there before" if same else f"is {earlier.verdict} in line {earlier.line.number}"
            yield error(code, example.line, f"The same example {said}.")
        yield from _label_of(outline, example)
    section = outline.section("Examples")
    if section is not None and outline.examples:
        shown = {example.verdict for example in outline.examples}
        for verdict in ("VIOLATION", "SAFE"):
            if verdict not in shown:
                yield warning("one-sided-examples", section.heading, f"No example is {verdict}.")


def _label_of(outline: Outline, example: Example) -> Iterator[LintFinding]:
    defined = {rule.label.name for rule in outline.rules}
    kinds = {label.kind for label in example.labels}
    assert example.verdict is not None
    expected = "V" if example.verdict == "VIOLATION" else "S"
    if not kinds:
        yield warning("example-without-label", example.line, "This example names no rule: “(V1)” would.")
    elif kinds != {expected}:
        other = "S" if expected == "V" else "V"
        label = next(label for label in example.labels if label.kind == other)
        sure = kinds == {other} and all(label.name in defined for label in example.labels)
        edit = (example.verdict_start, example.verdict_start + len(example.verdict), _VERDICTS[other])
        fix = Fix(f"The verdict is that of {label.name}.", (edit,)) if sure else None
        yield error(
            "contradictory-label", example.line, f"{label.name} is no rule for {example.verdict}.", fix
        )


def _plain(text: str) -> str:
    return " ".join(text.casefold().rstrip(" .;").split())
