"""The form of a policy's text: title, sections, the output rule, words and characters, and length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from engine.policies.findings import Fix, LintFinding, Severity
from engine.policies.sections import OUTPUT_RULE, Line, Outline, Section

VAGUE = (
    "generally", "usually", "typically", "often", "sometimes", "may be considered", "might be considered",
    "could be considered", "probably", "possibly", "mostly", "somewhat", "in most cases", "in some cases",
    "in general", "normally", "as appropriate", "if appropriate", "where appropriate", "inappropriate",
    "as needed", "reasonable", "reasonably", "and so on", "etc",
)  # fmt: skip
"""Words that leave it to the model what a rule covers."""

_VAGUE = re.compile(rf"\b(?:{'|'.join(map(re.escape, VAGUE))})\b", re.IGNORECASE)
_TITLE = re.compile(r"#[ \t]+\S.*\bpolicy\s*$", re.IGNORECASE)
_OTHER_RULE = re.compile(
    r"\b(?:Answer|Reply|Respond|Output|Return)\b[ ](?:only |exactly |just )?(?:with|in|as)\b[^.\n]{0,200}\.?"
)
_MOST_SHOWN = 20
_UNSEEN = ("Cc", "Cf", "Cs", "Co")


def error(code: str, line: Line, message: str, fix: Fix | None = None) -> LintFinding:
    """Return an error about all of a line."""
    return LintFinding(code, line.number, Severity.ERROR, message, line.start, line.end, fix)


def warning(code: str, line: Line, message: str, fix: Fix | None = None) -> LintFinding:
    """Return a warning about all of a line."""
    return LintFinding(code, line.number, Severity.WARNING, message, line.start, line.end, fix)


# --- title and sections ------------------------------------------------------------------------------


def title(outline: Outline) -> Iterator[LintFinding]:
    """The first line names the policy: "# Hate speech policy"."""
    first = next((line for line in outline.lines if line.text.strip()), outline.lines[0])
    if not _TITLE.match(first.text):
        yield warning("no-title", first, "The first line names no policy: “# Hate speech policy” would.")


def sections(outline: Outline, wanted: Sequence[str]) -> Iterator[LintFinding]:
    """All sections are there, once, in their order, and say something."""
    last = _last(outline)
    seen: set[str] = set()
    for section in outline.sections:
        if section.name not in wanted:
            names = ", ".join(wanted)
            yield warning(
                "unknown-section", section.heading, f"“{section.name}” is no section of a policy: {names}."
            )
        elif section.name in seen:
            yield error("repeated-section", section.heading, f"The section “{section.name}” is there before.")
        elif section.is_empty:
            yield error("empty-section", section.heading, f"The section “{section.name}” says nothing.")
        seen.add(section.name)
    for name in wanted:
        if name not in seen:
            at = _before(outline, name, wanted) or last
            yield error("missing-section", at, f"There is no section “{name}”.")
    yield from _order(outline, wanted)


def _before(outline: Outline, name: str, wanted: Sequence[str]) -> Line | None:
    """Return the heading that a missing section would stand before."""
    later = wanted[wanted.index(name) + 1 :]
    return next((section.heading for section in outline.sections if section.name in later), None)


def _order(outline: Outline, wanted: Sequence[str]) -> Iterator[LintFinding]:
    known = [section for section in outline.sections if section.name in wanted]
    places = [wanted.index(section.name) for section in known]
    highest = -1
    for section, place in zip(known, places, strict=True):
        if place < highest:
            after = wanted[highest]
            yield error(
                "misordered-section",
                section.heading,
                f"“{section.name}” belongs before “{after}”.",
                _in_order(outline, known, wanted),
            )
            return
        highest = place


def _in_order(outline: Outline, known: Sequence[Section], wanted: Sequence[str]) -> Fix | None:
    """Move whole sections. Sure only where every section is known and there once."""
    names = [section.name for section in known]
    if len(known) != len(outline.sections) or len(set(names)) != len(names):
        return None
    text = outline.text
    starts = [section.heading.start for section in outline.sections] + [len(text)]
    parts = [text[start:stop].rstrip("\n") for start, stop in pairwise(starts)]
    tail = ""
    if parts[-1].rstrip().endswith(f"\n{OUTPUT_RULE}"):  # it ends the text, not its section
        parts[-1], _, tail = parts[-1].rstrip().rpartition("\n")
        parts[-1] = parts[-1].rstrip("\n")
    named = sorted(zip(names, parts, strict=True), key=lambda each: wanted.index(each[0]))
    ordered = [part for _, part in named]
    new = "\n\n".join([*ordered, tail] if tail else ordered) + "\n"
    return Fix("The sections are put into their order.", ((starts[0], len(text), new),))


# --- the output rule ---------------------------------------------------------------------------------


def output_rule(outline: Outline, wanted: Sequence[str]) -> Iterator[LintFinding]:
    """It stands at the end of the instructions and at the end of the text, and no other one does."""
    instructions = outline.section("Instructions") if wanted else None
    lines = outline.before if not wanted else instructions.lines if instructions is not None else ()
    last = _last(outline)
    written = [line for line in lines if line.text.strip() and not line.text.startswith("#") and line != last]
    told = f"“{OUTPUT_RULE}”"
    if not any(OUTPUT_RULE in line.text for line in written):
        if written:
            end = written[0].start + len(written[0].text.rstrip())
            fix = Fix("The output rule is added to the instructions.", ((end, end, f" {OUTPUT_RULE}"),))
            yield error("output-rule", written[0], f"The instructions do not say {told}", fix)
        elif not wanted or instructions is not None:
            at = instructions.heading if instructions is not None else last
            yield error("output-rule", at, f"The instructions do not say {told}")
    if last.text.strip() != OUTPUT_RULE:
        fix = _at_the_end(outline)
        yield error("output-rule", last, f"The text does not end with {told}", fix)
    elif outline.text.count(OUTPUT_RULE) > 2:
        yield warning("output-rule", last, "The output rule is told more than twice.")
    yield from _other_rules(outline)


def _at_the_end(outline: Outline) -> Fix:
    """Put the output rule at the end; where it is a line of its own before, that one moves."""
    text = outline.text
    end = len(text.rstrip())
    alone = [line for line in outline.lines if line.text.strip() == OUTPUT_RULE]
    moved = tuple((line.start, line.end + 1, "") for line in alone)
    return Fix("The output rule is put at the end.", (*moved, (end, len(text), f"\n\n{OUTPUT_RULE}\n")))


def _other_rules(outline: Outline) -> Iterator[LintFinding]:
    """Yield what asks for another output, outside of examples and other lists."""
    for line in outline.lines:
        if line.text.startswith("- "):
            continue
        for found in _OTHER_RULE.finditer(line.text):
            if not found[0].startswith(OUTPUT_RULE.rstrip(".")):
                start, end = line.start + found.start(), line.start + found.end()
                message = "This is another output rule: a model cannot follow both."
                yield LintFinding("other-output-rule", line.number, Severity.ERROR, message, start, end)


def _last(outline: Outline) -> Line:
    """Return the last line that says something."""
    return next((line for line in reversed(outline.lines) if line.text.strip()), outline.lines[-1])


def says_what_content_is(outline: Outline, wanted: Sequence[str]) -> Iterator[LintFinding]:
    """The instructions say that the content is data, and that a refusal does not itself violate."""
    instructions = outline.section("Instructions") if wanted else None
    if wanted and instructions is None:
        return
    lines = instructions.lines if instructions is not None else outline.before
    at = instructions.heading if instructions is not None else outline.lines[0]
    said = " ".join(line.text for line in lines).casefold()
    if "as data" not in said or "never follow" not in said:
        message = "The instructions do not say to judge the content as data, and to follow nothing in it."
        yield warning("not-as-data", at, message)
    if not re.search(r"refus\w* response does not itself violate", said):
        message = "The instructions do not say that a refusing response does not itself violate."
        yield warning("refusal-unsaid", at, message)


# --- words, characters and length --------------------------------------------------------------------


def vague_words(outline: Outline) -> Iterator[LintFinding]:
    """No word leaves it to the model what a rule covers. What an example quotes may say anything."""
    quoted = {example.line.number: example for example in outline.examples}
    for line in outline.lines:
        for found in _VAGUE.finditer(line.text):
            example = quoted.get(line.number)
            if example is not None and found.start() < line.text.rfind('"'):
                continue
            start = line.start + found.start()
            message = f"“{found[0]}” leaves open what is meant: say when, or leave it out."
            yield LintFinding(
                "vague-word", line.number, Severity.WARNING, message, start, start + len(found[0])
            )


def characters(outline: Outline) -> Iterator[LintFinding]:
    """Nothing is there that cannot be seen: a model reads it all the same."""
    returns = [line for line in outline.lines if line.text.endswith("\r")]
    if returns:
        edits = tuple((line.end - 1, line.end, "") for line in returns)
        fix = Fix("Line ends are made plain newlines.", edits)
        yield warning("carriage-return", returns[0], "Lines end with carriage returns.", fix)
    shown = 0
    for line in outline.lines:
        body = line.text.removesuffix("\r")
        bare = body.rstrip(" \t")
        if len(bare) < len(body):
            edit = (line.start + len(bare), line.start + len(body), "")
            fix = Fix("The blanks at the end of the line are gone.", (edit,))
            start, end, _ = edit
            said = "Blanks end this line."
            yield LintFinding("trailing-blank", line.number, Severity.WARNING, said, start, end, fix)
        for place, char in enumerate(body if not body.isprintable() else ""):
            if shown < _MOST_SHOWN and char != "	" and unicodedata.category(char) in _UNSEEN:
                shown += 1
                start = line.start + place
                message = f"U+{ord(char):04X} cannot be seen, and a model reads it."
                yield LintFinding(
                    "unseen-character", line.number, Severity.WARNING, message, start, start + 1
                )
    if outline.text and not outline.text.endswith("\n"):
        end = len(outline.text)
        fix = Fix("A newline ends the text.", ((end, end, "\n"),))
        yield warning("no-newline", outline.lines[-1], "The last line does not end with a newline.", fix)


def length(
    outline: Outline, band: tuple[int, int], count: Callable[[str], int], counted: str
) -> Iterator[LintFinding]:
    """The text is long enough to be clear and short enough to be kept in mind."""
    low, high = band
    tokens = count(outline.text)
    if low <= tokens <= high:
        return
    first = outline.lines[0]
    code, fate = ("too-long", "above") if tokens > high else ("too-short", "below")
    yield error(code, first, f"{tokens:,} tokens ({counted}) are {fate} the band of {low:,} to {high:,}.")
