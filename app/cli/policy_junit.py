"""The results of a test as JUnit XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from app.cli.policy_access import KEY_SHOWN
from app.cli.policy_trials import Result, Tested, excerpt
from app.cli.policy_words import expected_word, found_of, found_words
from app.safe_text import visible


def write_junit(path: Path, tested: Sequence[Tested], *, texts: bool) -> None:
    """Write the results in place of the file, whole or not at all.

    A known limit counts as skipped; cases that were not judged are an error, all of them one.

    Raises:
        engine.policies.files.SaveError: if it cannot be written.
    """
    from engine.policies.files import save_file

    root = Element("testsuites")
    for each in tested:
        missing = each.planned - len(each.results)
        suite = SubElement(
            root,
            "testsuite",
            name=_told(each.policy),
            tests=str(len(each.results) + bool(missing)),
            failures=str(sum(_is_failure(result) for result in each.results)),
            errors=str(
                sum(result.fails and not _is_failure(result) for result in each.results) + bool(missing)
            ),
            skipped=str(each.limits),
            time=_seconds(sum(result.outcome.finding.latency_ms for result in each.results)),
        )
        for result in each.results:
            _add(suite, result, texts=texts)
        if missing:
            rest = SubElement(suite, "testcase", classname=_told(each.policy), name="all others")
            SubElement(rest, "error", message=f"{missing} cases were not judged")
    indent(root)
    content = '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"
    save_file(path, content, over=None, force=True)


def _add(suite: Element, result: Result, *, texts: bool) -> None:
    outcome = result.outcome
    key = outcome.case.case.key[:KEY_SHOWN]
    case = SubElement(
        suite,
        "testcase",
        classname=_told(result.policy),
        name=_told(f"{result.number} {key} {excerpt(result, texts=texts)}"),
        time=_seconds(outcome.finding.latency_ms),
    )
    message = f"found {found_words(outcome.finding)}, expected {expected_word(outcome.case.violation)}"
    if result.fails:
        kind = "failure" if _is_failure(result) else "error"
        told = SubElement(case, kind, message=_told(message))
        told.text = _told("\n".join(filter(None, [outcome.case.reason, outcome.finding.reasoning])))
    elif not outcome.passed and result.limit is not None:
        SubElement(case, "skipped", message=_told(f"{message}: known limit, {result.limit.why}"))


def _is_failure(result: Result) -> bool:
    """Tell a wrong answer from none."""
    return result.fails and found_of(result.outcome.finding) is not None


def _told(text: str) -> str:
    """Return a text that XML can hold, and that no terminal acts on."""
    return visible(text)


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.3f}"
